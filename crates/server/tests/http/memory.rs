//! The memory budget: what waits for a client is in it, what is more than it is answered 503, and however a request
//! ends, all of it is given back.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;
use http::StatusCode;
use http_body_util::BodyExt;
use keyward_core::customers::Submitted;
use keyward_core::memory::FREE;
use serde_json::json;
use tokio::task::yield_now;

use crate::app::{Options, TestApp};
use crate::exchange::{BOUNDARY, Exchange, content_type};

const YOUNGEST: &str = "/api/v1/customers/nyoungest";
const CUSTOMERS: &str = "/api/v1/customers/customers";
/// How many customers are listed here: more than two batches.
const MANY: usize = 300;

fn elsewhere() -> SocketAddr {
    SocketAddr::from(([203, 0, 113, 9], 40_000))
}

fn options(memory: u64) -> Options {
    Options {
        memory,
        ..Options::default()
    }
}

/// A server with so much memory, customers whose names are as long as can be in JSON, and a token.
async fn with_customers(memory: u64) -> (TestApp, String) {
    let app = TestApp::with(options(memory)).await;
    let token = app.user("test").await;
    let create = |number: usize| {
        app.app.customers.create(Submitted {
            name: "\u{1}".repeat(255),
            dob: format!("{}-01-01", 1900 + number % 50),
            updated_at: None,
        })
    };
    for created in join_all((0..MANY).map(create)).await {
        created.expect("a customer");
    }
    (app, token)
}

/// A body that sends `first` and then nothing.
fn stalling(first: impl Into<Bytes>) -> Body {
    let first = stream::iter([Ok::<_, std::io::Error>(first.into())]);
    Body::from_stream(first.chain(stream::pending()))
}

/// Polls what must not end until at least so many bytes are reserved.
async fn until_held(app: &TestApp, mut request: Pin<&mut impl Future>, bytes: u64) {
    for _ in 0..1_000_000 {
        poll_fn(|context| {
            assert!(request.as_mut().poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
        if app.app.memory.used() >= bytes {
            return;
        }
        yield_now().await;
    }
    panic!("{} bytes are reserved", app.app.memory.used());
}

#[tokio::test]
async fn a_long_list_is_the_same_text_as_a_short_one_but_written_in_pieces() {
    let (app, token) = with_customers(64 << 20).await;
    let long = app.get(&format!("{YOUNGEST}?n=10000")).bearer(&token);
    let mut long = long.stream().await.into_body();
    let (mut pieces, mut text) = (0, Vec::new());
    while let Some(frame) = long.frame().await {
        let piece = frame.expect("a frame").into_data().expect("data");
        assert!(piece.len() <= 80 << 10, "{}", piece.len());
        text.extend_from_slice(&piece);
        pieces += 1;
    }
    drop(long);
    assert!(pieces > 10, "{pieces}");
    let long: Vec<serde_json::Value> = serde_json::from_slice(&text).expect("JSON");
    assert_eq!(long.len(), MANY);
    assert_eq!(serde_json::to_vec(&long).expect("JSON").len(), text.len());
    for count in [0, 1, 20, 128, 129, 256, 257, MANY] {
        let short = app.get(&format!("{YOUNGEST}?n={count}")).bearer(&token);
        let short = short.send().await.expect(StatusCode::OK);
        assert_eq!(short.json().as_array().expect("array"), &long[..count]);
        let is_short = short.body.len() < 64 << 10;
        assert_eq!(is_short, count <= 20, "{count}");
    }
    let in_order = |pair: &[serde_json::Value]| {
        let key = |row: &serde_json::Value| {
            let dob = row["dob"].as_str().expect("dob").to_owned();
            (std::cmp::Reverse(dob), row["id"].as_i64().expect("id"))
        };
        key(&pair[0]) < key(&pair[1])
    };
    assert!(long.windows(2).all(in_order));
    let page = app.get(&format!("{CUSTOMERS}?limit=299")).bearer(&token);
    let page = page.send().await.expect(StatusCode::OK);
    assert_eq!(page.json().as_array().expect("array").len(), 299);
    assert!(page.header("link").contains("after=299"));
    assert_eq!(app.app.memory.used(), 0);
}

#[tokio::test]
async fn beyond_an_addresss_share_a_long_list_is_503_and_small_answers_and_others_pass() {
    let (app, token) = with_customers(1 << 20).await;
    let long = format!("{YOUNGEST}?n=10000");
    let ask = || app.get(&long).bearer(&token);
    let unread = [ask().stream().await, ask().stream().await];
    assert!(
        unread
            .iter()
            .all(|answer| answer.status() == StatusCode::OK)
    );
    let used = app.app.memory.used();
    assert!((256 << 10..=512 << 10).contains(&used), "{used}");

    let refused = ask().send().await;
    assert_eq!(refused.header("retry-after"), "5");
    refused.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "try again");
    let small = app.get(&format!("{YOUNGEST}?n=5")).bearer(&token);
    small.send().await.expect(StatusCode::OK);
    let others = app.get(&long).bearer(&token).from(elsewhere());
    others.send().await.expect(StatusCode::OK);
    assert_eq!(app.app.memory.used(), used);

    drop(unread);
    assert_eq!(app.app.memory.used(), 0);
    ask().send().await.expect(StatusCode::OK);
}

#[tokio::test]
async fn an_answer_counts_until_its_last_byte_is_dropped_in_whatever_buffer_it_is() {
    let (app, token) = with_customers(64 << 20).await;
    let list = app.get(&format!("{YOUNGEST}?n=10000")).bearer(&token);
    let array = app.post("/generate_array?dimensions=10000").bearer(&token);
    let array = array.json(&json!({"sentence": "a"}));
    let (document, page) = (app.get("/api-docs/openapi.json"), app.get("/swagger-ui/"));
    drop(page.send().await.expect(StatusCode::OK));
    for request in [list, array, document] {
        let mut body = request.stream().await.into_body();
        assert!(app.app.memory.used() > FREE as u64);
        let mut taken = Vec::new();
        while let Some(frame) = body.frame().await {
            taken.push(frame.expect("a frame"));
        }
        drop(body);
        assert!(app.app.memory.used() > FREE as u64);
        drop(taken);
        assert_eq!(app.app.memory.used(), 0);
    }
}

#[tokio::test]
async fn a_body_that_stalls_holds_what_it_has_and_beyond_the_budget_is_503_in_the_contracts_shape()
{
    let app = TestApp::with(options(1 << 20)).await;
    let begun = format!("{{\"Token\":\"{}", "x".repeat(300 << 10));
    let verify = || {
        app.post("/verifyToken")
            .body("application/json", stalling(begun.clone()))
    };
    let mut first = Box::pin(verify().send());
    until_held(&app, first.as_mut(), 300 << 10).await;
    assert!(app.app.memory.used() <= 512 << 10);

    let refused = verify().send().await;
    assert_eq!(refused.header("retry-after"), "5");
    let refused = refused.expect(StatusCode::SERVICE_UNAVAILABLE).json();
    assert_eq!(refused["status"], 503);
    assert!(
        refused["description"]
            .as_str()
            .expect("text")
            .contains("try again")
    );
    // What is small passes, from the same address too.
    let small = app.post("/generateToken").json(&json!({"user_data": "a"}));
    small.send().await.expect(StatusCode::OK);
    let mut second = Box::pin(verify().from(elsewhere()).send());
    until_held(&app, second.as_mut(), 600 << 10).await;

    drop((first, second));
    assert_eq!(app.app.memory.used(), 0);
    let whole = format!("{begun}\",\"Signing_key\":\"k\"}}");
    let whole = app.post("/verifyToken").body("application/json", whole);
    whole.send().await.expect(StatusCode::BAD_REQUEST);
    assert_eq!(app.app.memory.used(), 0);
}

#[tokio::test]
async fn a_body_that_breaks_off_or_is_too_large_gives_back_what_it_held() {
    let app = TestApp::start().await;
    for (length, expected) in [
        (600 << 10, StatusCode::BAD_REQUEST),
        (1_100 << 10, StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let pieces = (0..length >> 10).map(|_| Ok(Bytes::from(vec![b'x'; 1 << 10])));
        let end = [Err(std::io::Error::other("gone"))];
        let body = Body::from_stream(stream::iter(pieces.chain(end)));
        let answer = app.post("/verifyToken").body("application/json", body);
        answer.send().await.expect(expected);
        assert_eq!(app.app.memory.used(), 0);
    }
}

#[tokio::test]
async fn a_body_that_is_no_file_has_three_minutes_however_steadily_it_comes() {
    let app = TestApp::start().await;
    tokio::time::pause();
    let begun = tokio::time::Instant::now();
    let drops = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(7)).await;
        Some((Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 4_000])), ()))
    });
    let request = app.post("/verifyToken");
    let request = request.body("application/json", Body::from_stream(drops));
    request.send().await.expect(StatusCode::REQUEST_TIMEOUT);
    let after = begun.elapsed().as_secs();
    assert!((180..=200).contains(&after), "{after}");
    assert_eq!(app.app.memory.used(), 0);
}

