//! A stretch of network before the database that can be frozen and cut.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_postgres::config::Host;

use crate::database::Database;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Everything passes.
    Fair,
    /// Connections stand, and nothing passes.
    Frozen,
    /// Connections are ended, and new ones at once.
    Cut,
}

/// The weather, and how often the connections of that time were lost.
type Sky = (Weather, u32);

pub(crate) struct Proxy {
    sky: watch::Sender<Sky>,
    accepted: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
    port: u16,
}

impl Proxy {
    pub(crate) async fn start(database: &Database) -> Self {
        let config: tokio_postgres::Config = database.url().parse().expect("a URL");
        let host = match config.get_hosts() {
            [Host::Tcp(host), ..] => host.clone(),
            other => panic!("the tests need a server on TCP: {other:?}"),
        };
        let port = config.get_ports().first().copied().unwrap_or(5_432);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let proxy = Self {
            sky: watch::channel((Weather::Fair, 0)).0,
            accepted: Arc::default(),
            asked: Arc::default(),
            port: listener.local_addr().expect("an address").port(),
        };
        let (sky, accepted) = (proxy.sky.subscribe(), Arc::clone(&proxy.accepted));
        let asked = Arc::clone(&proxy.asked);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::Relaxed);
                let asked = Arc::clone(&asked);
                tokio::spawn(carry(client, (host.clone(), port), sky.clone(), asked));
            }
        });
        proxy
    }

    /// The URL of the database through this proxy, with other settings of the session.
    pub(crate) fn url(&self, database: &Database) -> String {
        let url = database.url();
        let config: tokio_postgres::Config = url.parse().expect("a URL");
        let password = config.get_password().map(<[u8]>::to_vec);
        let password = password.map(|text| String::from_utf8(text).expect("a password"));
        let (_, query) = url.split_once('?').expect("settings");
        format!(
            "postgres://{}:{}@127.0.0.1:{}/{}?{query}",
            config.get_user().unwrap_or("postgres"),
            password.unwrap_or_default(),
            self.port,
            config.get_dbname().unwrap_or_default(),
        )
    }

    pub(crate) fn turn(&self, weather: Weather) {
        self.sky.send_modify(|sky| sky.0 = weather);
    }

    /// From here on nothing passes on the connections there are, as when a router forgot them; new ones work.
    pub(crate) fn lose_connections(&self) {
        self.sky.send_modify(|sky| sky.1 += 1);
    }

    /// How often a client has sent something so far: where one waits for each answer, the round trips.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// How many connections have been asked for so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

async fn carry(
    client: TcpStream,
    server: (String, u16),
    mut sky: watch::Receiver<Sky>,
    asked: Arc<AtomicUsize>,
) {
    let (weather, born) = *sky.borrow();
    if weather == Weather::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), server.into_split());
    let out = pump(from_client, to_server, (sky.clone(), born), &asked);
    let nobody = AtomicUsize::default();
    let back = pump(from_server, to_client, (sky.clone(), born), &nobody);
    tokio::select! {
        () = out => {}
        () = back => {}
        _ = sky.wait_for(|sky| sky.0 == Weather::Cut) => {}
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    (mut sky, born): (watch::Receiver<Sky>, u32),
    pieces: &AtomicUsize,
) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        pieces.fetch_add(1, Ordering::Relaxed);
        let fair = sky.wait_for(|sky| *sky == (Weather::Fair, born)).await;
        if fair.map(drop).is_err() || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
