//! A database that goes back beneath running servers: a standby that lagged is promoted under load, and a dump is put
//! back. No closed session is served again, no later closure is missed, and no session id is given twice.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64_simd::URL_SAFE_NO_PAD;
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::clusters::Cluster;
use crate::nodes::{FEED_BOUND, Node};
use crate::postgres::{Cable, State};
use crate::server::keyward_with;

/// Within what both servers refuse what is closed after the database went back.
const BOUND: Duration = Duration::from_secs(3);
/// How long the servers may need to find the new primary.
const FOUND: Duration = Duration::from_secs(20);
/// The line of the log and its stable name.
const ALARM: &str = "database_went_back";

/// The session of a token.
fn session_of(token: &str) -> i64 {
    let claims = token.split('.').nth(1).expect("claims");
    let claims = URL_SAFE_NO_PAD.decode_to_vec(claims).expect("base64url");
    let claims: Value = serde_json::from_slice(&claims).expect("JSON");
    claims["sid"].as_i64().expect("a session")
}

async fn log_in(node: &Node, user: &str, count: usize) -> Vec<String> {
    let mut tokens = Vec::with_capacity(count);
    for _ in 0..count {
        tokens.push(node.server.log_in(user, "pw").await);
    }
    tokens
}

async fn log_out(node: &Node, tokens: &[String]) {
    for token in tokens {
        node.log_out(token).await;
    }
}

/// The statuses that a node answers to these tokens, each once, with how many have it.
async fn statuses(node: &Node, tokens: &[String]) -> String {
    let mut counts = std::collections::BTreeMap::<u16, usize>::new();
    for token in tokens {
        *counts.entry(node.status(token).await).or_default() += 1;
    }
    let shown = counts
        .iter()
        .map(|(status, count)| format!("{count} × {status}"));
    shown.collect::<Vec<_>>().join(", ")
}

/// How long it takes until a node refuses all of them.
async fn until_refused(node: &Node, tokens: &[String]) -> Duration {
    let start = Instant::now();
    for token in tokens {
        node.until(token, 401, start).await;
    }
    start.elapsed()
}

/// Logs in and out on a node until it is stopped; the tokens whose logout was acknowledged.
async fn load(url: String, stop: Arc<AtomicBool>, ended: Arc<Mutex<Vec<String>>>) {
    let client = Client::new();
    let body = json!({"username": "ada", "password": "pw"});
    while !stop.load(Ordering::Relaxed) {
        let login = client.post(format!("{url}/login")).json(&body).send().await;
        let Ok(login) = login else { continue };
        if login.status() != 200 {
            continue;
        }
        let login: Value = login.json().await.expect("a token");
        let token = login["token"].as_str().expect("a token").to_owned();
        let logout = client.post(format!("{url}/api/v1/authentication/logout"));
        let logout = logout.bearer_auth(&token).send().await.expect("an answer");
        if logout.status() == 204 {
            ended.lock().expect("a lock").push(token);
        }
    }
}

async fn until_logins_work(node: &Node) {
    let start = Instant::now();
    while node.server.try_log_in("ada", "pw").await.status() != 200 {
        assert!(start.elapsed() < FOUND, "{}", node.server.log());
    }
}

/// Waits until the standby has all that the primary wrote.
async fn until_replicated(primary: &Cluster, standby: &Cluster) {
    let (primary, standby) = (primary.client().await, standby.client().await);
    let written = "SELECT pg_current_wal_lsn()::TEXT";
    let written: String = primary.query_one(written, &[]).await.expect("a row").get(0);
    let has = format!("SELECT coalesce(pg_last_wal_replay_lsn() >= '{written}', FALSE)");
    let start = Instant::now();
    while !standby
        .query_one(&has, &[])
        .await
        .expect("a row")
        .get::<_, bool>(0)
    {
        assert!(start.elapsed() < FOUND, "the standby never has {written}");
    }
}

async fn refresh(node: &Node, token: &str) -> (u16, Value) {
    let request = node.server.post("/api/v1/authentication/refresh");
    let answer = request.bearer_auth(token).send().await.expect("an answer");
    (
        answer.status().as_u16(),
        answer.json().await.unwrap_or_default(),
    )
}

/// Tokens that went the same way, and the status that each server must answer to them.
struct Group {
    what: &'static str,
    tokens: Vec<String>,
    expected: u16,
}

/// Two servers on a primary with a standby.
struct World {
    primary: Cluster,
    standby: Cluster,
    cable: Cable,
    url: String,
    a: Node,
    b: Node,
    groups: Vec<Group>,
}

impl World {
    async fn begin() -> Option<Self> {
        let primary = Cluster::primary()?;
        let address = ("127.0.0.1".to_owned(), primary.port);
        let cable = Cable::lay_to(address, |port| port.to_string()).await;
        let standby = primary.standby_of(cable.url.parse().expect("a port"));
        let url = format!(
            "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres?sslmode=disable&target_session_attrs=read-write",
            primary.port, standby.port
        );
        let (a, b) = (Node::start(&url), Node::start(&url));
        for user in ["ada", "bob"] {
            a.server.register(user, "pw").await;
        }
        Some(Self {
            primary,
            standby,
            cable,
            url,
            a,
            b,
            groups: Vec::new(),
        })
    }

