//! Several servers on one PostgreSQL database: what one closes the others refuse, and what one acknowledged all have.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc::{self, UnboundedSender};

use crate::load::{Load, check_rows};
use crate::postgres::Database;
use crate::server::Server;

const LOGOUTS: usize = 500;
const REUSES: usize = 50;
/// Within what every node refuses what another closed.
const BOUND: Duration = Duration::from_secs(1);
/// How old what a node knows may be when it relies on it (`sessions.max_revocation_lag`), and room for a busy machine.
pub(crate) const FEED_BOUND: Duration = Duration::from_millis(2_500);
/// How long a request may wait until it is told that the database does not answer.
pub(crate) const ANSWER: Duration = Duration::from_secs(2);
/// Within what readiness follows the database.
pub(crate) const READINESS: Duration = Duration::from_secs(5);

/// A server with a folder of its own.
pub(crate) struct Node {
    pub(crate) server: Server,
    _folder: TempDir,
}

impl Node {
    pub(crate) fn start(url: &str) -> Self {
        Self::start_with(&[("KEYWARD_DATABASE", url)])
    }

    /// Starts one with these variables.
    pub(crate) fn start_with(env: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().expect("a folder");
        Self {
            server: Server::start_with(folder.path(), "", env),
            _folder: folder,
        }
    }

    /// Starts one on each URL, all at once.
    pub(crate) fn start_all(urls: [&str; 3]) -> [Self; 3] {
        thread::scope(|scope| {
            urls.map(|url| scope.spawn(|| Self::start(url)))
                .map(|starting| starting.join().expect("a node"))
        })
    }

    /// A request to a path that is guarded and needs no row.
    pub(crate) fn request(&self, token: &str) -> RequestBuilder {
        let request = self.server.post("/generate_array?dimensions=1");
        request.bearer_auth(token).json(&json!({"sentence": "x"}))
    }

    pub(crate) async fn guarded(&self, token: &str) -> Response {
        self.request(token).send().await.expect("an answer")
    }

    pub(crate) async fn status(&self, token: &str) -> u16 {
        self.guarded(token).await.status().as_u16()
    }

    /// Asks until the status is `expected`, and tells how long that took since `start`.
    pub(crate) async fn until(&self, token: &str, expected: u16, start: Instant) -> Duration {
        while self.status(token).await != expected {
            assert!(start.elapsed() < READINESS * 2, "it never is {expected}");
        }
        start.elapsed()
    }

    pub(crate) async fn until_ready_is(&self, expected: u16) -> Duration {
        let start = Instant::now();
        loop {
            let ready = self.server.get("/health/ready").send().await;
            if ready.expect("an answer").status() == expected {
                return start.elapsed();
            }
            assert!(start.elapsed() < READINESS * 4, "it never is {expected}");
        }
    }

