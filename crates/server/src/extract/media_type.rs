//! Media types, their parameters, and the content coding of a request's body (RFC 9110 §5.6.6, §8.3, §8.4), parsed here
//! for JSON, forms and the parts of forms alike.
//!
//! Invariant: a field that is repeated or malformed counts as no type, and a body with a content coding is refused
//! before any of it is read.

use std::borrow::Cow;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

use crate::byte_set::ByteSet;
use crate::error::Failure;

/// A declared media type. Its parameters are parsed on demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MediaType<'t> {
    essence: &'t str,
    parameters: Cursor<'t>,
}

impl<'t> MediaType<'t> {
    /// Parses `type/subtype`, with or without parameters.
    pub(crate) fn parse(text: &'t str) -> Option<Self> {
        let mut rest = Cursor(text.trim_matches(BLANK));
        let essence = rest.essence()?;
        rest.skip_blanks();
        (rest.0.is_empty() || rest.0.starts_with(';')).then_some(Self {
            essence,
            parameters: rest,
        })
    }

    /// Whether the type is `essence`, whatever its case and its parameters.
    pub(crate) fn is(&self, essence: &str) -> bool {
        self.essence.eq_ignore_ascii_case(essence)
    }

    /// Whether the part before the slash is `kind`, whatever its case.
    pub(crate) fn is_of_kind(&self, kind: &str) -> bool {
        let own = self.essence.split('/').next();
        own.is_some_and(|own| own.eq_ignore_ascii_case(kind))
    }

    /// The parameter `name`. `None` if it is missing or repeated, or if any parameter is malformed.
    pub(crate) fn parameter(&self, name: &str) -> Option<Cow<'t, str>> {
        let mut found = None;
        let mut rest = self.parameters;
        while let Some((key, value)) = rest.parameter().ok()? {
            if key.eq_ignore_ascii_case(name) && found.replace(value).is_some() {
                return None;
            }
        }
        found
    }

    /// Whether all parameters are well formed.
    pub(crate) fn is_well_formed(&self) -> bool {
        let mut rest = self.parameters;
        loop {
            match rest.parameter() {
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(NotAParameter) => return false,
            }
        }
    }
}

/// The media type of a request's body, if declared.
///
/// # Errors
/// 415 for a body in a content coding.
pub(crate) fn declared(headers: &HeaderMap) -> Result<Option<MediaType<'_>>, Failure> {
    if headers.contains_key(CONTENT_ENCODING) && is_coded(headers) {
        return Err(Failure::of_content_coding());
    }
    let mut fields = headers.get_all(CONTENT_TYPE).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return Ok(None);
    };
    Ok(field.to_str().ok().and_then(MediaType::parse))
}

/// Whether the body has a content coding. `identity` and empty elements of the list are none.
fn is_coded(headers: &HeaderMap) -> bool {
    let fields = headers.get_all(CONTENT_ENCODING).iter();
    fields
        .map(HeaderValue::as_bytes)
        .flat_map(|field| field.split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .any(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
}

/// Optional white space (RFC 9110 §5.6.3).
pub(super) const BLANK: [char; 2] = [' ', '\t'];

/// The bytes of a token (RFC 9110 §5.6.2).
static TOKEN: ByteSet = ByteSet::alphanumeric_and(b"!#$%&'*+-.^_`|~");

/// The unread rest of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor<'t>(pub(super) &'t str);

impl<'t> Cursor<'t> {
    /// Skips optional white space.
    pub(super) fn skip_blanks(&mut self) {
        self.0 = self.0.trim_start_matches(BLANK);
    }

    /// Skips `expected` if it comes next.
    pub(super) fn eat(&mut self, expected: char) -> bool {
        let rest = self.0.strip_prefix(expected);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// Skips the rest of a list element. A comma within quotes does not end it.
    pub(super) fn skip_element(&mut self) {
        let (mut is_quoted, mut is_escaped) = (false, false);
        let end = self.0.find(|char| {
            let ends = char == ',' && !is_quoted;
            is_quoted ^= char == '"' && !is_escaped;
            is_escaped = char == '\\' && is_quoted && !is_escaped;
            ends
        });
        self.0 = &self.0[end.unwrap_or(self.0.len())..];
    }

    /// Whether a list element ends here.
    pub(super) fn is_at_end(&self) -> bool {
        self.0.is_empty() || self.0.starts_with(',')
    }

    /// The two tokens `type/subtype`.
    pub(super) fn essence(&mut self) -> Option<&'t str> {
        let whole = self.0;
        self.token()?;
        self.eat('/').then_some(())?;
        self.token()?;
        whole.get(..whole.len() - self.0.len())
    }

    /// The next parameter; `None` at the end of the element. An empty parameter, as after a last `;`, is skipped.
    ///
    /// # Errors
    /// If the next text is not a parameter. The cursor then stays within it.
    pub(super) fn parameter(&mut self) -> Result<Option<Parameter<'t>>, NotAParameter> {
        loop {
            self.skip_blanks();
            if self.is_at_end() {
                return Ok(None);
            }
            if !self.eat(';') {
                return Err(NotAParameter);
            }
            self.skip_blanks();
            if !self.is_at_end() && !self.0.starts_with(';') {
                let name = self.token().filter(|_| self.eat('='));
                let name = name.ok_or(NotAParameter)?;
                let value = self.value().ok_or(NotAParameter)?;
                return Ok(Some((name, value)));
            }
        }
    }

    /// A token (RFC 9110 §5.6.2).
    fn token(&mut self) -> Option<&'t str> {
        let end = self.0.bytes().position(|byte| !TOKEN.contains(byte));
        let (token, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest;
        (!token.is_empty()).then_some(token)
    }

    /// A token or a quoted string, without its quotes and escapes (RFC 9110 §5.6.4).
    fn value(&mut self) -> Option<Cow<'t, str>> {
        if !self.eat('"') {
            return self.token().map(Cow::Borrowed);
        }
        let mut text = Cow::Borrowed("");
        loop {
            let (part, rest) = self.0.split_at(self.0.find(['"', '\\'])?);
            text += part;
            self.0 = rest;
            if self.eat('"') {
                return Some(text);
            }
            let mut rest = rest.chars();
            rest.next();
            text.to_mut().push(rest.next()?);
            self.0 = rest.as_str();
        }
    }
}

