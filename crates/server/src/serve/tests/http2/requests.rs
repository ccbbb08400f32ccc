//! Requests and responses.

use axum::body::Body;
use axum::extract::Request as Received;
use futures_util::{StreamExt as _, stream};
use http::header::{CONTENT_LENGTH, DATE, HOST};
use tokio::sync::Notify;

use super::*;

#[tokio::test]
async fn two_requests_of_a_connection_are_under_way_at_once() {
    let meet = Arc::new(tokio::sync::Barrier::new(2));
    let router = Router::new().route(
        "/",
        get(async move || {
            meet.wait().await;
            "met"
        }),
    );
    let (client, _served) = connect(router).await;
    let (first, second) = tokio::join!(
        exchange(&client, request("GET", "/"), b""),
        exchange(&client, request("GET", "/"), b"")
    );
    assert_eq!(first, (StatusCode::OK, b"met".to_vec()));
    assert_eq!(second, first);
}

#[tokio::test]
async fn large_bodies_pass_in_both_directions() {
    let echo = Router::new().route("/", post(|body: Body| async { body }));
    let (client, served) = connect(echo).await;
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let mut client = client.ready().await.unwrap();
    let (response, mut upload) = client.send_request(request("POST", "/"), false).unwrap();
    let uploading = async {
        let mut rest = Bytes::from(sent.clone());
        while !rest.is_empty() {
            upload.reserve_capacity(rest.len());
            let room = std::future::poll_fn(|context| upload.poll_capacity(context)).await;
            let part = rest.split_to(room.unwrap().unwrap().min(rest.len()));
            upload.send_data(part, rest.is_empty()).unwrap();
        }
    };
    let downloading = async { read(response.await.unwrap()).await.unwrap() };
    let ((), received) = tokio::join!(uploading, downloading);
    assert!(received == sent);
    assert_eq!(served.memory.used(), 0);
}

#[tokio::test]
async fn a_response_in_parts_ends_with_its_last_part_or_breaks_off() {
    let parts = |fails: bool| {
        let last = match fails {
            true => Err(Error::other("the disk failed")),
            false => Ok(Bytes::from_static(b"c")),
        };
        Body::from_stream(stream::iter([Ok(Bytes::from_static(b"ab")), last]))
    };
    let router = Router::new()
        .route("/whole", get(move || async move { parts(false) }))
        .route("/broken", get(move || async move { parts(true) }));
    let (client, _served) = connect(router).await;
    let whole = exchange(&client, request("GET", "/whole"), b"").await;
    assert_eq!(whole, (StatusCode::OK, b"abc".to_vec()));
    let broken = async { read(send(&client, request("GET", "/broken"), b"").await?).await };
    assert_eq!(reason(broken.await), Some(Reason::INTERNAL_ERROR));
}

#[tokio::test]
async fn a_head_has_the_length_the_date_and_no_body_where_none_was_asked_for() {
    let (client, _served) = connect(router()).await;
    for method in ["GET", "HEAD"] {
        let response = send(&client, request(method, "/"), b"").await.unwrap();
        let headers = response.headers();
        assert_eq!(headers[CONTENT_LENGTH], "5", "{method}");
        let date = headers[DATE].to_str().unwrap();
        assert!(httpdate::parse_http_date(date).is_ok(), "{date}");
        assert!(headers.contains_key("x-request-id"), "{method}");
        let body = read(response).await.unwrap();
        assert_eq!(body.is_empty(), method == "HEAD", "{method}");
    }
    let refused = send(&client, malformed("HEAD"), b"").await.unwrap();
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    assert_eq!(read(refused).await.unwrap(), b"");
}

fn malformed(method: &str) -> Request<()> {
    let mut request = request(method, "/");
    request.headers_mut().insert(HOST, "b".parse().unwrap());
    request
}

#[tokio::test]
async fn a_request_names_one_host() {
    let named = Router::new().fallback(|received: Received| async move {
        let host = crate::hosts::host(received.uri(), received.headers());
        host.unwrap_or_default().to_owned()
    });
    let (client, _served) = connect(named).await;
    for (hosts, expected) in [
        (&[][..], Ok("a")),
        (&["a"], Ok("a")),
        (&["A"], Ok("a")),
        (&["a:80"], Err(())),
        (&["b"], Err(())),
        (&["a", "a"], Err(())),
    ] {
        let mut asked = request("GET", "/");
        for host in hosts {
            asked.headers_mut().append(HOST, host.parse().unwrap());
        }
        let (status, body) = exchange(&client, asked, b"").await;
        let answered = match expected {
            Ok(host) => (StatusCode::OK, host.as_bytes().to_vec()),
            Err(()) => (StatusCode::BAD_REQUEST, body.clone()),
        };
        assert_eq!((status, body), answered, "{hosts:?}");
    }
}

