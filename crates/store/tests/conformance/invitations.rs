//! Invitations to sign up.

use std::sync::Arc;

use keyward_core::accounts::{CodeHash, CreateError, NewAccount, NewInvitation, Realm};
use keyward_core::page::Page;
use keyward_core::rows::Rows;

use crate::backend::{Backend, account, at, at_once, new_account};

const ALL: Page = Page {
    after: 0,
    limit: 100,
};

fn new_invitation(code: &str, realm: Realm, name: Option<&str>) -> NewInvitation {
    NewInvitation {
        code: CodeHash::of(code),
        realm,
        name: name.map(str::to_owned),
        created_at: at(-10),
        expires_at: at(10),
    }
}

async fn invite(rows: &Arc<dyn Rows>, code: &str, realm: Realm, name: Option<&str>) {
    let invitation = new_invitation(code, realm, name);
    rows.create_invitation(invitation).await.expect("the store");
}

fn invited(code: &str, realm: Realm, username: &str) -> NewAccount {
    NewAccount {
        invitation: Some(CodeHash::of(code)),
        ..new_account(realm, Some(username), None)
    }
}

async fn count(rows: &Arc<dyn Rows>) -> usize {
    rows.list_invitations(ALL).await.expect("the store").len()
}

pub(crate) async fn of_fifty_sign_ups_with_one_invitation_one_makes_an_account(backend: &Backend) {
    let rows = backend.rows();
    let other = backend.another_node().await.rows;
    invite(&rows, "code", Realm::Ops, None).await;
    let nodes = [rows.clone(), other];
    let made = at_once(50, |index| {
        let rows = nodes[index % 2].clone();
        let new = invited("code", Realm::Ops, &format!("ada{index}"));
        async move { rows.create_account(new).await }
    })
    .await;
    let refused = |made: &&Result<_, CreateError>| matches!(made, Err(CreateError::NotInvited));
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1);
    assert_eq!(made.iter().filter(refused).count(), 49);
    assert_eq!(count(&rows).await, 0);
    let listed = rows.list_accounts(Some(Realm::Ops), ALL).await;
    assert_eq!(listed.expect("the store").len(), 1);
}

pub(crate) async fn an_invitation_is_good_in_its_time_its_realm_and_for_its_name(
    backend: &Backend,
) {
    let rows = backend.rows();
    invite(&rows, "any", Realm::Default, None).await;
    invite(&rows, "ada", Realm::Default, Some("ada")).await;
    let expired = NewInvitation {
        expires_at: at(0),
        ..new_invitation("expired", Realm::Default, None)
    };
    rows.create_invitation(expired).await.expect("the store");
    for new in [
        invited("unknown", Realm::Default, "eve"),
        invited("expired", Realm::Default, "eve"),
        invited("any", Realm::Ops, "eve"),
        invited("ada", Realm::Default, "eve"),
    ] {
        let made = rows.create_account(new).await;
        assert!(matches!(made, Err(CreateError::NotInvited)), "{made:?}");
    }
    // A name that is taken uses nothing up, and is not told to whoever has no invitation.
    account(&rows, "bob").await;
    let taken = rows
        .create_account(invited("any", Realm::Default, "bob"))
        .await;
    assert!(matches!(taken, Err(CreateError::Conflict(_))), "{taken:?}");
    let uninvited = invited("unknown", Realm::Default, "bob");
    let refused = rows.create_account(uninvited).await;
    assert!(
        matches!(refused, Err(CreateError::NotInvited)),
        "{refused:?}"
    );
    assert_eq!(count(&rows).await, 3);
    for (code, name) in [("ada", "ada"), ("any", "eve")] {
        let made = rows
            .create_account(invited(code, Realm::Default, name))
            .await;
        assert_eq!(made.expect("an account").username.as_deref(), Some(name));
        let again = rows
            .create_account(invited(code, Realm::Default, "again"))
            .await;
        assert!(matches!(again, Err(CreateError::NotInvited)), "{again:?}");
    }
    assert_eq!(count(&rows).await, 1, "the expired one is left");
}

pub(crate) async fn invitations_are_listed_revoked_and_deleted_once_they_have_expired(
    backend: &Backend,
) {
    let rows = backend.rows();
    invite(&rows, "a", Realm::Ops, Some("ada")).await;
    invite(&rows, "b", Realm::Client, None).await;
    let listed = rows.list_invitations(ALL).await.expect("the store");
    let shown: Vec<_> = listed
        .iter()
        .map(|found| (found.realm, found.name.as_deref(), found.expires_at))
        .collect();
    assert_eq!(
        shown,
        [
            (Realm::Ops, Some("ada"), at(10)),
            (Realm::Client, None, at(10))
        ]
    );
    let second = Page {
        after: listed[0].id,
        limit: 1,
    };
    let page = rows.list_invitations(second).await.expect("the store");
    assert_eq!(page, listed[1..]);
    assert!(
        rows.revoke_invitation(listed[0].id)
            .await
            .expect("the store")
    );
    assert!(
        !rows
            .revoke_invitation(listed[0].id)
            .await
            .expect("the store")
    );
    let made = rows.create_account(invited("a", Realm::Ops, "ada")).await;
    assert!(matches!(made, Err(CreateError::NotInvited)), "{made:?}");
    let later = NewInvitation {
        created_at: at(10),
        expires_at: at(20),
        ..new_invitation("c", Realm::Ops, None)
    };
    rows.create_invitation(later).await.expect("the store");
    let left = rows.list_invitations(ALL).await.expect("the store");
    assert_eq!(left.len(), 1);
    assert!(left[0].id > listed[1].id, "ids are not reused");
}
