//! What a case runs on, and what cases share.

use std::future::{Future, ready};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use keyward_core::accounts::names::Name;
use keyward_core::accounts::{Account, NewAccount, Realm};
use keyward_core::clock::Timestamp;
use keyward_core::files::Blobs;
use keyward_core::id::SessionId;
use keyward_core::rows::Rows;
use keyward_core::secret::SecretText;
use keyward_core::sessions::{NewSession, Session};
use keyward_store::blobs::LocalBlobs;
use keyward_store::sqlite::{Options, Sqlite};
use tempfile::TempDir;
use tokio::sync::Barrier;

use crate::database::{Database, open};
use crate::s3_server::Server;

/// The store as one process has it open.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) rows: Arc<dyn Rows>,
}

/// A store that is empty at first, and gone when it is dropped.
pub(crate) struct Backend {
    pub(crate) node: Node,
    pub(crate) blobs: Arc<dyn Blobs>,
    open_node: Box<dyn Fn() -> BoxFuture<'static, Node> + Send + Sync>,
    open_later_blobs: Box<dyn Fn() -> Arc<dyn Blobs> + Send + Sync>,
    home: TempDir,
    database: Option<Database>,
}

impl Backend {
    pub(crate) fn rows(&self) -> Arc<dyn Rows> {
        Arc::clone(&self.node.rows)
    }

    /// A folder that is gone with the store.
    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// The same store as another process would have it open.
    pub(crate) async fn another_node(&self) -> Node {
        (self.open_node)().await
    }

    /// Sets the database back beneath whoever has it open, by `sql`; the feed's numbers go back with it.
    pub(crate) async fn go_back(&self, sql: &str) {
        let last = "SELECT coalesce(max(seq), 0) FROM session_closures";
        if let Some(database) = &self.database {
            let counter = format!("UPDATE meta SET value = ({last}) WHERE key = 'closures'");
            let all = format!("BEGIN; {sql}; {counter}; COMMIT");
            let client = database.client().await;
            return client.batch_execute(&all).await.expect("the rows");
        }
        let counter =
            format!("UPDATE sqlite_sequence SET seq = ({last}) WHERE name = 'session_closures'");
        let db = rusqlite::Connection::open(self.home.path().join("keyward.db"));
        let all = format!("BEGIN IMMEDIATE; {sql}; {counter}; COMMIT");
        db.expect("the file").execute_batch(&all).expect("the rows");
    }

    /// The same blobs as after a restart, when all that was there has become old.
    pub(crate) fn later_blobs(&self) -> Arc<dyn Blobs> {
        (self.open_later_blobs)()
    }
}

pub(crate) async fn sqlite() -> Option<Backend> {
    let home = tempfile::tempdir().expect("a folder");
    let database = home.path().join("keyward.db");
    let open_node = move || {
        let node = Node {
            rows: Arc::new(Sqlite::open(&database, Options::default()).expect("a database")),
        };
        ready(node).boxed()
    };
    Some(backend(open_node, home, None).await)
}

/// Rows on SQLite, blobs in a bucket.
pub(crate) async fn s3() -> Option<Backend> {
    let server = Server::start().await;
    Some(Backend {
        blobs: Arc::new(server.open()),
        open_later_blobs: Box::new(move || Arc::new(server.open_later())),
        ..sqlite().await?
    })
}

/// `None` where no PostgreSQL server is given.
pub(crate) async fn postgres() -> Option<Backend> {
    Some(on_postgres(Database::create().await?, "").await)
}

/// PostgreSQL as a distributed engine behaves: conflicts are not waited out but refused, to be repeated.
pub(crate) async fn serializable_postgres() -> Option<Backend> {
    let isolation = "%20-cdefault_transaction_isolation%3Dserializable";
    Some(on_postgres(Database::create().await?, isolation).await)
}

async fn on_postgres(database: Database, settings: &str) -> Backend {
    let url = database.url_with(settings);
    let open_node = move || {
        let url = url.clone();
        async move {
            let store = open(&url).await.expect("a database");
            Node {
                rows: Arc::new(store),
            }
        }
        .boxed()
    };
    let home = tempfile::tempdir().expect("a folder");
    backend(open_node, home, Some(database)).await
}

async fn backend(
    open_node: impl Fn() -> BoxFuture<'static, Node> + Send + Sync + 'static,
    home: TempDir,
    database: Option<Database>,
) -> Backend {
    let files = home.path().join("files");
    let open_blobs =
        move || -> Arc<dyn Blobs> { Arc::new(LocalBlobs::open(&files, 0).expect("a folder")) };
    Backend {
        node: open_node().await,
        blobs: open_blobs(),
        open_node: Box::new(open_node),
        open_later_blobs: Box::new(open_blobs),
        home,
        database,
    }
}

/// Runs `count` tasks that set off together.
pub(crate) async fn at_once<T, F>(count: usize, task: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(count));
    let tasks: Vec<_> = (0..count)
        .map(|index| {
            let (barrier, task) = (Arc::clone(&barrier), task(index));
            tokio::spawn(async move {
                barrier.wait().await;
                task.await
            })
        })
        .collect();
    let mut results = Vec::with_capacity(count);
    for task in tasks {
        results.push(task.await.expect("a task"));
    }
    results
}

/// A moment `seconds` after a fixed one.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_700_000_000 + seconds)
}

pub(crate) fn name(shown: &str) -> Option<Name> {
    Some(Name {
        shown: shown.to_owned(),
        key: shown.to_lowercase(),
        other_key: None,
    })
}

pub(crate) fn new_account(realm: Realm, username: Option<&str>, email: Option<&str>) -> NewAccount {
    NewAccount {
        realm,
        username: username.and_then(name),
        email: email.and_then(name),
        display_name: Some("Ada".into()),
        password_hash: SecretText::new("hash".into()),
        created_at: at(0),
        invitation: None,
    }
}

pub(crate) async fn account(rows: &Arc<dyn Rows>, username: &str) -> Account {
    rows.create_account(new_account(Realm::Default, Some(username), None))
        .await
        .expect("an account")
}

/// The id of a session, which grows.
pub(crate) fn fresh_id() -> SessionId {
    static NEXT: AtomicI64 = AtomicI64::new(1 << 52);
    SessionId(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A session opened at [`at`]`(0)` that expires after 100 s and ends after 1,000 s.
pub(crate) async fn session(rows: &Arc<dyn Rows>, account: &Account) -> Session {
    rows.open_session(NewSession {
        id: fresh_id(),
        account: account.id,
        password_hash: None,
        created_at: at(0),
        expires_at: at(100),
        ends_at: at(1_000),
        user_agent: Some("tests/1".into()),
    })
    .await
    .expect("the store")
    .expect("a session")
}
