//! Clients that stall, of one kind after another: the program's memory stays within bounds through all of it, others
//! are served, and honest requests of the kind are served once the stalled ones are gone. `KEYWARD_STALLED=1000` makes
//! them 1,000 of each kind rather than 200.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use keyward_core::clock::Timestamp;
use keyward_core::customers::{Details, Store as _};
use keyward_core::files::{BlobId, File, Finished, NewFile, Room, Store as _};
use keyward_core::id::AccountId;
use keyward_core::page::Page;
use keyward_core::sessions::Store as _;
use keyward_store::sqlite::{Options, Sqlite};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::crash::repeated;
use crate::server::Server;
use crate::{bucket, s3_server};

/// How many entries the long lists have.
const ENTRIES: usize = 10_000;
/// By how much the program may grow, in KiB, and by how much more for each client beyond 200.
const MOST_GROWTH: u64 = 64 << 10;
const EACH_MORE: u64 = 20;
/// How long a client may take to send what the program takes of its request.
const SENDING: Duration = Duration::from_secs(3);
/// How long the clients are looked at, and how long the memory may take to be given back.
const LOOKING: Duration = Duration::from_secs(2);
const GIVING_BACK: Duration = Duration::from_secs(15);

/// One kind of stalled client.
struct Kind {
    name: &'static str,
    /// What each of them sends; none reads anything.
    request: Vec<u8>,
    /// A whole request of the same kind, which must be answered with this status once they are gone.
    honest: Vec<u8>,
    status: u16,
}

