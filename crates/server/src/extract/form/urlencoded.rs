//! `application/x-www-form-urlencoded`, parsed as in the URL Standard, except that invalid UTF-8 is refused rather than
//! replaced, since it may be part of a password.

use percent_encoding::percent_decode;

use super::{Fields, text};
use crate::error::Failure;

/// Parses a form.
pub(crate) fn parse(body: &[u8]) -> Result<Fields, Failure> {
    let mut fields = Fields::default();
    for pair in body
        .split(|&byte| byte == b'&')
        .filter(|pair| !pair.is_empty())
    {
        let mut halves = pair.splitn(2, |&byte| byte == b'=');
        let mut half = || decode(halves.next().unwrap_or_default());
        let (name, value) = (half(), half());
        fields.put(text(name)?, value)?;
    }
    Ok(fields)
}

fn decode(encoded: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = encoded
        .iter()
        .map(|&b| if b == b'+' { b' ' } else { b })
        .collect();
    percent_decode(&spaced).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::member::Member;

    fn member(text: &str) -> Member {
        Member::Text(text.to_owned())
    }

    #[test]
    fn a_url_encoded_form_keeps_every_byte_of_a_password() {
        for (body, password) in [
            ("username=a&password=b", "b"),
            ("&username=a&&password=+b%20%2B%26%3D=&", " b +&=="),
            ("username=a&password=50%off%", "50%off%"),
            ("username=a&pass%77ord=%c3%a9é", "éé"),
            ("username=a&password=", ""),
        ] {
            let mut read = parse(body.as_bytes()).expect(body);
            let found = (read.take("username"), read.take("password"));
            assert_eq!(found, (member("a"), member(password)), "{body}");
        }
        let mut read = parse(b"username").expect("form");
        let found = (read.take("username"), read.take("password"));
        assert_eq!(found, (member(""), Member::Absent));
    }

    #[test]
    fn a_field_twice_or_bytes_that_are_no_text_are_refused() {
        for body in [
            &b"username=a&password=b&username=a"[..],
            b"password=b&pass%77ord=c",
            b"x=1&x=2&username=a&password=b",
            b"username=a&password=%ff",
            b"username=a&password=\xff",
            b"%ff=a",
        ] {
            assert!(parse(body).is_err(), "{}", String::from_utf8_lossy(body));
        }
    }
}
