//! The grammar, the bounds and the refusals of the scanner.

use super::*;

const DEPTH: usize = 16;

#[test]
fn shapes_are_told() {
    assert_eq!(check(b" {} ", DEPTH), Ok(Shape::Object));
    assert_eq!(check(b"\r\n[1]\t", DEPTH), Ok(Shape::Array));
    for other in ["0", "-0.5e+10", "\"a\"", "true", "false", "null"] {
        assert_eq!(check(other.as_bytes(), DEPTH), Ok(Shape::Other), "{other}");
    }
}

#[test]
fn valid_texts_pass() {
    for text in [
        r#"{"a":{"a":{"a":[{"a":1},{"a":2}]}},"b":"\u00e9\ud83d\ude00\/\b\f\n\r\t\\\"","c":[]}"#,
        r#"{"":0," ":1,"é":2,"😀":3}"#,
        r#"{"n":123456789012345678901234567890.1e-99999}"#,
        "[[],{},[{}],\"\u{7f}\u{2028}\"]",
    ] {
        assert!(check(text.as_bytes(), DEPTH).is_ok(), "{text}");
    }
}

#[test]
fn invalid_texts_are_refused_where_they_go_wrong() {
    for (text, offset) in [
        ("", 0),
        ("  ", 2),
        ("{", 1),
        ("{\"a\"", 4),
        ("{\"a\":", 5),
        ("{\"a\":1", 6),
        ("{\"a\":1,}", 7),
        ("{a:1}", 1),
        ("{'a':1}", 1),
        ("{\"a\" 1}", 5),
        ("{1:1}", 1),
        ("[1,]", 3),
        ("[1 2]", 3),
        ("[1}", 2),
        ("{\"a\":1]", 6),
        ("]", 0),
        ("{}x", 2),
        ("{}{}", 2),
        ("01", 1),
        ("-", 1),
        ("+1", 0),
        (".5", 0),
        ("1.", 2),
        ("1e", 2),
        ("1e+", 3),
        ("0x10", 1),
        ("NaN", 0),
        ("Infinity", 0),
        ("nul", 3),
        ("True", 0),
        ("\"a", 2),
        ("\"\n\"", 1),
        ("\"\\x\"", 2),
        ("\"\\u12G4\"", 5),
        ("\"\\u123", 6),
        ("/* */1", 0),
        ("\u{feff}{}", 0),
        ("\u{a0}1", 0),
    ] {
        assert_eq!(
            check(text.as_bytes(), DEPTH),
            Err(Error::Syntax { offset }),
            "{text}"
        );
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused() {
    for bytes in [
        &b"\"\xff\""[..],
        b"\"\xc0\x80\"",
        b"\"\xed\xa0\x80\"",
        b"\"\xc3",
    ] {
        assert_eq!(check(bytes, DEPTH), Err(Error::Utf8 { offset: 1 }));
    }
}

#[test]
fn duplicate_names_are_refused_at_every_level_and_through_escapes() {
    for (text, offset) in [
        (r#"{"a":1,"a":1}"#, 7),
        (r#"{"a":1,"\u0061":1}"#, 7),
        (r#"{"\u0061":1,"a":1}"#, 12),
        (r#"{"x":{"a":1,"b":2,"a":3}}"#, 18),
        (r#"[[{"a":1,"a":1}]]"#, 9),
        (r#"{"":1,"":2}"#, 6),
        (r#"{"\ud83d\ude00":1,"😀":2}"#, 18),
        (r#"{"\uD83D\uDE00":1,"😀":2}"#, 18),
        (r#"{"\u00E9":1,"\u00e9":2}"#, 12),
        (r#"{"\uABCD":1,"\uabcd":2}"#, 12),
        (r#"{"\uEF01":1,"\uef01":2}"#, 12),
        (r#"{"a\/b":1,"a/b":2}"#, 10),
        (r#"{"a":{"b":{}},"a":1}"#, 14),
    ] {
        let refused = Err(Error::DuplicateMember { offset });
        assert_eq!(check(text.as_bytes(), DEPTH), refused, "{text}");
    }
}

#[test]
fn the_same_name_in_different_objects_is_no_duplicate() {
    let text = r#"{"a":{"a":1},"b":[{"a":1},{"a":2}],"c":{"b":1,"a":2}}"#;
    assert_eq!(check(text.as_bytes(), DEPTH), Ok(Shape::Object));
}

#[test]
fn lone_surrogates_are_refused() {
    for text in [
        r#""\ud800""#,
        r#""\uD800""#,
        r#""\uDBFF\u0041""#,
        r#""\uDFFF""#,
        r#""\udc00""#,
        r#""\ud800\ud800""#,
        r#""\ud800x""#,
        r#""\ud800\n""#,
        r#""\udc00\ud800""#,
    ] {
        assert_eq!(
            check(text.as_bytes(), DEPTH),
            Err(Error::LoneSurrogate { offset: 1 })
        );
    }
}

#[test]
fn the_depth_bound_is_exact() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(check(nested(DEPTH).as_bytes(), DEPTH), Ok(Shape::Array));
    let too_deep = Err(Error::TooDeep { offset: DEPTH });
    assert_eq!(check(nested(DEPTH + 1).as_bytes(), DEPTH), too_deep);
    assert_eq!(
        check("{\"a\":".repeat(1_000_000).as_bytes(), DEPTH)
            .unwrap_err()
            .to_string(),
        "nested too deeply at byte 80"
    );
    assert_eq!(check(b"1", 0), Ok(Shape::Other));
    assert_eq!(check(b"{}", 0), Err(Error::TooDeep { offset: 0 }));
}

#[test]
fn a_duplicate_among_many_names_is_found_wherever_it_stands() {
    for count in [15, 16, 17, 18, 40] {
        let members: Vec<_> = (0..count).map(|n| format!("\"n{n}\":{n}")).collect();
        let text = format!("{{{}}}", members.join(","));
        assert_eq!(check(text.as_bytes(), DEPTH), Ok(Shape::Object), "{count}");
        for repeated in 0..count {
            let text = format!("{{{},\"n{repeated}\":0}}", members.join(","));
            let offset = text.rfind("\"n").unwrap();
            let refused = Err(Error::DuplicateMember { offset });
            assert_eq!(
                check(text.as_bytes(), DEPTH),
                refused,
                "{repeated} of {count}"
            );
        }
    }
}

#[test]
fn a_hundred_thousand_members_are_checked_in_linear_time() {
    let members: Vec<_> = (0..100_000).map(|n| format!("\"n{n}\":0")).collect();
    let text = format!("{{{}}}", members.join(","));
    let began = std::time::Instant::now();
    assert_eq!(check(text.as_bytes(), DEPTH), Ok(Shape::Object));
    // A quadratic check takes minutes.
    assert!(began.elapsed() < std::time::Duration::from_secs(5));
}

#[test]
fn members_are_visited_unescaped_with_their_values_as_spelled() {
    let text = r#" { "\u0061" : {"x":[1, 2]} , "b":1e400,"c" : "\"}" ,"d":[]} "#;
    let mut seen = Vec::new();
    let shape = visit_members(text, DEPTH, |name, value| {
        seen.push((name.to_owned(), value));
    });
    assert_eq!(shape, Ok(Shape::Object));
    let expected = [
        ("a", "{\"x\":[1, 2]}"),
        ("b", "1e400"),
        ("c", "\"\\\"}\""),
        ("d", "[]"),
    ];
    assert_eq!(seen, expected.map(|(name, value)| (name.to_owned(), value)));
}

#[test]
fn only_objects_have_members_to_visit() {
    for text in ["[{\"a\":1}]", "1", "{}"] {
        let visited = visit_members(text, DEPTH, |name, _| panic!("{name}"));
        assert!(visited.is_ok());
    }
}

/// Whatever stands where in a string, the fast look at eight bytes and a look at each agree.
#[test]
fn a_string_ends_where_it_ends_at_every_length() {
    for special in [
        "\"", "\\", "\u{0}", "\u{1f}", "", "é", "\u{7f}", "!", "#", " ", "[", "]",
    ] {
        for before in 0..20 {
            let text = format!("\"{}{special}{}\"", "x".repeat(before), "é".repeat(5));
            let expected = match special {
                "" | "é" | "\u{7f}" | "!" | "#" | " " | "[" | "]" => Ok(Shape::Other),
                // What follows a backslash here is no escape, and what follows a quote no end.
                "\\" => Err(Error::Syntax { offset: before + 2 }),
                "\"" => Err(Error::Syntax { offset: before + 2 }),
                _ => Err(Error::Syntax { offset: before + 1 }),
            };
            assert_eq!(check(text.as_bytes(), DEPTH), expected, "{text:?}");
        }
    }
}
