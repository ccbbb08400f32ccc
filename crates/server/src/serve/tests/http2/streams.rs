//! How many streams there are, what they reserve, and what becomes of them when the client leaves or the server stops.

use super::super::leaving::{Step, effects};
use super::*;

/// Begins a request, and waits until its handler runs.
async fn begin(
    client: &SendRequest<Bytes>,
    path: &str,
    steps: &mut tokio::sync::mpsc::UnboundedReceiver<Step>,
) -> (h2::client::ResponseFuture, h2::SendStream<Bytes>) {
    let mut client = client.clone().ready().await.unwrap();
    let begun = client.send_request(request("POST", path), true).unwrap();
    assert_eq!(steps.recv().await, Some(Step::Begun));
    begun
}

#[tokio::test]
async fn a_stream_that_the_client_resets_keeps_its_place_until_its_work_is_done() {
    let (router, mut steps, go_on) = effects();
    let settings = Settings {
        max_streams: 3,
        ..Settings::default()
    };
    let (stream, _served) = Served::start(router, settings);
    let client = client_with(stream, 1 << 20).await;
    for _ in 0..3 {
        let (_response, mut stream) = begin(&client, "/unread", &mut steps).await;
        stream.send_reset(Reason::CANCEL);
    }
    for _ in 0..50 {
        let refused = send(&client, request("GET", "/"), b"").await;
        assert_eq!(reason(refused), Some(Reason::REFUSED_STREAM));
    }
    go_on.notify_one();
    assert_eq!(steps.recv().await, Some(Step::Done));
    let (status, _) = exchange(&client, request("GET", "/"), b"").await;
    assert_eq!(status, StatusCode::OK);
    assert!(steps.try_recv().is_err());
}

#[tokio::test]
async fn no_more_streams_are_begun_than_the_client_was_told() {
    let (router, mut steps, _go_on) = effects();
    let settings = Settings {
        max_streams: 2,
        ..Settings::default()
    };
    let (mut client, _served) = Served::start(router, settings);
    let path = [&[0x83, 0x86, 0x41, 1, b'a', 4, 7][..], b"/unread"].concat();
    let asked = |id| frame(HEADERS, END_STREAM | END_HEADERS, id, &path);
    let all = [opening(), asked(1), asked(3), asked(5)].concat();
    client.write_all(&all).await.unwrap();
    let mut told = None;
    loop {
        let (kind, payload) = next_frame(&mut client).await.unwrap();
        match kind {
            SETTINGS if told.is_none() => told = Some(payload),
            RESET => break assert_eq!(payload, [0, 0, 0, 7]),
            _ => {}
        }
    }
    let told = told.unwrap();
    assert!(
        told.chunks(6).any(|setting| setting == [0, 3, 0, 0, 0, 2]),
        "{told:?}"
    );
    for _ in 0..2 {
        assert_eq!(steps.recv().await, Some(Step::Begun));
    }
    assert!(steps.try_recv().is_err());
}

#[tokio::test]
async fn what_a_client_asked_for_happens_although_it_leaves() {
    for path in ["/unread", "/read"] {
        for is_reset in [true, false] {
            let (router, mut steps, go_on) = effects();
            let (stream, served) = Served::start(router, Settings::default());
            let (client, connection) = h2::client::handshake(stream).await.unwrap();
            let connection = tokio::spawn(connection);
            let (response, mut stream) = begin(&client, path, &mut steps).await;
            if is_reset {
                stream.send_reset(Reason::CANCEL);
                exchange(&client, request("GET", "/"), b"").await;
            }
            drop((client, response, stream));
            connection.abort();
            let _ = connection.await;
            tokio::task::yield_now().await;
            assert!(steps.try_recv().is_err(), "{path} {is_reset}");
            go_on.notify_one();
            served.finished().await;
            assert_eq!(steps.recv().await, Some(Step::Done), "{path} {is_reset}");
        }
    }
}

#[tokio::test]
async fn a_request_whose_body_was_still_to_come_is_given_up() {
    let (router, mut steps, _go_on) = effects();
    // The handler has the body and waits without reading it.
    let held = router.route(
        "/held",
        post(async move |body: axum::body::Body| {
            std::future::pending::<()>().await;
            drop(body);
        }),
    );
    let (client, served) = connect(held).await;
    let mut sender = client.clone().ready().await.unwrap();
    let (_response, mut stream) = sender
        .send_request(request("POST", "/held"), false)
        .unwrap();
    exchange(&client, request("GET", "/"), b"").await;
    stream.send_reset(Reason::CANCEL);
    drop((sender, client, stream, _response));
    served.finished().await;
    assert!(steps.recv().await.is_none());
}

