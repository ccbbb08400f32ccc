//! Epochs: the tag of a database, and the end of all its sessions.

use keyward_core::id::SessionId;
use keyward_core::page::Page;
use keyward_core::rows::Rows;
use keyward_core::sessions::{Identity, Place, Reason, Tag};

use crate::backend::{Backend, account, at, at_once, session};

const EPOCH: i64 = 1 << 50;
const ALL: Page = Page {
    after: 0,
    limit: 100,
};

async fn identity(rows: &std::sync::Arc<dyn Rows>) -> Identity {
    let feed = rows.list_closures(Place::default(), 0).await;
    feed.expect("the store").identity
}

pub(crate) async fn a_store_keeps_the_first_tag_it_is_given(backend: &Backend) {
    let rows = backend.rows();
    assert_eq!(identity(&rows).await, Identity::default());
    let other = backend.another_node().await.rows;
    at_once(8, |index| {
        let rows = if index % 2 == 0 { &rows } else { &other };
        let (rows, tag) = (rows.clone(), Tag::from_number(-(index as i64)));
        async move { rows.keep_tag(tag).await.expect("the store") }
    })
    .await;
    let kept = identity(&rows).await.tag.expect("a tag");
    assert!((-7..=0).contains(&kept.number()));
    rows.keep_tag(Tag::from_number(9)).await.expect("the store");
    let expected = Identity {
        tag: Some(kept),
        ..Identity::default()
    };
    assert_eq!(identity(&other).await, expected);
}

pub(crate) async fn another_epoch_ends_every_session_under_another_tag(backend: &Backend) {
    let rows = backend.rows();
    let owner = account(&rows, "ada").await;
    let (open, closed) = (
        session(&rows, &owner).await.id,
        session(&rows, &owner).await.id,
    );
    let logout = rows.close_session(closed, Reason::Logout, at(1));
    assert!(logout.await.expect("the store"));
    let before = rows.list_closures(Place::default(), 10).await;
    let before = before.expect("the store");
    rows.keep_tag(Tag::from_number(1)).await.expect("the store");
    let tag = Tag::from_number(i64::MIN);
    assert_eq!(
        rows.begin_epoch(EPOCH, tag).await.expect("the store"),
        EPOCH
    );
    for id in [open, closed] {
        assert_eq!(rows.find_session(id).await.expect("the store"), None);
    }
    let expected = Identity {
        epoch: EPOCH,
        tag: Some(tag),
        ..Identity::default()
    };
    let other = backend.another_node().await.rows;
    assert_eq!(identity(&other).await, expected);
    let next = session(&other, &owner).await.id;
    let logout = other.close_session(next, Reason::Logout, at(2));
    assert!(logout.await.expect("the store"));
    let feed = rows.list_closures(Place::default(), 10).await;
    let feed = feed.expect("the store");
    assert_eq!(feed.sessions, [next]);
    assert!(
        feed.place.seq > before.place.seq,
        "no number is given twice"
    );
    let onwards = rows.list_closures(before.place, 10).await;
    assert!(!onwards.expect("the store").follows);
    // By a clock that is behind.
    let behind = rows.begin_epoch(7, tag).await.expect("the store");
    assert_eq!(
        (behind, identity(&rows).await.epoch),
        (EPOCH + 1, EPOCH + 1)
    );
}

pub(crate) async fn sessions_are_opened_and_closed_while_epochs_begin(backend: &Backend) {
    let rows = backend.rows();
    let owner = account(&rows, "ada").await;
    let other = backend.another_node().await.rows;
    at_once(60, |index| {
        let rows = if index % 2 == 0 { &rows } else { &other };
        let (rows, owner) = (rows.clone(), owner.clone());
        async move {
            if index % 6 == 0 {
                let tag = Tag::from_number(index as i64);
                rows.begin_epoch(0, tag).await.expect("the store");
                return;
            }
            let id = session(&rows, &owner).await.id;
            if index % 3 == 0 {
                // It may have ended with its epoch.
                _ = rows
                    .close_session(id, Reason::Logout, at(1))
                    .await
                    .expect("the store");
            }
        }
    })
    .await;
    let tag = Tag::from_number(-1);
    let epoch = rows.begin_epoch(0, tag).await.expect("the store");
    assert_eq!(identity(&other).await.tag, Some(tag));
    assert!(epoch >= 10, "each raised it: {epoch}");
    let left = rows.list_sessions(None, at(1), ALL).await;
    assert_eq!(left.expect("the store"), []);
    assert!(session(&rows, &owner).await.id > SessionId(epoch));
}
