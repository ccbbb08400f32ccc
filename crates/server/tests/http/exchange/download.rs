//! Listing and fetching: headers, conditions and ranges.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::json;

use super::{Exchange, HELLO, file, form, part};
use crate::app::{Answer, TestRequest};

const ETAG: &str = "\"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\"";
const WEAK: &str = "W/\"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824\"";
/// When every test begins, and a second before.
const MODIFIED: &str = "Thu, 01 Jan 2026 00:00:00 GMT";
const EARLIER: &str = "Wed, 31 Dec 2025 23:59:59 GMT";

async fn hello() -> Exchange {
    let exchange = Exchange::start().await;
    let headers = "Content-Disposition: form-data; name=\"request_file\"; filename=\"a.txt\"\r\n\
                   Content-Type: text/plain";
    let answer = exchange.upload_body(form(&[part(headers, b"hello")])).await;
    answer.expect(StatusCode::CREATED);
    exchange
}

impl Exchange {
    fn get(&self, headers: &[(&'static str, &str)]) -> TestRequest<'_> {
        self.ask(Method::GET, headers)
    }

    fn ask(&self, method: Method, headers: &[(&'static str, &str)]) -> TestRequest<'_> {
        let request = self
            .app
            .request(method, &Self::path("a.txt"))
            .bearer(&self.client);
        headers.iter().fold(request, |request, (name, value)| {
            request.header(name, value)
        })
    }
}

#[tokio::test]
async fn a_list_is_ordered_by_the_bytes_of_its_names() {
    let exchange = Exchange::start().await;
    let path = "/client/files/sbeve72";
    let list = exchange.app.get(path).bearer(&exchange.client).send().await;
    assert_eq!(list.expect(StatusCode::OK).json(), json!({"files": []}));
    for name in ["b", "a", "é", "Z", "a.txt", "\u{10000}", "\u{ff5e}"] {
        exchange.app.clock.advance(Duration::from_micros(1_500));
        exchange.upload(name, b"hello").await;
    }
    assert_eq!(
        exchange.names().await,
        ["Z", "a", "a.txt", "b", "é", "\u{ff5e}", "\u{10000}"]
    );
    let list = exchange
        .app
        .get(path)
        .bearer(&exchange.ops)
        .send()
        .await
        .expect(StatusCode::OK);
    assert_eq!(list.header("content-type"), "application/json");
    let expected = json!({
        "name": "Z", "size": 5, "sha256": HELLO, "content_type": "application/octet-stream",
        "uploaded_at": "2026-01-01T00:00:00.006Z",
    });
    assert_eq!(list.json()["files"][0], expected);
}

#[tokio::test]
async fn a_file_comes_with_exactly_the_headers_of_the_contract() {
    let exchange = hello().await;
    let get = exchange.get(&[]).send().await.expect(StatusCode::OK);
    let head = exchange
        .ask(Method::HEAD, &[])
        .send()
        .await
        .expect(StatusCode::OK);
    assert_eq!((get.text().as_str(), head.body.len()), ("hello", 0));
    for answer in [&get, &head] {
        for (name, value) in [
            ("content-length", "5"),
            ("content-type", "text/plain"),
            (
                "content-disposition",
                "attachment; filename=\"a.txt\"; filename*=UTF-8''a.txt",
            ),
            ("etag", ETAG),
            ("last-modified", MODIFIED),
            ("accept-ranges", "bytes"),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "sandbox; frame-ancestors 'none'"),
            ("cache-control", "private, no-cache"),
        ] {
            assert_eq!(answer.header(name), value, "{name}");
        }
    }
    let mut names: Vec<_> = get.headers.keys().map(http::HeaderName::as_str).collect();
    let mut of_head: Vec<_> = head.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    of_head.sort_unstable();
    assert_eq!(names, of_head);
}

#[tokio::test]
async fn a_name_comes_back_whatever_is_in_it() {
    let exchange = Exchange::start().await;
    for (given, in_path, disposition) in [
        (
            "naïve \"x\"; y=%.txt".replace('"', "%22"),
            "na%C3%AFve%20%22x%22%3B%20y%3D%25.txt",
            "attachment; filename=\"na_ve _x_; y=_.txt\"; \
             filename*=UTF-8''na%C3%AFve%20%22x%22%3B%20y%3D%25.txt",
        ),
        (
            "\u{202e}fdp.exe".into(),
            "%E2%80%AEfdp.exe",
            "attachment; filename=\"_fdp.exe\"; filename*=UTF-8''%E2%80%AEfdp.exe",
        ),
        (
            "...".into(),
            "%2E..",
            "attachment; filename=\"...\"; filename*=UTF-8''...",
        ),
    ] {
        exchange.upload(&given, b"hello").await;
        let answer = exchange.fetch(in_path).await.expect(StatusCode::OK);
        assert_eq!(answer.text(), "hello");
        assert_eq!(answer.header("content-disposition"), disposition);
    }
}

#[tokio::test]
async fn what_a_browser_could_run_is_offered_for_download_and_sandboxed() {
    let exchange = Exchange::start().await;
    for (index, content_type) in [
        "text/html",
        "image/svg+xml",
        "text/xml",
        "application/pdf",
        "text/javascript",
    ]
    .into_iter()
    .enumerate()
    {
        let headers = format!(
            "Content-Disposition: form-data; name=request_file; filename={index}\r\n\
             Content-Type: {content_type}"
        );
        let body = form(&[part(&headers, b"<script>alert(1)</script>")]);
        exchange.upload_body(body).await.expect(StatusCode::CREATED);
        let answer = exchange
            .fetch(&index.to_string())
            .await
            .expect(StatusCode::OK);
        assert_eq!(answer.header("content-type"), content_type);
        assert!(
            answer
                .header("content-disposition")
                .starts_with("attachment; ")
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(
            answer.header("content-security-policy"),
            "sandbox; frame-ancestors 'none'"
        );
    }
}

#[tokio::test]
async fn an_unknown_file_is_404_however_it_is_spelt() {
    let exchange = hello().await;
    for name in [
        "none",
        "A.txt",
        "a.txt%20",
        "a.txt%00",
        "%2e%2e%2fkeyward.db",
        "..%5Ca.txt",
        "%ff",
        "a%2Ftxt",
    ] {
        let answer = exchange.fetch(name).await;
        answer.expect_problem(StatusCode::NOT_FOUND, "");
    }
    for path in [
        "/client/files",
        "/client/files/",
        "/client/files/sbeve72/a.txt/x",
    ] {
        let answer = exchange.app.get(path).bearer(&exchange.client).send().await;
        answer.expect_problem(StatusCode::NOT_FOUND, "");
    }
    let answer = exchange.ask(Method::DELETE, &[]).send().await;
    let answer = answer.expect_problem(StatusCode::METHOD_NOT_ALLOWED, "");
    assert!(answer.header("allow").contains("GET") && answer.header("allow").contains("HEAD"));
}

#[tokio::test]
async fn conditions_are_those_of_rfc_9110() {
    let exchange = hello().await;
    for (headers, status) in [
        (&[("if-none-match", ETAG)][..], 304),
        (&[("if-none-match", WEAK)], 304),
        (&[("if-none-match", "*")], 304),
        (&[("if-none-match", "\"x\""), ("if-none-match", ETAG)], 304),
        (&[("if-none-match", "\"x\"")], 200),
        (
            &[("if-none-match", "\"x\""), ("if-modified-since", MODIFIED)],
            200,
        ),
        (&[("if-modified-since", MODIFIED)], 304),
        (&[("if-modified-since", EARLIER)], 200),
        (&[("if-modified-since", "soon")], 200),
        (&[("if-match", ETAG)], 200),
        (&[("if-match", "*")], 200),
        (&[("if-match", WEAK)], 412),
        (&[("if-match", "\"x\"")], 412),
        (&[("if-unmodified-since", MODIFIED)], 200),
        (&[("if-unmodified-since", EARLIER)], 412),
        (&[("if-match", ETAG), ("if-unmodified-since", EARLIER)], 200),
        (&[("if-match", ETAG), ("if-none-match", ETAG)], 304),
        (&[("if-none-match", ETAG), ("range", "bytes=0-1")], 304),
        (&[("if-match", "\"x\""), ("range", "bytes=9-")], 412),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let answer = exchange.ask(method.clone(), headers).send().await;
            assert_eq!(answer.status.as_u16(), status, "{method} {headers:?}");
            match status {
                304 => not_modified(&answer),
                412 if method == Method::GET => {
                    answer.expect_problem(StatusCode::PRECONDITION_FAILED, "not as the request");
                }
                _ => {}
            }
        }
    }
}

fn not_modified(answer: &Answer) {
    assert_eq!(answer.body.len(), 0);
    assert_eq!(answer.header("etag"), ETAG);
    assert_eq!(answer.header("last-modified"), MODIFIED);
    assert_eq!(
        answer.header("content-length"),
        "5",
        "0 would be that of another file"
    );
    assert_eq!(answer.header("content-type"), "");
}

/// RFC 9110 §8.8.2.2, §13.1.5: only while a date in seconds names one file is it a strong validator.
#[tokio::test]
async fn a_date_never_resumes_a_download_into_the_file_that_replaced_it() {
    let exchange = hello().await;
    let range = ("range", "bytes=1-3");
    let dated = |answer: &Answer| answer.header("last-modified").to_owned();
    let first = dated(&exchange.get(&[]).send().await);
    for (seconds, content) in [(0, "jello"), (0, "cello"), (1, "bello"), (0, "fello")] {
        exchange.app.clock.advance(Duration::from_secs(seconds));
        let headers = "Content-Disposition: form-data; name=\"request_file\"; filename=\"a.txt\"";
        let body = form(&[part(headers, content.as_bytes())]);
        let answer = exchange.upload_to("/ops/upload?overwrite=true", body).await;
        answer.expect(StatusCode::CREATED);
    }
    let resumed = exchange.get(&[range, ("if-range", &first)]).send().await;
    assert_eq!(resumed.expect(StatusCode::OK).text(), "fello");
    let known = exchange.get(&[("if-modified-since", &first)]).send().await;
    assert_eq!(known.expect(StatusCode::OK).text(), "fello");
    // Its own time is ahead of the clock, so the clock's is sent.
    let now = "Thu, 01 Jan 2026 00:00:01 GMT";
    assert_eq!(dated(&exchange.get(&[]).send().await), now);
    let resumed = exchange.get(&[range, ("if-range", now)]).send().await;
    assert_eq!(resumed.expect(StatusCode::OK).text(), "fello");
    exchange.app.clock.advance(Duration::from_secs(60));
    let last = dated(&exchange.get(&[]).send().await);
    let resumed = exchange.get(&[range, ("if-range", &last)]).send().await;
    assert_eq!(resumed.expect(StatusCode::PARTIAL_CONTENT).text(), "ell");
    let known = exchange.get(&[("if-modified-since", &last)]).send().await;
    known.expect(StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn a_name_that_cannot_be_decoded_is_said_to_be_one() {
    let exchange = hello().await;
    for (path, part) in [
        ("/client/files/sbeve72/%FF", "not UTF-8"),
        ("/client/files/sbeve72/a%c3%28", "not UTF-8"),
        ("/client/files/%ff/a.txt", "not UTF-8"),
        ("/client/files/%ff", "not UTF-8"),
        ("/client/files/nobody/a.txt", "no such operator"),
        ("/client/files/sbeve72/%c3%a9", "no such file"),
    ] {
        let answer = exchange.app.get(path).bearer(&exchange.client).send().await;
        answer.expect_problem(StatusCode::NOT_FOUND, part);
        let answer = exchange.app.get(path).send().await;
        answer.expect_problem(StatusCode::UNAUTHORIZED, "send a token");
    }
    // An escaped letter is the letter, in the route and in the names.
    let path = "/%63lient/files/%73beve72/%61%2Etxt";
    let answer = exchange.app.get(path).bearer(&exchange.client).send().await;
    assert_eq!(answer.expect(StatusCode::OK).text(), "hello");
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn ranges_are_those_of_rfc_9110() {
    let exchange = hello().await;
    for (headers, expected, content_range) in [
        (&[("range", "bytes=0-0")][..], "h", "bytes 0-0/5"),
        (&[("range", "bytes=1-3")], "ell", "bytes 1-3/5"),
        (&[("range", "bytes=3-")], "lo", "bytes 3-4/5"),
        (&[("range", "bytes=0-99")], "hello", "bytes 0-4/5"),
        (&[("range", "bytes=-2")], "lo", "bytes 3-4/5"),
        (&[("range", "bytes=-99")], "hello", "bytes 0-4/5"),
        (
            &[("range", "bytes=4-99999999999999999999999")],
            "o",
            "bytes 4-4/5",
        ),
        (
            &[("range", "bytes=1-3"), ("if-range", ETAG)],
            "ell",
            "bytes 1-3/5",
        ),
        (
            &[("range", "bytes=1-3"), ("if-range", MODIFIED)],
            "ell",
            "bytes 1-3/5",
        ),
        (
            &[("range", "bytes=1-3"), ("if-match", ETAG)],
            "ell",
            "bytes 1-3/5",
        ),
        (&[("range", "bytes=1-3"), ("if-range", WEAK)], "hello", ""),
        (
            &[("range", "bytes=1-3"), ("if-range", "\"x\"")],
            "hello",
            "",
        ),
        (
            &[("range", "bytes=1-3"), ("if-range", EARLIER)],
            "hello",
            "",
        ),
        (&[("range", "bytes=9-"), ("if-range", "\"x\"")], "hello", ""),
        (&[("range", "bytes=0-0,4-4")], "hello", ""),
        (&[("range", "bytes=3-1")], "hello", ""),
        (&[("range", "bytes=-")], "hello", ""),
        (&[("range", "bytes=-1-3")], "hello", ""),
        (&[("range", "lines=1-3")], "hello", ""),
        (
            &[("range", "bytes=0-0"), ("range", "bytes=1-1")],
            "hello",
            "",
        ),
    ] {
        let answer = exchange.get(headers).send().await;
        let part = !content_range.is_empty();
        assert_eq!(
            answer.status.as_u16(),
            if part { 206 } else { 200 },
            "{headers:?}"
        );
        assert_eq!(answer.text(), expected, "{headers:?}");
        assert_eq!(answer.header("content-range"), content_range, "{headers:?}");
        assert_eq!(answer.header("content-length"), expected.len().to_string());
        assert_eq!(answer.header("etag"), ETAG);
        assert_eq!(answer.header("content-type"), "text/plain");
        // A range is of a GET alone (RFC 9110 §14.2).
        let head = exchange
            .ask(Method::HEAD, headers)
            .send()
            .await
            .expect(StatusCode::OK);
        assert_eq!(
            (head.header("content-length"), head.header("content-range")),
            ("5", "")
        );
    }
    let overlapping = format!("bytes={}0-", "0-,".repeat(10_000));
    let answer = exchange
        .get(&[("range", &overlapping)])
        .send()
        .await
        .expect(StatusCode::OK);
    assert_eq!(answer.text(), "hello");
    for range in [
        "bytes=5-",
        "bytes=99-100",
        "bytes=-0",
        "bytes=5-,-0",
        "bytes=99999999999999999999-",
    ] {
        let answer = exchange.get(&[("range", range)]).send().await;
        let answer = answer.expect_problem(StatusCode::RANGE_NOT_SATISFIABLE, "5");
        assert_eq!(answer.header("content-range"), "bytes */5", "{range}");
    }
}

#[tokio::test]
async fn a_download_that_broke_off_is_resumed_only_where_the_file_is_still_the_same() {
    let exchange = Exchange::start().await;
    let old: Vec<u8> = (0..900_000_u32).map(|index| (index % 251) as u8).collect();
    exchange.upload("a.txt", &old).await;
    let first = exchange.get(&[("range", "bytes=0-299999")]).send().await;
    let first = first.expect(StatusCode::PARTIAL_CONTENT);
    let etag = first.header("etag").to_owned();
    let resume = [("range", "bytes=300000-"), ("if-range", etag.as_str())];
    let rest = exchange
        .get(&resume)
        .send()
        .await
        .expect(StatusCode::PARTIAL_CONTENT);
    assert!([first.body, rest.body].concat() == old);
    let body = form(&[file("a.txt", &old[1..])]);
    let answer = exchange.upload_to("/ops/upload?overwrite=true", body).await;
    answer.expect(StatusCode::CREATED);
    let whole = exchange.get(&resume).send().await.expect(StatusCode::OK);
    assert!(whole.body == old[1..]);
    let stale = exchange
        .get(&[("range", "bytes=300000-"), ("if-match", &etag)])
        .send()
        .await;
    stale.expect(StatusCode::PRECONDITION_FAILED);
}
