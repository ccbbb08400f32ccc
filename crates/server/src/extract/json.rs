//! A JSON body, read strictly: the type is declared, the text is one object without duplicate members at any
//! depth, and its size and depth are bounded before it is parsed.

use std::marker::PhantomData;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{FromRequest, Request};
use bytes::BytesMut;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use keyward_jose::json::{self, Shape as JsonShape};
use serde::de::DeserializeOwned;

use super::media_type::declared;
use crate::error::{Failure, Shape, Shaped};

/// How deep a body may nest.
const DEPTH: usize = 32;
/// The largest body where a route sets no limit of its own, in bytes.
pub(crate) const LARGEST: usize = 64 * 1024;

/// The body as `T`, of at most `MOST` bytes; a failure is in the shape of contract `S`.
pub(crate) struct Json<T, S, const MOST: usize = LARGEST>(pub(crate) T, pub(crate) PhantomData<S>);

impl<T, S, A, const MOST: usize> FromRequest<A> for Json<T, S, MOST>
where
    T: DeserializeOwned,
    S: Shape,
    A: Send + Sync,
{
    type Rejection = Shaped<S>;

    async fn from_request(request: Request, _: &A) -> Result<Self, Self::Rejection> {
        if !is_json(request.headers())? {
            let message = "send JSON, with Content-Type: application/json";
            return Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message).into());
        }
        let bytes = bytes(request.into_body(), MOST).await?;
        Ok(Self(parse(&bytes)?, PhantomData))
    }
}

/// Whether the declared type is `application/json`, whatever its parameters and case.
///
/// # Errors
/// 415 for a body in a content coding.
pub(crate) fn is_json(headers: &HeaderMap) -> Result<bool, Failure> {
    Ok(declared(headers)?.is_some_and(|declared| declared.is("application/json")))
}

/// The whole body, of at most `most` bytes. One that came in one piece, as most do, is not copied.
pub(crate) async fn bytes(mut body: Body, most: usize) -> Result<Bytes, Failure> {
    let fits = |length: usize| {
        let message = "the body is larger than allowed";
        let too_large = || Failure::new(StatusCode::PAYLOAD_TOO_LARGE, message);
        (length <= most).then_some(()).ok_or_else(too_large)
    };
    // Said to be too large, it is refused before any of it is read.
    fits(usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX))?;
    let mut pieces = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::of_body(&error))?;
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        fits(pieces.len().saturating_add(piece.len()))?;
        if pieces.is_empty() && body.is_end_stream() {
            return Ok(piece);
        }
        pieces.extend_from_slice(&piece);
    }
    Ok(pieces.freeze())
}

/// Reads one JSON object.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    // Some clients send a byte order mark, which a reader may ignore (RFC 8259 §8.1).
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match json::check(bytes, DEPTH) {
        Ok(JsonShape::Object) => {}
        Ok(_) => return Err(Failure::bad_request("the body must be a JSON object")),
        Err(error) => {
            return Err(Failure::bad_request(format!(
                "the body is not good JSON: {error}"
            )));
        }
    }
    serde_json::from_slice(bytes).or_else(|_| {
        // To keep track of the path costs allocations, so only a body that is refused is read with it.
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        serde_path_to_error::deserialize(&mut deserializer)
            .map_err(|error| Failure::bad_request(described(&error)))
    })
}

/// What is wrong with which member, without the place in the text.
fn described(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let text = error.inner().to_string();
    let text = text
        .rsplit_once(" at line ")
        .map_or(text.as_str(), |(before, _)| before);
    match error.path().to_string().as_str() {
        "." => text.to_owned(),
        path => format!("{path}: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Body {
        name: String,
    }

    #[test]
    fn one_byte_order_mark_before_the_object_is_ignored() {
        let body = |text: &str| parse::<Body>(text.as_bytes());
        let read = body("\u{feff}{\"name\":\"a\"}").expect("the object");
        assert_eq!(read, Body { name: "a".into() });
        for text in [
            "\u{feff}",
            "\u{feff}\u{feff}{\"name\":\"a\"}",
            "{\u{feff}\"name\":\"a\"}",
        ] {
            body(text).expect_err(text);
        }
    }

    #[test]
    fn an_error_names_the_member() {
        let message = |text: &str| parse::<Body>(text.as_bytes()).expect_err(text).message;
        assert_eq!(
            message(r#"{"name":5}"#),
            "name: invalid type: integer `5`, expected a string"
        );
        assert_eq!(
            message(r#"{"name":"a","x":1}"#),
            "x: unknown field `x`, expected `name`"
        );
        assert_eq!(message("{}"), "missing field `name`");
        assert!(message(r#"{"name":"a","n\u0061me":"b"}"#).contains("good JSON"));
        assert!(message("[]").contains("object"));
        assert!(message(&format!("{{\"x\":{}1", "[".repeat(100_000))).contains("good JSON"));
    }
}