/// The beginning of a form with so much of a file.
fn beginning(length: usize) -> Vec<u8> {
    let head = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"request_file\"; filename=\"b\"\r\n\r\n"
    );
    [head.into_bytes(), vec![b'x'; length]].concat()
}

#[tokio::test]
async fn an_upload_that_stalls_is_in_the_budget_and_leaves_it_when_it_is_given_up() {
    let exchange = Exchange::with(options(2 << 20)).await;
    let app = &exchange.app;
    let upload = || {
        let request = app.post("/ops/upload").bearer(&exchange.ops);
        request.body(&content_type(), stalling(beginning(100 << 10)))
    };
    let mut stalled = Box::pin(upload().send());
    until_held(app, stalled.as_mut(), 400 << 10).await;
    let mut another = Box::pin(upload().send());
    until_held(app, another.as_mut(), 800 << 10).await;
    // A third waits for room, and gets it.
    let mut third = pin!(exchange.upload("c", &[b'x'; 100 << 10]));
    poll_fn(|context| {
        assert!(third.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
    drop(stalled);
    third.await;
    drop(another);
    while app.app.memory.used() > 0 {
        yield_now().await;
    }
    assert_eq!(exchange.names().await, ["c"]);
}

#[tokio::test]
async fn a_download_that_is_not_taken_is_in_the_budget_by_what_is_read_ahead_of_it() {
    let exchange = Exchange::start().await;
    let app = &exchange.app;
    let large: Vec<u8> = (0..1_000_000_u32).map(|at| at.to_le_bytes()[0]).collect();
    exchange.upload("large", &large).await;
    exchange.upload("small", &large[..1_000]).await;
    let fetch = |name| app.get(&Exchange::path(name)).bearer(&exchange.client);
    let small = fetch("small").stream().await;
    assert_eq!(app.app.memory.used(), 0);
    drop(small);

    let mut body = fetch("large").stream().await.into_body();
    let held = app.app.memory.used();
    assert!((100_000..600_000).contains(&held), "{held}");
    let first = body.frame().await.expect("a frame").expect("bytes");
    drop(body);
    assert_eq!(app.app.memory.used(), held);
    drop(first);
    assert_eq!(app.app.memory.used(), 0);
    assert_eq!(fetch("large").send().await.body, large);
    assert_eq!(app.app.memory.used(), 0);
}
