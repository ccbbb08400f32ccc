//! `Content-Disposition` as it is written for a download (RFC 6266, RFC 8187).

use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The value of `Content-Disposition` that offers a download as `name`: in UTF-8, and for clients that do not read that, in
/// ASCII with `_` for every character that would need an escape.
pub(super) fn attachment(name: &str) -> HeaderValue {
    let plain = |char: char| match char {
        ' '..='~' if !r#""\%"#.contains(char) => char,
        _ => '_',
    };
    let fallback: String = name.chars().map(plain).collect();
    let encoded = utf8_percent_encode(name, NOT_ATTR_CHAR);
    let value = format!("attachment; filename=\"{fallback}\"; filename*=UTF-8''{encoded}");
    HeaderValue::from_str(&value).unwrap_or(HeaderValue::from_static("attachment"))
}

/// All characters except `attr-char` (RFC 8187 §3.2.1).
const NOT_ATTR_CHAR: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_carries_its_name_without_a_way_out_of_the_header() {
        for (name, expected) in [
            (
                "a b.txt",
                r#"attachment; filename="a b.txt"; filename*=UTF-8''a%20b.txt"#,
            ),
            (
                "\"; x=\\é%41'*\u{202e}",
                r#"attachment; filename="_; x=___41'*_"; filename*=UTF-8''%22%3B%20x%3D%5C%C3%A9%2541%27%2A%E2%80%AE"#,
            ),
            (
                "a\r\nb",
                r#"attachment; filename="a__b"; filename*=UTF-8''a%0D%0Ab"#,
            ),
        ] {
            assert_eq!(attachment(name), expected);
        }
    }
}