fn request(head: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{head}\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

fn get(path: &str, token: &str) -> Vec<u8> {
    request(
        &format!("GET {path} HTTP/1.1\r\nAuthorization: Bearer {token}"),
        b"",
    )
}

/// A request that lacks its last byte.
fn stalled(mut whole: Vec<u8>) -> Vec<u8> {
    whole.pop();
    whole
}

fn large_json(path: &str, member: &str, status: u16) -> Kind {
    let head = format!("POST {path} HTTP/1.1\r\nContent-Type: application/json");
    let body = format!("{{\"{member}\":\"{}\"}}", "x".repeat(1_048_000));
    let whole = request(&head, body.as_bytes());
    Kind {
        name: if path == "/verifyToken" {
            "body of /verifyToken"
        } else {
            "body of /generateToken"
        },
        request: stalled(whole.clone()),
        honest: whole,
        status,
    }
}

fn unread(name: &'static str, path: &str, token: &str) -> Kind {
    let request = get(path, token);
    Kind {
        name,
        request: request.clone(),
        honest: request,
        status: 200,
    }
}

fn upload(name: &'static str, token: &str, size: usize) -> Kind {
    let head = format!(
        "POST /ops/upload?overwrite=true HTTP/1.1\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: multipart/form-data; boundary=b"
    );
    let part =
        "--b\r\nContent-Disposition: form-data; name=\"request_file\"; filename=\"f\"\r\n\r\n";
    let body = [part.as_bytes(), &vec![b'x'; size], b"\r\n--b--\r\n"].concat();
    let whole = request(&head, &body);
    Kind {
        name,
        request: stalled(whole.clone()),
        honest: whole,
        status: 201,
    }
}

fn head() -> Kind {
    let name = format!("X: {}\r\n\r\n", "x".repeat(30_000));
    let whole = format!("GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{name}");
    Kind {
        name: "head",
        request: stalled(whole.clone().into_bytes()),
        honest: whole.into_bytes(),
        status: 200,
    }
}

/// Puts customers and files with the largest names into the database of a program that is not running.
async fn fill(folder: &Path, owner: AccountId) {
    let path = folder.join("keyward-data/keyward.db");
    let options = Options {
        queue: 2 * ENTRIES,
        ..Options::default()
    };
    let rows = Arc::new(Sqlite::open(&path, options).unwrap());
    let now = Timestamp::from_seconds(1_767_225_600);
    let first = Page { after: 0, limit: 1 };
    let sessions = rows.list_sessions(Some(owner), now, first).await.unwrap();
    let session = sessions[0].id;
    let room = Room {
        files: u32::MAX,
        bytes: u64::MAX,
    };
    let customer = || {
        rows.create_customer(Details {
            name: "\u{1}".repeat(255),
            born: "2000-01-01".parse().unwrap(),
            updated_at: now,
        })
    };
    let file = |number: usize| {
        let file = File {
            name: format!("{number:0>255}"),
            size: 5,
            sha256: [7; 32],
            content_type: "application/octet-stream".to_owned(),
            uploaded_at: now,
            blob: BlobId::parse(&format!("{number:032x}")).unwrap(),
        };
        let new = NewFile {
            owner,
            session,
            spellings: vec![file.name.clone()],
            file,
        };
        rows.finish_upload(new, false, room)
    };
    let customers = join_all((0..ENTRIES).map(|_| customer()));
    let files = join_all((1..ENTRIES).map(file));
    let (customers, files) = tokio::join!(customers, files);
    assert!(customers.iter().all(Result::is_ok));
    let stored = |finished: &Result<_, _>| matches!(finished, Ok(Finished::Stored { .. }));
    assert!(files.iter().all(stored));
    rows.close().await;
}

fn resident_kib(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

/// Connects, and sends as much of the request as is taken. Little of the answer fits into the system's buffers.
async fn stall(address: SocketAddr, request: &[u8]) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(address).await.ok()?;
    let _ = timeout(SENDING, stream.write_all(request)).await;
    Some(stream)
}

/// The status of the answer to a request, which is read to its end.
async fn status(address: SocketAddr, request: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (mut answer, mut sending) = (Vec::new(), true);
    let (mut reader, mut writer) = stream.split();
    let send = async {
        sending = writer.write_all(request).await.is_ok();
    };
    let ((), _) = tokio::join!(send, reader.read_to_end(&mut answer));
    let line = answer.get(9..12).unwrap_or_default();
    std::str::from_utf8(line)
        .ok()
        .and_then(|status| status.parse().ok())
        .unwrap_or_else(|| panic!("no answer; all was sent: {sending}"))
}

/// Lets so many clients of a kind stall, and prints what that takes. `before` is what the program took at first.
async fn measure(server: &Server, kind: &Kind, count: usize, before: u64) {
    let address: SocketAddr = server.url.trim_start_matches("http://").parse().unwrap();
    let clients = join_all((0..count).map(|_| stall(address, &kind.request))).await;
    let (begun, mut most, mut slowest) = (Instant::now(), 0, Duration::ZERO);
    while begun.elapsed() < LOOKING {
        let asked = Instant::now();
        assert_eq!(status(address, &get("/health", "")).await, 200);
        slowest = slowest.max(asked.elapsed());
        most = most.max(resident_kib(server));
    }
    let standing = clients.iter().flatten().count();
    drop(clients);
    // What they left is given back as soon as their end is noticed.
    let left = Instant::now();
    let mut honest = status(address, &kind.honest).await;
    while honest == 503 && left.elapsed() < GIVING_BACK {
        honest = status(address, &kind.honest).await;
    }
    let after = resident_kib(server);
    writeln!(
        std::io::stdout(),
        "| {} | {standing} | {} | {} | {} | {} | {} ms |",
        kind.name,
        before >> 10,
        most >> 10,
        after >> 10,
        most.saturating_sub(before) >> 10,
        slowest.as_millis()
    )
    .expect("standard output");
    assert_eq!(honest, kind.status, "{}: {}", kind.name, server.log());
    let grown = most.saturating_sub(before);
    let more = u64::try_from(count.saturating_sub(200)).unwrap();
    let bound = MOST_GROWTH + more * EACH_MORE;
    assert!(grown <= bound, "{}: {grown} KiB", kind.name);
    assert!(
        slowest < Duration::from_secs(5),
        "{}: {slowest:?}",
        kind.name
    );
}

async fn token(server: &Server, role: &str) -> String {
    let body = json!({"username": "ada", "password": "pw"});
    let login = server.post(&format!("/{role}/login")).json(&body);
    login.send().await.unwrap().text().await.unwrap()
}

fn start(folder: &TempDir, settings: &[(&'static str, String)], count: usize) -> Server {
    let most = (count + 100).max(1_000).to_string();
    let mut variables = bucket::variables(settings);
    variables.push(("KEYWARD_HTTP__MAX_CONNECTIONS_PER_ADDRESS", most.as_str()));
    Server::start_with(folder.path(), "", &variables)
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_stall_take_bounded_memory_and_others_are_served() {
    let count = usize::try_from(repeated("KEYWARD_STALLED", 200)).unwrap();
    let folder = TempDir::new().unwrap();
    let server = start(&folder, &[], count);
    for role in ["ops", "client"] {
        let body = json!({"username": "ada", "password": "pw"});
        let sign_up = server.post(&format!("/{role}/signup")).json(&body);
        assert_eq!(sign_up.send().await.unwrap().status(), 201);
    }
    server.register("alice", "secret").await;
    let user = server.log_in("alice", "secret").await;
    let (ops, client) = (token(&server, "ops").await, token(&server, "client").await);
    server.stop();
    fill(folder.path(), AccountId(1)).await;

    println!(
        "| {count} stalled clients | connected | before, MiB | during | after | growth | slowest /health |"
    );
    println!("|---|---|---|---|---|---|---|");
    let server = start(&folder, &[], count);
    let file = upload("upload to the disk", &ops, 6 << 20);
    let address: SocketAddr = server.url.trim_start_matches("http://").parse().unwrap();
    assert_eq!(status(address, &file.honest).await, 201);
    server.stop();
    let youngest = "/api/v1/customers/nyoungest?n=10000";
    let server = start(&folder, &[], count);
    let before = resident_kib(&server);
    for kind in [
        large_json("/verifyToken", "Token", 204),
        large_json("/generateToken", "user_data", 413),
        unread("unread list of customers", youngest, &user),
        unread("unread list of files", "/client/files/ada", &client),
        unread("unread file", "/client/files/ada/f", &client),
        unread(
            "unread page of Swagger UI",
            "/swagger-ui/swagger-ui-bundle.js",
            "",
        ),
        file,
        head(),
    ] {
        measure(&server, &kind, count, before).await;
    }
    server.stop();

    let s3 = s3_server::Server::start().await;
    let settings = bucket::settings(&s3.endpoint);
    let server = start(&folder, &settings, count);
    let before = resident_kib(&server);
    for kind in [
        upload("upload to S3", &ops, 12 << 20),
        unread("unread file from S3", "/client/files/ada/f", &client),
    ] {
        measure(&server, &kind, count, before).await;
    }
    server.stop();
}