    fn note(&mut self, what: &'static str, tokens: Vec<String>, expected: u16) {
        self.groups.push(Group {
            what,
            tokens,
            expected,
        });
    }

    /// Opens and closes sessions, of which the standby gets the first ones alone.
    async fn leave_the_standby_behind(&mut self) {
        let kept = log_in(&self.a, "ada", 10).await;
        let closed_before = log_in(&self.b, "ada", 12).await;
        let to_be_closed = log_in(&self.a, "ada", 12).await;
        log_out(&self.b, &closed_before).await;
        until_replicated(&self.primary, &self.standby).await;
        self.cable.turn(State::Cut);
        log_out(&self.a, &to_be_closed).await;
        let lost = log_in(&self.a, "ada", 40).await;
        let lost_and_closed = log_in(&self.b, "ada", 12).await;
        log_out(&self.b, &lost_and_closed).await;
        self.note("open before the standby was cut off", kept, 200);
        self.note("closed before it was cut off", closed_before, 401);
        self.note(
            "opened before and closed after it was cut off",
            to_be_closed,
            401,
        );
        self.note(
            "opened after it was cut off: the new primary never had them",
            lost,
            401,
        );
        self.note(
            "opened and closed after it was cut off",
            lost_and_closed,
            401,
        );
    }

    /// Kills the primary and promotes the standby, while others log in and out.
    async fn promote_under_load(&mut self) {
        let stop = Arc::new(AtomicBool::new(false));
        let ended = Arc::new(Mutex::new(Vec::new()));
        let loads = [&self.a, &self.b, &self.a, &self.b]
            .map(|node| tokio::spawn(load(node.server.url.clone(), stop.clone(), ended.clone())));
        let count = || ended.lock().expect("a lock").len();
        while count() < 40 {
            tokio::task::yield_now().await;
        }
        self.primary.kill();
        let killed = count();
        tokio::task::block_in_place(|| self.standby.promote());
        for node in [&self.a, &self.b] {
            until_logins_work(node).await;
        }
        while count() < killed + 40 {
            tokio::task::yield_now().await;
        }
        stop.store(true, Ordering::Relaxed);
        for load in loads {
            load.await.expect("a task");
        }
        let ended = ended.lock().expect("a lock").clone();
        self.note(
            "closed under load, before, during and after the promotion",
            ended,
            401,
        );
    }

    /// Closes sessions on each server, and by a command: the others refuse them in time.
    async fn close_on_the_new_primary(&mut self, of_bob: Vec<String>) -> String {
        let (a, b) = (&self.a, &self.b);
        let on_a = log_in(a, "ada", 6).await;
        let on_b = log_in(b, "ada", 6).await;
        log_out(a, &on_a).await;
        let at_b = until_refused(b, &on_a).await;
        log_out(b, &on_b).await;
        let at_a = until_refused(a, &on_b).await;
        let folder = TempDir::new().expect("a folder");
        let named = [("KEYWARD_DATABASE", self.url.as_str())];
        keyward_with(folder.path(), "account disable bob", &named, "").fine();
        let disabled = until_refused(a, &of_bob)
            .await
            .max(until_refused(b, &of_bob).await);
        let times = format!(
            "after the promotion: refused by the other server after {at_a:?} and {at_b:?}, \
             disabled after {disabled:?}"
        );
        assert!(at_a.max(at_b).max(disabled) < BOUND);
        self.note("closed on a after the promotion", on_a, 401);
        self.note("closed on b after the promotion", on_b, 401);
        self.note("of an account disabled after the promotion", of_bob, 401);
        times
    }

    /// Asks both servers, and one that was started since, about every token: a table of what they answer.
    async fn check(&self) -> String {
        let c = Node::start(&self.url);
        let head = "| sessions | server a | server b | one started since |\n|---|---|---|---|";
        let mut table = vec![head.to_owned()];
        let mut wrong = Vec::new();
        for Group {
            what,
            tokens,
            expected,
        } in &self.groups
        {
            let all = format!("{} × {expected}", tokens.len());
            let seen = [
                statuses(&self.a, tokens).await,
                statuses(&self.b, tokens).await,
                statuses(&c, tokens).await,
            ];
            table.push(format!("| {what} | {} |", seen.join(" | ")));
            if seen.iter().any(|seen| *seen != all) {
                wrong.push(what);
            }
        }
        let logs = [&self.a, &self.b].map(|node| node.server.log());
        assert!(wrong.is_empty(), "{wrong:?}\n{logs:?}");
        assert!(logs.iter().all(|log| log.contains(ALARM)), "{logs:?}");
        let tokens = self.groups.iter().flat_map(|group| &group.tokens);
        expect_distinct_ids(tokens);
        table.join("\n")
    }
}

