//! Epochs of session ids: what is not good after one has begun, and from where ids go on.

use std::collections::BTreeSet;

use keyward_core::id::SessionId;
use keyward_core::page::Page;
use keyward_core::sessions::Reason;

use crate::backend::{Backend, account, at, at_once, session};

const EPOCH: SessionId = SessionId(1 << 50);
const ALL: Page = Page {
    after: 0,
    limit: 100,
};

pub(crate) async fn an_unused_store_begins_its_first_epoch_once(backend: &Backend) {
    let rows = backend.rows();
    let owner = account(&rows, "ada").await;
    assert_eq!(rows.find_epoch().await.expect("the store"), None);
    let other = backend.another_node().await;
    at_once(8, |index| {
        let rows = if index % 2 == 0 { &rows } else { &other.rows };
        let (rows, own) = (rows.clone(), SessionId(EPOCH.0 - index as i64));
        async move { rows.begin_first_epoch(own).await.expect("the store") }
    })
    .await;
    let epoch = rows.find_epoch().await.expect("the store").expect("one");
    assert!((EPOCH.0 - 7..=EPOCH.0).contains(&epoch.0), "{epoch}");
    assert!(session(&rows, &owner).await.id > epoch);
    let later = SessionId(EPOCH.0 * 2);
    rows.begin_first_epoch(later).await.expect("the store");
    let kept = other.rows.find_epoch().await.expect("the store");
    assert_eq!(kept, Some(epoch));
    assert!(session(&other.rows, &owner).await.id < later);
}

pub(crate) async fn a_store_that_has_opened_sessions_begins_no_first_epoch(backend: &Backend) {
    let rows = backend.rows();
    let owner = account(&rows, "ada").await;
    let opened = session(&rows, &owner).await;
    rows.begin_first_epoch(EPOCH).await.expect("the store");
    assert_eq!(rows.find_epoch().await.expect("the store"), None);
    let found = rows.find_session(opened.id).await.expect("the store");
    assert_eq!(found, Some(opened), "it goes on");
    // Nor where they have all been forgotten.
    rows.forget_ended_sessions(at(10_000), 10)
        .await
        .expect("the store");
    rows.begin_first_epoch(EPOCH).await.expect("the store");
    assert_eq!(rows.find_epoch().await.expect("the store"), None);
    assert!(session(&rows, &owner).await.id < EPOCH);
}

pub(crate) async fn another_epoch_ends_every_session_and_ids_go_on_after_it(backend: &Backend) {
    let rows = backend.rows();
    let owner = account(&rows, "ada").await;
    let (open, closed) = (
        session(&rows, &owner).await.id,
        session(&rows, &owner).await.id,
    );
    rows.close_session(closed, Reason::Logout, at(1))
        .await
        .expect("the store");
    let before = rows.list_closures(0, 10).await.expect("the store");
    assert_eq!(rows.begin_epoch(EPOCH).await.expect("the store"), EPOCH);
    for id in [open, closed] {
        assert_eq!(rows.find_session(id).await.expect("the store"), None);
    }
    let closures = rows.list_closures(0, 10).await.expect("the store");
    assert_eq!(closures.sessions, []);

    let other = backend.another_node().await.rows;
    assert_eq!(other.find_epoch().await.expect("the store"), Some(EPOCH));
    let next = session(&other, &owner).await.id;
    assert!(next > EPOCH);
    other
        .close_session(next, Reason::Logout, at(2))
        .await
        .expect("the store");
    let after = rows.list_closures(before.cursor, 10).await;
    assert_eq!(
        after.expect("the store").sessions,
        [next],
        "the feed goes on from where it was"
    );
    // By a clock that is behind.
    let behind = rows.begin_epoch(open).await.expect("the store");
    assert!(behind >= next, "{behind}");
    assert_eq!(rows.find_epoch().await.expect("the store"), Some(behind));
    assert!(session(&rows, &owner).await.id > behind);
}

pub(crate) async fn no_session_is_opened_in_an_epoch_that_has_passed(backend: &Backend) {
    let rows = backend.rows();
    let owner = account(&rows, "ada").await;
    let other = backend.another_node().await.rows;
    let given = at_once(60, |index| {
        let rows = if index % 2 == 0 { &rows } else { &other };
        let (rows, owner) = (rows.clone(), owner.clone());
        async move {
            if index % 6 == 0 {
                rows.begin_epoch(SessionId(0)).await.expect("the store");
                return None;
            }
            Some(session(&rows, &owner).await.id)
        }
    })
    .await;
    let given: Vec<_> = given.into_iter().flatten().collect();
    let distinct: BTreeSet<_> = given.iter().collect();
    assert_eq!(distinct.len(), given.len(), "no id is given twice");
    let epoch = rows.find_epoch().await.expect("the store").expect("one");
    let standing = rows.list_sessions(None, at(1), ALL).await;
    for session in standing.expect("the store") {
        assert!(session.id > epoch, "{} in {epoch}", session.id);
    }
    assert!(session(&rows, &owner).await.id > epoch);
}
