//! Ten thousand connections that do nothing: others are served, and they cost little memory.

use std::io::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use rustix::process::{Resource, getrlimit, setrlimit};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::Server;

/// How many connections.
const WANTED: u64 = 10_000;
/// What the program and this test need open besides.
const SPARE: u64 = 200;
/// The most memory that one of them may cost, in bytes.
const EACH: u64 = 24 << 10;

/// As many connections as this machine lets a process have open, and says so where these are fewer.
fn possible() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("the limit of open files");
    let most = limit.maximum.unwrap_or(u64::MAX).saturating_sub(SPARE);
    if most < WANTED {
        writeln!(
            std::io::stderr(),
            "not possible here: more than {most} idle connections, by the limit of open files"
        )
        .expect("standard error");
    }
    most.min(WANTED)
}

/// The memory that a process has of the machine, in bytes.
fn resident(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<u64>().unwrap() << 10
}

/// Opens a connection and, where `used`, has one request answered on it.
async fn idle(address: SocketAddr, used: bool) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    if used {
        let request = "GET /health/live HTTP/1.1\r\nHost: it\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 1_024];
        let length = stream.read(&mut answer).await.unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 200"), "{length}");
    }
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_connections_leave_others_served_and_cost_little() {
    let count = possible();
    let folder = TempDir::new().unwrap();
    let most = (count + 100).to_string();
    let server = Server::start_with(
        folder.path(),
        "",
        &[
            ("KEYWARD_HTTP__MAX_CONNECTIONS", most.as_str()),
            ("KEYWARD_HTTP__MAX_CONNECTIONS_PER_ADDRESS", most.as_str()),
            ("KEYWARD_HTTP__IDLE_TIMEOUT", "1h"),
            ("KEYWARD_HTTP__HEADER_TIMEOUT", "1h"),
            ("KEYWARD_HTTP__ACCESS_LOG", "false"),
        ],
    );
    server.register("alice", "secret").await;
    server.log_in("alice", "secret").await;
    let before = resident(&server);
    let address: SocketAddr = server.url.trim_start_matches("http://").parse().unwrap();
    let mut open: Vec<_> = stream::iter(0..count)
        .map(|number| idle(address, number % 2 == 0))
        .buffer_unordered(64)
        .collect()
        .await;
    let each = resident(&server).saturating_sub(before) / count;
    let asked = Instant::now();
    server.log_in("alice", "secret").await;
    let waited = asked.elapsed();
    eprintln!("{count} idle connections: {each} bytes each; a login among them took {waited:?}");
    assert!(each < EACH, "{each} bytes each");
    assert!(waited < Duration::from_secs(5), "{waited:?}");
    // They stand: the last as well as the first is answered.
    for stream in open
        .iter_mut()
        .step_by(usize::try_from(count / 10).unwrap())
    {
        let request = "GET /health/live HTTP/1.1\r\nHost: it\r\nConnection: close\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let (status, _) = server.stop();
    assert!(status.success(), "{status}");
}
