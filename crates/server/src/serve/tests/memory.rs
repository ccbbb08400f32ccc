//! The share of the memory budget that connections hold, on loopback sockets.

use axum::body::Body;
use futures_util::StreamExt;
use http::StatusCode;
use keyward_core::memory::Exhausted;
use tokio::task::yield_now;

use super::*;

/// `GET /` responds with hello, `GET /large` with a mebibyte, and `POST /` reads its body piece by piece.
fn router() -> Router {
    let drain = |body: Body| async move {
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            if let Err(error) = chunk {
                let is_exhausted = is_caused_by::<Exhausted>(&error);
                assert!(is_exhausted, "{error:?}");
                return StatusCode::SERVICE_UNAVAILABLE;
            }
        }
        StatusCode::OK
    };
    Router::new()
        .route("/", get(|| async { "hello" }).post(drain))
        .route("/large", get(|| async { vec![b'x'; 1 << 20] }))
}

async fn start(memory: &Arc<Budget>) -> Running {
    let settings = Settings::default();
    Running::start_site(site_within(memory, router()), settings).await
}

/// Waits until `is_right` accepts the number of reserved bytes.
async fn until(memory: &Budget, is_right: impl Fn(u64) -> bool) {
    let right = async {
        while !is_right(memory.used()) {
            yield_now().await;
        }
    };
    let waited = timeout(Duration::from_secs(20), right).await;
    assert!(waited.is_ok(), "{} bytes are reserved", memory.used());
}

/// The first `length` bytes of a head.
fn begun_head(length: usize) -> String {
    let begun = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    format!("{begun}{}", "x".repeat(length - begun.len()))
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn a_large_head_is_in_the_budget_until_its_connection_idles_or_ends() {
    let memory = Budget::new(64 << 20);
    let server = start(&memory).await;
    let mut client = server.connect().await;
    client
        .write_all(begun_head(20_000).as_bytes())
        .await
        .unwrap();
    until(&memory, |used| used >= 40_000).await;
    let mut leaving = server.connect().await;
    leaving
        .write_all(begun_head(20_000).as_bytes())
        .await
        .unwrap();
    let one = memory.used();
    until(&memory, |used| used > one).await;
    drop(leaving);
    until(&memory, |used| used == one).await;

    client.write_all(b"\r\n\r\n").await.unwrap();
    answer(&mut client, 5).await;
    client.write_all(GET).await.unwrap();
    answer(&mut client, 5).await;
    until(&memory, |used| used == 0).await;
}

#[tokio::test]
async fn beyond_the_budget_large_heads_and_bodies_are_503_and_small_requests_pass() {
    let memory = Budget::new(64 << 10);
    let server = start(&memory).await;
    let mut head = server.connect().await;
    head.write_all(begun_head(20_000).as_bytes()).await.unwrap();
    let refused = rest(&mut head).await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("Retry-After: 5\r\n"), "{refused}");

    let mut body = server.connect().await;
    let request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n";
    body.write_all(request).await.unwrap();
    body.write_all(&[b'x'; 100_000]).await.unwrap();
    let refused = rest(&mut body).await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");

    let mut small = server.connect().await;
    small.write_all(GET).await.unwrap();
    assert!(answer(&mut small, 5).await.ends_with("hello"));
    let request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000\r\n\r\n";
    small.write_all(request).await.unwrap();
    small.write_all(&[b'x'; 10_000]).await.unwrap();
    assert!(answer(&mut small, 0).await.starts_with("HTTP/1.1 200 "));
    assert_eq!(memory.used(), 0);
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_in_the_budget_until_the_client_leaves() {
    let memory = Budget::new(4 << 20);
    let server = start(&memory).await;
    let ask = b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut unread = Vec::new();
    // The first bytes fit into the buffers of the system.
    while memory.used() < 2 << 20 {
        let mut client = server.connect().await;
        client.write_all(&ask.repeat(4)).await.unwrap();
        unread.push(client);
        yield_now().await;
        assert!(unread.len() < 200);
    }
    let mut small = server.connect().await;
    small.write_all(GET).await.unwrap();
    assert!(answer(&mut small, 5).await.ends_with("hello"));
    small.write_all(ask).await.unwrap();
    let refused = answer(&mut small, 0).await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    assert!(refused.contains("retry-after: 5\r\n"), "{refused}");
    drop((unread, small));
    until(&memory, |used| used == 0).await;

    let mut reader = server.connect().await;
    reader.write_all(ask).await.unwrap();
    answer(&mut reader, 1 << 20).await;
    until(&memory, |used| used == 0).await;
}
