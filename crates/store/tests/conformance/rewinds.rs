//! A database that goes back beneath two servers, as after a failover to a standby that lagged or after a dump was put
//! back: both notice, closed sessions stay closed, and no later closure is missed.

use std::sync::Arc;
use std::time::Duration;

use keyward_core::accounts::Account;
use keyward_core::clock::ManualClock;
use keyward_core::id::SessionId;
use keyward_core::sessions::{Lifetime, Place, Reason, Sessions};

use crate::backend::{Backend, account, at, session};
use crate::session_feed::server;
use crate::sessions::find;
use keyward_core::rows::Rows;

/// Takes every closure back, as if none had ever been.
const NO_CLOSURES: &str = "
    DELETE FROM session_closures; UPDATE sessions SET closed_at = NULL, close_reason = NULL";

/// Two servers on one database.
struct Pair {
    rows: Arc<dyn Rows>,
    clock: Arc<ManualClock>,
    owner: Account,
    here: Sessions,
    there: Sessions,
}

impl Pair {
    async fn on(backend: &Backend) -> Self {
        let rows = backend.rows();
        let clock = Arc::new(ManualClock::new(at(1)));
        Self {
            owner: account(&rows, "ada").await,
            here: server(backend.rows(), &clock).await,
            there: server(backend.another_node().await.rows, &clock).await,
            rows,
            clock,
        }
    }

    async fn session(&self) -> SessionId {
        session(&self.rows, &self.owner).await.id
    }

    /// Closes a session as a third process does.
    async fn close_elsewhere(&self, id: SessionId) {
        let closes = self.rows.close_session(id, Reason::Operator, at(2));
        assert!(closes.await.expect("the store"));
    }

    async fn catch_up(&self) {
        self.clock.advance(Duration::from_millis(250));
        for server in [&self.here, &self.there] {
            server.catch_up().await.expect("the store");
        }
    }

    #[track_caller]
    fn both_refuse(&self, ids: &[SessionId]) {
        for (name, server) in [("here", &self.here), ("there", &self.there)] {
            for &id in ids {
                assert!(server.closed().refuses(id), "{name} takes {id}");
            }
        }
    }

    fn rewinds(&self) -> (u64, u64) {
        (self.here.rewinds(), self.there.rewinds())
    }

    async fn is_closed(&self, id: SessionId) -> bool {
        find(&self.rows, id).await.closed_at.is_some()
    }
}

pub(crate) async fn a_node_notices_that_the_database_lost_closures_that_it_had_read(
    backend: &Backend,
) {
    let pair = Pair::on(backend).await;
    let mut lost = Vec::new();
    for _ in 0..3 {
        let id = pair.session().await;
        let closed = pair.here.close(id, Reason::Logout).await;
        assert!(closed.expect("the store"));
        lost.push(id);
    }
    pair.catch_up().await;
    assert_eq!(pair.rewinds(), (0, 0));
    // Fewer than before, as many, and more.
    for (round, count) in [1_u64, 3, 7].into_iter().enumerate() {
        backend.go_back(NO_CLOSURES).await;
        let mut later = Vec::new();
        for _ in 0..count {
            let id = pair.session().await;
            pair.close_elsewhere(id).await;
            later.push(id);
        }
        pair.catch_up().await;
        pair.both_refuse(&later);
        pair.both_refuse(&lost);
        for &id in &lost {
            assert!(pair.is_closed(id).await, "{id} is closed in the database");
        }
        // Who comes second finds what the first one wrote, and has missed rows all the same.
        let times = round as u64 + 1;
        assert_eq!(pair.rewinds(), (times, times));
        pair.catch_up().await;
        assert_eq!(pair.rewinds(), (times, times), "it is made up for");
        let fresh = server(backend.another_node().await.rows, &pair.clock).await;
        assert!(lost.iter().all(|&id| fresh.closed().refuses(id)));
        lost.extend(later);
    }
}

