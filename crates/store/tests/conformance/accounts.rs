//! Accounts and their names.

use keyward_core::accounts::names::{self, Name};
use keyward_core::accounts::{Account, Conflict, CreateError, NewAccount, Realm};
use keyward_core::id::AccountId;
use keyward_core::page::Page;
use keyward_core::secret::SecretText;

use crate::backend::{Backend, account, at, at_once, new_account};

fn conflict(result: Result<Account, CreateError>) -> Option<Conflict> {
    match result {
        Ok(_) => None,
        Err(CreateError::Conflict(conflict)) => Some(conflict),
        Err(CreateError::NotInvited) => panic!("it needs no invitation"),
        Err(CreateError::Store(fault)) => panic!("{fault:?}"),
    }
}

fn ids(accounts: &[Account]) -> Vec<AccountId> {
    accounts.iter().map(|account| account.id).collect()
}

pub(crate) async fn a_created_account_is_found_by_its_id_and_each_of_its_names(backend: &Backend) {
    let rows = backend.rows();
    let new = new_account(Realm::Default, Some("Ada"), Some("Ada@Example.com"));
    let created = rows.create_account(new).await.expect("an account");
    assert_eq!(created.username.as_deref(), Some("Ada"));
    assert_eq!(created.email.as_deref(), Some("Ada@Example.com"));
    assert_eq!(created.display_name.as_deref(), Some("Ada"));
    assert_eq!((created.created_at, created.disabled_at), (at(0), None));
    let found = rows.find_account(created.id).await.expect("the store");
    assert_eq!(found.as_ref(), Some(&created));
    for key in ["ada", "ada@example.com"] {
        let found = rows.find_account_by_name(Realm::Default, key).await;
        assert_eq!(found.expect("the store").as_ref(), Some(&created), "{key}");
    }
    for (realm, key) in [
        (Realm::Default, "Ada"),
        (Realm::Default, "eve"),
        (Realm::Ops, "ada"),
    ] {
        let found = rows.find_account_by_name(realm, key).await;
        assert_eq!(found.expect("the store"), None, "{key}");
    }
    let other = AccountId(created.id.0 + 1);
    assert_eq!(rows.find_account(other).await.expect("the store"), None);
}

pub(crate) async fn a_name_in_use_as_username_or_address_is_taken_as_either(backend: &Backend) {
    let rows = backend.rows();
    let create = |realm, username, email| rows.create_account(new_account(realm, username, email));
    create(Realm::Default, Some("a@b.c"), Some("ada@b.c"))
        .await
        .expect("an account");
    for (username, email, expected) in [
        (Some("A@B.c"), None, Conflict::UsernameTaken),
        (Some("ada@b.c"), None, Conflict::UsernameTaken),
        (None, Some("ADA@b.c"), Conflict::EmailTaken),
        (Some("new"), Some("a@b.c"), Conflict::EmailTaken),
        (Some("a@b.c"), Some("ada@b.c"), Conflict::UsernameTaken),
    ] {
        let result = create(Realm::Default, username, email).await;
        assert_eq!(conflict(result), Some(expected), "{username:?} {email:?}");
    }
    // What was refused left nothing, and other realms are apart.
    assert_eq!(
        conflict(create(Realm::Default, Some("new"), None).await),
        None
    );
    assert_eq!(
        conflict(create(Realm::Ops, Some("a@b.c"), None).await),
        None
    );
}

pub(crate) async fn an_address_is_taken_and_found_in_both_forms_of_its_domain(backend: &Backend) {
    let rows = backend.rows();
    let forms = ["a@münchen.de", "a@xn--mnchen-3ya.de"].map(|typed| names::email(typed).ok());
    for (realm, [taken, refused]) in [
        (Realm::Default, forms.clone()),
        (Realm::Ops, [forms[1].clone(), forms[0].clone()]),
    ] {
        let create = |username, email| {
            let new = new_account(realm, None, None);
            rows.create_account(NewAccount {
                username,
                email,
                ..new
            })
        };
        let created = create(None, taken).await.expect("an account");
        let refusal = conflict(create(None, refused.clone()).await);
        assert_eq!(refusal, Some(Conflict::EmailTaken));
        let refusal = conflict(create(refused, None).await);
        assert_eq!(refusal, Some(Conflict::UsernameTaken));
        for key in forms.iter().flatten().map(|name: &Name| &name.key) {
            let found = rows.find_account_by_name(realm, key).await;
            assert_eq!(found.expect("the store").as_ref(), Some(&created), "{key}");
        }
    }
}

