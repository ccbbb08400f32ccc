//! Request ids: sixteen random hex digits, or what a trusted proxy calls the request.

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};
use keyward_core::random::{Random, hex};

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A longer id of a proxy is not taken over.
const LONGEST: usize = 64;

/// Names one request in its answer and in the logs.
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

    /// The id that a proxy sent; none if it is not one, or not the only one.
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