/// A server in recovery, which lags, is not read: who names it is told.
fn expect_standby_refused(standby: &Cluster) {
    let folder = TempDir::new().expect("a folder");
    let url = format!(
        "postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable",
        standby.port
    );
    let named = [("KEYWARD_DATABASE", url.as_str())];
    let refusal = keyward_with(folder.path(), "session list", &named, "").failed(1);
    assert!(refusal.contains("is a standby"), "{refusal}");
}

fn expect_distinct_ids<'a>(tokens: impl Iterator<Item = &'a String>) {
    let ids: Vec<_> = tokens.map(|token| session_of(token)).collect();
    let distinct: HashSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len(), "no session id is given twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_standby_that_lagged_took_over_no_closed_session_is_served_and_no_id_given_twice() {
    let Some(mut world) = World::begin().await else {
        return;
    };
    expect_standby_refused(&world.standby);
    let of_bob = log_in(&world.b, "bob", 3).await;
    let body = json!({"username": "ada", "password": "pw"});
    let login = world.a.server.post("/api/v1/authentication/login");
    let login = login.json(&body).send().await.expect("an answer");
    let pair: Value = login.json().await.expect("JSON");
    let first = pair["refresh_token"].as_str().expect("a token");
    world.leave_the_standby_behind().await;
    let (status, rotated) = refresh(&world.b, first).await;
    assert_eq!(status, 200);
    world.promote_under_load().await;
    println!("{}", world.close_on_the_new_primary(of_bob).await);
    println!("{}", world.check().await);
    // The new primary takes the first refresh token for unused, until its successor is shown.
    let second = rotated["refresh_token"].as_str().expect("a token");
    assert_eq!(refresh(&world.a, second).await.0, 200, "the owner goes on");
    assert_eq!(
        refresh(&world.b, first).await.0,
        401,
        "a used token is a replay"
    );
}

/// Puts the dump at `path` back in one transaction, beside the servers.
fn put_back(cluster: &Cluster, path: &std::path::Path) {
    let readable = std::process::Command::new("chmod")
        .args(["-R", "a+rX"])
        .arg(path.parent().expect("a folder"))
        .status();
    assert!(readable.expect("chmod").success());
    let path = path.display().to_string();
    let args = ["-q", "-v", "ON_ERROR_STOP=1", "-1", "-f", &path];
    tokio::task::block_in_place(|| cluster.client_program("psql", &args));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_dump_was_put_back_beneath_two_servers_nothing_that_is_closed_is_served() {
    let Some(cluster) = Cluster::primary() else {
        return;
    };
    let url = format!(
        "postgres://postgres@127.0.0.1:{}/postgres?sslmode=disable",
        cluster.port
    );
    let (a, b) = (Node::start(&url), Node::start(&url));
    for user in ["ada", "bob"] {
        a.server.register(user, "pw").await;
    }
    let closed = log_in(&a, "ada", 12).await;
    let of_bob = log_in(&b, "bob", 2).await;
    let dump = cluster.client_program("pg_dump", &["--clean", "--if-exists"]);
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("dump.sql");
    std::fs::write(&path, dump.stdout).expect("the dump");
    log_out(&a, &closed).await;
    let lost = log_in(&b, "ada", 40).await;
    until_refused(&b, &closed).await;
    put_back(&cluster, &path);

    // As many closures as before, under the same numbers.
    let fresh = log_in(&a, "ada", 12).await;
    log_out(&a, &fresh).await;
    let named = [("KEYWARD_DATABASE", url.as_str())];
    keyward_with(folder.path(), "account disable bob", &named, "").fine();
    let c = Node::start(&url);
    let groups = [closed, of_bob, lost, fresh];
    for (name, node) in [("a", &a), ("b", &b), ("c", &c)] {
        for tokens in &groups {
            let waited = until_refused(node, tokens).await;
            println!("a dump was put back: refused by {name} after {waited:?}");
            assert!(waited < BOUND, "{name}: {waited:?}");
        }
    }
    expect_distinct_ids(groups.iter().flatten());
    assert!(a.server.log().contains(ALARM) && b.server.log().contains(ALARM));

    // A command that ends all sessions ends them on every server.
    let last = log_in(&a, "ada", 3).await;
    keyward_with(folder.path(), "session close --all", &named, "").fine();
    for node in [&a, &b, &c] {
        assert!(until_refused(node, &last).await < BOUND);
    }
    // The tag of the database is another one now. Until a server has read that, a login there gives a token that is
    // refused.
    let start = Instant::now();
    loop {
        let again = b.server.log_in("ada", "pw").await;
        let statuses = [a.status(&again).await, c.status(&again).await];
        if statuses == [200, 200] {
            break;
        }
        assert!(start.elapsed() < 2 * FEED_BOUND, "{statuses:?}");
    }
}