pub(crate) async fn an_account_may_have_its_address_for_a_username(backend: &Backend) {
    let rows = backend.rows();
    let new = new_account(Realm::Default, Some("a@b.c"), Some("A@b.c"));
    let created = rows.create_account(new).await.expect("an account");
    let found = rows.find_account_by_name(Realm::Default, "a@b.c").await;
    assert_eq!(found.expect("the store"), Some(created));
}

pub(crate) async fn of_fifty_sign_ups_under_one_name_one_wins(backend: &Backend) {
    let rows = backend.rows();
    let results = at_once(50, |index| {
        let rows = backend.rows();
        // Half of them claim the name as their address.
        let (username, email) = match index % 2 {
            0 => (Some("a@b.c"), None),
            _ => (None, Some("a@b.c")),
        };
        let new = new_account(Realm::Default, username, email);
        async move { rows.create_account(new).await }
    })
    .await;
    let conflicts: Vec<_> = results.into_iter().filter_map(conflict).collect();
    assert_eq!(conflicts.len(), 49);
    let page = Page {
        after: 0,
        limit: 100,
    };
    let all = rows.list_accounts(None, page).await.expect("the store");
    assert_eq!(all.len(), 1);
}

pub(crate) async fn credentials_are_found_by_name_with_the_hash(backend: &Backend) {
    let rows = backend.rows();
    let created = account(&rows, "ada").await;
    let found = rows.find_credentials(Realm::Default, "ada").await;
    let credentials = found.expect("the store").expect("credentials");
    assert_eq!(credentials.account, created);
    assert_eq!(credentials.password_hash.expose(), "hash");
    let hash = rows
        .find_password_hash(created.id)
        .await
        .expect("the store");
    assert_eq!(hash, Some(SecretText::new("hash".into())));
    let unknown = rows.find_credentials(Realm::Client, "ada").await;
    assert!(unknown.expect("the store").is_none());
    let other = AccountId(created.id.0 + 1);
    assert_eq!(
        rows.find_password_hash(other).await.expect("the store"),
        None
    );
}

pub(crate) async fn accounts_are_listed_by_id_and_realm_a_page_at_a_time(backend: &Backend) {
    let rows = backend.rows();
    let mut created = Vec::new();
    for index in 0..9 {
        let (realm, name) = (Realm::ALL[index % 3], format!("user{index}"));
        let new = new_account(realm, Some(&name), None);
        created.push(rows.create_account(new).await.expect("an account"));
    }
    let page = |after, limit| Page { after, limit };
    let all = rows.list_accounts(None, page(0, 100)).await;
    assert_eq!(all.expect("the store"), created);
    let middle = rows.list_accounts(None, page(created[2].id.0, 3)).await;
    assert_eq!(ids(&middle.expect("the store")), ids(&created[3..6]));
    let ops = rows
        .list_accounts(Some(Realm::Ops), page(created[1].id.0, 1))
        .await;
    assert_eq!(ids(&ops.expect("the store")), ids(&created[4..5]));
    let none = rows.list_accounts(None, page(created[8].id.0, 3)).await;
    assert_eq!(none.expect("the store"), []);
}

pub(crate) async fn only_default_accounts_with_an_address_are_listed_with_email(backend: &Backend) {
    let rows = backend.rows();
    let mut listed = Vec::new();
    for (realm, username, email) in [
        (Realm::Default, Some("a"), Some("a@b.c")),
        (Realm::Default, Some("b"), None),
        (Realm::Client, Some("c"), Some("c@b.c")),
        (Realm::Default, None, Some("d@b.c")),
        (Realm::Default, None, Some("e@b.c")),
    ] {
        let new = new_account(realm, username, email);
        let created = rows.create_account(new).await.expect("an account");
        if realm == Realm::Default && email.is_some() {
            listed.push(created);
        }
    }
    let page = |after, limit| Page { after, limit };
    let all = rows.list_accounts_with_email(page(0, 100)).await;
    assert_eq!(all.expect("the store"), listed);
    let second = rows.list_accounts_with_email(page(listed[0].id.0, 1)).await;
    assert_eq!(second.expect("the store"), listed[1..2]);
}

