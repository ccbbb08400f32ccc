//! The feed of closed sessions.

use std::sync::Arc;
use std::time::Duration;

use keyward_core::accounts::Accounts;
use keyward_core::accounts::passwords::{Passwords, Policy};
use keyward_core::clock::ManualClock;
use keyward_core::id::SessionId;
use keyward_core::random::SeededRandom;
use keyward_core::sessions::{Place, Reason, Rotate, Sessions};

use crate::backend::{Backend, account, at, at_once, session};
use crate::sessions::{password_change, rotate};
use keyward_core::rows::Rows;

pub(crate) async fn closures_are_read_in_order_from_the_cursor_on(backend: &Backend) {
    let rows = backend.rows();
    let owner = account(&rows, "ada").await;
    let empty = rows
        .list_closures(Place::default(), 10)
        .await
        .expect("the store");
    assert_eq!((empty.sessions.len(), empty.place), (0, Place::default()));
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
    let first = rows
        .list_closures(Place::default(), 2)
        .await
        .expect("the store");
    assert_eq!(first.sessions, opened[..2]);
    let rest = rows
        .list_closures(first.place, 10)
        .await
        .expect("the store");
    assert_eq!(rest.sessions, opened[2..]);
    let none = rows.list_closures(rest.place, 10).await.expect("the store");
    assert_eq!((none.sessions.len(), none.place), (0, rest.place));
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
    rows.change_password(password_change(ada.id, "new", None), at(3))
        .await
        .expect("the store");
    let node = backend.another_node().await;
    node.rows
        .disable_account(eve.id, at(4))
        .await
        .expect("the store");
    let closures = rows
        .list_closures(Place::default(), 10)
        .await
        .expect("the store");
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
            let (mut seen, mut place) = (Vec::new(), Place::default());
            while seen.len() < 2 * EACH {
                let batch = node.rows.list_closures(place, 7).await.expect("the store");
                assert!(batch.follows && batch.place.seq >= place.seq);
                seen.extend(batch.sessions);
                place = batch.place;
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

/// The sessions of one server on these rows.
pub(crate) async fn server(rows: Arc<dyn Rows>, clock: &Arc<ManualClock>) -> Sessions {
    let policy = Policy {
        memory_kib: 8,
        passes: 1,
        threads: 1,
        queue: 1,
    };
    let random = Arc::new(SeededRandom::new(1));
    let passwords = Passwords::start(policy, random.clone()).expect("a thread");
    let accounts = Accounts::new(rows.clone(), passwords, clock.clone());
    let sessions = Sessions::load(rows, accounts, clock.clone(), random).await;
    sessions
        .expect("the store")
        .with_max_revocation_lag(Duration::from_secs(2))
}

pub(crate) async fn what_one_node_has_deleted_leaves_the_memory_of_the_others(backend: &Backend) {
    let rows = backend.rows();
    let clock = Arc::new(ManualClock::new(at(1)));
    let deleting = server(backend.rows(), &clock).await;
    let other = server(backend.another_node().await.rows, &clock).await;
    let owner = account(&rows, "ada").await;
    let mut ended = Vec::new();
    for _ in 0..3 {
        ended.push(session(&rows, &owner).await.id);
    }
    let lasting = session(&rows, &owner).await;
    let request = Rotate {
        now: at(90),
        ..rotate(&lasting, 0, 90)
    };
    rows.rotate_refresh_token(request).await.expect("the store");
    for id in ended.iter().copied().chain([lasting.id]) {
        let closed = deleting.close(id, Reason::Logout).await;
        assert!(closed.expect("the store"));
    }
    other.catch_up().await.expect("the store");
    assert_eq!(other.closed().len(), 4);
    clock.set(at(111));
    // What readers go on from stays.
    let margin = Duration::from_secs(10);
    let forgotten = deleting.forget_ended(margin).await;
    assert_eq!(
        (forgotten.expect("the store"), deleting.closed().len()),
        (3, 1)
    );
    assert_eq!(other.closed().len(), 4, "it has not looked");
    // One that it closes meanwhile stays.
    let later = session(&rows, &owner).await.id;
    other.close(later, Reason::Logout).await.expect("the store");
    clock.set(at(20));
    let forgotten = other.forget_ended(margin).await;
    assert_eq!(
        (forgotten.expect("the store"), other.closed().len()),
        (0, 2)
    );
    for sessions in [&deleting, &other] {
        let closed = sessions.closed();
        assert!(closed.refuses(lasting.id) && !closed.refuses(ended[0]));
        // Its tokens ended before the horizon, which the clock does not move back.
        let in_doubt = |end| closed.doubts(ended[0], at(0), at(end));
        assert!(in_doubt(100) && !in_doubt(102));
    }
    assert!(other.closed().refuses(later));
}

pub(crate) async fn a_reader_is_told_when_the_row_it_goes_on_from_is_gone(backend: &Backend) {
    let rows = backend.rows();
    let owner = account(&rows, "ada").await;
    for moment in [1, 2] {
        let id = session(&rows, &owner).await.id;
        let logout = rows.close_session(id, Reason::Logout, at(moment));
        assert!(logout.await.expect("the store"));
    }
    let read = rows.list_closures(Place::default(), 10).await;
    let place = read.expect("the store").place;
    for (place, follows) in [
        (place, true),
        (
            Place {
                seq: place.seq + 1,
                ..place
            },
            false,
        ),
        (
            Place {
                seq: place.seq - 1,
                ..place
            },
            false,
        ),
        (
            Place {
                session: SessionId(place.session.0 + 1),
                ..place
            },
            false,
        ),
        (
            Place {
                closed_at: at(3),
                ..place
            },
            false,
        ),
        (Place::default(), true),
    ] {
        let feed = rows.list_closures(place, 10).await.expect("the store");
        assert_eq!(feed.follows, follows, "{place:?}");
    }
}

pub(crate) async fn of_many_sessions_those_that_are_open_are_closed_in_one_go(backend: &Backend) {
    let rows = backend.rows();
    let owner = account(&rows, "ada").await;
    let mut opened = Vec::new();
    for _ in 0..4 {
        opened.push(session(&rows, &owner).await.id);
    }
    let logout = rows.close_session(opened[1], Reason::Logout, at(1));
    assert!(logout.await.expect("the store"));
    let asked = vec![opened[0], opened[1], SessionId(7), opened[2]];
    let close = || rows.close_sessions(asked.clone(), Reason::Recovered, at(2));
    let mut closed = close().await.expect("the store");
    closed.sort_unstable();
    assert_eq!(closed, [opened[0], opened[2]]);
    assert_eq!(close().await.expect("the store"), []);
    let feed = rows.list_closures(Place::default(), 10).await;
    assert_eq!(
        feed.expect("the store").sessions,
        [opened[1], opened[0], opened[2]]
    );
    let found = rows.find_session(opened[3]).await.expect("the store");
    assert_eq!(found.expect("a session").closed_at, None);
}

pub(crate) async fn doubt_is_remembered_and_never_shrinks(backend: &Backend) {
    let rows = backend.rows();
    for (until, remembered) in [(5, 5), (9, 9), (7, 9)] {
        rows.remember_doubt(at(until)).await.expect("the store");
        let feed = backend.another_node().await.rows;
        let feed = feed.list_closures(Place::default(), 0).await;
        let identity = feed.expect("the store").identity;
        assert_eq!(identity.doubtful_until, Some(at(remembered)));
    }
}
