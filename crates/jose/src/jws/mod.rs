//! Compact JWS (RFC 7515 §7.1): parsing any well-formed token, and the strict verification of tokens, with one secret or
//! with a set of keys.

mod compact;
mod header;
mod keyed;
mod sign;
mod verify;

pub use compact::{Compact, Envelope};
pub use header::{EncodedHeader, Header};
pub use sign::sign;
pub(crate) use sign::signing_input;
pub use verify::{Verified, peek, verify};

use crate::base64url::NotCanonical;
use crate::claims::ClaimError;
use crate::{Algorithm, json};

/// The longest HMAC tag, in bytes: that of HS512.
const LONGEST_TAG: usize = 64;

/// Limits on a token, enforced before its signature is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest token accepted, in bytes.
    pub token: usize,
    /// How deeply arrays and objects may be nested in header and payload. A flat object counts as 1.
    pub depth: usize,
}

impl Default for Limits {
    /// 8,192 bytes, 16 levels.
    fn default() -> Self {
        Self {
            token: 8192,
            depth: 16,
        }
    }
}

/// The reason why a token is refused. No variant contains text of the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The token is longer than [`Limits::token`] and was not parsed.
    #[error("the token is longer than {limit} bytes")]
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The token is not three segments separated by dots.
    #[error("the token is not three segments separated by dots")]
    Segments,
    /// A segment is not canonical base64url.
    #[error("a segment cannot be decoded")]
    Base64(#[from] NotCanonical),
    /// The header is not strict JSON.
    #[error("the header cannot be read")]
    HeaderJson(#[source] json::Error),
    /// The header is JSON, but not an object.
    #[error("the header is not a JSON object")]
    HeaderShape,
    /// The payload is not strict JSON.
    #[error("the payload cannot be read")]
    PayloadJson(#[source] json::Error),
    /// The payload is JSON, but not an object.
    #[error("the payload is not a JSON object")]
    PayloadShape,
    /// A header parameter has the wrong type, or `crit` or `b64` is present.
    #[error("the header has an unsupported parameter")]
    HeaderParameter,
    /// `alg` is not the algorithm of the key.
    #[error("the token is not signed with {}", .0.name())]
    Algorithm(Algorithm),
    /// `typ` is not the expected one.
    #[error("the token is of another type")]
    Type,
    /// The header names a key that is not in the set.
    #[error("the token names a key that is not known here")]
    UnknownKey,
    /// The header names no key, and the set has several.
    #[error("the token names no key, and there are several")]
    NoKeyNamed,
    /// The signature does not verify with the key.
    #[error("the signature does not verify")]
    Signature,
    /// A registered claim has the wrong type.
    #[error("a claim of the token has the wrong type")]
    ClaimType,
    /// The claims are not the expected ones.
    #[error(transparent)]
    Claims(#[from] ClaimError),
}

/// The three segments of a compact token, still encoded.
#[derive(Clone, Copy)]
struct Segments<'t> {
    header: &'t str,
    payload: &'t str,
    signature: &'t str,
    /// Header, dot and payload: the JWS Signing Input (RFC 7515 §5.1).
    signing_input: &'t str,
}

impl<'t> Segments<'t> {
    fn split(token: &'t str, limits: &Limits) -> Result<Self, Error> {
        if token.len() > limits.token {
            return Err(Error::TooLong {
                limit: limits.token,
            });
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(Error::Segments)?;
        let (header, payload) = signing_input.split_once('.').ok_or(Error::Segments)?;
        if payload.contains('.') {
            return Err(Error::Segments);
        }
        Ok(Self {
            header,
            payload,
            signature,
            signing_input,
        })
    }
}
