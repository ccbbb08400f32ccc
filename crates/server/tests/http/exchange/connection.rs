//! What only shows on a connection: bodies that are not sent, lengths without bodies, clients that leave.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use keyward_server::address::TrustedProxies;
use keyward_server::serve::{self, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{Exchange, content_type, file, form};

/// Serves the exchange for as long as the test runs.
async fn listen(exchange: &Exchange) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listener");
    let address = listener.local_addr().expect("address");
    let proxies = Arc::new(TrustedProxies::default());
    let (site, settings) = (exchange.app.site.clone(), Settings::default());
    tokio::spawn(serve::run(
        listener,
        site,
        settings,
        proxies,
        std::future::pending(),
    ));
    address
}

/// Sends a request with that head, but for its line and `Host`, and reads until the server closes.
async fn ask(address: SocketAddr, line: &str, fields: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connection");
    let head = format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(head.as_bytes()).await.expect("head");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answer");
    answer.to_ascii_lowercase()
}

#[tokio::test]
async fn answers_without_a_body_tell_no_wrong_length() {
    let exchange = Exchange::start().await;
    let etag = exchange.upload("a.txt", b"hello").await.text_at("/sha256");
    let address = listen(&exchange).await;
    let bearer = format!("Authorization: Bearer {}\r\n", exchange.client);
    let path = Exchange::path("a.txt");
    let head = ask(address, &format!("HEAD {path}"), &bearer).await;
    assert!(
        head.starts_with("http/1.1 200 ok\r\n") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    assert!(head.contains("\r\ncontent-length: 5\r\n"), "{head}");
    let known = format!("{bearer}If-None-Match: \"{etag}\"\r\n");
    let known = ask(address, &format!("GET {path}"), &known).await;
    assert!(
        known.starts_with("http/1.1 304 ") && known.ends_with("\r\n\r\n"),
        "{known}"
    );
    assert!(!known.contains("\r\ncontent-length: 0\r\n"), "{known}");
    let part = format!("{bearer}Range: bytes=1-2\r\n");
    let part = ask(address, &format!("GET {path}"), &part).await;
    assert!(
        part.starts_with("http/1.1 206 ") && part.ends_with("\r\n\r\nel"),
        "{part}"
    );
}

#[tokio::test]
async fn a_body_that_would_be_refused_need_not_be_sent() {
    let exchange = Exchange::start().await;
    let address = listen(&exchange).await;
    for (token, length, status) in [
        ("a.b.c", 100, "401"),
        (&exchange.client, 100, "403"),
        (&exchange.ops, 1_u64 << 40, "413"),
    ] {
        let fields = format!(
            "Authorization: Bearer {token}\r\nContent-Type: {}\r\nContent-Length: {length}\r\n\
             Expect: 100-continue\r\n",
            content_type()
        );
        let answer = ask(address, "POST /ops/upload", &fields).await;
        assert!(
            answer.starts_with(&format!("http/1.1 {status} ")),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn an_answer_tells_that_the_connection_closes_when_a_long_body_was_not_read() {
    let exchange = Exchange::start().await;
    let address = listen(&exchange).await;
    for (length, closes) in [(100, false), (300_000, true)] {
        let mut stream = TcpStream::connect(address).await.expect("connection");
        let head = format!(
            "POST /ops/upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a.b.c\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        let request = [head.into_bytes(), vec![b'x'; length]].concat();
        stream.write_all(&request).await.expect("request");
        let mut answer = vec![0; 4096];
        let read = stream.read(&mut answer).await.expect("answer");
        let answer = String::from_utf8_lossy(&answer[..read]).to_ascii_lowercase();
        assert!(answer.starts_with("http/1.1 401 "), "{answer}");
        let told = answer.contains("\r\nconnection: close\r\n");
        assert_eq!(told, closes, "{answer}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_in_an_upload_leaves_nothing() {
    let exchange = Exchange::start().await;
    let address = listen(&exchange).await;
    let body = form(&[file("a.txt", &[7; 300_000])]);
    let mut stream = TcpStream::connect(address).await.expect("connection");
    let head = format!(
        "POST /ops/upload HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: {}\r\n\
         Content-Length: {}\r\n\r\n",
        exchange.ops,
        content_type(),
        body.len(),
    );
    stream.write_all(head.as_bytes()).await.expect("head");
    stream
        .write_all(&body[..200_000])
        .await
        .expect("half of the body");
    until(|| exchange.stored() == 1).await;
    drop(stream);
    until(|| exchange.stored() == 0).await;
    assert_eq!(exchange.names().await, Vec::<String>::new());
}

/// Waits until `holds`, and fails after ten seconds.
async fn until(holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting)
        .await
        .expect("it never came to be");
}
