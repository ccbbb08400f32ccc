//! Each wait for the client has its own limit, of a stream or of the connection.

use axum::body::Body;
use axum::response::IntoResponse;
use futures_util::StreamExt as _;
use tokio::time::advance;

use super::*;

/// `GET /` responds with hello, `GET /large` with a mebibyte, and `POST /` with the length of the body or 408.
fn router() -> Router {
    let length = |body: Body| async {
        let mut chunks = body.into_data_stream();
        let mut length = 0;
        while let Some(chunk) = chunks.next().await {
            match chunk {
                Ok(chunk) => length += chunk.len(),
                Err(error) => {
                    assert!(BodyTimeout::caused(&error), "{error:?}");
                    return StatusCode::REQUEST_TIMEOUT.into_response();
                }
            }
        }
        length.to_string().into_response()
    };
    Router::new()
        .route("/", get(|| async { "hello" }).post(length))
        .route("/large", get(|| async { vec![b'x'; 1 << 20] }))
}

/// A client that writes frames, and whatever the server sends thrown away.
async fn raw(bytes: &[u8]) -> (tokio::io::WriteHalf<DuplexStream>, Served) {
    let (client, served) = Served::start(router(), Settings::default());
    let (mut from_server, mut to_server) = tokio::io::split(client);
    tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut tokio::io::sink()).await });
    to_server.write_all(bytes).await.unwrap();
    (to_server, served)
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_never_asks_is_closed_as_idle() {
    let (_client, served) = raw(b"").await;
    assert_eq!(served.overdue(Wait::Idle).await, 75);
    // One second for a request that is on its way when the server says that it goes.
    let (_client, served) = raw(&opening()).await;
    assert_eq!(served.overdue(Wait::Idle).await, 76);
    let (_client, served) = connect(router()).await;
    assert_eq!(served.finished().await, 75);
}