pub(crate) async fn a_node_notices_that_the_database_lost_a_closure_of_its_own(backend: &Backend) {
    let pair = Pair::on(backend).await;
    let read = pair.session().await;
    pair.close_elsewhere(read).await;
    pair.catch_up().await;
    let id = pair.session().await;
    let closed = pair.here.close(id, Reason::Logout).await;
    assert!(closed.expect("the store"));
    let lost = format!(
        "DELETE FROM session_closures WHERE session_id = {id};
        UPDATE sessions SET closed_at = NULL, close_reason = NULL WHERE id = {id}"
    );
    backend.go_back(&lost).await;
    assert!(pair.here.closed().refuses(id) && !pair.there.closed().refuses(id));
    pair.catch_up().await;
    pair.catch_up().await;
    pair.both_refuse(&[id, read]);
    assert!(pair.is_closed(id).await);
    assert_eq!(pair.rewinds(), (1, 0));
}

pub(crate) async fn a_node_notices_that_the_database_lost_a_session_that_it_opened(
    backend: &Backend,
) {
    let pair = Pair::on(backend).await;
    let minute = Lifetime::fixed(Duration::from_secs(60));
    let open = async || {
        let opened = pair.here.open(pair.owner.id, minute, None).await;
        opened.expect("a session").id
    };
    let (kept, lost) = (open().await, open().await);
    pair.catch_up().await;
    assert_eq!(pair.rewinds(), (0, 0));
    let delete = format!("DELETE FROM sessions WHERE id = {lost}");
    backend.go_back(&delete).await;
    pair.catch_up().await;
    pair.catch_up().await;
    assert_eq!(pair.rewinds(), (1, 0));
    for server in [&pair.here, &pair.there] {
        let closed = server.closed();
        for id in [kept, lost] {
            assert!(closed.doubts(id, at(1), at(60)), "the database is asked");
            assert!(!closed.doubts(id, at(90), at(200)), "of later tokens not");
        }
    }
    let fresh = server(backend.another_node().await.rows, &pair.clock).await;
    assert!(fresh.closed().doubts(lost, at(1), at(60)));
}

pub(crate) async fn a_node_notices_that_the_database_lost_the_end_of_all_sessions(
    backend: &Backend,
) {
    let pair = Pair::on(backend).await;
    let before = pair.here.closed().tag();
    assert_eq!(pair.there.closed().tag(), before);
    pair.here.close_all().await.expect("the store");
    pair.catch_up().await;
    let ended = pair.here.closed().tag();
    assert!(ended != before && pair.there.closed().tag() == ended);
    assert_eq!(pair.rewinds(), (0, 0), "whoever learns of it loses nothing");
    let back = format!(
        "DELETE FROM meta WHERE key = 'epoch';
        UPDATE meta SET value = {} WHERE key = 'tag'",
        before.number()
    );
    backend.go_back(&back).await;
    pair.catch_up().await;
    pair.catch_up().await;
    let again = pair.here.closed().tag();
    assert!(![before, ended].contains(&again), "no earlier tag is good");
    assert_eq!(pair.there.closed().tag(), again);
    assert_eq!(pair.rewinds(), (1, 0));
}

pub(crate) async fn what_others_deleted_is_no_rewind_and_a_lost_closure_is_not_forgotten(
    backend: &Backend,
) {
    let pair = Pair::on(backend).await;
    let [ended, lost] = [pair.session().await, pair.session().await];
    for id in [ended, lost] {
        pair.close_elsewhere(id).await;
    }
    pair.catch_up().await;
    pair.clock.set(at(10_000));
    let margin = Duration::from_secs(10);
    let forgotten = pair.here.forget_ended(margin).await;
    assert_eq!(forgotten.expect("the store"), 1);
    pair.catch_up().await;
    let forgotten = pair.there.forget_ended(margin).await;
    assert_eq!(forgotten.expect("the store"), 0);
    assert_eq!(pair.rewinds(), (0, 0));
    assert!(!pair.there.closed().refuses(ended), "it is forgotten");
    let reopened = format!(
        "DELETE FROM session_closures;
        UPDATE sessions SET closed_at = NULL, close_reason = NULL, expires_at = {}
        WHERE id = {lost}",
        at(20_000).micros()
    );
    backend.go_back(&reopened).await;
    let forgotten = pair.there.forget_ended(margin).await;
    assert_eq!(forgotten.expect("the store"), 0);
    assert!(pair.there.closed().refuses(lost));
    pair.catch_up().await;
    pair.both_refuse(&[lost]);
    assert!(pair.is_closed(lost).await);
    let feed = pair.rows.list_closures(Place::default(), 9).await;
    assert_eq!(feed.expect("the store").sessions, [lost]);
}