    pub(crate) async fn log_out(&self, token: &str) {
        let request = self.server.post("/api/v1/authentication/logout");
        let answer = request.bearer_auth(token).send().await.expect("an answer");
        assert_eq!(answer.status(), 204, "{}", self.server.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_on_one_node_is_refused_by_the_others_within_a_second() {
    let Some(database) = Database::create().await else {
        return;
    };
    let url = database.url();
    let [a, b, c] = Node::start_all([&url; 3]);
    a.server.register("alice", "pw").await;
    let mut times = Vec::with_capacity(2 * LOGOUTS);
    for _ in 0..LOGOUTS {
        let token = a.server.log_in("alice", "pw").await;
        assert_eq!((b.status(&token).await, c.status(&token).await), (200, 200));
        a.log_out(&token).await;
        let start = Instant::now();
        let (at_b, at_c) = tokio::join!(b.until(&token, 401, start), c.until(&token, 401, start));
        times.extend([at_b, at_c]);
    }
    times.sort_unstable();
    let part = |percent: usize| times[(times.len() - 1) * percent / 100];
    let (median, most, longest) = (part(50), part(99), part(100));
    println!(
        "{LOGOUTS} logouts on one node, refused by two others after: \
         p50 {median:?}, p99 {most:?}, maximum {longest:?}"
    );
    // Where a busy machine keeps the database from answering, a node asks it from the bound on.
    assert!(most < BOUND && longest < FEED_BOUND, "{most:?} {longest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_uses_of_one_refresh_token_on_all_nodes_one_wins_and_its_family_dies() {
    let Some(database) = Database::create().await else {
        return;
    };
    let url = database.url();
    let nodes = Node::start_all([&url; 3]);
    nodes[0].server.register("alice", "pw").await;
    let credentials = json!({"username": "alice", "password": "pw"});
    let login = nodes[0].server.post("/api/v1/authentication/login");
    let pair = login.json(&credentials).send().await.expect("an answer");
    let pair: Value = pair.json().await.expect("a pair");
    let refresh = |node: &Node, pair: &Value| {
        let token = pair["refresh_token"].as_str().expect("a token");
        let request = node.server.post("/api/v1/authentication/refresh");
        tokio::spawn(request.bearer_auth(token).send())
    };
    let uses: Vec<_> = (0..REUSES)
        .map(|index| refresh(&nodes[index % nodes.len()], &pair))
        .collect();
    let (mut statuses, mut won) = (HashMap::<_, usize>::new(), None);
    for used in uses {
        let answer = used.await.expect("a task").expect("an answer");
        *statuses.entry(answer.status()).or_default() += 1;
        if answer.status() == StatusCode::OK {
            won = Some(answer.json::<Value>().await.expect("a pair"));
        }
    }
    println!("{REUSES} uses of one refresh token on three nodes: {statuses:?}");
    assert_eq!(
        statuses,
        HashMap::from([(StatusCode::OK, 1), (StatusCode::UNAUTHORIZED, REUSES - 1)])
    );
    let (won, start) = (won.expect("a winner"), Instant::now());
    for node in &nodes {
        for pair in [&pair, &won] {
            let access = pair["access_token"].as_str().expect("a token");
            let waited = node.until(access, 401, start).await;
            assert!(waited < BOUND, "{waited:?}");
            let again = refresh(node, pair).await.expect("a task");
            assert_eq!(again.expect("an answer").status(), 401);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_a_node_acknowledged_is_lost_when_it_is_killed() {
    let Some(database) = Database::create().await else {
        return;
    };
    let url = database.url();
    let other = Node::start(&url);
    let mut acknowledged = 0;
    for round in 0..3 {
        let node = Node::start(&url);
        let mut load = Load::start(&node.server, round).await;
        load.reach(60).await;
        node.server.kill();
        for mut ledger in load.ledgers().await {
            for token in &ledger.logged_out {
                other.until(token, 401, Instant::now()).await;
            }
            check_rows(&other.server, &mut ledger).await;
            acknowledged += ledger.acknowledged;
        }
    }
    println!("kill -9 of a node: 3 rounds, acknowledged {acknowledged}, lost 0");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_three_nodes_that_start_at_once_on_an_empty_database_one_migrates() {
    let Some(database) = Database::create().await else {
        return;
    };
    let url = database.url();
    let nodes = Node::start_all([&url; 3]);
    for node in &nodes {
        assert!(node.until_ready_is(200).await < READINESS);
    }
    let client = database.client().await;
    let count = "SELECT count(*), count(DISTINCT version) FROM schema_migrations WHERE version > 0";
    let row = client.query_one(count, &[]).await.expect("a row");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../store/migrations/postgres");
    let migrations = i64::try_from(fs::read_dir(folder).unwrap().count()).unwrap();
    assert_eq!(
        (row.get::<_, i64>(0), row.get::<_, i64>(1)),
        (migrations, migrations)
    );
    // All sign with the same keys.
    nodes[0].server.register("alice", "pw").await;
    let token = nodes[1].server.log_in("alice", "pw").await;
    assert_eq!(nodes[2].status(&token).await, 200);
}

/// A client that knows several servers, and tries the next where a connection is refused, and only then.
struct Caller {
    urls: RwLock<[String; 3]>,
    /// One that connects for each request, and one that keeps its connections.
    clients: [Client; 2],
    tries: AtomicUsize,
    answers: AtomicUsize,
}

impl Caller {
    async fn call(&self, worker: usize, path: &str, token: Option<&str>, body: &Value) -> Value {
        loop {
            let index = self.tries.fetch_add(1, Ordering::Relaxed) % 3;
            let url = self.urls.read().expect("a lock")[index].clone();
            let mut request = self.clients[worker % 2]
                .post(format!("{url}{path}"))
                .json(body);
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            match request.send().await {
                Ok(answer) => {
                    let (status, text) = (answer.status(), answer.text().await);
                    let text = text.expect("a whole answer");
                    assert!(status.is_success(), "{path}: {status} {text}");
                    self.answers.fetch_add(1, Ordering::Relaxed);
                    return serde_json::from_str(&text).unwrap_or_default();
                }
                Err(error) => assert!(error.is_connect(), "{path}: {error:?}"),
            }
        }
    }

    async fn work(
        self: Arc<Self>,
        worker: usize,
        stop: Arc<AtomicBool>,
        told: UnboundedSender<()>,
    ) {
        let mut name = (0..).map(|step| format!("user{worker}x{step}"));
        while !stop.load(Ordering::Relaxed) {
            let credentials = json!({"username": name.next(), "password": "pw"});
            self.call(worker, "/register", None, &credentials).await;
            let login = self.call(worker, "/login", None, &credentials).await;
            let token = login["token"].as_str().expect("a token");
            let sentence = json!({"sentence": "x"});
            self.call(worker, "/generate_array", Some(token), &sentence)
                .await;
            let path = "/api/v1/authentication/logout";
            self.call(worker, path, Some(token), &Value::Null).await;
            // Nobody counts any more once all servers are replaced.
            _ = told.send(());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_replaced_one_by_one_under_load_and_no_request_is_failed_or_done_twice() {
    let Some(database) = Database::create().await else {
        return;
    };
    let url = database.url();
    let nodes = Node::start_all([&url; 3]);
    let urls = nodes.each_ref().map(|node| node.server.url.clone());
    let caller = Arc::new(Caller {
        urls: RwLock::new(urls),
        clients: [0, 1].map(|kept| {
            let client = Client::builder().pool_max_idle_per_host(kept);
            client.build().expect("a client")
        }),
        tries: AtomicUsize::new(0),
        answers: AtomicUsize::new(0),
    });
    let stop = Arc::new(AtomicBool::new(false));
    let (told, mut answered) = mpsc::unbounded_channel();
    let workers: Vec<_> = (0..4)
        .map(|worker| {
            tokio::spawn(Arc::clone(&caller).work(worker, Arc::clone(&stop), told.clone()))
        })
        .collect();
    drop(told);
    let mut new = Vec::new();
    for (index, node) in nodes.into_iter().enumerate() {
        // It ends early when every worker has failed, which joining them tells.
        for _ in 0..10 {
            answered.recv().await;
        }
        let (status, _) = tokio::task::block_in_place(|| node.server.stop());
        assert_eq!(status.code(), Some(0));
        let node = tokio::task::block_in_place(|| Node::start(&url));
        caller.urls.write().expect("a lock")[index] = node.server.url.clone();
        new.push(node);
    }
    stop.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.await.expect("no failed request");
    }
    let answers = caller.answers.load(Ordering::Relaxed);
    let refused = caller.tries.load(Ordering::Relaxed) - answers;
    println!(
        "three servers replaced under load: {answers} answers, {refused} refused connections, 0 failed"
    );
}