#[tokio::test(start_paused = true)]
async fn what_asks_for_nothing_does_not_keep_a_connection() {
    let window = frame(8, 0, 0, &[0, 0, 0, 1]);
    let settings = frame(SETTINGS, 0, 0, &[]);
    let ping = frame(PING, 0, 0, &[0; 8]);
    let unknown = frame(0xff, 0, 0, &[0; 20]);
    for kept in [window, settings, ping, unknown] {
        let (mut client, served) = raw(&opening()).await;
        let keeping = tokio::spawn(async move {
            while client.write_all(&kept).await.is_ok() {
                sleep(SECOND * 5).await;
            }
        });
        assert_eq!(served.overdue(Wait::Idle).await, 76);
        keeping.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_begins_idling_anew() {
    let (client, served) = connect(router()).await;
    for _ in 0..3 {
        advance(SECOND * 74).await;
        exchange(&client, request("GET", "/"), b"").await;
    }
    assert_eq!(served.finished().await, 3 * 74 + 75);
}

#[tokio::test(start_paused = true)]
async fn a_preface_and_a_head_have_ten_seconds_from_their_first_byte() {
    let begun = frame(HEADERS, END_STREAM, 1, GET);
    let cut = &frame(HEADERS, END_STREAM | END_HEADERS, 1, GET)[..12];
    for (first, then) in [
        (vec![], PREFACE[..23].to_vec()),
        (opening(), begun),
        (opening(), cut.to_vec()),
    ] {
        let (mut client, served) = raw(&first).await;
        sleep(SECOND * 5).await;
        client.write_all(&then).await.unwrap();
        assert_eq!(served.overdue(Wait::Head).await, 15);
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_is_not_longer_waited_for() {
    let (mut client, served) = raw(&opening()).await;
    let dripping = tokio::spawn(async move {
        let _ = client
            .write_all(&frame(HEADERS, END_STREAM, 1, &GET[..3]))
            .await;
        for byte in &GET[3..] {
            sleep(SECOND * 4).await;
            let _ = client.write_all(&frame(CONTINUATION, 0, 1, &[*byte])).await;
        }
        client
    });
    assert_eq!(served.overdue(Wait::Head).await, 10);
    dripping.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_coming_ends_its_stream_alone() {
    let begun = Instant::now();
    let (client, served) = connect(router()).await;
    let mut sender = client.clone().ready().await.unwrap();
    let (response, mut stream) = sender.send_request(request("POST", "/"), false).unwrap();
    stream.send_data(Bytes::from_static(b"abc"), false).unwrap();
    for _ in 0..6 {
        sleep(SECOND * 4).await;
        exchange(&client, request("GET", "/"), b"").await;
    }
    let response = response.await.unwrap();
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(begun.elapsed().as_secs(), 30);
    let reset = std::future::poll_fn(|context| stream.poll_reset(context)).await;
    assert_eq!(reset.unwrap(), Reason::NO_ERROR);
    let (status, _) = exchange(&client, request("POST", "/"), b"abc").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(served.finished().await, 30 + 75);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_drips_is_given_up_after_a_minute_of_waiting() {
    let begun = Instant::now();
    let (client, _served) = connect(router()).await;
    let mut sender = client.clone().ready().await.unwrap();
    let (response, mut stream) = sender.send_request(request("POST", "/"), false).unwrap();
    stream
        .send_data(Bytes::from(vec![b'x'; 50_000]), false)
        .unwrap();
    for _ in 0..2 {
        sleep(SECOND * 29).await;
        stream.send_data(Bytes::from_static(b"x"), false).unwrap();
    }
    let response = response.await.unwrap();
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
    assert_eq!(begun.elapsed().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn a_body_at_the_lowest_rate_may_take_its_time() {
    let (client, _served) = connect(router()).await;
    let mut sender = client.clone().ready().await.unwrap();
    let (response, mut stream) = sender.send_request(request("POST", "/"), false).unwrap();
    for part in 0..20 {
        sleep(SECOND * 29).await;
        let bytes = Bytes::from(vec![b'x'; 2_900]);
        stream.send_data(bytes, part == 19).unwrap();
    }
    assert_eq!(read(response.await.unwrap()).await.unwrap(), b"58000");
}

/// A client whose streams have room for so much that they do not ask for.
async fn reader(window: u32) -> (SendRequest<Bytes>, Served) {
    let (stream, served) = Served::start(router(), Settings::default());
    (client_with(stream, window).await, served)
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_not_taken_ends_its_stream_alone() {
    for window in [0, 1_000] {
        let begun = Instant::now();
        let (client, served) = reader(window).await;
        for path in ["/large", "/"] {
            let response = send(&client, request("GET", path), b"").await.unwrap();
            let mut body = response.into_body();
            let broken = loop {
                match body.data().await {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => break error.reason(),
                    None => break None,
                }
            };
            let is_stalled = window == 0 || path == "/large";
            assert_eq!(
                broken,
                is_stalled.then_some(Reason::CANCEL),
                "{window} {path}"
            );
        }
        let expected = if window == 0 { 60 } else { 30 };
        assert_eq!(begun.elapsed().as_secs(), expected);
        assert_eq!(served.memory.used(), 0);
        assert_eq!(served.finished().await, expected + 75);
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_of_which_little_is_taken_is_broken_off_after_a_minute_of_waiting() {
    let begun = Instant::now();
    let (client, _served) = reader(500).await;
    let mut body = send(&client, request("GET", "/large"), b"")
        .await
        .unwrap()
        .into_body();
    let mut rests = 0;
    let broken = loop {
        match body.data().await.unwrap() {
            Ok(bytes) => {
                rests += 1;
                sleep(SECOND * if rests <= 2 { 29 } else { 0 }).await;
                if rests <= 2 {
                    body.flow_control().release_capacity(bytes.len()).unwrap();
                }
            }
            Err(error) => break error.reason(),
        }
    };
    assert_eq!(broken, Some(Reason::CANCEL));
    assert!(
        (59..=62).contains(&begun.elapsed().as_secs()),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_reader_at_the_lowest_rate_gets_all_of_it() {
    let (client, _served) = reader(64 << 10).await;
    let mut body = send(&client, request("GET", "/large"), b"")
        .await
        .unwrap()
        .into_body();
    let mut length = 0;
    while let Some(bytes) = body.data().await {
        let bytes = bytes.unwrap();
        length += bytes.len();
        if length % (64 << 10) == 0 {
            sleep(SECOND * 29).await;
        }
        body.flow_control().release_capacity(bytes.len()).unwrap();
    }
    assert_eq!(length, 1 << 20);
}

/// The streams have room for all of their responses until those are queued, and then none. The short response is queued
/// whole while the long one fills the socket.
#[tokio::test(start_paused = true)]
async fn a_window_that_is_taken_back_does_not_keep_a_response() {
    let (mut client, served) = Served::start(router(), Settings::default());
    let long = frame(HEADERS, END_STREAM | END_HEADERS, 1, &large());
    let short = [0x82, 0x86, 0x84, 0x41, 1, b'a'];
    let short = frame(HEADERS, END_STREAM | END_HEADERS, 3, &short);
    let closed = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let window = frame(8, 0, 0, &[0x7f, 0, 0, 0]);
    let all = [opening(), window, long].concat();
    client.write_all(&all).await.unwrap();
    // Nothing more can be written.
    sleep(SECOND).await;
    client.write_all(&short).await.unwrap();
    sleep(SECOND).await;
    client.write_all(&closed).await.unwrap();
    sleep(SECOND).await;
    assert!(served.memory.used() > 0);
    let mut resets = 0;
    while resets < 2 {
        match next_frame(&mut client).await {
            Some((RESET, payload)) => {
                assert_eq!(payload, [0, 0, 0, 8]);
                resets += 1;
            }
            Some(_) => {}
            None => panic!("closed after {resets} resets"),
        }
    }
    assert_eq!(served.memory.used(), 0);
}

/// `GET http://a/large`.
fn large() -> Vec<u8> {
    [&[0x82, 0x86, 0x41, 1, b'a', 4, 6][..], b"/large"].concat()
}

#[tokio::test(start_paused = true)]
async fn a_connection_from_which_nothing_is_read_is_cut_off() {
    let (mut client, served) = Served::start(router(), Settings::default());
    let window = frame(8, 0, 0, &[0x7f, 0, 0, 0]);
    let settings = frame(SETTINGS, 0, 0, &[0, 4, 0x7f, 0, 0, 0]);
    let asked = frame(HEADERS, END_STREAM | END_HEADERS, 1, &large());
    let all = [PREFACE, &settings, &window, &asked].concat();
    client.write_all(&all).await.unwrap();
    assert_eq!(served.overdue(Wait::Write).await, 30);
}

#[tokio::test(start_paused = true)]
async fn a_handler_may_take_longer_than_any_client() {
    let slow = Router::new().route(
        "/",
        get(|| async {
            sleep(SECOND * 1_000).await;
            "hello"
        }),
    );
    let (client, served) = connect(slow).await;
    exchange(&client, request("GET", "/"), b"").await;
    assert_eq!(served.finished().await, 1_075);
}
