//! The program behind PgBouncer. A pool in session mode serves it. One that gives each transaction another session is
//! refused, because settings of a session would not hold there.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::nodes::Node;
use crate::postgres::Database;
use crate::server::keyward_with;

const PATIENCE: Duration = Duration::from_secs(20);

/// A running PgBouncer on a socket in a folder of its own, killed when it is dropped.
struct PgBouncer {
    child: Child,
    folder: TempDir,
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
        let text = format!(
            "[databases]\n* = {}\n[pgbouncer]\nlisten_addr =\nlisten_port = 6432\nunix_socket_dir = {}\n\
             auth_type = any\n{user}\n{settings}\n",
            database.keywords(),
            folder.path().display(),
        );
        let file = folder.path().join("pgbouncer.ini");
        fs::write(&file, text).expect("a file");
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
        Some(Self { child, folder })
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
    let Some(pool) = PgBouncer::start(
        &database,
        "pool_mode = session\ndefault_pool_size = 60\nmax_client_conn = 200",
    ) else {
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
