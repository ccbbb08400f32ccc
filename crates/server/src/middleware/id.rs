//! Request ids: sixteen random hex digits, or the id that a trusted proxy sent.

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};
use keyward_core::random::{Random, hex};

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id of a proxy that is accepted, in characters.
const LONGEST: usize = 64;

/// The id of one request, in its response and in the logs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RequestId(HeaderValue);

impl RequestId {
    /// The id, 1 to 64 characters of `A-Z a-z 0-9 . _ -`.
    pub(super) fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    pub(super) fn new(random: &dyn Random) -> Self {
        let id = HeaderValue::try_from(hex::<8>(random));
        Self(id.unwrap_or(HeaderValue::from_static("-")))
    }

    /// The id that a proxy sent; `None` if it is malformed or sent twice.
    pub(super) fn sent(headers: &HeaderMap) -> Option<Self> {
        let mut sent = headers.get_all(X_REQUEST_ID).into_iter();
        let (Some(id), None) = (sent.next(), sent.next()) else {
            return None;
        };
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
        let fits = (1..=LONGEST).contains(&id.len()) && id.as_bytes().iter().all(plain);
        fits.then(|| Self(id.clone()))
    }

    pub(super) fn into_header(self) -> HeaderValue {
        self.0
    }
}
