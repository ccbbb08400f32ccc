//! TLS: its versions, certificates that are replaced under load, and clients that stall in the handshake.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, KeyPair};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::metrics;
use crate::server::{Server, keyward_with};

const PATIENCE: Duration = Duration::from_secs(20);
/// The variables that name the files of [`Issued::write`].
pub(crate) const FILES: [(&str, &str); 2] = [
    ("KEYWARD_TLS__CERTIFICATE_FILE", "server.crt"),
    ("KEYWARD_TLS__KEY_FILE", "server.key"),
];

/// A certificate for localhost and its key, as PEM.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Issued {
    pub(crate) fn new() -> Self {
        Self::valid(2000, 2999)
    }

    /// One that is valid from one new year to another.
    fn valid(begins: i32, ends: i32) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(begins, 1, 1);
        params.not_after = rcgen::date_time_ymd(ends, 1, 1);
        Self {
            certificate: params.self_signed(&key).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// Writes both files, each by a rename, as the tools do that renew certificates.
    pub(crate) fn write(&self, folder: &Path) {
        for (name, text) in [("server.key", &self.key), ("server.crt", &self.certificate)] {
            fs::write(folder.join("new"), text).unwrap();
            fs::rename(folder.join("new"), folder.join(name)).unwrap();
        }
    }

    fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()
    }
}

/// A client that trusts these certificates.
pub(crate) struct TlsClient {
    connector: TlsConnector,
    address: SocketAddr,
}

impl TlsClient {
    pub(crate) fn new(server: &Server, trusted: &[&Issued]) -> Self {
        Self::speaking(server, trusted, &[&TLS13, &TLS12], &["http/1.1"])
    }

    pub(crate) fn speaking(
        server: &Server,
        trusted: &[&Issued],
        versions: &[&'static SupportedProtocolVersion],
        alpn: &[&str],
    ) -> Self {
        let mut roots = RootCertStore::empty();
        for issued in trusted {
            roots.add(issued.der()).unwrap();
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        // A resumed session is not shown the certificate.
        config.resumption = Resumption::disabled();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Self {
            connector: TlsConnector::from(Arc::new(config)),
            address: address(server),
        }
    }

    pub(crate) async fn connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        self.connector.connect(name, stream).await
    }

    /// The certificate that a new connection is shown.
    async fn presented(&self) -> CertificateDer<'static> {
        let stream = self.connect().await.expect("a handshake");
        stream.get_ref().1.peer_certificates().unwrap()[0]
            .clone()
            .into_owned()
    }

