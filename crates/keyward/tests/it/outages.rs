//! Servers whose database is cut off, frozen or back, and a server that stood still itself: each request is answered
//! in time, and none by what is no longer known.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::nodes::{ANSWER, FEED_BOUND, Node, READINESS};
use crate::postgres::{Cable, Database, State};

/// How many connections a node has: its pool's, and the one that listens.
const CONNECTIONS: usize = 17;

/// Asks until it is answered 503, in time, and tells when the last question was asked that was answered otherwise.
async fn last_relied_on(node: &Node, token: &str, start: Instant) -> Duration {
    let mut last = Duration::ZERO;
    loop {
        let asked = start.elapsed();
        let answer = node.guarded(token).await;
        let took = start.elapsed() - asked;
        assert!(took < ANSWER, "{took:?}");
        if answer.status() == 503 {
            return last;
        }
        last = asked;
        assert!(last < READINESS, "it relies on what it knew");
    }
}

/// Logs in again and again: every answer comes in time and says when to try again. Tells how long the longest took.
async fn all_refused_in_time(node: &Node, count: usize) -> Duration {
    let mut longest = Duration::ZERO;
    for _ in 0..count {
        let asked = Instant::now();
        let answer = node.server.try_log_in("alice", "pw").await;
        longest = longest.max(asked.elapsed());
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers()["retry-after"], "1");
    }
    assert!(longest < ANSWER, "{longest:?}");
    longest
}

async fn is_live(node: &Node) {
    let asked = Instant::now();
    let live = node.server.get("/health/live").send().await;
    assert_eq!(live.expect("an answer").status(), 200);
    assert!(asked.elapsed() < ANSWER);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_cut_off_from_the_database_refuses_and_comes_back() {
    let Some(database) = Database::create().await else {
        return;
    };
    let near = Node::start(&database.url());
    near.server.register("alice", "pw").await;
    for broken in [State::Cut, State::Frozen] {
        let cable = Cable::lay(&database).await;
        let far = Node::start(&cable.url);
        let (closed, open) = (
            near.server.log_in("alice", "pw").await,
            near.server.log_in("alice", "pw").await,
        );
        assert_eq!(
            (far.status(&closed).await, far.status(&open).await),
            (200, 200)
        );
        cable.turn(broken);
        let cut = Instant::now();
        near.log_out(&closed).await;
        let (relied, unready, longest) = tokio::join!(
            last_relied_on(&far, &closed, cut),
            far.until_ready_is(503),
            all_refused_in_time(&far, 3)
        );
        let refused = cut.elapsed();
        assert!(relied < FEED_BOUND, "{relied:?}");
        assert!(
            refused < FEED_BOUND + ANSWER && unready < READINESS,
            "{refused:?} {unready:?}"
        );
        let answer = far.guarded(&open).await;
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.headers()["retry-after"], "1");
        let body: Value = answer.json().await.expect("the vectors contract's shape");
        assert!(body["message"].is_string(), "{body}");
        is_live(&far).await;
        let longest = longest.max(all_refused_in_time(&far, 20).await);

        cable.turn(State::Whole);
        let back = Instant::now();
        let (open_again, ready) =
            tokio::join!(far.until(&open, 200, back), far.until_ready_is(200));
        println!(
            "{broken:?}: last relied on after {relied:?}, 503 after {refused:?}, not ready after {unready:?}, \
             the longest wait for a 503 {longest:?}; back after {open_again:?}, ready after {ready:?}"
        );
        assert!(open_again < READINESS && ready < READINESS);
        assert_eq!(far.status(&closed).await, 401);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stood_still_accepts_nothing_that_was_closed_meanwhile() {
    const TOKENS: usize = 20;
    let Some(database) = Database::create().await else {
        return;
    };
    let url = database.url();
    let [near, far, _] = Node::start_all([&url; 3]);
    near.server.register("alice", "pw").await;
    for round in 0..3 {
        let open = near.server.log_in("alice", "pw").await;
        let mut tokens = Vec::new();
        for _ in 0..TOKENS {
            tokens.push(near.server.log_in("alice", "pw").await);
        }
        // Each on a connection of its own, which is kept.
        let first = ask_at_once(&far, &tokens);
        assert_eq!(first.join_all().await, [200; TOKENS]);
        far.server.signal("STOP");
        let stopped = Instant::now();
        for token in &tokens {
            near.log_out(token).await;
        }
        let waiting = ask_at_once(&far, &tokens);
        let waiting_open = ask_at_once(&far, &[open]);
        sleep(FEED_BOUND.saturating_sub(stopped.elapsed())).await;
        far.server.signal("CONT");
        let awake = Instant::now();
        assert_eq!(waiting.join_all().await, [401; TOKENS], "round {round}");
        assert_eq!(waiting_open.join_all().await, [200]);
        println!(
            "after standing still: {TOKENS} of {TOKENS} refused, in {:?}",
            awake.elapsed()
        );
    }
}

/// Asks the guarded path with each of the tokens, all at once, for the statuses.
fn ask_at_once(node: &Node, tokens: &[String]) -> JoinSet<u16> {
    let ask = |token: &String| {
        let asked = node.request(token).send();
        async { asked.await.expect("an answer").status().as_u16() }
    };
    tokens.iter().map(ask).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_comes_back_is_not_stormed_by_the_nodes_that_wait_for_it() {
    const CLIENTS: usize = 30;
    let Some(database) = Database::create().await else {
        return;
    };
    let cables = [
        Cable::lay(&database).await,
        Cable::lay(&database).await,
        Cable::lay(&database).await,
    ];
    let nodes = Node::start_all(cables.each_ref().map(|cable| cable.url.as_str()));
    nodes[0].server.register("alice", "pw").await;
    for broken in [State::Cut, State::Frozen] {
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for index in 0..CLIENTS * nodes.len() {
            let login = nodes[index % nodes.len()].server.post("/login");
            let login = login.json(&json!({"username": "alice", "password": "pw"}));
            let stop = Arc::clone(&stop);
            clients.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let login = login.try_clone().expect("a request");
                    let answer = login.send().await.expect("an answer");
                    assert!(matches!(answer.status().as_u16(), 200 | 503));
                    // As long as a client of little patience waits.
                    sleep(Duration::from_millis(50)).await;
                }
            });
        }
        for cable in &cables {
            cable.turn(broken);
        }
        let outage = cables.each_ref().map(Cable::accepted);
        sleep(Duration::from_secs(3)).await;
        let tried = [0, 1, 2].map(|node| cables[node].accepted() - outage[node]);
        let before = cables.each_ref().map(Cable::accepted);
        for cable in &cables {
            cable.turn(State::Whole);
        }
        let mut ready = [Duration::ZERO; 3];
        for (node, ready) in nodes.iter().zip(&mut ready) {
            *ready = node.until_ready_is(200).await;
        }
        sleep(Duration::from_secs(2)).await;
        let made = [0, 1, 2].map(|node| cables[node].accepted() - before[node]);
        stop.store(true, Ordering::Relaxed);
        clients.join_all().await;
        println!(
            "{broken:?} for 3 s under {CLIENTS} clients a node: {tried:?} connections tried meanwhile, \
             {made:?} made after; ready after {ready:?}"
        );
        assert!(tried.iter().all(|tried| *tried <= 30), "{tried:?}");
        // On a busy machine some are given up on while they are made, and made again.
        assert!(made.iter().all(|made| *made <= 2 * CONNECTIONS), "{made:?}");
        assert!(ready.iter().all(|ready| *ready < READINESS), "{ready:?}");
    }
}
