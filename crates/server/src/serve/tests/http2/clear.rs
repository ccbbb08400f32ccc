//! HTTP/2 in clear text, beside HTTP/1.1.

use super::super::super::clear::Begun;
use super::*;

async fn both() -> Running {
    let settings = Settings {
        h2c: true,
        ..Settings::default()
    };
    Running::start(router(), settings).await
}

#[tokio::test]
async fn the_client_chooses_the_protocol_of_each_connection() {
    let server = both().await;
    let (client, connection) = h2::client::handshake(server.connect().await).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..2 {
        let answer = exchange(&client, request("GET", "/"), b"").await;
        assert_eq!(answer, (StatusCode::OK, b"hello".to_vec()));
    }
    for begun in ["GET / ", "PRIX / "] {
        let mut client = server.connect().await;
        let request = format!("{begun}HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        // In two parts, of which the first could be the beginning of either.
        let (first, second) = request.split_at(1);
        client.write_all(first.as_bytes()).await.unwrap();
        client.write_all(second.as_bytes()).await.unwrap();
        let status = if begun == "GET / " { "200" } else { "405" };
        let answer = rest(&mut client).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_stop_closes_what_has_not_begun() {
    let mut server = both().await;
    let mut silent = server.connect().await;
    let mut begun = server.connect().await;
    begun.write_all(&PREFACE[..5]).await.unwrap();
    // The last to be accepted.
    let (client, connection) = h2::client::handshake(server.connect().await).await.unwrap();
    tokio::spawn(connection);
    exchange(&client, request("GET", "/"), b"").await;
    server.stop();
    assert_eq!(rest(&mut silent).await, "");
    assert_eq!(rest(&mut begun).await, "");
    assert_eq!(server.stopped().await, 0);
}

#[tokio::test(start_paused = true)]
async fn the_first_bytes_have_the_time_of_a_head() {
    for (sent, limit) in [(0, 75), (1, 10), (23, 10)] {
        let (mut client, stream) = duplex(100);
        client.write_all(&PREFACE[..sent]).await.unwrap();
        let start = Instant::now();
        let error = Begun::read(stream, &Settings::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{sent}");
        assert_eq!(start.elapsed().as_secs(), limit, "{sent}");
    }
}
