//! One spelling of a path, for the router and the log.
//!
//! An escape of an unreserved character is the same as the character (RFC 3986 §2.3), so a path is routed and logged
//! without such escapes.
//!
//! Invariant: a handler that decodes the path gets the same text as before. Every other escape stays, above all those of `/`
//! and `%`. Dots have no meaning for any route.

use http::Uri;
use http::uri::PathAndQuery;

/// The URI with the escapes of unreserved characters in its path decoded; `None` if it has none.
pub(super) fn without_needless_escapes(uri: &Uri) -> Option<Uri> {
    let path = decode_unreserved(uri.path())?;
    let path = match uri.query() {
        Some(query) => [&path, "?", query].concat(),
        None => path,
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path).ok()?);
    Uri::from_parts(parts).ok()
}

/// The decoded path, if there is something to decode. A path with a `%` that begins no escape is not changed, because
/// decoding what follows could make one.
fn decode_unreserved(path: &str) -> Option<String> {
    if !path.as_bytes().contains(&b'%') {
        return None;
    }
    let (mut decoded, mut rest) = (String::with_capacity(path.len()), path);
    while let Some((before, after)) = rest.split_once('%') {
        let digits = after
            .get(..2)
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        let byte = u8::from_str_radix(digits, 16).ok()?;
        decoded.push_str(before);
        match byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            true => decoded.push(char::from(byte)),
            false => decoded.extend(["%", digits]),
        }
        rest = &after[2..];
    }
    decoded.push_str(rest);
    (decoded.len() < path.len()).then_some(decoded)
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;

    use super::*;

    #[test]
    fn only_unreserved_characters_are_decoded_and_once() {
        for (path, expected) in [
            ("/%67enerateToken", Some("/generateToken")),
            ("/%47%45%74%7e%2D%5f%2e", Some("/GEt~-_.")),
            ("/a%2fb%41", Some("/a%2fbA")),
            ("/%2541", None),
            ("/%25%34%31", Some("/%2541")),
            ("/%2e%2e/%61", Some("/../a")),
            ("/%20%22%25%3f%23%FF%c3%a9", None),
            ("/plain", None),
            ("/%61%zz", None),
            ("/%%34%31", None),
            ("/%61%4", None),
            ("/%61%", None),
            ("/%+1%61", None),
        ] {
            assert_eq!(decode_unreserved(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn what_a_handler_decodes_stays_the_same() {
        let parts = [
            "%", "2", "5", "%25", "%34", "%41", "%2f", "%2e", "4", "1", "/", "a", "%c3%a9", "%f",
        ];
        for first in parts {
            for second in parts {
                for third in parts {
                    for fourth in parts {
                        let path = ["/", first, second, third, fourth].concat();
                        let Some(once) = decode_unreserved(&path) else {
                            continue;
                        };
                        let decode = |text| percent_decode_str(text).collect::<Vec<_>>();
                        assert_eq!(decode(&once), decode(&path), "{path}");
                        assert_eq!(
                            once.matches('/').count(),
                            path.matches('/').count(),
                            "{path}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn the_rest_of_the_address_stays() {
        let uri = |text: &str| text.parse::<Uri>().unwrap();
        for (sent, expected) in [
            ("/%61?b=%61", "/a?b=%61"),
            ("http://h:1/%61?", "http://h:1/a?"),
        ] {
            assert_eq!(without_needless_escapes(&uri(sent)), Some(uri(expected)));
        }
        for text in ["*", "h:443", "http://h", "/a%20b"] {
            assert_eq!(without_needless_escapes(&uri(text)), None, "{text}");
        }
    }
}
