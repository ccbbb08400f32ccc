//! Sessions under many callers at once.

use std::time::Duration;

use keyward_core::page::Page;
use keyward_core::secret::SecretText;
use keyward_core::sessions::{Reason, Rotate, Rotation};

use crate::backend::{Backend, account, at, at_once, session};
use crate::sessions::{find, password_change, rotate};

fn count(outcomes: &[Rotation], is: impl Fn(&Rotation) -> bool) -> usize {
    outcomes.iter().filter(|outcome| is(outcome)).count()
}

/// Presents one refresh token fifty times, half of them on another node.
async fn rotate_fifty_times(backend: &Backend, request: Rotate) -> Vec<Rotation> {
    let other = backend.another_node().await;
    at_once(50, |index| {
        let rows = match index % 2 {
            0 => backend.rows(),
            _ => other.rows.clone(),
        };
        async move { rows.rotate_refresh_token(request).await.expect("the store") }
    })
    .await
}

pub(crate) async fn of_fifty_rotations_of_one_token_one_wins_and_the_session_dies(
    backend: &Backend,
) {
    let rows = backend.rows();
    let owner = account(&rows, "ada").await;
    let opened = session(&rows, &owner).await;
    let request = Rotate {
        grace: Duration::ZERO,
        ..rotate(&opened, 0, 10)
    };
    let outcomes = rotate_fifty_times(backend, request).await;
    assert_eq!(count(&outcomes, |o| matches!(o, Rotation::Rotated(_))), 1);
    assert_eq!(count(&outcomes, |o| *o == Rotation::Replayed(owner.id)), 1);
    assert_eq!(count(&outcomes, |o| *o == Rotation::Refused), 48);
    let dead = find(&rows, opened.id).await;
    assert_eq!((dead.refresh_counter, dead.closed_at), (1, Some(at(10))));
    let closures = rows
        .list_closures(keyward_core::sessions::Place::default(), 100)
        .await
        .expect("the store");
    assert_eq!(closures.sessions, [opened.id]);
}

pub(crate) async fn of_fifty_rotations_within_the_grace_one_wins_and_the_rest_repeat(
    backend: &Backend,
) {
    let rows = backend.rows();
    let opened = session(&rows, &account(&rows, "ada").await).await;
    let outcomes = rotate_fifty_times(backend, rotate(&opened, 0, 10)).await;
    let current = find(&rows, opened.id).await;
    assert_eq!((current.refresh_counter, current.closed_at), (1, None));
    assert_eq!(
        count(&outcomes, |o| *o == Rotation::Rotated(current.clone())),
        1
    );
    assert_eq!(
        count(&outcomes, |o| *o == Rotation::Repeated(current.clone())),
        49
    );
}

pub(crate) async fn once_a_session_is_closed_no_rotation_succeeds(backend: &Backend) {
    let rows = backend.rows();
    let owner = account(&rows, "ada").await;
    for _ in 0..20 {
        let opened = session(&rows, &owner).await;
        let request = rotate(&opened, 0, 10);
        let outcomes = at_once(8, |index| {
            let (rows, id) = (backend.rows(), opened.id);
            async move {
                if index == 3 {
                    let closed = rows.close_session(id, Reason::Logout, at(10)).await;
                    assert!(closed.expect("the store"));
                    let late = rows.rotate_refresh_token(request).await;
                    assert_eq!(late.expect("the store"), Rotation::Refused);
                    return None;
                }
                Some(rows.rotate_refresh_token(request).await.expect("the store"))
            }
        })
        .await;
        let outcomes: Vec<_> = outcomes.into_iter().flatten().collect();
        assert!(count(&outcomes, |o| matches!(o, Rotation::Rotated(_))) <= 1);
        assert_eq!(find(&rows, opened.id).await.closed_at, Some(at(10)));
    }
}

pub(crate) async fn once_an_account_is_disabled_it_has_no_open_session(backend: &Backend) {
    let rows = backend.rows();
    for round in 0..10 {
        let owner = account(&rows, &format!("user{round}")).await;
        let opened = at_once(10, |index| {
            let (rows, owner) = (backend.rows(), owner.clone());
            async move {
                if index == 5 {
                    let disabled = rows.disable_account(owner.id, at(1)).await;
                    assert!(disabled.expect("the store").is_some());
                    return None;
                }
                let new = keyward_core::sessions::NewSession {
                    id: crate::backend::fresh_id(),
                    account: owner.id,
                    password_hash: None,
                    created_at: at(0),
                    expires_at: at(100),
                    ends_at: at(100),
                    user_agent: None,
                };
                rows.open_session(new).await.expect("the store")
            }
        })
        .await;
        let page = Page {
            after: 0,
            limit: 100,
        };
        let open = rows.list_sessions(Some(owner.id), at(1), page).await;
        assert_eq!(
            open.expect("the store"),
            [],
            "of {} opened",
            opened.iter().flatten().count()
        );
    }
}

