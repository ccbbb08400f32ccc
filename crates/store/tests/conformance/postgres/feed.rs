//! Being told of closed sessions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keyward_core::sessions::{Feed as _, Place, Reason};
use keyward_store::postgres::{ClosureFeed, Options, Postgres};

use super::proxy::{Proxy, Weather};
use crate::backend::{account, at, session};
use crate::database::{Database, open, usual};
use keyward_core::rows::Rows;

/// Polls so rarely that whoever wakes within a test was told.
fn rarely() -> Options {
    Options {
        poll: Duration::from_secs(600),
        ..usual()
    }
}

async fn until_listening(feed: &ClosureFeed, expected: bool) {
    let since = Instant::now();
    while feed.is_listening() != expected {
        assert!(
            since.elapsed() < Duration::from_secs(10),
            "listening: {expected}"
        );
        _ = tokio::time::timeout(Duration::from_millis(20), feed.changed()).await;
    }
}

/// Whether the feed wakes whoever waits within `bound`.
async fn wakes(feed: &ClosureFeed, bound: Duration) -> bool {
    tokio::time::timeout(bound, feed.changed()).await.is_ok()
}

async fn drain(feed: &ClosureFeed) {
    while wakes(feed, Duration::from_millis(50)).await {}
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closure_on_one_server_wakes_another_and_nothing_else_does() {
    let Some(database) = Database::create().await else {
        return;
    };
    let here = Postgres::open(&database.url(), rarely())
        .await
        .expect("a store");
    let there: Arc<dyn Rows> = Arc::new(open(&database.url()).await.expect("a store"));
    let owner = account(&there, "ada").await;
    let opened = session(&there, &owner).await;
    let feed = here.follow_closures();
    assert!(!feed.is_listening() && feed.last_contact().is_none());
    until_listening(&feed, true).await;
    drain(&feed).await;
    assert!(feed.last_contact().is_some());
    for closes in [true, false] {
        let closed = there.close_session(opened.id, Reason::Logout, at(1)).await;
        assert_eq!(closed.expect("the store"), closes);
        // A closure that did not happen is not told of.
        let bound = Duration::from_millis(if closes { 2_000 } else { 200 });
        assert_eq!(wakes(&feed, bound).await, closes);
        let closures = here
            .list_closures(Place::default(), 10)
            .await
            .expect("the store");
        assert_eq!(closures.sessions, [opened.id]);
        drain(&feed).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_feed_is_noticed_told_and_found_again() {
    let Some(database) = Database::create().await else {
        return;
    };
    let proxy = Proxy::start(&database).await;
    let store = Postgres::open(&proxy.url(&database), rarely())
        .await
        .expect("a store");
    let feed = store.follow_closures();
    until_listening(&feed, true).await;
    for weather in [Weather::Cut, Weather::Frozen] {
        drain(&feed).await;
        proxy.turn(weather);
        assert!(
            wakes(&feed, Duration::from_secs(5)).await,
            "the loss is told"
        );
        assert!(!feed.is_listening());
        let last_contact = feed.last_contact().expect("contact");
        proxy.turn(Weather::Fair);
        until_listening(&feed, true).await;
        assert!(feed.last_contact().expect("contact") > last_contact);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_tells_of_nothing_is_polled() {
    let Some(database) = Database::create().await else {
        return;
    };
    // Found before the one of the system, as this schema comes before its.
    let refusal = "CREATE FUNCTION pg_notify(text, text) RETURNS void LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'unimplemented' USING ERRCODE = '0A000'; END $$";
    let client = database.client().await;
    client.batch_execute(refusal).await.expect("a function");
    let url = database.url_with(",pg_catalog");
    let options = Options {
        poll: Duration::from_millis(100),
        ..usual()
    };
    let store = Arc::new(Postgres::open(&url, options).await.expect("a store"));
    let feed = store.follow_closures();
    let rows: Arc<dyn Rows> = store;
    let opened = session(&rows, &account(&rows, "ada").await).await;
    let closed = rows.close_session(opened.id, Reason::Logout, at(1)).await;
    assert!(closed.expect("the store"));
    for _ in 0..3 {
        let since = Instant::now();
        assert!(wakes(&feed, Duration::from_secs(2)).await);
        assert!(since.elapsed() >= Duration::from_millis(90));
    }
    assert!(!feed.is_listening() && feed.last_contact().is_none());
}
