//! JSON bodies, read strictly: the media type must be declared, the text must be one object without duplicate members
//! at any level, and its size and depth are limited before it is parsed.

use std::marker::PhantomData;
use std::time::Duration;

use axum::body::{Bytes, HttpBody as _};
use axum::extract::{FromRequest, FromRequestParts as _, Request};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use keyward_core::memory::{Account, FREE, Reservation};
use keyward_jose::json::{self, Shape as JsonShape};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::media_type::declared;
use crate::error::{Failure, Shape, Shaped};
use crate::memory::MemoryAccount;
use crate::state::App;

/// The maximum depth of nested arrays and objects in a body.
const DEPTH: usize = 32;
/// The time limit for receiving a body, without the work that follows.
const LONGEST: Duration = Duration::from_secs(180);
/// How much the buffer of a body grows at a time, in bytes.
const SEGMENT: usize = 64 << 10;
/// The largest body of a route that sets no limit of its own, in bytes.
pub(crate) const LARGEST: usize = 64 * 1024;

/// The body as `T`, of at most `MOST` bytes. A failure has the shape of contract `S`.
pub(crate) struct Json<T, S, const MOST: usize = LARGEST>(pub(crate) T, pub(crate) PhantomData<S>);

impl<T, S, const MOST: usize> FromRequest<App> for Json<T, S, MOST>
where
    T: DeserializeOwned,
    S: Shape,
{
    type Rejection = Shaped<S>;

    async fn from_request(request: Request, app: &App) -> Result<Self, Self::Rejection> {
        if !is_json(request.headers())? {
            let message = "send JSON, with Content-Type: application/json";
            return Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message).into());
        }
        let collected = collect(request, MOST, app).await?;
        Ok(Self(parse(&collected.bytes)?, PhantomData))
    }
}

/// Whether the declared media type is `application/json`, whatever its parameters and its case.
///
/// # Errors
/// 415 for a body with a content coding.
pub(crate) fn is_json(headers: &HeaderMap) -> Result<bool, Failure> {
    Ok(declared(headers)?.is_some_and(|declared| declared.is("application/json")))
}

/// A complete body, which counts against the memory budget for as long as it exists.
pub(crate) struct Collected {
    pub(crate) bytes: Bytes,
    _reservation: Option<Reservation>,
}

/// Reads the body of `request`, of at most `most` bytes. A body that arrives in one piece, as most do, is not copied.
pub(crate) async fn collect(
    request: Request,
    most: usize,
    app: &App,
) -> Result<Collected, Failure> {
    let fits = |length: usize| {
        let message = "the body is larger than allowed";
        let too_large = || Failure::new(StatusCode::PAYLOAD_TOO_LARGE, message);
        (length <= most).then_some(()).ok_or_else(too_large)
    };
    let (mut parts, mut body) = request.into_parts();
    let declared = body.size_hint();
    // A body whose declared length is too large is refused before any of it is read.
    fits(usize::try_from(declared.lower()).unwrap_or(usize::MAX))?;
    let declared = declared.exact().and_then(|size| usize::try_from(size).ok());
    let mut pieces: Option<Pieces> = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Failure::of_body(&error))?;
        let Ok(piece) = frame.into_data() else {
            continue;
        };
        let pieces = match &mut pieces {
            Some(pieces) => pieces,
            None if body.is_end_stream() => {
                fits(piece.len())?;
                return Ok(Collected {
                    bytes: piece,
                    _reservation: None,
                });
            }
            none => {
                let Ok(MemoryAccount(account)) =
                    MemoryAccount::from_request_parts(&mut parts, app).await;
                none.insert(Pieces::new(&account, declared.unwrap_or(most).min(most)))
            }
        };
        fits(pieces.length.saturating_add(piece.len()))?;
        pieces.add(&piece)?;
    }
    Ok(pieces.map_or_else(Pieces::none, Pieces::whole))
}

/// The part of a body that has arrived, in segments that are reserved in the memory budget before they are allocated.
/// All segments but the first have the same size, so that the allocator can reuse the memory of others.
struct Pieces {
    segments: Vec<Vec<u8>>,
    length: usize,
    reservation: Reservation,
    /// The maximum length of the body.
    most: usize,
    begun: Instant,
}

impl Pieces {
    fn new(account: &Account, most: usize) -> Self {
        Self {
            segments: Vec::new(),
            length: 0,
            reservation: account.nothing(),
            most,
            begun: Instant::now(),
        }
    }

    fn add(&mut self, mut piece: &[u8]) -> Result<(), Failure> {
        // The time is checked with each piece, so a slow client fails here. A client that sends nothing fails in
        // `serve`.
        if self.begun.elapsed() > LONGEST {
            return Err(Failure::too_slow());
        }
        self.length += piece.len();
        while !piece.is_empty() {
            let last = match self.segments.last_mut() {
                Some(last) if last.len() < last.capacity() => last,
                _ => self.add_segment(piece.len())?,
            };
            let fits = piece.len().min(last.capacity() - last.len());
            let (now, rest) = piece.split_at(fits);
            last.extend_from_slice(now);
            piece = rest;
        }
        Ok(())
    }

    /// Adds a segment with room for at least one byte and for no more than may still arrive.
    fn add_segment(&mut self, coming: usize) -> Result<&mut Vec<u8>, Failure> {
        let room: usize = self.segments.iter().map(Vec::capacity).sum();
        let size = if room == 0 { FREE } else { SEGMENT };
        let size = size
            .min(self.most.saturating_sub(room))
            .max(coming.min(FREE));
        if room + size > FREE {
            self.reservation.grow_to((room + size) as u64)?;
        }
        Ok(self.segments.push_mut(Vec::with_capacity(size)))
    }

    fn whole(mut self) -> Collected {
        let bytes = match self.segments.len() {
            1 => self.segments.pop().unwrap_or_default(),
            _ => self.segments.concat(),
        };
        Collected {
            bytes: bytes.into(),
            _reservation: Some(self.reservation),
        }
    }

    fn none() -> Collected {
        Collected {
            bytes: Bytes::new(),
            _reservation: None,
        }
    }
}

/// Parses one JSON object.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    // Some clients send a byte order mark, which a parser may ignore (RFC 8259 §8.1).
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let checked =
        json::utf8(bytes).and_then(|text| json::check_text(text, DEPTH).map(|shape| (text, shape)));
    let text = match checked {
        Ok((text, JsonShape::Object)) => text,
        Ok(_) => return Err(Failure::bad_request("the body must be a JSON object")),
        Err(error) => {
            return Err(Failure::bad_request(format!(
                "the body is not valid JSON: {error}"
            )));
        }
    };
    serde_json::from_str(text).or_else(|_| {
        // Tracking the path of a member costs allocations, so only a body that is refused is parsed this way.
        let mut deserializer = serde_json::Deserializer::from_str(text);
        serde_path_to_error::deserialize(&mut deserializer)
            .map_err(|error| Failure::bad_request(described(&error)))
    })
}

/// The error with the path of the member, without the position in the text.
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
        assert!(message(r#"{"name":"a","n\u0061me":"b"}"#).contains("valid JSON"));
        assert!(message("[]").contains("object"));
        assert!(message(&format!("{{\"x\":{}1", "[".repeat(100_000))).contains("valid JSON"));
    }
}
