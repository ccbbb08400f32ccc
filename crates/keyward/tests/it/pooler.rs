//! The program behind PgBouncer. A pool in session mode serves it. One that gives each transaction another session is
//! refused when a server starts, because settings of a session would not hold there, and makes a running server answer 503.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use reqwest::Response;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::nodes::Node;
use crate::postgres::Database;
use crate::server::keyward_with;

const PATIENCE: Duration = Duration::from_secs(20);
/// The file of PgBouncer's settings.
const SETTINGS: &str = "pgbouncer.ini";
/// A pool that serves the nodes of a test.
const SESSION: &str = "pool_mode = session\ndefault_pool_size = 60\nmax_client_conn = 200";

/// A running PgBouncer on a socket in a folder of its own, killed when it is dropped.
struct PgBouncer {
    child: Child,
    folder: TempDir,
    /// Its settings but those that tests choose.
    fixed: String,
}

impl PgBouncer {
    /// Starts one in front of `database`; `None`, said visibly, where the program is not installed.
    fn start(database: &Database, settings: &str) -> Option<Self> {
        static SAID: Once = Once::new();
        if Command::new("pgbouncer").arg("--version").output().is_err() {
            SAID.call_once(|| {
                let skipped = "skipped: PgBouncer, for which Debian has pgbouncer";
                writeln!(std::io::stderr(), "{skipped}").expect("standard error");
            });
            return None;
        }
        let folder = TempDir::new().expect("a folder");
        // Started by root it becomes another user, who makes the socket.
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).expect("permissions");
        let user = match rustix::process::getuid().is_root() {
            true => "user = nobody",
            false => "",
        };
        let fixed = format!(
            "[databases]\n* = {}\n[pgbouncer]\nlisten_addr =\nlisten_port = 6432\nunix_socket_dir = {}\n\
             auth_type = any\n{user}\n",
            database.keywords(),
            folder.path().display(),
        );
        let file = folder.path().join(SETTINGS);
        fs::write(&file, format!("{fixed}{settings}\n")).expect("a file");
        let child = Command::new("pgbouncer")
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("PgBouncer starts");
        let socket = folder.path().join(".s.PGSQL.6432");
        let start = Instant::now();
        while !socket.exists() {
            assert!(start.elapsed() < PATIENCE, "PgBouncer makes no socket");
        }
        Some(Self {
            child,
            folder,
            fixed,
        })
    }

    /// Gives it other settings while it runs.
    fn reload(&self, settings: &str) {
        let text = format!("{}{settings}\n", self.fixed);
        fs::write(self.folder.path().join(SETTINGS), text).expect("a file");
        let process = Pid::from_child(&self.child);
        kill_process(process, Signal::HUP).expect("a signal");
    }

    fn url(&self, database: &Database) -> String {
        let folder = self.folder.path().to_str().expect("UTF-8");
        let host = folder.replace('/', "%2F");
        format!(
            "postgres://{host}:6432/{}?user=any&sslmode=disable",
            database.name
        )
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_in_session_mode_serves_two_nodes() {
    let Some(database) = Database::create().await else {
        return;
    };
    let Some(pool) = PgBouncer::start(&database, SESSION) else {
        return;
    };
    let url = pool.url(&database);
    let (a, b) = (Node::start(&url), Node::start(&url));
    a.server.register("ada", "pw").await;
    let (out, stays) = (
        a.server.log_in("ada", "pw").await,
        b.server.log_in("ada", "pw").await,
    );
    assert_eq!((a.status(&stays).await, b.status(&out).await), (200, 200));
    b.log_out(&out).await;
    a.until(&out, 401, Instant::now()).await;
    assert_eq!((a.status(&stays).await, b.status(&stays).await), (200, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_shares_sessions_is_refused_whichever_session_it_gives_next() {
    let Some(database) = Database::create().await else {
        return;
    };
    let modes = [
        "pool_mode = transaction",
        "pool_mode = transaction\nserver_round_robin = 1",
        "pool_mode = transaction\ndefault_pool_size = 1",
        "pool_mode = statement",
    ];
    for mode in modes {
        let Some(pool) = PgBouncer::start(&database, mode) else {
            return;
        };
        let url = pool.url(&database);
        let folder = TempDir::new().expect("a folder");
        let named = [("KEYWARD_DATABASE", url.as_str())];
        for command in ["serve --listen 127.0.0.1:0", "account list", "doctor"] {
            let refused = keyward_with(folder.path(), command, &named, "");
            let told = format!("{}{}", refused.stdout, refused.stderr);
            assert!(
                refused.code != 0 && told.contains("pool_mode=session"),
                "{mode}: {command}: {refused:?}"
            );
        }
    }
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    let tables = database.client().await.query_one(tables, &[]).await;
    assert_eq!(tables.expect("a row").get::<_, i64>(0), 0);
}

/// The subject of the token that a login was answered with, or none after 503.
async fn logged_in(answer: Response) -> Option<String> {
    if answer.status() == 503 {
        return None;
    }
    assert_eq!(answer.status(), 200);
    let body: Value = answer.json().await.expect("JSON");
    let token = body["token"].as_str().expect("a token");
    let payload = token.split('.').nth(1).expect("claims");
    let payload = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(payload);
    let claims: Value = serde_json::from_slice(&payload.expect("base64url")).expect("JSON");
    Some(claims["sub"].to_string())
}

const NAMES: [&str; 2] = ["ada", "bob"];

/// Logs in as both people, with the password of the other, and logs `token` out, at the same time. Returns the subjects
/// of the first two and the statuses of the others.
async fn ask(node: &Node, token: &str) -> ([Option<String>; 2], u16, u16) {
    let server = &node.server;
    let logout = server.post("/api/v1/authentication/logout");
    let [ada, bob] = NAMES;
    let (first, second, wrong, logout) = tokio::join!(
        server.try_log_in(ada, ada),
        server.try_log_in(bob, bob),
        server.try_log_in(ada, bob),
        logout.bearer_auth(token).send(),
    );
    let subjects = [logged_in(first).await, logged_in(second).await];
    let logout = logout.expect("an answer").status().as_u16();
    (subjects, wrong.status().as_u16(), logout)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_begins_to_share_sessions_makes_running_servers_answer_503_and_nothing_wrong() {
    let Some(database) = Database::create().await else {
        return;
    };
    let Some(pool) = PgBouncer::start(&database, SESSION) else {
        return;
    };
    let url = pool.url(&database);
    let nodes = [Node::start(&url), Node::start(&url)];
    let mut subjects = Vec::new();
    for name in NAMES {
        nodes[0].server.register(name, name).await;
        let login = nodes[0].server.try_log_in(name, name).await;
        subjects.push(logged_in(login).await);
    }
    let mut open = Vec::new();
    for _ in 0..40 {
        open.push(nodes[0].server.log_in(NAMES[0], NAMES[0]).await);
    }

    pool.reload(&SESSION.replace("session", "transaction"));
    let (mut has_noticed, mut closed) = ([false; 2], Vec::new());
    for (round, token) in open.iter().enumerate() {
        let (node, has_noticed) = (&nodes[round % 2], &mut has_noticed[round % 2]);
        let had_noticed = *has_noticed;
        let (found, wrong, logout) = ask(node, token).await;
        for (found, subject) in found.iter().zip(&subjects) {
            *has_noticed |= found.is_none();
            assert!(
                found.is_none() || !had_noticed && found == subject,
                "{found:?}"
            );
        }
        assert!([401, 503].contains(&wrong), "{wrong}");
        assert!([204, 503].contains(&logout), "{logout}");
        if logout == 204 {
            closed.push(token);
        }
    }
    assert_eq!(has_noticed, [true; 2]);
    for node in &nodes {
        let log = node.server.log();
        assert!(log.contains("set pool_mode=session"), "{log}");
    }

    pool.reload(SESSION);
    for node in &nodes {
        node.until_ready_is(200).await;
        assert_eq!(
            logged_in(node.server.try_log_in(NAMES[0], NAMES[0]).await).await,
            subjects[0]
        );
        for token in &closed {
            node.until(token, 401, Instant::now()).await;
        }
    }
}