#[tokio::test]
async fn waiting_streams_are_in_the_budget_and_beyond_it_they_are_503() {
    // Room for ten bodies of unknown length beside the first, which is free.
    let (stream, served) = Served::within(2 * 10 * (19 << 10), router(), Settings::default());
    let client = client_with(stream, 1 << 20).await;
    let mut waiting = Vec::new();
    let refused = loop {
        let mut sender = client.clone().ready().await.unwrap();
        let (response, stream) = sender.send_request(request("POST", "/"), false).unwrap();
        waiting.push(stream);
        let answered = tokio::select! {
            biased;
            response = response => Some(response.unwrap()),
            (status, _) = exchange(&client, request("GET", "/"), b"") => {
                if status == StatusCode::OK { None } else { panic!("{status}") }
            }
        };
        if let Some(answered) = answered {
            break answered;
        }
        assert!(waiting.len() < 20);
    };
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "5");
    assert!((10..=12).contains(&waiting.len()), "{}", waiting.len());
    drop((waiting, client, refused));
    let memory = Arc::clone(&served.memory);
    served.finished().await;
    assert_eq!(memory.used(), 0);
}

#[tokio::test]
async fn a_small_response_that_is_not_taken_is_in_the_budget_too() {
    let medium = Router::new().route("/", get(|| async { vec![b'x'; 16_000] }));
    let (stream, served) = Served::start(medium, Settings::default());
    let client = client_with(stream, 0).await;
    let mut unread = Vec::new();
    for _ in 0..10 {
        unread.push(send(&client, request("GET", "/"), b"").await.unwrap());
    }
    assert!(
        served.memory.used() >= 9 * 18_000,
        "{}",
        served.memory.used()
    );
    drop((unread, client));
    let memory = Arc::clone(&served.memory);
    served.finished().await;
    assert_eq!(memory.used(), 0);
}

#[tokio::test]
async fn a_stop_answers_what_is_under_way_and_closes_the_connection() {
    let (router, mut steps, go_on) = effects();
    let (client, served) = connect(router).await;
    let (first, _first) = begin(&client, "/unread", &mut steps).await;
    let (second, _second) = begin(&client, "/unread", &mut steps).await;
    served.stop.ask();
    // Until the client has seen the server's notice it may send more.
    let late = send(&client, request("GET", "/"), b"").await;
    if let Ok(response) = late {
        assert_eq!(response.status(), StatusCode::OK);
    }
    go_on.notify_one();
    go_on.notify_one();
    for response in [first, second] {
        assert_eq!(response.await.unwrap().status(), StatusCode::OK);
        go_on.notify_one();
    }
    served.finished().await;
    assert!(client.ready().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn after_the_stop_an_idle_connection_is_closed_at_once_or_after_a_second() {
    let (_client, served) = connect(router()).await;
    sleep(SECOND * 40).await;
    served.stop.ask();
    assert_eq!(served.finished().await, 40);
    for sent in [vec![], opening()] {
        let (mut client, served) = Served::start(router(), Settings::default());
        client.write_all(&sent).await.unwrap();
        sleep(SECOND * 40).await;
        served.stop.ask();
        assert_eq!(served.overdue(Wait::Idle).await, 41);
    }
}

/// A body of which nothing is read: the client may send so much of it.
async fn room_for(length: Option<u64>, budget: u64) -> (u64, usize) {
    let (say, mut said) = tokio::sync::mpsc::unbounded_channel();
    let unread = Router::new().route(
        "/",
        post(async move |body: axum::body::Body| {
            let mut chunks = body.into_data_stream();
            let first = futures_util::StreamExt::next(&mut chunks).await;
            let _ = say.send(first.is_some());
            std::future::pending::<()>().await;
            drop(chunks);
        }),
    );
    let (stream, served) = Served::within(budget, unread, Settings::default());
    let client = client_with(stream, 1 << 20).await;
    let mut asked = request("POST", "/");
    if let Some(length) = length {
        asked.headers_mut().insert("content-length", length.into());
    }
    let mut sender = client.clone().ready().await.unwrap();
    let (_response, mut stream) = sender.send_request(asked, false).unwrap();
    stream.send_data(Bytes::from_static(b"x"), false).unwrap();
    assert_eq!(said.recv().await, Some(true));
    let used = served.memory.used();
    stream.reserve_capacity(1 << 20);
    // What the server says of its window comes before its answer to a ping that was sent later.
    let mut room = 0;
    while room < stream.capacity() {
        room = stream.capacity();
        let _ = send(&client, request("GET", "/"), b"").await;
    }
    (used, room)
}

#[tokio::test]
async fn a_large_body_has_a_larger_window_if_the_budget_has_room() {
    let (window, large) = (65_535, 256 << 10);
    for (length, budget, used, room) in [
        (Some(10_000), 64 << 20, 0, window),
        (None, 64 << 20, 0, window),
        (Some(20_000), 64 << 20, window, window),
        (Some(9_000_000), 64 << 20, large, large),
        (Some(9_000_000), 400_000, window, window),
    ] {
        let found = room_for(length, budget).await;
        assert_eq!(found.0, used, "{length:?} {budget}");
        let room = usize::try_from(room).unwrap();
        assert!(
            (room - 2..=room).contains(&found.1),
            "{length:?} {budget}: {found:?}"
        );
    }
    let refused = Router::new().route("/", post(|body: Bytes| async move { drop(body) }));
    let (stream, _served) = Served::within(100_000, refused, Settings::default());
    let client = client_with(stream, 1 << 20).await;
    let mut asked = request("POST", "/");
    asked
        .headers_mut()
        .insert("content-length", 9_000_000_u64.into());
    let mut sender = client.ready().await.unwrap();
    let (response, _stream) = sender.send_request(asked, false).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}
