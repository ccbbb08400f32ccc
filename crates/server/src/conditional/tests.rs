//! Preconditions in their order, and ranges with `If-Range`.

use http::HeaderValue;

use super::*;

const MODIFIED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const EARLIER: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

fn current() -> Validators {
    // Half a second later than the date, which has whole seconds.
    let modified = Timestamp::from_micros(784_111_777_500_000);
    Validators {
        tag: EntityTag::strong("a"),
        modified,
    }
}

fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn a_read_is_judged_in_the_order_of_rfc_9110() {
    for (fields, expected) in [
        (&[][..], Verdict::Proceed),
        (&[("if-match", r#""a""#)], Verdict::Proceed),
        (&[("if-match", "*")], Verdict::Proceed),
        (&[("if-match", r#""b", "a""#)], Verdict::Proceed),
        (&[("if-match", r#""b""#)], Verdict::Failed),
        (&[("if-match", r#"W/"a""#)], Verdict::Failed),
        (&[("if-match", "a")], Verdict::Failed),
        // If-Match makes If-Unmodified-Since void.
        (
            &[("if-match", r#""a""#), ("if-unmodified-since", EARLIER)],
            Verdict::Proceed,
        ),
        (&[("if-unmodified-since", EARLIER)], Verdict::Failed),
        (&[("if-unmodified-since", MODIFIED)], Verdict::Proceed),
        (&[("if-unmodified-since", "yesterday")], Verdict::Proceed),
        (&[("if-none-match", r#""a""#)], Verdict::NotModified),
        (&[("if-none-match", r#"W/"a""#)], Verdict::NotModified),
        (&[("if-none-match", r#""b"  ,"a""#)], Verdict::NotModified),
        (&[("if-none-match", "*")], Verdict::NotModified),
        (&[("if-none-match", r#""b""#)], Verdict::Proceed),
        (&[("if-none-match", "a")], Verdict::Proceed),
        // If-None-Match makes If-Modified-Since void.
        (
            &[("if-none-match", r#""b""#), ("if-modified-since", LATER)],
            Verdict::Proceed,
        ),
        (
            &[("if-none-match", r#""a""#), ("if-modified-since", EARLIER)],
            Verdict::NotModified,
        ),
        (&[("if-modified-since", MODIFIED)], Verdict::NotModified),
        (&[("if-modified-since", LATER)], Verdict::NotModified),
        (
            &[("if-modified-since", "Sunday, 06-Nov-94 08:49:37 GMT")],
            Verdict::NotModified,
        ),
        (&[("if-modified-since", EARLIER)], Verdict::Proceed),
        (&[("if-modified-since", "784111777")], Verdict::Proceed),
        (
            &[("if-modified-since", LATER), ("if-modified-since", LATER)],
            Verdict::Proceed,
        ),
        // 412 takes precedence over 304.
        (
            &[("if-match", r#""b""#), ("if-none-match", r#""a""#)],
            Verdict::Failed,
        ),
        (
            &[("if-match", r#""a""#), ("if-none-match", r#""a""#)],
            Verdict::NotModified,
        ),
        (
            &[("if-unmodified-since", EARLIER), ("if-none-match", "*")],
            Verdict::Failed,
        ),
    ] {
        for method in [Method::GET, Method::HEAD] {
            assert_eq!(
                evaluate(&method, &headers(fields), &current()),
                expected,
                "{fields:?}"
            );
        }
    }
}

#[test]
fn a_write_fails_where_a_read_would_find_nothing_new() {
    for (fields, expected) in [
        (&[("if-none-match", "*")], Verdict::Failed),
        (&[("if-none-match", r#"W/"a""#)], Verdict::Failed),
        (&[("if-none-match", "a")], Verdict::Failed),
        (&[("if-none-match", r#""b""#)], Verdict::Proceed),
        (&[("if-modified-since", LATER)], Verdict::Proceed),
        (&[("if-match", r#""b""#)], Verdict::Failed),
    ] {
        assert_eq!(
            evaluate(&Method::PUT, &headers(fields), &current()),
            expected,
            "{fields:?}"
        );
    }
}

#[test]
fn a_range_counts_only_while_if_range_holds() {
    let part = Selection::Part(1..3);
    for (fields, expected) in [
        (&[][..], &part),
        (&[("if-range", r#""a""#)], &part),
        (&[("if-range", MODIFIED)], &part),
        (&[("if-range", r#""b""#)], &Selection::Whole),
        (&[("if-range", r#"W/"a""#)], &Selection::Whole),
        (&[("if-range", EARLIER)], &Selection::Whole),
        (&[("if-range", LATER)], &Selection::Whole),
        (&[("if-range", "*")], &Selection::Whole),
        (&[("if-range", r#""a", "b""#)], &Selection::Whole),
        (
            &[("if-range", r#""a""#), ("if-range", r#""a""#)],
            &Selection::Whole,
        ),
        (&[("range", "bytes=1-2")], &Selection::Whole),
    ] {
        let mut headers = headers(fields);
        headers.append(RANGE, HeaderValue::from_static("bytes=1-2"));
        assert_eq!(
            select(&Method::GET, &headers, &current(), 10),
            *expected,
            "{fields:?}"
        );
        assert_eq!(
            select(&Method::HEAD, &headers, &current(), 10),
            Selection::Whole
        );
    }
    assert_eq!(
        select(&Method::GET, &headers(&[]), &current(), 10),
        Selection::Whole
    );
}

#[test]
fn dates_are_written_as_rfc_9110_says_whatever_the_moment() {
    assert_eq!(http_date(current().modified), MODIFIED);
    assert_eq!(
        http_date(Timestamp::from_seconds(-1)),
        "Thu, 01 Jan 1970 00:00:00 GMT"
    );
    let end = http_date(Timestamp::from_micros(i64::MAX));
    assert_eq!(end, "Fri, 31 Dec 9999 23:59:59 GMT");
}
