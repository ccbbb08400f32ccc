//! `Content-Disposition` of the parts of a form (RFC 7578 §4.2), as browsers and scripts write it.
//!
//! Invariant: an ambiguous value is refused. The work is linear in the text.

use http::HeaderMap;
use http::header::CONTENT_DISPOSITION;
use percent_encoding::percent_decode_str;

use crate::error::Failure;

/// The content disposition of a part.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Disposition {
    /// The name of the field.
    pub(super) name: String,
    /// The names of the file, if the part is one, in order of preference: `filename*` if it is well formed, then
    /// `filename`.
    pub(super) file_names: Vec<String>,
}

impl Disposition {
    /// Parses the disposition in the headers of a part.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        headers
            .get(CONTENT_DISPOSITION)
            .and_then(|value| std::str::from_utf8(value.as_bytes()).ok())
            .and_then(Self::parse)
            .ok_or_else(|| {
                Failure::bad_request("a part of the form has no valid Content-Disposition in UTF-8")
            })
    }

    fn parse(text: &str) -> Option<Self> {
        let (kind, mut rest) = text.trim().split_once(';')?;
        if !kind.trim().eq_ignore_ascii_case("form-data") {
            return None;
        }
        let (mut name, mut plain, mut extended) = (None, None, None);
        loop {
            // Empty parameters, as after the last semicolon, are skipped.
            rest = rest.trim_start_matches([' ', '\t', ';']);
            if rest.is_empty() {
                break;
            }
            let (key, value, after) = parameter(rest)?;
            rest = after;
            let twice = match key.to_ascii_lowercase().as_str() {
                "name" => name.replace(value).is_some(),
                "filename" => plain.replace(unescaped(&value)).is_some(),
                "filename*" => extended.replace(extended_value(&value)).is_some(),
                _ => false,
            };
            if twice {
                return None;
            }
        }
        // A malformed `filename*` is ignored beside a `filename` (RFC 8187 §3.2.1), and refused alone.
        let file_names = match (extended, plain) {
            (Some(None), None) => return None,
            (extended, plain) => extended.flatten().into_iter().chain(plain).collect(),
        };
        Some(Self {
            name: name?,
            file_names,
        })
    }
}

/// Splits `key=value` from the text after its semicolon.
fn parameter(text: &str) -> Option<(&str, String, &str)> {
    let (key, rest) = text.split_once('=')?;
    let (value, rest) = match rest.trim_start().strip_prefix('"') {
        Some(quoted) => {
            let (value, rest) = quoted_string(quoted)?;
            let rest = rest.trim_start();
            (
                value,
                rest.strip_prefix(';').or(rest.is_empty().then_some(rest))?,
            )
        }
        None => {
            let (value, rest) = rest.split_once(';').unwrap_or((rest, ""));
            (value.trim().to_owned(), rest)
        }
    };
    Some((key.trim(), value, rest))
}

/// The text up to the closing quote, and the rest. Some clients escape quotes and backslashes with a backslash, and
/// browsers do not, so a backslash before any other character stands for itself.
fn quoted_string(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let at = rest.find(['"', '\\'])?;
        value.push_str(&rest[..at]);
        let special = &rest[at..];
        if let Some(after) = special.strip_prefix('"') {
            return Some((value, after));
        }
        let escaped = special[1..].starts_with(['"', '\\']);
        let taken = if escaped { &special[1..2] } else { "\\" };
        value.push_str(taken);
        rest = &special[taken.len() + usize::from(escaped)..];
    }
}

/// Decodes the percent escapes that browsers write for `"`, CR and LF in a file name.
fn unescaped(value: &str) -> String {
    let mut value = value.replace("%22", "\"");
    for (escape, char) in [("%0D", "\r"), ("%0d", "\r"), ("%0A", "\n"), ("%0a", "\n")] {
        value = value.replace(escape, char);
    }
    value
}

/// Decodes an `ext-value` in UTF-8 (RFC 8187 §3.2.1).
fn extended_value(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (_language, encoded) = rest.split_once('\'')?;
    let utf8 = charset.eq_ignore_ascii_case("utf-8");
    utf8.then(|| percent_decode_str(encoded).decode_utf8().ok())?
        .map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_browsers_and_scripts_mean_them() {
        for (text, expected) in [
            (r#"form-data; name="f""#, None),
            (r#"form-data; name="f"; filename="a.txt""#, Some("a.txt")),
            (r#"Form-Data;filename=a.txt;NAME=f;"#, Some("a.txt")),
            (
                r#"form-data; filename = "a b;c=d.txt" ; name = f "#,
                Some("a b;c=d.txt"),
            ),
            (
                r#"form-data; name="f"; filename="C:\fakepath\é.txt""#,
                Some(r"C:\fakepath\é.txt"),
            ),
            (
                r#"form-data; name="f"; filename="a\"b\\c.txt""#,
                Some(r#"a"b\c.txt"#),
            ),
            (
                r#"form-data; name="f"; filename="a%22b%25.txt""#,
                Some(r#"a"b%25.txt"#),
            ),
            (
                r#"form-data; name="f"; filename="a%0D%0aX: y""#,
                Some("a\r\nX: y"),
            ),
            (
                r#"form-data; name="f"; filename="a"; filename*=utf-8'en'%C3%A9%22"#,
                Some("é\""),
            ),
            (r#"form-data; name="f"; filename*=UTF-8''; x=y"#, Some("")),
            (r#"form-data; name="f"; filename="""#, Some("")),
            (
                r#" form-data ;; ; name="f" ;filename="a.txt"; ; "#,
                Some("a.txt"),
            ),
            ("form-data;\tname=f;\tfilename=\"a.txt\"\t;", Some("a.txt")),
            (
                r#"form-data; name="f"; filename="a.txt"; filename*=iso-8859-1''na%EFve.txt"#,
                Some("a.txt"),
            ),
            (
                r#"form-data; name="f"; filename*=UTF-8''%ff; filename="a.txt""#,
                Some("a.txt"),
            ),
            (
                r#"form-data; name="f"; filename*=b; filename=a.txt"#,
                Some("a.txt"),
            ),
        ] {
            let read = Disposition::parse(text).expect(text);
            assert_eq!(
                (
                    read.name.as_str(),
                    read.file_names.first().map(String::as_str)
                ),
                ("f", expected),
                "{text}"
            );
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for text in [
            "form-data",
            "form-data; filename=a",
            "attachment; name=f",
            r#"form-data; name="f"#,
            r#"form-data; name="f\"#,
            r#"form-data; name="f" x"#,
            r#"form-data; name="f"; name="g""#,
            r#"form-data; name="f"; filename="a"; filename="b""#,
            "form-data; name=f; filename*=UTF-8''a; filename*=UTF-8''b",
            "form-data; name=f; filename*=latin1''a",
            "form-data; name=f; filename*=UTF-8''%ff",
            "form-data; name=f; filename*=a",
            "form-data; name=f; filename",
        ] {
            assert_eq!(Disposition::parse(text), None, "{text}");
        }
    }
}