    async fn wait_for(&self, issued: &Issued) {
        let begun = Instant::now();
        while self.presented().await != issued.der() {
            assert!(
                begun.elapsed() < PATIENCE,
                "the certificate is never presented"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub(crate) fn address(server: &Server) -> SocketAddr {
    let url = server.url.strip_prefix("https://").expect("https");
    url.parse().unwrap()
}

/// A server with a certificate, and further variables.
pub(crate) fn start(folder: &Path, issued: &Issued, env: &[(&str, &str)]) -> Server {
    issued.write(folder);
    Server::start_with(folder, "", &[&FILES, env].concat())
}

/// Asks on a connection that stays open, and gives the status.
async fn ask(stream: &mut TlsStream<TcpStream>) -> std::io::Result<String> {
    let request = "GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut answer = vec![0; 4_096];
    let length = stream.read(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    Ok(answer.get(9..12).unwrap_or_default().to_owned())
}

/// The beginning of a handshake in which a client offers at most this version, with two cipher suites of its time.
fn client_hello(version: [u8; 2]) -> Vec<u8> {
    let hello = [
        &version[..],
        &[7; 32],
        &[0, 0, 4, 0xc0, 0x13, 0x00, 0x2f, 1, 0],
    ]
    .concat();
    let length = u8::try_from(hello.len()).unwrap();
    let head = [0x16, 3, 1, 0, length + 4, 1, 0, 0, length];
    [&head[..], &hello].concat()
}

#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken_and_1_1_is_refused() {
    let (folder, issued) = (TempDir::new().unwrap(), Issued::new());
    let server = start(folder.path(), &issued, &[]);
    for (offered, agreed) in [
        (&TLS12, ProtocolVersion::TLSv1_2),
        (&TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let client = TlsClient::speaking(&server, &[&issued], &[offered], &["x", "http/1.1"]);
        let mut stream = client.connect().await.unwrap();
        let connection = stream.get_ref().1;
        assert_eq!(connection.protocol_version(), Some(agreed));
        assert_eq!(connection.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert_eq!(ask(&mut stream).await.unwrap(), "200");
        assert_eq!(ask(&mut stream).await.unwrap(), "200");
    }
    let mut old = TcpStream::connect(address(&server)).await.unwrap();
    old.write_all(&client_hello([3, 2])).await.unwrap();
    let mut answer = Vec::new();
    let _ = old.read_to_end(&mut answer).await;
    // A fatal alert.
    assert_eq!((answer[0], answer[5]), (0x15, 2), "{answer:?}");
    let strangers = TlsClient::speaking(&server, &[&issued], &[&TLS13], &["x"]);
    assert!(strangers.connect().await.is_err(), "no protocol in common");
    let mut plain = TcpStream::connect(address(&server)).await.unwrap();
    plain
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(
        answer.first().is_none_or(|&byte| byte == 0x15),
        "{answer:?}"
    );
    assert!(server.stop().0.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_replaced_under_load_without_a_failed_request() {
    let (folder, first, second, third) = (
        TempDir::new().unwrap(),
        Issued::new(),
        Issued::new(),
        Issued::new(),
    );
    let server = start(
        folder.path(),
        &first,
        &[("KEYWARD_HTTP__ACCESS_LOG", "false")],
    );
    let client = Arc::new(TlsClient::new(&server, &[&first, &second, &third]));
    let mut standing = client.connect().await.unwrap();
    assert_eq!(ask(&mut standing).await.unwrap(), "200");
    let (done, served) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (client, done, served) = (client.clone(), done.clone(), served.clone());
            tokio::spawn(async move {
                while !done.load(Ordering::Relaxed) {
                    let mut stream = client.connect().await.expect("a handshake");
                    for _ in 0..2 {
                        assert_eq!(ask(&mut stream).await.expect("an answer"), "200");
                    }
                    served.fetch_add(2, Ordering::Relaxed);
                }
            })
        })
        .collect();
    // Found by the load itself.
    second.write(folder.path());
    client.wait_for(&second).await;
    // Asked for.
    third.write(folder.path());
    server.signal("HUP");
    client.wait_for(&third).await;
    assert_eq!(ask(&mut standing).await.unwrap(), "200");
    done.store(true, Ordering::Relaxed);
    for task in load {
        task.await.expect("no request failed");
    }
    let served = served.load(Ordering::Relaxed);
    eprintln!("{served} requests while the certificate was replaced twice");
    assert!(served > 10, "{served}");
    let log = server.log();
    assert_eq!(log.matches("the certificate was read").count(), 3, "{log}");
    assert!(server.stop().0.success());
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_replaces_none_and_is_logged_with_its_code() {
    let (folder, good, other) = (TempDir::new().unwrap(), Issued::new(), Issued::new());
    let server = start(folder.path(), &good, &[]);
    let client = TlsClient::new(&server, &[&good, &other]);
    let mixed = Issued {
        certificate: other.certificate.clone(),
        key: good.key.clone(),
    };
    mixed.write(folder.path());
    let begun = Instant::now();
    while !server.log().contains("certificate_key_mismatch") {
        assert_eq!(client.presented().await, good.der());
        assert!(begun.elapsed() < PATIENCE, "{}", server.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    fs::write(folder.path().join("server.crt"), "no certificate").unwrap();
    server.signal("HUP");
    let begun = Instant::now();
    while !server.log().contains("certificate_malformed") {
        assert!(begun.elapsed() < PATIENCE, "{}", server.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(client.presented().await, good.der());
    other.write(folder.path());
    client.wait_for(&other).await;
    let log = server.log();
    assert_eq!(
        log.matches("cannot be used").count(),
        2,
        "each is logged once: {log}"
    );
    assert!(!log.contains("PRIVATE KEY"), "{log}");
}

#[tokio::test]
async fn a_server_does_not_start_without_its_certificate() {
    let (folder, good, other) = (TempDir::new().unwrap(), Issued::new(), Issued::new());
    let refused = |env: &[(&str, &str)]| {
        keyward_with(folder.path(), "serve --listen 127.0.0.1:0", env, "").failed(1)
    };
    let one = keyward_with(folder.path(), "serve", &FILES[..1], "").failed(1);
    assert!(one.contains("tls.key_file is not"), "{one}");
    let missing = refused(&FILES);
    assert!(
        missing.contains("server.crt cannot be read") && missing.contains("keyward doctor"),
        "{missing}"
    );
    let mixed = Issued {
        certificate: other.certificate,
        ..good
    };
    mixed.write(folder.path());
    let mismatch = refused(&FILES);
    assert!(
        mismatch.contains("belongs to another certificate"),
        "{mismatch}"
    );
}

#[tokio::test]
async fn a_stalled_handshake_is_closed_in_time_and_counts_as_a_connection() {
    let (folder, issued) = (TempDir::new().unwrap(), Issued::new());
    let limits = [
        ("KEYWARD_HTTP__HEADER_TIMEOUT", "1s"),
        ("KEYWARD_HTTP__MAX_CONNECTIONS_PER_ADDRESS", "2"),
    ];
    let server = start(folder.path(), &issued, &limits);
    let client = TlsClient::new(&server, &[&issued]);
    let begun = Instant::now();
    let mut silent = TcpStream::connect(address(&server)).await.unwrap();
    let mut half = TcpStream::connect(address(&server)).await.unwrap();
    half.write_all(&client_hello([3, 3])[..20]).await.unwrap();
    assert!(client.connect().await.is_err(), "a third connection");
    for stream in [&mut silent, &mut half] {
        let closed = timeout(PATIENCE, stream.read(&mut [0; 8])).await;
        assert_eq!(closed.expect("closed in time").unwrap_or(0), 0);
    }
    let took = begun.elapsed();
    assert!(
        took >= Duration::from_millis(900) && took < Duration::from_secs(5),
        "{took:?}"
    );
    assert_eq!(
        ask(&mut client.connect().await.unwrap()).await.unwrap(),
        "200"
    );
}

#[tokio::test]
async fn a_handshake_that_goes_on_for_ever_is_cut_off_by_its_length() {
    let (folder, issued) = (TempDir::new().unwrap(), Issued::new());
    let server = start(folder.path(), &issued, &[]);
    let mut stream = TcpStream::connect(address(&server)).await.unwrap();
    // A message of 60,000 bytes in records of 4,096.
    let mut sent = 0;
    for number in 0..15 {
        let mut record = vec![0x16, 3, 1, 16, 0];
        record.extend(match number {
            0 => [&[1, 0, 0xea, 0x60, 3, 3][..], &[0; 4_090]].concat(),
            _ => vec![0; 4_096],
        });
        if stream.write_all(&record).await.is_err() {
            break;
        }
        sent += record.len();
    }
    let closed = timeout(Duration::from_secs(5), stream.read(&mut [0; 64])).await;
    let closed = closed.expect("closed long before its time is over");
    eprintln!("closed: {closed:?} after {sent} bytes were taken by the system");
    assert_eq!(
        ask(&mut TlsClient::new(&server, &[&issued]).connect().await.unwrap())
            .await
            .unwrap(),
        "200"
    );
}

#[tokio::test]
async fn a_stop_finishes_the_request_under_way_and_no_handshake_delays_it() {
    let (folder, issued) = (TempDir::new().unwrap(), Issued::new());
    let server = start(folder.path(), &issued, &[]);
    let client = TlsClient::new(&server, &[&issued]);
    let _silent = TcpStream::connect(address(&server)).await.unwrap();
    let mut stream = client.connect().await.unwrap();
    let head = "POST /verifyToken HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
        Content-Length: 13\r\n\r\n{\"Token\"";
    stream.write_all(head.as_bytes()).await.unwrap();
    // The request is under way once others are answered that came later.
    assert_eq!(
        ask(&mut client.connect().await.unwrap()).await.unwrap(),
        "200"
    );
    let begun = Instant::now();
    server.signal("TERM");
    tokio::time::sleep(Duration::from_millis(200)).await;
    stream.write_all(b":\"a\"}").await.unwrap();
    let mut answer = String::new();
    stream
        .read_to_string(&mut answer)
        .await
        .expect("the end of TLS is said");
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    assert!(
        answer.to_lowercase().contains("connection: close"),
        "{answer}"
    );
    assert!(server.end().0.success());
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn the_doctor_tells_whether_the_certificate_can_be_presented_and_for_how_long() {
    let (folder, good) = (TempDir::new().unwrap(), Issued::new());
    let finding = |code: i32| {
        let ended = keyward_with(folder.path(), "doctor --json", &FILES, "");
        let findings: Vec<serde_json::Value> = serde_json::from_str(&ended.stdout).unwrap();
        let found = findings.iter().find(|of| of["check"] == "certificate");
        let found = found.expect("a finding");
        assert_eq!(found["level"] == "fail", code == 1, "{ended:?}");
        (
            found["level"].as_str().unwrap().to_owned(),
            found["found"].as_str().unwrap().to_owned(),
        )
    };
    Server::start(folder.path()).stop();
    assert!(finding(1).1.starts_with("certificate_unreadable: "));
    good.write(folder.path());
    assert_eq!(finding(0).0, "ok");
    fs::write(folder.path().join("server.key"), Issued::new().key).unwrap();
    assert!(finding(1).1.starts_with("certificate_key_mismatch: "));
    Issued::valid(1975, 1976).write(folder.path());
    let (level, found) = finding(1);
    assert_eq!(level, "fail");
    assert!(found.contains("to 1976-01-01T"), "{found}");
}

/// Where the server redirects clear text, as its log says it.
fn redirect_address(server: &Server) -> SocketAddr {
    let log = server.log();
    let mut lines = log.lines();
    let line = lines.find(|line| line.contains("redirecting to https"));
    let address = line.and_then(|line| line.split("address=").nth(1)).unwrap();
    address.split_whitespace().next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_flood_of_clear_text_leaves_the_server_its_connections() {
    let (folder, issued) = (TempDir::new().unwrap(), Issued::new());
    let env = [
        ("KEYWARD_TLS__REDIRECT_LISTEN", "127.0.0.1:0"),
        ("KEYWARD_HTTP__HOSTS", "localhost"),
        ("KEYWARD_HTTP__MAX_CONNECTIONS", "20"),
        metrics::ON,
    ];
    let server = start(folder.path(), &issued, &env);
    let mut flood = Vec::new();
    for _ in 0..40 {
        flood.push(TcpStream::connect(redirect_address(&server)).await.unwrap());
    }
    // The first two idle. Each of the others is closed at once.
    for refused in &mut flood[2..] {
        let closed = timeout(PATIENCE, refused.read(&mut [0; 1])).await;
        assert_eq!(closed.expect("closed in time").unwrap_or(0), 0);
    }
    let client = TlsClient::new(&server, &[&issued]);
    assert_eq!(
        ask(&mut client.connect().await.unwrap()).await.unwrap(),
        "200"
    );
    let text = metrics::scrape(&server).await;
    for (metric, expected) in [
        (r#"keyward_http_connections{listener="redirect"}"#, 2.0),
        (
            r#"keyward_http_connections_refused_total{listener="redirect"}"#,
            38.0,
        ),
        (
            r#"keyward_http_connections_refused_total{listener="http"}"#,
            0.0,
        ),
    ] {
        assert_eq!(metrics::value(&text, metric), expected, "{metric}");
    }
    drop(flood);
    assert!(server.stop().0.success());
}

#[tokio::test]
async fn clear_text_is_redirected_to_the_servers_own_hosts_alone() {
    let (folder, issued) = (TempDir::new().unwrap(), Issued::new());
    let env = [
        ("KEYWARD_TLS__REDIRECT_LISTEN", "127.0.0.1:0"),
        ("KEYWARD_HTTP__HOSTS", "localhost,*.example.org"),
    ];
    let server = start(folder.path(), &issued, &env);
    let clear = redirect_address(&server);
    let ask = async |head: &str| {
        let mut stream = TcpStream::connect(clear).await.unwrap();
        let request = format!("{head}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let port = address(&server).port();
    for (head, location) in [
        (
            "GET /a%20b?c=%2F HTTP/1.1\r\nHost: localhost:80",
            format!("localhost:{port}/a%20b?c=%2F"),
        ),
        (
            "POST //evil.example/ HTTP/1.1\r\nHost: a.example.org",
            format!("a.example.org:{port}//evil.example/"),
        ),
        (
            "GET http://localhost/x HTTP/1.1\r\nHost: evil.example",
            format!("localhost:{port}/x"),
        ),
    ] {
        let answer = ask(head).await;
        assert!(answer.starts_with("HTTP/1.1 308"), "{answer}");
        assert!(
            answer.contains(&format!("location: https://{location}\r\n")),
            "{answer}"
        );
        assert!(!answer.contains("strict-transport"), "{answer}");
    }
    for (head, status) in [
        ("GET / HTTP/1.1\r\nHost: evil.example", "421"),
        ("GET /health HTTP/1.1\r\nHost: evil.example", "421"),
        ("GET / HTTP/1.1\r\nHost: localhost@evil.example", "400"),
        ("GET / HTTP/1.0", "400"),
    ] {
        let answer = ask(head).await;
        assert_eq!(&answer[9..12], status, "{answer}");
        assert!(!answer.contains("location:"), "{answer}");
    }
    assert!(server.stop().0.success());
}

#[tokio::test]
async fn browsers_are_told_to_use_https_alone_where_the_setting_says_so() {
    let (folder, issued) = (TempDir::new().unwrap(), Issued::new());
    let server = start(folder.path(), &issued, &[("KEYWARD_TLS__HSTS", "1d")]);
    let mut stream = TlsClient::new(&server, &[&issued]).connect().await.unwrap();
    let request = "GET /nothing HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.contains("strict-transport-security: max-age=86400\r\n"),
        "{answer}"
    );
    assert!(server.stop().0.success());
}

#[test]
fn a_redirect_needs_a_certificate_and_a_list_of_hosts() {
    let folder = TempDir::new().unwrap();
    let env = [("KEYWARD_TLS__REDIRECT_LISTEN", "127.0.0.1:0")];
    for (env, missing) in [
        (&env[..], "needs TLS"),
        (&[&FILES[..], &env].concat()[..], "list them in http.hosts"),
    ] {
        let refused = keyward_with(folder.path(), "serve", env, "").failed(1);
        assert!(refused.contains(missing), "{refused}");
    }
}
