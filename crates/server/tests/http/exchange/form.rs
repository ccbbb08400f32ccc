//! Forms that are broken, bulky or made to be misread. None of them leaves anything behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::{Body, Bytes};
use futures_util::{Stream, StreamExt, stream};
use http::StatusCode;

use super::{BOUNDARY, Exchange, content_type, field, file, form, part};
use crate::app::Options;

const BAD: StatusCode = StatusCode::BAD_REQUEST;
/// What the headers of the file begin with.
const DISPOSITION: &str = "Content-Disposition: form-data; name=\"request_file\"";

impl Exchange {
    /// Uploads that body and asserts the failure, and that nothing is left of it.
    async fn refuses(&self, body: impl Into<Body>, status: StatusCode, why: &str) {
        let answer = self.upload_body(body).await;
        answer.expect_problem(status, why);
        assert_eq!(self.names().await, Vec::<String>::new(), "{why}");
        assert_eq!(self.stored(), 0, "{why}");
    }
}

#[tokio::test]
async fn a_form_needs_a_good_type_and_a_good_boundary() {
    let exchange = Exchange::start().await;
    let long = format!("multipart/form-data; boundary={}", "a".repeat(71));
    for (content_type, status) in [
        ("multipart/form-data", BAD),
        ("multipart/form-data; boundary=", BAD),
        ("multipart/form-data; boundary=\"\"", BAD),
        ("multipart/form-data; boundary=other", BAD),
        (&long, BAD),
        (
            "multipart/mixed; boundary=7f3a-b0undary",
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (
            "application/x-www-form-urlencoded",
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (
            "application/octet-stream",
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
    ] {
        let body = form(&[file("a.txt", b"hello")]);
        let request = exchange.app.post("/ops/upload").bearer(&exchange.ops);
        let answer = request.body(content_type, body).send().await;
        answer.expect_problem(status, "");
    }
    let body = form(&[file("a.txt", b"hello")]);
    let request = exchange.app.post("/ops/upload").bearer(&exchange.ops);
    let packed = request
        .body(&content_type(), body)
        .header("content-encoding", "gzip");
    packed
        .send()
        .await
        .expect_problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Encoding");
    assert_eq!(exchange.stored(), 0);
}

#[tokio::test]
async fn the_file_is_there_once_and_in_its_field() {
    let exchange = Exchange::start().await;
    let hello = || file("a.txt", b"hello");
    let unnamed = part(
        "Content-Disposition: form-data; filename=\"a.txt\"",
        b"hello",
    );
    for (parts, why) in [
        (vec![], "in the field request_file"),
        (vec![field("file", b"hello")], "in the field request_file"),
        (
            vec![field("Request_file", b"hello")],
            "in the field request_file",
        ),
        (vec![field("request_file", b"hello")], "needs a name"),
        (vec![hello(), hello()], "twice"),
        (vec![hello(), file("b.txt", b"x")], "twice"),
        (vec![hello(), field("request_file", b"x")], "twice"),
        (vec![unnamed], "Content-Disposition"),
        (
            vec![part("Content-Type: text/plain", b"hello")],
            "Content-Disposition",
        ),
        (
            vec![part(
                "Content-Disposition: attachment; name=\"request_file\"",
                b"",
            )],
            "Content-",
        ),
        (vec![hello(), part("X: y", b"hello")], "Content-Disposition"),
        (vec![part("no colon here", b"hello")], "good multipart"),
    ] {
        exchange.refuses(form(&parts), BAD, why).await;
    }
}

#[tokio::test]
async fn a_form_that_ends_before_its_end_leaves_nothing() {
    let exchange = Exchange::start().await;
    let whole = form(&[field("x", b"y"), file("a.txt", b"hello")]);
    // The closing delimiter is whole without its last line break.
    for end in 0..whole.len() - 2 {
        exchange
            .refuses(whole[..end].to_vec(), BAD, "good multipart")
            .await;
    }
    let half = Bytes::copy_from_slice(&whole[..whole.len() - 30]);
    let broken = stream::iter([Ok(half), Err(std::io::Error::other("reset"))]);
    exchange
        .refuses(Body::from_stream(broken), BAD, "broke off")
        .await;
    exchange
        .upload_body(whole[..whole.len() - 2].to_vec())
        .await
        .expect(StatusCode::CREATED);
}

#[tokio::test]
async fn line_breaks_in_a_name_do_not_make_headers() {
    let exchange = Exchange::start().await;
    for name in [
        "a\r\nContent-Type: text/html\r\n\r\nb",
        "a\r\nb",
        "a\r\n b",
        "a\nb",
        "a\rb",
        "a\0b",
    ] {
        exchange
            .refuses(form(&[file(name, b"hello")]), BAD, "")
            .await;
    }
    for name in ["a%0D%0AX: y", "a%0ab", "a%0d"] {
        exchange
            .refuses(form(&[file(name, b"hello")]), BAD, "control characters")
            .await;
    }
    let latin =
        [b"Content-Disposition: form-data; name=request_file; filename=\"\xe9\"".as_slice()];
    let latin = [latin[0], b"\r\n\r\nhello"].concat();
    exchange.refuses(form(&[latin]), BAD, "UTF-8").await;
}

#[tokio::test]
async fn other_parts_are_read_past_but_only_so_many_and_so_large() {
    let exchange = Exchange::start().await;
    let largest = field("x", &vec![b'x'; 64 * 1024]);
    let larger = field("x", &vec![b'x'; 64 * 1024 + 1]);
    exchange
        .refuses(form(&[larger]), StatusCode::PAYLOAD_TOO_LARGE, "a part")
        .await;
    exchange
        .refuses(form(&vec![field("x", b""); 10_000]), BAD, "too many parts")
        .await;
    let mut parts = vec![field("x", b""); 16];
    parts.push(file("a.txt", b"hello"));
    exchange.refuses(form(&parts), BAD, "too many parts").await;
    let parts = vec![largest.clone(), file("a.txt", b"hello"), largest];
    exchange
        .upload_body(form(&parts))
        .await
        .expect(StatusCode::CREATED);
}

#[tokio::test]
async fn a_form_within_a_form_is_a_file_like_any_other() {
    let exchange = Exchange::start().await;
    let inner = form(&[file("inner.txt", b"hello")]);
    let inner = String::from_utf8(inner)
        .expect("UTF-8")
        .replace(BOUNDARY, "inner");
    let headers = "Content-Disposition: form-data; name=\"request_file\"; filename=\"a\"\r\n\
                   Content-Type: multipart/form-data; boundary=inner";
    let answer = exchange
        .upload_body(form(&[part(headers, inner.as_bytes())]))
        .await;
    answer.expect(StatusCode::CREATED);
    assert_eq!(exchange.names().await, ["a"]);
    assert_eq!(exchange.fetch("a").await.text(), inner);
}

#[tokio::test]
async fn contents_that_look_like_a_boundary_are_kept() {
    let exchange = Exchange::start().await;
    let tricky = format!(
        "--{BOUNDARY}\r\n\r\n-{BOUNDARY}\r\n--{}\n--{BOUNDARY}--\r\n\r",
        &BOUNDARY[1..]
    );
    // At the very beginning of the contents there is no line break before it.
    let tricky = tricky.as_bytes();
    let body = form(&[file("a", tricky)]);
    for size in [1, 2, 3, 7, body.len()] {
        let pieces: Vec<_> = body.chunks(size).map(Bytes::copy_from_slice).collect();
        let pieces = stream::iter(pieces.into_iter().map(Ok::<_, std::io::Error>));
        let answer = exchange
            .upload_to("/ops/upload?overwrite=true", Body::from_stream(pieces))
            .await;
        answer.expect(StatusCode::CREATED);
        assert_eq!(exchange.fetch("a").await.body, tricky);
    }
}

/// `head`, then 8 KiB of `x` at a time, 64 MiB in all, and how many bytes were taken of it.
fn endless(
    head: &[u8],
) -> (
    impl Stream<Item = Result<Bytes, std::io::Error>> + use<>,
    Arc<AtomicU64>,
) {
    let taken = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&taken);
    let head = stream::iter([Bytes::copy_from_slice(head)]);
    let chunks = head.chain(stream::repeat(Bytes::from(vec![b'x'; 8 * 1024])).take(8 * 1024));
    let counted = chunks.map(move |chunk| {
        counter.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        Ok(chunk)
    });
    (counted, taken)
}

#[tokio::test]
async fn what_has_no_end_is_refused_before_it_is_kept() {
    let options = Options {
        largest_file: 1024 * 1024,
        ..Options::default()
    };
    let exchange = Exchange::with(options).await;
    let header = format!("--{BOUNDARY}\r\nX-Long: ");
    let other = form(&[field("x", b"")]);
    let other = &other[..other.len() - BOUNDARY.len() - 8];
    let large = form(&[file("a", b"")]);
    let large = &large[..large.len() - BOUNDARY.len() - 8];
    for (head, status, most) in [
        (&b""[..], BAD, 128 * 1024),
        (header.as_bytes(), BAD, 128 * 1024),
        (other, StatusCode::PAYLOAD_TOO_LARGE, 256 * 1024),
        (
            large,
            StatusCode::PAYLOAD_TOO_LARGE,
            1024 * 1024 + 128 * 1024,
        ),
    ] {
        let (body, taken) = endless(head);
        exchange.refuses(Body::from_stream(body), status, "").await;
        let taken = taken.load(Ordering::Relaxed);
        let head = String::from_utf8_lossy(head);
        assert!(taken <= most, "{taken} bytes were read after {head}");
    }
    // A header of a megabyte that arrives at once.
    let long = part(&format!("X-Long: {}", "x".repeat(1024 * 1024)), b"");
    exchange
        .refuses(form(&[long]), BAD, "headers of a part")
        .await;
}

#[tokio::test]
async fn a_type_is_read_with_the_white_space_and_the_case_that_its_grammar_allows() {
    let exchange = Exchange::start().await;
    for (index, content_type) in [
        "multipart/form-data ; boundary=7f3a-b0undary",
        "multipart/form-data; boundary=7f3a-b0undary ;",
        "multipart/form-data;\tboundary=7f3a-b0undary\t",
        "Multipart/Form-Data; BOUNDARY=\"7f3a-b0undary\"",
        "multipart/form-data; charset=\"a;b\"; boundary=7f3a-b0undary",
    ]
    .into_iter()
    .enumerate()
    {
        let body = form(&[file(&index.to_string(), b"hello")]);
        let request = exchange.app.post("/ops/upload").bearer(&exchange.ops);
        let answer = request.body(content_type, body).send().await;
        answer.expect(StatusCode::CREATED);
    }
    for content_type in [
        "multipart/form-data; boundary",
        "multipart/form-data; boundary=7f3a-b0undary; boundary=7f3a-b0undary",
        "multipart/form-data; boundary=7f3a-b0undary; Boundary=other",
        "multipart/form-data; boundary=\"7f3a-b0undary",
    ] {
        let body = form(&[file("bad", b"hello")]);
        let request = exchange.app.post("/ops/upload").bearer(&exchange.ops);
        let answer = request.body(content_type, body).send().await;
        answer.expect_problem(BAD, "boundary");
    }
    assert_eq!(exchange.stored(), 5);
}

#[tokio::test]
async fn a_part_is_described_as_its_client_means_it() {
    let exchange = Exchange::start().await;
    let octets = "application/octet-stream";
    let latin = "filename=\"fb.txt\"; filename*=iso-8859-1''na%EFve.txt";
    for (rest, name, kept) in [
        (
            "filename=a; ;\r\nContent-Type: text/plain ; charset=utf-8",
            "a",
            "text/plain ; charset=utf-8",
        ),
        ("filename=b\r\nContent-Type: text/", "b", octets),
        ("filename=c\r\nContent-Type: /plain", "c", octets),
        (
            "filename=d\r\nContent-Type: text/plain; charset",
            "d",
            octets,
        ),
        (
            "filename=e\r\nContent-Type: text/plain;",
            "e",
            "text/plain;",
        ),
        (
            "filename=f\r\nContent-Type: text/plain, text/html",
            "f",
            octets,
        ),
        (latin, "fb.txt", octets),
        (
            "filename=\"g.txt\"; filename*=UTF-8''..%2Fg",
            "g.txt",
            octets,
        ),
        ("filename*=UTF-8''; filename=\"h.txt\"", "h.txt", octets),
        ("filename*=UTF-8''%C3%A9; filename=\"i.txt\"", "é", octets),
        (
            "filename=j\r\nContent-Transfer-Encoding: Binary",
            "j",
            octets,
        ),
        (
            "filename=k\r\nContent-Transfer-Encoding: 8bit ",
            "k",
            octets,
        ),
    ] {
        let headers = format!("{DISPOSITION}; {rest}");
        let answer = exchange
            .upload_body(form(&[part(&headers, b"hello")]))
            .await;
        let answer = answer.expect(StatusCode::CREATED);
        let found = (
            answer.text_at("/file_name"),
            answer.text_at("/content_type"),
        );
        assert_eq!(found, (name.to_owned(), kept.to_owned()), "{rest}");
    }
}

#[tokio::test]
async fn a_part_that_could_be_meant_in_two_ways_is_refused() {
    let exchange = Exchange::start().await;
    for (rest, why) in [
        ("filename*=iso-8859-1''na%EFve.txt", "Content-Disposition"),
        (
            "filename=\"../a\"; filename*=UTF-8''..%2Fg",
            "must not be a path",
        ),
        (
            "filename=a; filename*=UTF-8''b; filename*=UTF-8''b",
            "Content-Disposition",
        ),
        (
            "filename=a\r\nContent-Transfer-Encoding: base64",
            "Content-Transfer-Encoding: base64",
        ),
        (
            "filename=a\r\nContent-Transfer-Encoding: Quoted-Printable",
            "Quoted-Printable",
        ),
        (
            "filename=a\r\nContent-Transfer-Encoding: ",
            "Content-Transfer-Encoding",
        ),
        ("filename=a\r\n ;x=y", "over several lines"),
    ] {
        let headers = format!("{DISPOSITION}; {rest}");
        let answer = exchange
            .upload_body(form(&[part(&headers, b"hello")]))
            .await;
        answer.expect_problem(BAD, why);
    }
    let lines = String::from_utf8(form(&[file("lf", b"hello")])).expect("text");
    let answer = exchange.upload_body(lines.replace("\r\n", "\n")).await;
    answer.expect_problem(BAD, "CR LF");
    assert_eq!(exchange.stored(), 0);
}

#[tokio::test]
async fn a_form_may_arrive_a_byte_at_a_time() {
    let exchange = Exchange::start().await;
    let headers = format!(
        "X-Long: {}\r\nContent-Disposition: form-data; name=request_file; filename=a",
        "x".repeat(5_000)
    );
    let content: Vec<u8> = (0..20_000_u32).map(|index| (index % 251) as u8).collect();
    let body = form(&[field("x", b"y"), part(&headers, &content), field("z", b"")]);
    let bytes = stream::iter(body).map(|byte| Ok::<_, std::io::Error>(Bytes::from(vec![byte])));
    let answer = exchange.upload_body(Body::from_stream(bytes)).await;
    answer.expect(StatusCode::CREATED);
    assert!(exchange.fetch("a").await.body == content);
}
