//! The customers table.

use keyward_core::customers::{Change, Customer, Details, Precondition};
use keyward_core::id::CustomerId;
use keyward_core::page::Page;

use crate::backend::{Backend, at, at_once};

fn details(name: &str, born: &str) -> Details {
    Details {
        name: name.to_owned(),
        born: born.parse().expect("a day"),
        updated_at: at(0),
    }
}

async fn create(backend: &Backend, name: &str, born: &str) -> Customer {
    let created = backend.rows().create_customer(details(name, born)).await;
    created.expect("a customer")
}

fn ids(customers: &[Customer]) -> Vec<CustomerId> {
    customers.iter().map(|customer| customer.id).collect()
}

pub(crate) async fn a_customer_is_found_as_it_was_created(backend: &Backend) {
    let rows = backend.rows();
    for (name, born) in [
        ("Ada", "1815-12-10"),
        ("Zoë \"O'Neil\" 🦀; DROP", "0001-01-01"),
        ("x", "9999-12-31"),
        ("y", "0000-02-29"),
    ] {
        let created = create(backend, name, born).await;
        assert_eq!(
            (&created.details, created.version),
            (&details(name, born), 1)
        );
        let found = rows.find_customer(created.id).await.expect("the store");
        assert_eq!(found, Some(created));
    }
    let none = rows.find_customer(CustomerId(1_000)).await;
    assert_eq!(none.expect("the store"), None);
}

pub(crate) async fn customers_are_listed_by_id_a_page_at_a_time(backend: &Backend) {
    let rows = backend.rows();
    let mut created = Vec::new();
    for index in 0..5 {
        created.push(create(backend, &format!("c{index}"), "2000-01-01").await);
    }
    let list = |after, limit| rows.list_customers(Page { after, limit });
    assert_eq!(list(0, 10).await.expect("the store"), created);
    let page = list(created[1].id.0, 2).await.expect("the store");
    assert_eq!(page, created[2..4]);
    assert_eq!(list(created[4].id.0, 2).await.expect("the store"), []);
}

pub(crate) async fn the_youngest_come_first_and_equal_ones_by_id(backend: &Backend) {
    let rows = backend.rows();
    let mut created = Vec::new();
    for born in [
        "1999-12-31",
        "2000-01-01",
        "0999-01-01",
        "2000-01-01",
        "1999-12-30",
    ] {
        created.push(create(backend, "c", born).await);
    }
    let list = |after, count| rows.list_youngest_customers(after, count);
    let in_order = [1, 3, 0, 4, 2].map(|index: usize| created[index].clone());
    assert_eq!(list(None, 4).await.expect("the store"), in_order[..4]);
    assert_eq!(list(None, 100).await.expect("the store"), in_order);
    assert_eq!(list(None, 0).await.expect("the store"), []);
    // After each of them come those that follow it, however many are asked for.
    for (place, last) in in_order.iter().enumerate() {
        for count in 0..5 {
            let after = Some((last.details.born, last.id));
            let expected: Vec<_> = in_order.iter().skip(place + 1).take(count).collect();
            let count = u32::try_from(count).expect("a small number");
            let listed = list(after, count).await.expect("the store");
            assert_eq!(listed.iter().collect::<Vec<_>>(), expected);
        }
    }
}

pub(crate) async fn a_replacement_advances_the_version(backend: &Backend) {
    let rows = backend.rows();
    let created = create(backend, "Ada", "2000-01-01").await;
    let bystander = create(backend, "Eve", "2000-01-01").await;
    let changed = Details {
        updated_at: at(9),
        ..details("Eda", "2001-02-03")
    };
    let replaced = rows
        .replace_customer(created.id, changed.clone(), Precondition::None)
        .await
        .expect("the store");
    let expected = Customer {
        id: created.id,
        details: changed,
        version: 2,
    };
    assert_eq!(replaced, Change::Made(expected.clone()));
    let found = rows.find_customer(created.id).await.expect("the store");
    assert_eq!(found, Some(expected));
    let found = rows.find_customer(bystander.id).await.expect("the store");
    assert_eq!(found, Some(bystander));
    let youngest = rows
        .list_youngest_customers(None, 1)
        .await
        .expect("the store");
    assert_eq!(ids(&youngest), [created.id]);
}