/// What no client of the library sends: heads without `:authority`.
#[tokio::test]
async fn without_an_authority_the_header_host_names_it() {
    let without = &GET[..3];
    let with_host = [without, &[0x40, 4], b"host", &[1, b'a']].concat();
    for (head, expected) in [(&with_host[..], b"200"), (without, b"400")] {
        let (mut client, _served) = Served::start(router(), Settings::default());
        let asked = frame(HEADERS, END_STREAM | END_HEADERS, 1, head);
        client
            .write_all(&[opening(), asked].concat())
            .await
            .unwrap();
        let head = loop {
            let (kind, payload) = next_frame(&mut client).await.unwrap();
            if kind == HEADERS {
                break payload;
            }
        };
        // In the static table, 8 is `:status: 200` and 12 is `:status: 400`.
        let status: &[u8; 3] = match head[0] {
            0x88 => b"200",
            0x8c => b"400",
            _ => panic!("{head:?}"),
        };
        assert_eq!(status, expected);
    }
}

#[tokio::test]
async fn too_many_fields_and_too_large_a_head_are_431() {
    let (client, _served) = connect(router()).await;
    let mut many = request("GET", "/");
    for number in 0..101 {
        many.headers_mut().append("x", number.into());
    }
    let mut large = request("GET", "/");
    let value = "x".repeat(40_000).parse().unwrap();
    large.headers_mut().insert("x", value);
    for request in [many, large] {
        let (status, _) = exchange(&client, request, b"").await;
        assert_eq!(status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    let (status, _) = exchange(&client, request("GET", "/"), b"").await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_client_that_waits_for_100_gets_it_before_it_sends_the_body() {
    let (client, _served) = connect(router()).await;
    let mut client = client.ready().await.unwrap();
    let mut asked = request("POST", "/");
    asked
        .headers_mut()
        .insert("expect", "100-continue".parse().unwrap());
    let (mut response, mut stream) = client.send_request(asked, false).unwrap();
    let informed = std::future::poll_fn(|context| response.poll_informational(context)).await;
    assert_eq!(informed.unwrap().unwrap().status(), StatusCode::CONTINUE);
    stream.send_data(Bytes::from_static(b"four"), true).unwrap();
    assert_eq!(read(response.await.unwrap()).await.unwrap(), b"4 bytes");
}

#[tokio::test]
async fn a_refused_upload_ends_its_stream_alone() {
    let refusing = Router::new().route(
        "/",
        get(|| async { "hello" }).post(|| async { StatusCode::UNAUTHORIZED }),
    );
    let (client, _served) = connect(refusing).await;
    let mut sender = client.clone().ready().await.unwrap();
    let (response, mut stream) = sender.send_request(request("POST", "/"), false).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let reset = std::future::poll_fn(|context| stream.poll_reset(context)).await;
    assert_eq!(reset.unwrap(), Reason::NO_ERROR);
    let (status, _) = exchange(&client, request("GET", "/"), b"").await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn a_body_that_is_cut_off_fails_where_it_is_read() {
    let begun = Arc::new(Notify::new());
    let (say, mut said) = tokio::sync::mpsc::unbounded_channel();
    let first = Arc::clone(&begun);
    let router = Router::new().route(
        "/",
        post(async move |body: Body| {
            let mut chunks = body.into_data_stream();
            let reading = tokio::spawn(async move {
                while let Some(chunk) = chunks.next().await {
                    first.notify_one();
                    let _ = say.send(chunk.is_ok());
                }
            });
            reading.await.unwrap();
        }),
    );
    let (client, _served) = connect(router).await;
    let mut client = client.ready().await.unwrap();
    let (_response, mut stream) = client.send_request(request("POST", "/"), false).unwrap();
    stream.send_data(Bytes::from_static(b"ab"), false).unwrap();
    begun.notified().await;
    stream.send_reset(Reason::CANCEL);
    assert_eq!(said.recv().await, Some(true));
    assert_eq!(said.recv().await, Some(false));
}
