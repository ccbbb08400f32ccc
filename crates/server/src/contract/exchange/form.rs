//! `multipart/form-data` (RFC 7578), a part at a time.
//!
//! Invariant: memory does not grow with the body. The parser beneath takes whatever is ready and keeps it
//! until it understands it, so it is fed small pieces, and no more than [`MOST_AHEAD`] bytes between two
//! results.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::Stream;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use http_body::Body as _;
use multer::{Field, Multipart};

use super::disposition::Disposition;
use crate::error::Failure;
use crate::extract::media_type::{self, MediaType};

/// The most parts of a form.
const MOST_PARTS: usize = 16;
/// The largest part that is read as a whole, in bytes.
const LARGEST_SMALL_PART: usize = 64 * 1024;
/// What the parser is fed at once, in bytes.
const PIECE: usize = 32 * 1024;
/// What the parser may take without a result, in bytes: so long may headers be.
const MOST_AHEAD: usize = 64 * 1024;
/// What the parser and the pieces before it take of memory, in bytes.
pub(super) const MEMORY: u64 = (MOST_AHEAD + 2 * PIECE) as u64;
/// The longest boundary (RFC 2046 §5.1.1).
const LONGEST_BOUNDARY: usize = 70;

/// A form on its way in.
pub(super) struct Form {
    parts: Multipart<'static>,
    ahead: Arc<AtomicUsize>,
    count: usize,
}

/// A part of a form on its way in.
pub(super) struct Part {
    field: Field<'static>,
    disposition: Disposition,
    ahead: Arc<AtomicUsize>,
}

impl Form {
    /// Begins to read a form of at most `largest` bytes.
    pub(super) fn read(headers: &HeaderMap, body: Body, largest: u64) -> Result<Self, Failure> {
        let declared = media_type::declared(headers)?;
        let Some(declared) = declared.filter(|declared| declared.is("multipart/form-data")) else {
            let message = "send multipart/form-data";
            return Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
        };
        if body.size_hint().lower() > largest {
            return Err(Refusal::TooLarge.into());
        }
        let boundary = declared.parameter("boundary");
        let boundary = boundary
            .filter(|boundary| (1..=LONGEST_BOUNDARY).contains(&boundary.len()))
            .ok_or_else(|| Failure::bad_request("the form's Content-Type needs a boundary"))?;
        let ahead = Arc::new(AtomicUsize::new(0));
        let pieces = Pieces {
            body: body.into_data_stream(),
            rest: Bytes::new(),
            left: largest,
            ahead: Arc::clone(&ahead),
            resting: false,
        };
        Ok(Self {
            parts: Multipart::new(pieces, boundary),
            ahead,
            count: 0,
        })
    }

    /// The next part; the one before must have been read to its end. `None` once the form has ended
    /// as it should.
    pub(super) async fn next(&mut self) -> Result<Option<Part>, Failure> {
        self.ahead.store(0, Ordering::Relaxed);
        let Some(field) = self.parts.next_field().await.map_err(failure)? else {
            return Ok(None);
        };
        self.count += 1;
        if self.count > MOST_PARTS {
            return Err(Failure::bad_request("the form has too many parts"));
        }
        let disposition = Disposition::of(field.headers())?;
        Ok(Some(Part {
            field,
            disposition,
            ahead: Arc::clone(&self.ahead),
        }))
    }
}

impl Part {
    /// The name of the field.
    pub(super) fn name(&self) -> &str {
        &self.disposition.name
    }

    /// The name of the file, where it is one.
    pub(super) fn file_name(&self) -> Option<&str> {
        self.disposition.file_name.as_deref()
    }

    /// The declared media type, if it is one.
    pub(super) fn content_type(&self) -> Option<&str> {
        let text = self.field.headers().get(CONTENT_TYPE)?.to_str().ok()?;
        let is_one = MediaType::parse(text).is_some_and(|read| read.is_well_formed());
        is_one.then(|| text.trim())
    }

    /// The next bytes; `None` at the end of the part.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        self.ahead.store(0, Ordering::Relaxed);
        self.field.chunk().await.map_err(failure)
    }

    /// The whole part, which must be small.
    pub(super) async fn small(mut self) -> Result<Vec<u8>, Failure> {
        let mut whole = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if whole.len() + chunk.len() > LARGEST_SMALL_PART {
                let message = "a part of the form is larger than allowed";
                return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, message));
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole)
    }
}

/// Why the parser is fed no further.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("the body is larger than allowed")]
    TooLarge,
    #[error("the headers of a part are larger than allowed")]
    TooFarAhead,
    #[error("the body cannot be read to its end")]
    Body(#[source] axum::Error),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Refusal::TooFarAhead => StatusCode::BAD_REQUEST,
            Refusal::Body(error) => return Self::of_body(&error),
        };
        Self::new(status, refusal.to_string())
    }
}

fn failure(error: multer::Error) -> Failure {
    match error {
        multer::Error::StreamReadFailed(cause) => match cause.downcast::<Refusal>() {
            Ok(refusal) => (*refusal).into(),
            Err(cause) => Failure::of_body(&*cause),
        },
        _ => Failure::bad_request("the body is not good multipart/form-data, or it broke off"),
    }
}

/// A body as the parser gets it: in small pieces, at most one each time it is polled.
struct Pieces {
    body: BodyDataStream,
    rest: Bytes,
    left: u64,
    ahead: Arc<AtomicUsize>,
    resting: bool,
}

impl Stream for Pieces {
    type Item = Result<Bytes, Refusal>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // The parser polls until nothing is ready; let it look at what it has first.
        if std::mem::take(&mut self.resting) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_next(context)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(Refusal::Body(error)))),
                Some(Ok(chunk)) => {
                    let Some(left) = self.left.checked_sub(chunk.len() as u64) else {
                        return Poll::Ready(Some(Err(Refusal::TooLarge)));
                    };
                    (self.left, self.rest) = (left, chunk);
                }
            }
        }
        let length = self.rest.len().min(PIECE);
        if self.ahead.fetch_add(length, Ordering::Relaxed) >= MOST_AHEAD {
            return Poll::Ready(Some(Err(Refusal::TooFarAhead)));
        }
        self.resting = true;
        Poll::Ready(Some(Ok(self.rest.split_to(length))))
    }
}