pub(crate) async fn a_change_is_made_only_where_its_precondition_holds(backend: &Backend) {
    let rows = backend.rows();
    let created = create(backend, "Ada", "2000-01-01").await;
    let new = details("Eda", "2000-01-01");
    let versions = |versions: &[i64]| Precondition::VersionIn(versions.to_vec());
    let replace = |id, precondition| rows.replace_customer(id, new.clone(), precondition);
    let not = |versions: &[i64]| Precondition::VersionNotIn(versions.to_vec());
    for refused in [versions(&[]), versions(&[2, 3]), not(&[1]), not(&[3, 1])] {
        let change = replace(created.id, refused.clone()).await;
        assert_eq!(change.expect("the store"), Change::Stale);
        let change = rows.delete_customer(created.id, refused).await;
        assert_eq!(change.expect("the store"), Change::Stale);
    }
    let found = rows.find_customer(created.id).await.expect("the store");
    assert_eq!(found.as_ref(), Some(&created));
    let change = replace(created.id, versions(&[7, 1]))
        .await
        .expect("the store");
    assert!(matches!(change, Change::Made(Customer { version: 2, .. })));
    let change = replace(created.id, not(&[1])).await.expect("the store");
    assert!(matches!(change, Change::Made(Customer { version: 3, .. })));
    let change = rows.delete_customer(created.id, versions(&[3])).await;
    assert_eq!(change.expect("the store"), Change::Made(()));
    let other = create(backend, "Ida", "2000-01-01").await;
    let change = rows.delete_customer(other.id, not(&[])).await;
    assert_eq!(change.expect("the store"), Change::Made(()));
    assert_eq!(
        rows.find_customer(created.id).await.expect("the store"),
        None
    );
    for precondition in [Precondition::None, versions(&[2]), not(&[2])] {
        let change = replace(created.id, precondition.clone()).await;
        assert_eq!(change.expect("the store"), Change::Missing);
        let change = rows.delete_customer(created.id, precondition).await;
        assert_eq!(change.expect("the store"), Change::Missing);
    }
}

pub(crate) async fn of_fifty_replacements_of_one_version_one_wins(backend: &Backend) {
    let created = create(backend, "Ada", "2000-01-01").await;
    let other = backend.another_node().await;
    let changes = at_once(50, |index| {
        let rows = if index % 2 == 0 {
            backend.rows()
        } else {
            other.rows.clone()
        };
        let new = details(&format!("c{index}"), "2000-01-01");
        let precondition = Precondition::VersionIn(vec![1]);
        async move {
            rows.replace_customer(created.id, new, precondition)
                .await
                .expect("the store")
        }
    })
    .await;
    let made: Vec<_> = changes
        .into_iter()
        .filter_map(|change| match change {
            Change::Made(customer) => Some(customer),
            Change::Stale => None,
            Change::Missing => panic!("it is there"),
        })
        .collect();
    let found = backend
        .rows()
        .find_customer(created.id)
        .await
        .expect("the store");
    assert_eq!(made, Vec::from_iter(found));
}

pub(crate) async fn of_a_deletion_and_a_replacement_of_one_version_one_wins(backend: &Backend) {
    for _ in 0..20 {
        let created = create(backend, "Ada", "2000-01-01").await;
        let made = at_once(2, |index| {
            let (rows, id) = (backend.rows(), created.id);
            let precondition = Precondition::VersionIn(vec![1]);
            async move {
                if index == 0 {
                    let change = rows.delete_customer(id, precondition).await;
                    return change.expect("the store") == Change::Made(());
                }
                let new = details("Eda", "2000-01-01");
                let change = rows.replace_customer(id, new, precondition).await;
                matches!(change.expect("the store"), Change::Made(_))
            }
        })
        .await;
        let found = backend
            .rows()
            .find_customer(created.id)
            .await
            .expect("the store");
        assert_ne!(made[0], made[1]);
        assert_eq!(found.is_some(), made[1]);
    }
}

pub(crate) async fn customer_ids_are_never_reused(backend: &Backend) {
    let rows = backend.rows();
    let first = create(backend, "Ada", "2000-01-01").await;
    rows.delete_customer(first.id, Precondition::None)
        .await
        .expect("the store");
    let second = create(backend, "Eve", "2000-01-01").await;
    assert!(second.id > first.id);
}

pub(crate) async fn an_answered_write_is_seen_by_another_node_at_once(backend: &Backend) {
    let other = backend.another_node().await;
    at_once(50, |index| {
        let (rows, other) = (backend.rows(), other.rows.clone());
        let new = details(&format!("c{index}"), "2000-01-01");
        async move {
            let created = rows.create_customer(new).await.expect("a customer");
            let seen = other.find_customer(created.id).await.expect("the store");
            assert_eq!(seen, Some(created));
        }
    })
    .await;
}
