//! HTTP/2 of the program: agreed on in TLS, by setting in clear text, and at a stop.

use std::net::SocketAddr;
use std::time::Duration;

use h2::client::SendRequest;
use http::{Request, StatusCode};
use rustls::version::{TLS12, TLS13};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::server::Server;
use crate::tls::{Issued, TlsClient, start};

const PATIENCE: Duration = Duration::from_secs(20);

type Client = SendRequest<bytes::Bytes>;

async fn client<I>(stream: I) -> Client
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Asks for a path by a method, with a body, and gives the status and the body of the response.
async fn ask(
    client: &Client,
    method: &str,
    path: &str,
    body: &str,
) -> Result<(StatusCode, String), h2::Error> {
    let request = Request::builder()
        .method(method)
        .uri(format!("https://localhost{path}"))
        .header("content-type", "application/json");
    let mut client = client.clone().ready().await?;
    let request = request.body(()).unwrap();
    let (response, mut stream) = client.send_request(request, body.is_empty())?;
    if !body.is_empty() {
        stream.send_data(bytes::Bytes::from(body.to_owned()), true)?;
    }
    let response = response.await?;
    let status = response.status();
    let (mut stream, mut all) = (response.into_body(), Vec::new());
    while let Some(bytes) = stream.data().await {
        let bytes = bytes?;
        stream.flow_control().release_capacity(bytes.len())?;
        all.extend(bytes);
    }
    Ok((status, String::from_utf8(all).unwrap()))
}

fn plain_address(server: &Server) -> SocketAddr {
    let address = server.url.strip_prefix("http://").unwrap();
    address.parse().unwrap()
}

#[tokio::test]
async fn within_tls_the_protocol_is_agreed_on_and_works() {
    let (folder, issued) = (TempDir::new().unwrap(), Issued::new());
    let server = start(folder.path(), &issued, &[]);
    for version in [&TLS12, &TLS13] {
        for offered in [&["h2"][..], &["h2", "http/1.1"], &["http/1.1", "h2"]] {
            let tls = TlsClient::speaking(&server, &[&issued], &[version], offered);
            let stream = tls.connect().await.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
            let client = client(stream).await;
            let (live, verified) = tokio::join!(
                ask(&client, "GET", "/health/live", ""),
                ask(&client, "POST", "/verifyToken", r#"{"Token":"a"}"#)
            );
            assert_eq!(live.unwrap().0, StatusCode::OK);
            assert_eq!(verified.unwrap().0, StatusCode::NO_CONTENT);
            let (status, document) = ask(&client, "GET", "/api-docs/openapi.json", "")
                .await
                .unwrap();
            assert_eq!(status, StatusCode::OK);
            assert!(serde_json::from_str::<serde_json::Value>(&document).is_ok());
        }
    }
    let log = server.log();
    let line = log.lines().find(|line| line.contains("path=/verifyToken "));
    assert!(line.is_some_and(|line| line.contains(" http=2")), "{log}");
    assert!(server.stop().0.success());
}

#[tokio::test]
async fn in_clear_text_it_is_spoken_by_setting_alone() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path());
    let mut stream = TcpStream::connect(plain_address(&server)).await.unwrap();
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let closed = timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    assert!(closed.is_ok() && answer.is_empty(), "{answer:?}");
    assert!(server.stop().0.success());

    let server = Server::start_with(folder.path(), "", &[("KEYWARD_HTTP__H2C", "true")]);
    let stream = TcpStream::connect(plain_address(&server)).await.unwrap();
    let client = client(stream).await;
    for _ in 0..2 {
        let (status, _) = ask(&client, "GET", "/health/live", "").await.unwrap();
        assert_eq!(status, StatusCode::OK);
    }
    let live = server.get("/health/live").send().await.unwrap();
    assert_eq!(live.version(), http::Version::HTTP_11);
    assert_eq!(live.status(), 200);
    assert!(server.stop().0.success());
}

/// Clients that ask all the while. From the stop on they may send nothing more, but what they sent is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_answers_every_request_that_was_sent() {
    let (folder, issued) = (TempDir::new().unwrap(), Issued::new());
    let server = start(
        folder.path(),
        &issued,
        &[("KEYWARD_HTTP__ACCESS_LOG", "false")],
    );
    let tls = TlsClient::speaking(&server, &[&issued], &[&TLS13], &["h2"]);
    let mut load = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let client = client(tls.connect().await.unwrap()).await;
        for _ in 0..8 {
            let client = client.clone();
            load.spawn(async move {
                let mut served = 0_u32;
                // Not ready: the server has said that it goes.
                while let Ok(mut ready) = client.clone().ready().await {
                    let request = Request::get("https://localhost/api-docs/openapi.json").body(());
                    let Ok((response, _)) = ready.send_request(request.unwrap(), true) else {
                        break;
                    };
                    let response = response.await.expect("an answer");
                    assert_eq!(response.status(), StatusCode::OK);
                    let mut body = response.into_body();
                    while let Some(bytes) = body.data().await {
                        let length = bytes.expect("all of it").len();
                        let _ = body.flow_control().release_capacity(length);
                    }
                    served += 1;
                }
                served
            });
        }
    }
    let other = client(tls.connect().await.unwrap()).await;
    for _ in 0..50 {
        ask(&other, "GET", "/health/live", "").await.unwrap();
    }
    server.signal("TERM");
    let served: u32 = load.join_all().await.into_iter().sum();
    eprintln!("{served} requests before the stop, none of them lost");
    assert!(served > 0);
    assert!(server.end().0.success());
}
