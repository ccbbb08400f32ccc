//! The feed of closed sessions.

use std::time::Duration;

use keyward_core::secret::SecretText;
use keyward_core::sessions::{Reason, Rotate};

use crate::backend::{Backend, account, at, at_once, session};
use crate::sessions::rotate;

pub(crate) async fn closures_are_read_in_order_from_the_cursor_on(backend: &Backend) {
    let rows = backend.rows();
    let owner = account(&rows, "ada").await;
    let empty = rows.list_closures(0, 10).await.expect("the store");
    assert_eq!((empty.sessions.len(), empty.cursor), (0, 0));
    let mut opened = Vec::new();
    for _ in 0..5 {
        opened.push(session(&rows, &owner).await.id);
    }
    opened.reverse();
    for &id in &opened {
        rows.close_session(id, Reason::Logout, at(1))
            .await
            .expect("the store");
    }
    let first = rows.list_closures(0, 2).await.expect("the store");
    assert_eq!(first.sessions, opened[..2]);
    let rest = rows
        .list_closures(first.cursor, 10)
        .await
        .expect("the store");
    assert_eq!(rest.sessions, opened[2..]);
    let none = rows
        .list_closures(rest.cursor, 10)
        .await
        .expect("the store");
    assert_eq!((none.sessions.len(), none.cursor), (0, rest.cursor));
}

pub(crate) async fn everything_that_closes_feeds_the_closures(backend: &Backend) {
    let rows = backend.rows();
    let (ada, eve) = (account(&rows, "ada").await, account(&rows, "eve").await);
    let logged_out = session(&rows, &ada).await;
    let replayed = session(&rows, &ada).await;
    let changed = session(&rows, &ada).await;
    let disabled = session(&rows, &eve).await;
    rows.close_session(logged_out.id, Reason::Logout, at(1))
        .await
        .expect("the store");
    for _ in 0..2 {
        let request = Rotate {
            grace: Duration::ZERO,
            ..rotate(&replayed, 0, 2)
        };
        rows.rotate_refresh_token(request).await.expect("the store");
    }
    rows.change_password(ada.id, SecretText::new("new".into()), None, at(3))
        .await
        .expect("the store");
    let node = backend.another_node().await;
    node.rows
        .disable_account(eve.id, at(4))
        .await
        .expect("the store");
    let closures = rows.list_closures(0, 10).await.expect("the store");
    assert_eq!(
        closures.sessions,
        [logged_out.id, replayed.id, changed.id, disabled.id]
    );
}

pub(crate) async fn a_follower_misses_nothing_while_two_nodes_close(backend: &Backend) {
    const EACH: usize = 40;
    let rows = backend.rows();
    let owner = account(&rows, "ada").await;
    let mut opened = Vec::new();
    for _ in 0..2 * EACH {
        opened.push(session(&rows, &owner).await.id);
    }
    let follower = {
        let node = backend.another_node().await;
        tokio::spawn(async move {
            let (mut seen, mut cursor) = (Vec::new(), 0);
            while seen.len() < 2 * EACH {
                let batch = node.rows.list_closures(cursor, 7).await.expect("the store");
                assert!(batch.cursor >= cursor);
                seen.extend(batch.sessions);
                cursor = batch.cursor;
                tokio::task::yield_now().await;
            }
            seen
        })
    };
    let other = backend.another_node().await;
    at_once(2 * EACH, |index| {
        let rows = if index % 2 == 0 {
            backend.rows()
        } else {
            other.rows.clone()
        };
        let id = opened[index];
        async move {
            rows.close_session(id, Reason::Operator, at(1))
                .await
                .expect("the store")
        }
    })
    .await;
    let limit = Duration::from_secs(60);
    let seen = tokio::time::timeout(limit, follower)
        .await
        .expect("all seen in time");
    let mut seen = seen.expect("a task");
    seen.sort_unstable();
    assert_eq!(seen, opened, "each once");
}
