//! Uploads that work, and those that must not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::{Body, Bytes};
use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt, stream};
use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::json;
use tokio::sync::oneshot;

use super::{Exchange, HELLO, content_type, file, form, part};
use crate::app::{Options, TestApp};

#[tokio::test]
async fn an_upload_answers_what_was_stored() {
    let exchange = Exchange::start().await;
    let headers = "Content-Disposition: form-data; name=\"request_file\"; filename=\"a.txt\"\r\n\
                   Content-Type: text/plain; charset=utf-8";
    let answer = exchange.upload_body(form(&[part(headers, b"hello")])).await;
    let answer = answer.expect(StatusCode::CREATED);
    let json = answer.json();
    assert!(
        json["message"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    );
    let expected = json!({
        "message": json["message"], "file_name": "a.txt", "size": 5, "sha256": HELLO,
        "content_type": "text/plain; charset=utf-8",
    });
    assert_eq!(json, expected);
    assert_eq!(exchange.fetch("a.txt").await.body, "hello");
    assert_eq!(exchange.stored(), 1);
}

#[tokio::test]
async fn a_type_is_kept_as_it_was_declared_if_it_is_one() {
    let exchange = Exchange::start().await;
    let long = format!("text/{}", "x".repeat(300));
    for (index, (declared, kept)) in [
        (None, "application/octet-stream"),
        (Some("text/html"), "text/html"),
        (Some("Image/SVG+xml"), "Image/SVG+xml"),
        (Some("nonsense"), "application/octet-stream"),
        (Some(""), "application/octet-stream"),
        (Some("text/pläin"), "application/octet-stream"),
        (Some(long.as_str()), "application/octet-stream"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = index.to_string();
        let mut headers =
            format!("Content-Disposition: form-data; name=request_file; filename={name}");
        if let Some(declared) = declared {
            headers += &format!("\r\nContent-Type: {declared}");
        }
        let answer = exchange
            .upload_body(form(&[part(&headers, b"hello")]))
            .await;
        let answer = answer.expect(StatusCode::CREATED);
        assert_eq!(answer.text_at("/content_type"), kept, "{declared:?}");
        assert_eq!(exchange.fetch(&name).await.header("content-type"), kept);
    }
}

#[tokio::test]
async fn a_name_is_only_a_name() {
    let exchange = Exchange::start().await;
    let long = "é".repeat(127) + "a";
    for (given, kept) in [
        (r"C:\fakepath\cv.pdf", "cv.pdf"),
        ("a%22b.txt", "a\"b.txt"),
        (r#"a\"c.txt"#, "a\"c.txt"),
        ("100%25.txt", "100%25.txt"),
        ("CON", "CON"),
        ("...", "..."),
        ("a;b=c, d", "a;b=c, d"),
        ("\u{202e}fdp.exe", "\u{202e}fdp.exe"),
        (&long, &long),
    ] {
        let answer = exchange.upload_body(form(&[file(given, b"hello")])).await;
        let answer = answer.expect(StatusCode::CREATED);
        assert_eq!(answer.text_at("/file_name"), kept, "{given}");
    }
    let extended = "Content-Disposition: form-data; name=\"request_file\"; filename=\"_.txt\"; \
                    filename*=UTF-8''na%C3%AFve.txt";
    let answer = exchange
        .upload_body(form(&[part(extended, b"hello")]))
        .await;
    assert_eq!(
        answer.expect(StatusCode::CREATED).text_at("/file_name"),
        "naïve.txt"
    );
    let stored = exchange.stored();
    let long = "é".repeat(128);
    for given in [
        "",
        ".",
        "..",
        "../a",
        r"..\a",
        "/etc/passwd",
        "a/b",
        r"C:\a",
        r"C:\fakepath\",
        "a\u{85}b",
        r"C:\fakepath\..",
        "a%0D%0Ab",
        "a\u{7f}",
        &long,
    ] {
        let answer = exchange.upload_body(form(&[file(given, b"hello")])).await;
        answer.expect_problem(StatusCode::BAD_REQUEST, "");
    }
    assert_eq!(exchange.stored(), stored);
    for entry in std::fs::read_dir(exchange.app.folder.path().join("files")).expect("folder") {
        let name = entry
            .expect("entry")
            .file_name()
            .into_string()
            .expect("ASCII");
        let own = name == "tmp" || name.len() == 2 && name.bytes().all(|b| b.is_ascii_hexdigit());
        assert!(own, "{name} is not a name of the server's own");
    }
}

#[tokio::test]
async fn a_taken_name_is_409_and_the_stored_file_untouched() {
    let exchange = Exchange::start().await;
    exchange.upload("a.txt", b"hello").await;
    for path in ["/ops/upload", "/ops/upload?overwrite=false"] {
        let answer = exchange
            .upload_to(path, form(&[file("a.txt", b"other")]))
            .await;
        answer.expect_problem(StatusCode::CONFLICT, "exists already");
        assert_eq!(exchange.fetch("a.txt").await.text(), "hello");
        assert_eq!(exchange.stored(), 1);
    }
    for query in [
        "overwrite=1",
        "overwrite=",
        "overwrite=true&overwrite=true",
        "overwrite=TRUE",
    ] {
        let path = format!("/ops/upload?{query}");
        let answer = exchange
            .upload_to(&path, form(&[file("a.txt", b"other")]))
            .await;
        answer.expect_problem(StatusCode::BAD_REQUEST, "overwrite");
    }
    assert_eq!(exchange.fetch("a.txt").await.text(), "hello");
    // Another operator has names of its own.
    let other = exchange.app.exchange_user("ops", "other").await;
    let request = exchange.app.post("/ops/upload").bearer(&other);
    let answer = request
        .body(&content_type(), form(&[file("a.txt", b"theirs")]))
        .send()
        .await;
    answer.expect(StatusCode::CREATED);
    assert_eq!(exchange.fetch("a.txt").await.text(), "hello");
}

#[tokio::test]
async fn of_uploads_of_one_name_at_once_one_is_stored() {
    let exchange = Exchange::start().await;
    let contents: Vec<_> = (0..8).map(|index| format!("contents {index}")).collect();
    let all = contents
        .iter()
        .map(|content| exchange.upload_body(form(&[file("a.txt", content.as_bytes())])));
    let answers = join_all(all).await;
    let created: Vec<_> = (0..8)
        .filter(|&index| answers[index].status == 201)
        .collect();
    let conflicts = answers.iter().filter(|answer| answer.status == 409).count();
    assert_eq!((created.len(), conflicts), (1, 7));
    assert_eq!(exchange.fetch("a.txt").await.text(), contents[created[0]]);
    assert_eq!(exchange.stored(), 1);
}

#[tokio::test]
async fn a_file_is_replaced_at_once_while_its_readers_read_on() {
    let options = Options {
        largest_file: 8 * 1024 * 1024,
        ..Options::default()
    };
    let exchange = Exchange::with(options).await;
    let old: Vec<u8> = (0..4 * 1024 * 1024_u32)
        .map(|index| (index % 251) as u8)
        .collect();
    exchange.upload("a.bin", &old).await;
    let request = exchange
        .app
        .get(&Exchange::path("a.bin"))
        .bearer(&exchange.client);
    let mut reading = request.stream().await.into_body();
    let first = reading
        .frame()
        .await
        .expect("frame")
        .expect("data")
        .into_data()
        .expect("data");
    assert!(first.len() < old.len(), "the file came at once");
    let body = form(&[file("a.bin", b"hello")]);
    let answer = exchange.upload_to("/ops/upload?overwrite=true", body).await;
    assert_eq!(answer.expect(StatusCode::CREATED).text_at("/sha256"), HELLO);
    assert_eq!(exchange.fetch("a.bin").await.text(), "hello");
    assert_eq!(exchange.stored(), 1);
    let rest = reading.collect().await.expect("the old bytes").to_bytes();
    assert!([first, rest].concat() == old, "the reader got other bytes");
}

#[tokio::test]
async fn a_file_is_there_at_every_moment_of_its_replacement() {
    let exchange = Exchange::start().await;
    exchange.upload("a.txt", b"hello").await;
    // The file is replaced when the reader has come each of these many steps of its way.
    for steps in 0..8 {
        let mut reading = exchange.fetch("a.txt").boxed();
        let mut read = None;
        for _ in 0..steps {
            read = read.or_else(|| (&mut reading).now_or_never());
            exchange.names().await;
        }
        let body = form(&[file("a.txt", b"hello")]);
        let answer = exchange.upload_to("/ops/upload?overwrite=true", body).await;
        answer.expect(StatusCode::CREATED);
        let read = match read {
            Some(read) => read,
            None => reading.await,
        };
        assert_eq!(read.expect(StatusCode::OK).text(), "hello", "{steps} steps");
    }
    assert_eq!(exchange.stored(), 1);
}

#[tokio::test]
async fn who_may_not_upload_is_told_before_a_byte_is_read() {
    let exchange = Exchange::start().await;
    let default = exchange.app.user("someone").await;
    for (token, status) in [
        ("", StatusCode::UNAUTHORIZED),
        ("a.b.c", StatusCode::UNAUTHORIZED),
        (&default, StatusCode::UNAUTHORIZED),
        (&exchange.client, StatusCode::FORBIDDEN),
    ] {
        let touched = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&touched);
        let body = stream::poll_fn(move |_| {
            flag.store(true, Ordering::Relaxed);
            std::task::Poll::Ready(None::<Result<Bytes, std::io::Error>>)
        });
        let request = exchange.app.post("/ops/upload").bearer(token);
        let answer = request
            .body(&content_type(), Body::from_stream(body))
            .send()
            .await;
        answer.expect_problem(status, "");
        assert!(!touched.load(Ordering::Relaxed), "the body was read");
    }
}

#[tokio::test]
async fn a_file_of_the_largest_size_is_taken_and_one_byte_more_is_413() {
    const LARGEST: usize = 100_000;
    let options = || Options {
        largest_file: LARGEST as u64,
        ..Options::default()
    };
    let exchange = Exchange::with(options()).await;
    exchange.upload("largest", &vec![0; LARGEST]).await;
    let larger = form(&[file("larger", &vec![0; LARGEST + 1])]);
    let pieces = stream::iter([Ok::<_, std::io::Error>(Bytes::from(larger.clone()))]);
    for body in [Body::from(larger), Body::from_stream(pieces)] {
        let answer = exchange.upload_body(body).await;
        answer.expect_problem(StatusCode::PAYLOAD_TOO_LARGE, "larger than");
    }
    // A body that announces itself as too large is not read, one that is does not end in a file.
    let huge = form(&[file("huge", &vec![0; LARGEST + 2 * 1024 * 1024])]);
    let answer = exchange.upload_body(huge).await;
    answer.expect_problem(StatusCode::PAYLOAD_TOO_LARGE, "larger than");
    assert_eq!(exchange.names().await, ["largest"]);
    assert_eq!(exchange.stored(), 1);
    // Nor does one whose parts are all within their own bounds.
    let headers = format!(
        "Content-Disposition: form-data; name=x\r\nX: {}",
        "x".repeat(30_000)
    );
    let mut parts = vec![part(&headers, &vec![0; 64 * 1024]); 15];
    parts.push(file("many", b"hello"));
    let pieces: Vec<_> = form(&parts)
        .chunks(50_000)
        .map(Bytes::copy_from_slice)
        .collect();
    let pieces = stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
    let answer = exchange.upload_body(Body::from_stream(pieces)).await;
    answer.expect_problem(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than");
    assert_eq!(exchange.names().await, ["largest"]);
    // The stored file of that name stays where its replacement is too large.
    let body = form(&[file("largest", &vec![1; LARGEST + 1])]);
    let answer = exchange.upload_to("/ops/upload?overwrite=true", body).await;
    answer.expect(StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(exchange.fetch("largest").await.body, vec![0; LARGEST]);
}

#[tokio::test]
async fn an_empty_file_is_a_file() {
    let exchange = Exchange::start().await;
    let answer = exchange.upload("empty", b"").await;
    assert_eq!(answer.json()["size"], 0);
    let answer = exchange.fetch("empty").await.expect(StatusCode::OK);
    assert_eq!(
        (answer.header("content-length"), answer.body.len()),
        ("0", 0)
    );
}

#[tokio::test]
async fn an_upload_whose_client_leaves_is_never_seen_and_leaves_nothing() {
    let exchange = Exchange::start().await;
    let whole = form(&[file("a.txt", &vec![7; 500_000])]);
    let (waiting, reached) = oneshot::channel();
    let mut waiting = Some(waiting);
    let half = Bytes::copy_from_slice(&whole[..400_000]);
    let rest = stream::poll_fn(move |_| {
        waiting.take().map(|waiting| waiting.send(()));
        std::task::Poll::Pending
    });
    let body = stream::iter([Ok::<_, std::io::Error>(half)]).chain(rest);
    let mut upload = exchange.upload_body(Body::from_stream(body)).boxed();
    tokio::select! {
        answer = &mut upload => panic!("answered too early: {answer:?}"),
        _ = reached => {}
    }
    assert_eq!(exchange.stored(), 1, "it is under way");
    assert_eq!(exchange.names().await, Vec::<String>::new());
    exchange.fetch("a.txt").await.expect(StatusCode::NOT_FOUND);
    drop(upload);
    assert_eq!(exchange.stored(), 0);
    assert_eq!(exchange.names().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_stored_file_outlives_a_restart() {
    let exchange = Exchange::start().await;
    exchange.upload("a.txt", b"hello").await;
    let before = exchange.fetch("a.txt").await;
    let Exchange { app, client, ops } = exchange;
    let app: TestApp = app.restart().await;
    let exchange = Exchange { app, client, ops };
    let after = exchange.fetch("a.txt").await.expect(StatusCode::OK);
    assert_eq!(after.body, before.body);
    for name in [
        "etag",
        "last-modified",
        "content-type",
        "content-disposition",
    ] {
        assert_eq!(after.header(name), before.header(name), "{name}");
    }
}