pub(crate) async fn of_fifty_changes_of_one_hash_one_is_made(backend: &Backend) {
    let rows = backend.rows();
    let owner = account(&rows, "ada").await;
    let kept = session(&rows, &owner).await;
    let made = at_once(50, |index| {
        let (rows, owner, kept) = (backend.rows(), owner.id, kept.id);
        async move {
            let change = password_change(owner, &format!("new{index}"), Some(("hash", kept)));
            let changed = rows.change_password(change, at(1)).await;
            changed.expect("the store").map(|_| format!("new{index}"))
        }
    })
    .await;
    let made: Vec<_> = made.into_iter().flatten().collect();
    let hash = rows.find_password_hash(owner.id).await.expect("the store");
    assert_eq!(made, [hash.expect("a hash").expose()]);
}

pub(crate) async fn an_operators_change_is_never_undone_by_one_under_way(backend: &Backend) {
    let rows = backend.rows();
    for round in 0..10 {
        let owner = account(&rows, &format!("user{round}")).await;
        let kept = session(&rows, &owner).await;
        at_once(10, |index| {
            let (rows, owner, kept) = (backend.rows(), owner.id, kept.id);
            async move {
                let by_owner = (index != 5).then_some(("hash", kept));
                let hash = if index == 5 { "set" } else { "own" };
                let change = password_change(owner, hash, by_owner);
                rows.change_password(change, at(1))
                    .await
                    .expect("the store")
            }
        })
        .await;
        let hash = rows.find_password_hash(owner.id).await.expect("the store");
        assert_eq!(hash.expect("a hash").expose(), "set");
        assert_eq!(find(&rows, kept.id).await.closed_at, Some(at(1)));
    }
}

pub(crate) async fn a_session_that_is_closed_changes_no_password_afterwards(backend: &Backend) {
    let rows = backend.rows();
    for round in 0..10 {
        let owner = account(&rows, &format!("user{round}")).await;
        let kept = session(&rows, &owner).await;
        // Whatever comes first: either the change was made while the session was open, or it was not made.
        let outcomes = at_once(2, |index| {
            let (rows, owner, kept) = (backend.rows(), owner.id, kept.id);
            async move {
                if index == 0 {
                    let closed = rows.close_session(kept, Reason::Logout, at(1)).await;
                    return closed.expect("the store");
                }
                let change = password_change(owner, "new", Some(("hash", kept)));
                let changed = rows.change_password(change, at(1)).await;
                changed.expect("the store").is_some()
            }
        })
        .await;
        assert!(outcomes[0], "the session is closed in any case");
        let change = password_change(owner.id, "late", Some(("hash", kept.id)));
        let late = rows.change_password(change, at(2)).await;
        assert_eq!(late.expect("the store"), None);
        let hash = rows.find_password_hash(owner.id).await.expect("the store");
        let expected = if outcomes[1] { "new" } else { "hash" };
        assert_eq!(hash.expect("a hash").expose(), expected);
    }
}

pub(crate) async fn no_session_outlasts_a_change_of_the_password_it_was_opened_with(
    backend: &Backend,
) {
    let rows = backend.rows();
    for round in 0..10 {
        let owner = account(&rows, &format!("user{round}")).await;
        at_once(10, |index| {
            let (rows, owner) = (backend.rows(), owner.id);
            async move {
                if index == 5 {
                    let change = password_change(owner, "set", None);
                    let changed = rows.change_password(change, at(1)).await;
                    return drop(changed.expect("the store"));
                }
                let new = keyward_core::sessions::NewSession {
                    id: crate::backend::fresh_id(),
                    account: owner,
                    password_hash: Some(SecretText::new("hash".into())),
                    created_at: at(0),
                    expires_at: at(100),
                    ends_at: at(100),
                    user_agent: None,
                };
                drop(rows.open_session(new).await.expect("the store"));
            }
        })
        .await;
        let page = Page {
            after: 0,
            limit: 100,
        };
        let open = rows.list_sessions(Some(owner.id), at(1), page).await;
        assert_eq!(open.expect("the store"), []);
    }
}

pub(crate) async fn of_fifty_closings_one_closes(backend: &Backend) {
    let rows = backend.rows();
    let opened = session(&rows, &account(&rows, "ada").await).await;
    let closed = at_once(50, |_| {
        let (rows, id) = (backend.rows(), opened.id);
        async move {
            rows.close_session(id, Reason::Logout, at(1))
                .await
                .expect("the store")
        }
    })
    .await;
    assert_eq!(closed.into_iter().filter(|closed| *closed).count(), 1);
}
