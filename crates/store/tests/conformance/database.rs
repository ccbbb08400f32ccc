//! A PostgreSQL schema for one test: empty at first, and gone when it is dropped.
//!
//! The server is named by `KEYWARD_TEST_POSTGRES`. Where that is not set, this is said visibly and its tests
//! end at once; where it is set and the server cannot be reached, they fail.

use std::hash::{BuildHasher, RandomState};
use std::io::Write as _;
use std::sync::Once;
use std::time::Duration;

use keyward_store::postgres::{OpenError, Options, Postgres};
use tokio_postgres::{Client, NoTls};

/// What an operator gets, with few enough connections that all tests that run at once fit a server's hundred.
pub(crate) fn usual() -> Options {
    Options {
        connections: 8,
        ..Options::default()
    }
}

pub(crate) struct Database {
    server: String,
    schema: String,
}

/// Opens the store at `url` as one server would, but with patience enough for a machine that does other work.
pub(crate) async fn open(url: &str) -> Result<Postgres, OpenError> {
    let options = Options {
        connect: Duration::from_secs(20),
        patience: Duration::from_secs(30),
        ..usual()
    };
    Postgres::open(url, options).await
}

impl Database {
    /// Makes an empty schema; `None` where no server is given.
    pub(crate) async fn create() -> Option<Self> {
        let server = server()?;
        let schema = format!("keyward_test_{:016x}", RandomState::new().hash_one(0));
        let database = Self { server, schema };
        let create = format!("CREATE SCHEMA {}", database.schema);
        let client = connect(&database.server).await;
        client.batch_execute(&create).await.expect("a schema");
        Some(database)
    }

    pub(crate) fn schema(&self) -> &str {
        &self.schema
    }

    /// The URL of the schema.
    pub(crate) fn url(&self) -> String {
        self.url_with("")
    }

    /// The same with other settings of the session, as `-cname=value`, percent-encoded.
    pub(crate) fn url_with(&self, settings: &str) -> String {
        let mark = if self.server.contains('?') { '&' } else { '?' };
        format!(
            "{}{mark}options=-csearch_path%3D{}{settings}",
            self.server, self.schema
        )
    }

    /// A plain connection to the schema.
    pub(crate) async fn client(&self) -> Client {
        connect(&self.url()).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, schema) = (self.server.clone(), self.schema.clone());
        // The runtime of the test may be ending, and takes no more work.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let drop = format!("DROP SCHEMA {schema} CASCADE");
                connect(&server).await.batch_execute(&drop).await
            })
        });
        let dropped = dropping.join();
        if !std::thread::panicking() {
            dropped.expect("a thread").expect("the schema to go");
        }
    }
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls)
        .await
        .expect("the PostgreSQL server of KEYWARD_TEST_POSTGRES");
    tokio::spawn(connection);
    client
}

fn server() -> Option<String> {
    static SAID: Once = Once::new();
    #[expect(
        clippy::disallowed_methods,
        reason = "which server may be used is the environment's to say"
    )]
    let server = std::env::var("KEYWARD_TEST_POSTGRES").ok();
    let server = server.filter(|server| !server.is_empty());
    if server.is_none() {
        // Past the test runner's capture, so that it is seen.
        SAID.call_once(|| {
            writeln!(
                std::io::stderr(),
                "skipped: the store on PostgreSQL: KEYWARD_TEST_POSTGRES is not set"
            )
            .expect("standard error");
        });
    }
    server
}
