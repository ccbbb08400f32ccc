//! A request that HTTP/1.1 forbids, or that two servers could read differently, is refused and its connection closed.

use super::*;

/// Sends `request` and a second one, which must never be read as a request. Returns all responses.
async fn exchange(server: &Running, request: &[u8]) -> String {
    let mut client = server.connect().await;
    client.write_all(request).await.unwrap();
    // The write fails if the server has already closed the connection.
    let _ = client
        .write_all(b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        .await;
    rest(&mut client).await
}

/// The defect, and the request.
const MALFORMED: &[(&str, &str)] = &[
    (
        "two lengths",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    ),
    (
        "a list of lengths",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 2\r\n\r\nab",
    ),
    (
        "a signed length",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na",
    ),
    (
        "a negative length",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    ),
    (
        "a hexadecimal length",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\na",
    ),
    (
        "an empty length",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n",
    ),
    (
        "a length beyond u64",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n",
    ),
    (
        "an encoding that is not chunked",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n",
    ),
    (
        "chunked not last",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked misspelt",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked in HTTP/1.0",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "a folded line",
        "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n",
    ),
    ("a folded first line", "GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    (
        "a space before the colon",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 1\r\n\r\na",
    ),
    (
        "a tab before the colon",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
    ),
    ("no colon", "GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n"),
    (
        "a bare CR",
        "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\rX-B: c\r\n\r\n",
    ),
    ("a NUL", "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n"),
    ("no host", "GET / HTTP/1.1\r\n\r\n"),
    ("two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"),
    (
        "two hosts in HTTP/1.0",
        "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n",
    ),
    ("a host that is none", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
    (
        "a host that is none in HTTP/1.0",
        "GET / HTTP/1.0\r\nHost: a/b\r\n\r\n",
    ),
    ("a list of hosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    (
        "a host with a port that is none",
        "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
    ),
    (
        "an address without brackets",
        "GET / HTTP/1.1\r\nHost: ::1\r\n\r\n",
    ),
    ("a user in the host", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"),
    (
        "a host that is none beside a target that has one",
        "GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n",
    ),
    (
        "a user in the target's host",
        "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    (
        "another coding before chunked",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "another coding in a line before",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "two spaces in the first line",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    ("no version", "GET /\r\n\r\n"),
    ("another version", "GET / HTTP/1.2\r\nHost: a\r\n\r\n"),
];

#[tokio::test]
async fn ambiguous_or_malformed_requests_are_answered_400_and_the_connection_closed() {
    let server = Running::start(router(), Settings::default()).await;
    for (what, request) in MALFORMED {
        let answers = exchange(&server, request.as_bytes()).await;
        let answered = ["HTTP/1.1 400 ", "HTTP/1.0 400 "].map(|it| answers.starts_with(it));
        assert!(answered.contains(&true), "{what}: {answers}");
        assert_eq!(answers.matches("HTTP/1.").count(), 1, "{what}: {answers}");
    }
}

#[tokio::test]
async fn what_hyper_lets_pass_is_refused_with_an_id_and_the_reason() {
    let server = Running::start(router(), Settings::default()).await;
    for (head, reason) in [
        ("GET / HTTP/1.1\r\n\r\n", "exactly one Host"),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "exactly one Host"),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n",
            "only transfer coding",
        ),
    ] {
        let answer = exchange(&server, head.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        for part in ["x-request-id: ", "connection: close", reason] {
            assert!(answer.contains(part), "{part}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_host_that_is_one_is_served_and_http_1_0_needs_none() {
    let server = Running::start(router(), Settings::default()).await;
    for head in [
        "GET / HTTP/1.1\r\nHost: a.example:80\r\n",
        "GET / HTTP/1.1\r\nHost:\t[::1]:80 \r\n",
        "GET / HTTP/1.1\r\nHost:\r\n",
        "GET http://a:80/ HTTP/1.1\r\nHost: b\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\n",
        "GET / HTTP/1.0\r\n",
    ] {
        let mut client = server.connect().await;
        let request = format!("{head}Connection: close\r\n\r\n");
        client.write_all(request.as_bytes()).await.unwrap();
        let answer = rest(&mut client).await;
        assert!(
            answer.contains(" 200 ") && answer.ends_with("hello"),
            "{head}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_client_of_http_2_is_hung_up_on_as_it_would_not_understand_an_answer() {
    let server = Running::start(router(), Settings::default()).await;
    assert_eq!(
        exchange(&server, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await,
        ""
    );
}

/// hyper reads such a request by its chunks alone, as RFC 9112 §6.3 allows, and drops the length before Keyward could
/// see it. The request is answered, not refused, but nothing after it is read.
#[tokio::test]
async fn of_a_length_and_chunks_only_the_chunks_count_and_the_connection_is_closed() {
    let server = Running::start(router(), Settings::default()).await;
    let (length, chunked) = ("Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n");
    for (first, second) in [(length, chunked), (chunked, length)] {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{first}{second}");
        let answers = exchange(&server, format!("{head}\r\n1\r\na\r\n0\r\n\r\n").as_bytes()).await;
        assert!(answers.ends_with("1 bytes"), "{answers}");
        assert!(answers.contains("connection: close"), "{answers}");
        assert_eq!(answers.matches("HTTP/1.").count(), 1, "{answers}");
    }
}

#[tokio::test]
async fn bad_chunks_fail_the_body_and_nothing_after_them_is_read_as_a_request() {
    let server = Running::start(router(), Settings::default()).await;
    let endless_extension = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(1 << 20));
    let endless_trailer = format!("0\r\nX-A: {}\r\n\r\n", "x".repeat(1 << 20));
    for (what, chunks) in [
        ("no size", "\r\nab\r\n0\r\n\r\n"),
        ("a size that is no number", "g\r\na\r\n0\r\n\r\n"),
        ("a size with a sign", "+1\r\na\r\n0\r\n\r\n"),
        ("a size with a prefix", "0x1\r\na\r\n0\r\n\r\n"),
        ("a size beyond u64", "11111111111111111\r\na\r\n0\r\n\r\n"),
        ("a chunk longer than its size", "1\r\nab\r\n0\r\n\r\n"),
        ("a size that ends in a bare LF", "1\na\r\n0\r\n\r\n"),
        ("a chunk that ends in a bare LF", "1\r\na\n0\r\n\r\n"),
        ("an extension of a mebibyte", &endless_extension),
        ("a trailer of a mebibyte", &endless_trailer),
    ] {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answers = exchange(&server, format!("{head}{chunks}").as_bytes()).await;
        assert!(answers.starts_with("HTTP/1.1 400 "), "{what}: {answers}");
        assert_eq!(answers.matches("HTTP/1.").count(), 1, "{what}: {answers}");
    }
}

#[tokio::test]
async fn heads_over_the_limits_are_answered_431() {
    let server = Running::start(router(), Settings::default()).await;
    let long = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX-A: {}\r\n\r\n",
        "x".repeat(40_000)
    );
    let many = format!(
        "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
        "X-A: b\r\n".repeat(101)
    );
    for request in [long, many] {
        let answers = exchange(&server, request.as_bytes()).await;
        assert!(answers.starts_with("HTTP/1.1 431 "), "{answers}");
        assert_eq!(answers.matches("HTTP/1.").count(), 1, "{answers}");
    }
}

#[tokio::test]
async fn requests_in_a_row_are_each_answered() {
    let server = Running::start(router(), Settings::default()).await;
    let mut client = server.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\n";
    let all = format!(
        "{head}Content-Length: 3\r\n\r\nabc\
         {head}Transfer-Encoding: chunked\r\n\r\n1;extension=x\r\na\r\n0\r\nX-Trailer: x\r\n\r\n\
         GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    );
    client.write_all(all.as_bytes()).await.unwrap();
    let answers = rest(&mut client).await;
    let bodies = ["3 bytes", "1 bytes", "hello"];
    assert!(
        bodies.iter().all(|body| answers.contains(body)),
        "{answers}"
    );
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 3, "{answers}");
}