/// The name of a parameter and its value.
pub(super) type Parameter<'t> = (&'t str, Cow<'t, str>);

/// The text is not a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotAParameter;

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    #[test]
    fn white_space_may_stand_on_both_sides_of_a_semicolon() {
        for (text, boundary) in [
            ("multipart/form-data;boundary=X", Some("X")),
            ("multipart/form-data ; boundary=X", Some("X")),
            ("multipart/form-data\t;\tboundary=X\t;", Some("X")),
            (" Multipart/Form-Data; BOUNDARY=\"X\" ", Some("X")),
            (
                "multipart/form-data; boundary=\"a; b=\\\"c\\\\\"",
                Some("a; b=\"c\\"),
            ),
            (
                "multipart/form-data; charset=\"x;boundary=Y\"; boundary=X",
                Some("X"),
            ),
            ("multipart/form-data;;; boundary=X;;", Some("X")),
            ("multipart/form-data; boundary=\"\"", Some("")),
            ("multipart/form-data", None),
            ("multipart/form-data;", None),
            ("multipart/form-data; xboundary=X", None),
            ("multipart/form-data; boundary =X", None),
            ("multipart/form-data; boundary= X", None),
            ("multipart/form-data; boundary=", None),
            ("multipart/form-data; boundary=\"X", None),
            ("multipart/form-data; boundary=\"X\"Y", None),
            ("multipart/form-data; boundary=X Y", None),
            ("multipart/form-data; boundary=X; charset", None),
            ("multipart/form-data; boundary=X; boundary=X", None),
            ("multipart/form-data; boundary=X; Boundary=Y", None),
        ] {
            let read = MediaType::parse(text).unwrap();
            assert!(read.is("multipart/form-data"), "{text}");
            assert_eq!(read.parameter("boundary").as_deref(), boundary, "{text}");
        }
    }

    #[test]
    fn half_a_type_is_none() {
        for text in [
            "",
            "text",
            "text/",
            "/plain",
            "text/plain/x",
            "text /plain",
            "text/ plain",
            "text/plain charset=utf-8",
            "text/plain, text/html",
            "text/é",
            "text/plain\u{a0}",
        ] {
            assert_eq!(MediaType::parse(text), None, "{text}");
        }
        let well_formed = |text| MediaType::parse(text).is_some_and(|read| read.is_well_formed());
        assert!(well_formed("text/plain ; charset=utf-8"));
        assert!(well_formed("image/svg+xml"));
        assert!(!well_formed("text/plain; charset"));
    }

    #[test]
    fn a_body_has_one_declared_type_and_no_coding_but_identity() {
        let json = ("content-type", "application/json");
        for (fields, expected) in [
            (&[json][..], true),
            (&[("content-type", "Application/JSON;charset=utf-8")], true),
            (&[("content-type", "application/json ; x")], true),
            (&[("content-type", "application/jsonx")], false),
            (&[("content-type", "text/json")], false),
            (&[("content-type", "")], false),
            (&[("content-type", "application/json, text/plain")], false),
            (&[json, ("content-type", "application/json")], false),
            (&[json, ("content-encoding", "")], true),
            (&[json, ("content-encoding", "Identity")], true),
            (
                &[json, ("content-encoding", "identity,\tIDENTITY ,,")],
                true,
            ),
            (
                &[
                    json,
                    ("content-encoding", "identity"),
                    ("content-encoding", ""),
                ],
                true,
            ),
            (&[], false),
        ] {
            let sent = headers(fields);
            let read = declared(&sent).unwrap();
            let is_json = read.is_some_and(|read| read.is("application/json"));
            assert_eq!(is_json, expected, "{fields:?}");
        }
        for coding in ["gzip", "x-identity", "identity, br", "\"identity\"", "é"] {
            let refused = declared(&headers(&[json, ("content-encoding", coding)])).unwrap_err();
            assert_eq!(
                refused.status,
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "{coding}"
            );
        }
        let lines = [
            json,
            ("content-encoding", "identity"),
            ("content-encoding", "gzip"),
        ];
        assert!(declared(&headers(&lines)).is_err());
    }
}