pub(crate) async fn a_hash_is_renewed_only_where_it_is_still_the_old_one(backend: &Backend) {
    let rows = backend.rows();
    let created = account(&rows, "ada").await;
    let bystander = account(&rows, "eve").await;
    for (old, new, expected) in [
        ("other", "wrong", "hash"),
        ("hash", "renewed", "renewed"),
        ("hash", "late", "renewed"),
    ] {
        let (old, new) = (SecretText::new(old.into()), SecretText::new(new.into()));
        let kept = rows.renew_password_hash(created.id, old, new).await;
        let kept = kept.expect("the store").expect("an account");
        assert_eq!(kept.expose(), expected);
        let hash = rows
            .find_password_hash(created.id)
            .await
            .expect("the store");
        assert_eq!(hash.expect("a hash").expose(), expected);
    }
    let hash = rows
        .find_password_hash(bystander.id)
        .await
        .expect("the store");
    assert_eq!(hash.expect("a hash").expose(), "hash");
    let unknown = AccountId(bystander.id.0 + 1);
    let (old, new) = (SecretText::new("hash".into()), SecretText::new("x".into()));
    let kept = rows.renew_password_hash(unknown, old, new).await;
    assert_eq!(kept.expect("the store"), None);
}

pub(crate) async fn hash_beginnings_are_listed_by_account_a_page_at_a_time(backend: &Backend) {
    let rows = backend.rows();
    let long = format!("$argon2id$v=19$m=19456,t=2,p=1${}", "x".repeat(80));
    let mut expected = Vec::new();
    for (name, hash) in [("ada", "short"), ("eve", &*long), ("bob", "hash")] {
        let new = NewAccount {
            password_hash: SecretText::new(hash.into()),
            ..new_account(Realm::Default, Some(name), None)
        };
        let created = rows.create_account(new).await.expect("an account");
        expected.push((created.id, hash.chars().take(48).collect::<String>()));
    }
    let page = |after, limit| Page { after, limit };
    let first = rows.list_hash_beginnings(page(0, 2)).await;
    assert_eq!(first.expect("the store"), expected[..2]);
    let rest = rows.list_hash_beginnings(page(expected[1].0.0, 2)).await;
    assert_eq!(rest.expect("the store"), expected[2..]);
}

pub(crate) async fn of_fifty_renewals_of_one_hash_all_learn_which_is_kept(backend: &Backend) {
    let rows = backend.rows();
    let created = account(&rows, "ada").await;
    let kept = at_once(50, |index| {
        let (rows, id) = (backend.rows(), created.id);
        async move {
            let (old, new) = ("hash".to_owned(), format!("new{index}"));
            let (old, new) = (SecretText::new(old), SecretText::new(new));
            let kept = rows.renew_password_hash(id, old, new).await;
            kept.expect("the store").expect("an account")
        }
    })
    .await;
    let hash = rows.find_password_hash(created.id).await;
    let hash = hash.expect("the store").expect("a hash");
    assert!(kept.iter().all(|kept| *kept == hash));
    assert_ne!(hash.expose(), "hash");
}

pub(crate) async fn a_disabled_account_is_enabled_again(backend: &Backend) {
    let rows = backend.rows();
    let created = account(&rows, "ada").await;
    rows.disable_account(created.id, at(5))
        .await
        .expect("the store");
    let disabled = rows.find_account(created.id).await.expect("the store");
    assert_eq!(disabled.expect("an account").disabled_at, Some(at(5)));
    assert!(rows.enable_account(created.id).await.expect("the store"));
    let enabled = rows.find_account(created.id).await.expect("the store");
    assert_eq!(enabled, Some(created.clone()));
    let missing = AccountId(created.id.0 + 1);
    assert!(!rows.enable_account(missing).await.expect("the store"));
}
