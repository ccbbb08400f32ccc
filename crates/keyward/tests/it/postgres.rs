//! A PostgreSQL database for one test, gone when it is dropped, and a cable to it that can be pulled.
//!
//! The server is named by `KEYWARD_TEST_POSTGRES`. Where that is not set, this is said visibly and its tests
//! end at once; where it is set and the server cannot be reached, they fail.

use std::hash::{BuildHasher, RandomState};
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Once};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, MutexGuard, watch};
use tokio_postgres::config::Host;
use tokio_postgres::{Client, Config, NoTls};

/// One at a time: making and dropping a database holds up those who use others of the same server.
static TURN: Mutex<()> = Mutex::const_new(());

pub(crate) struct Database {
    server: Config,
    pub(crate) name: String,
    _turn: MutexGuard<'static, ()>,
}

impl Database {
    /// Makes an empty database; `None` where no server is given.
    pub(crate) async fn create() -> Option<Self> {
        let server: Config = server()?.parse().expect("KEYWARD_TEST_POSTGRES is a URL");
        let turn = TURN.lock().await;
        let name = format!("keyward_test_{:016x}", RandomState::new().hash_one(0));
        let create = format!("CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0");
        let client = connect(&server).await;
        client.batch_execute(&create).await.expect("a database");
        Some(Self {
            server,
            name,
            _turn: turn,
        })
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        let (host, port) = self.address();
        self.url_at(&host, port)
    }

    /// How PgBouncer is told where it is, except for its name.
    pub(crate) fn keywords(&self) -> String {
        let (host, port) = self.address();
        let user = self.server.get_user().unwrap_or("postgres");
        let place = format!("host={host} port={port} user={user}");
        match self.server.get_password() {
            None => place,
            Some(password) => {
                let password = str::from_utf8(password).expect("a password");
                format!("{place} password='{password}'")
            }
        }
    }

    /// A plain connection to it.
    pub(crate) async fn client(&self) -> Client {
        let mut config = self.server.clone();
        config.dbname(&self.name);
        connect(&config).await
    }

    fn address(&self) -> (String, u16) {
        let host = match self.server.get_hosts() {
            [Host::Tcp(host), ..] => host.clone(),
            other => panic!("the tests need a server on TCP: {other:?}"),
        };
        let port = self.server.get_ports().first().copied();
        (host, port.unwrap_or(5_432))
    }

    fn url_at(&self, host: &str, port: u16) -> String {
        let password = self.server.get_password().unwrap_or_default();
        format!(
            "postgres://{}:{}@{host}:{port}/{}?sslmode=disable",
            self.server.get_user().unwrap_or("postgres"),
            str::from_utf8(password).expect("a password"),
            self.name,
        )
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (server, name) = (self.server.clone(), self.name.clone());
        // The runtime of the test may be ending, and takes no more work.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let drop = format!("DROP DATABASE {name} WITH (FORCE)");
                connect(&server).await.batch_execute(&drop).await
            })
        });
        let dropped = dropping.join();
        if !std::thread::panicking() {
            dropped.expect("a thread").expect("the database to go");
        }
    }
}

async fn connect(config: &Config) -> Client {
    let (client, connection) = config
        .connect(NoTls)
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
                "skipped: the program on PostgreSQL: KEYWARD_TEST_POSTGRES is not set"
            )
            .expect("standard error");
        });
    }
    server
}

/// What becomes of the connections through a cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Everything passes.
    Whole,
    /// Connections stand, and nothing passes.
    Frozen,
    /// Connections are ended, and new ones at once.
    Cut,
}

/// The way to a database or another server, for one node.
pub(crate) struct Cable {
    state: watch::Sender<State>,
    accepted: Arc<AtomicUsize>,
    /// The URL of the server over this cable.
    pub(crate) url: String,
}

impl Cable {
    /// Lays a cable; the test must run on several threads, since starting a node blocks one.
    pub(crate) async fn lay(database: &Database) -> Self {
        Self::lay_to(database.address(), |port| {
            database.url_at("127.0.0.1", port)
        })
        .await
    }

    /// Lays a cable to a server that is asked by HTTP.
    pub(crate) async fn lay_to_endpoint(endpoint: &str) -> Self {
        let address = endpoint.strip_prefix("http://").expect("HTTP");
        let (host, port) = address.split_once(':').expect("a port");
        let address = (host.to_owned(), port.parse().expect("a port"));
        Self::lay_to(address, |port| format!("http://127.0.0.1:{port}")).await
    }

    pub(crate) async fn lay_to(server: (String, u16), url: impl FnOnce(u16) -> String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (state, seen) = watch::channel(State::Whole);
        let accepted = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&accepted);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(carry(client, server.clone(), seen.clone()));
            }
        });
        Self {
            state,
            accepted,
            url: url(port),
        }
    }

    /// How many connections have been asked for so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// From here on connections are like this.
    pub(crate) fn turn(&self, state: State) {
        self.state.send_replace(state);
    }
}

/// Carries one connection; one that was frozen stays so for good, as when a router forgot it.
async fn carry(mut client: TcpStream, server: (String, u16), mut seen: watch::Receiver<State>) {
    let before = *seen.borrow_and_update();
    if before == State::Whole
        && let Ok(mut server) = TcpStream::connect(server).await
    {
        let frozen = tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => false,
            state = seen.wait_for(|state| *state != State::Whole) => {
                state.is_ok_and(|state| *state == State::Frozen)
            }
        };
        if frozen {
            // Neither end is told, until the other state or the end of the test.
            _ = seen.wait_for(|state| *state == State::Cut).await;
        }
    } else if before == State::Frozen {
        _ = seen.wait_for(|state| *state != State::Frozen).await;
    }
}
