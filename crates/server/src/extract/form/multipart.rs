//! `multipart/form-data` (RFC 7578), read one part at a time.
//!
//! Invariant: memory does not grow with the body, and work grows no faster than the body ([`Pieces`]).

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, StatusCode};
use http_body::Body as _;
use multer::{Field, Multipart};

use super::Fields;
use super::disposition::Disposition;
pub(crate) use super::pieces::MEMORY;
use super::pieces::{Ahead, Pieces, PiecesError};
use crate::error::Failure;
use crate::extract::media_type::{self, MediaType};

/// The maximum number of parts of a form.
const MOST_PARTS: usize = 16;
/// The largest part that is read into memory, in bytes.
const LARGEST_SMALL_PART: usize = 64 * 1024;
/// The longest boundary (RFC 2046 §5.1.1).
const LONGEST_BOUNDARY: usize = 70;

/// A form that is being received.
pub(crate) struct Form {
    parts: Multipart<'static>,
    ahead: Ahead,
    count: usize,
}

/// A part of a form that is being received.
pub(crate) struct Part {
    field: Field<'static>,
    disposition: Disposition,
    ahead: Ahead,
}

impl Form {
    /// Starts to read a form of at most `largest` bytes.
    pub(crate) fn read(headers: &HeaderMap, body: Body, largest: u64) -> Result<Self, Failure> {
        let declared = media_type::declared(headers)?;
        let Some(declared) = declared.filter(|declared| declared.is("multipart/form-data")) else {
            let message = "send multipart/form-data";
            return Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
        };
        if body.size_hint().lower() > largest {
            return Err(PiecesError::TooLarge.into());
        }
        let boundary = declared.parameter("boundary");
        let boundary = boundary
            .filter(|boundary| (1..=LONGEST_BOUNDARY).contains(&boundary.len()))
            .ok_or_else(|| Failure::bad_request("the form's Content-Type needs a boundary"))?;
        let (pieces, ahead) = Pieces::new(body, largest);
        Ok(Self {
            parts: Multipart::new(pieces, boundary),
            ahead,
            count: 0,
        })
    }

    /// The next part. The previous one must have been read to its end. `None` after the end of a complete form.
    pub(crate) async fn next(&mut self) -> Result<Option<Part>, Failure> {
        self.ahead.clear();
        let Some(field) = self.parts.next_field().await.map_err(failure)? else {
            return Ok(None);
        };
        self.count += 1;
        if self.count > MOST_PARTS {
            return Err(Failure::bad_request("the form has too many parts"));
        }
        let disposition = Disposition::of(field.headers())?;
        check_encoding(field.headers())?;
        Ok(Some(Part {
            field,
            disposition,
            ahead: self.ahead.clone(),
        }))
    }

    /// All fields of a form that has only small ones, which may be files.
    pub(crate) async fn fields(mut self) -> Result<Fields, Failure> {
        let mut fields = Fields::default();
        while let Some(part) = self.next().await? {
            let name = part.name().to_owned();
            fields.put(name, part.small().await?)?;
        }
        Ok(fields)
    }
}

impl Part {
    /// The name of the field.
    pub(crate) fn name(&self) -> &str {
        &self.disposition.name
    }

    /// The names of the file, if the part is one, in order of preference.
    pub(crate) fn file_names(&self) -> &[String] {
        &self.disposition.file_names
    }

    /// The declared media type, if it is well formed.
    pub(crate) fn content_type(&self) -> Option<&str> {
        let text = self.field.headers().get(CONTENT_TYPE)?.to_str().ok()?;
        let is_one = MediaType::parse(text).is_some_and(|read| read.is_well_formed());
        is_one.then(|| text.trim())
    }

    /// The next bytes; `None` at the end of the part.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        self.ahead.clear();
        self.field.chunk().await.map_err(failure)
    }

    /// Reads the whole part, which must be small.
    pub(crate) async fn small(mut self) -> Result<Vec<u8>, Failure> {
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

/// Refuses a part with a transfer encoding, which RFC 7578 §4.7 deprecates. The encoding is not decoded, so a client
/// would get back something else than its file.
fn check_encoding(headers: &HeaderMap) -> Result<(), Failure> {
    const HEADER: HeaderName = HeaderName::from_static("content-transfer-encoding");
    let Some(value) = headers.get(HEADER) else {
        return Ok(());
    };
    let encoding = String::from_utf8_lossy(value.as_bytes());
    let encoding = encoding.trim();
    let is_none = ["binary", "8bit", "7bit"]
        .iter()
        .any(|none| encoding.eq_ignore_ascii_case(none));
    if is_none {
        return Ok(());
    }
    Err(Failure::bad_request(format!(
        "send each part without a transfer encoding: Content-Transfer-Encoding: {encoding} is not supported"
    )))
}

fn failure(error: multer::Error) -> Failure {
    match error {
        multer::Error::StreamReadFailed(cause) => match cause.downcast::<PiecesError>() {
            Ok(refusal) => (*refusal).into(),
            Err(cause) => Failure::of_body(&*cause),
        },
        multer::Error::IncompleteStream
        | multer::Error::IncompleteFieldData { .. }
        | multer::Error::IncompleteHeaders => Failure::bad_request(
            "the body is not good multipart/form-data, or it broke off: it ends with --BOUNDARY--, and its lines \
             with CR LF",
        ),
        _ => Failure::bad_request(
            "the body is not good multipart/form-data: a part has a header that cannot be read, such as one over \
             several lines",
        ),
    }
}
