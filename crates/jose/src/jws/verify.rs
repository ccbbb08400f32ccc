//! Verifies tokens that Keyward itself signed.
//!
//! Invariant: the payload is decoded only after the signature has verified.

use std::fmt;

use super::{EncodedHeader, Error, Header, LONGEST_TAG, Limits, Segments};
use crate::json::{self, Shape, utf8};
use crate::{HmacKey, base64url};

/// The claims of a token whose signature was verified.
pub struct Verified {
    payload: String,
}

impl Verified {
    /// The claims as they were signed, a strict JSON object.
    pub fn json(&self) -> &str {
        &self.payload
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Verified").finish_non_exhaustive()
    }
}

/// Verifies that `key` signed the token with a header equivalent to `expected`.
///
/// A header with another JSON text than `expected` must have the `alg` of the key, the same `typ` byte for byte, and
/// neither `crit` nor `b64`. The claims are not checked: see [`crate::claims`].
pub fn verify(
    token: &str,
    key: &HmacKey,
    expected: &EncodedHeader,
    limits: &Limits,
) -> Result<Verified, Error> {
    let segments = Segments::split(token, limits)?;
    if segments.header != expected.segment() || expected.algorithm() != key.algorithm() {
        check_header(&decoded_header(&segments)?, key, expected, limits)?;
    }

    let mut buffer = [0; LONGEST_TAG];
    let tag = base64url::decode_into(&mut buffer, segments.signature.as_bytes())?;
    if !key.verifies(segments.signing_input.as_bytes(), tag) {
        return Err(Error::Signature);
    }

    verified_payload(&segments, limits)
}

/// The payload of a token whose signature has verified.
pub(super) fn verified_payload(
    segments: &Segments<'_>,
    limits: &Limits,
) -> Result<Verified, Error> {
    let payload = base64url::decode(segments.payload)?;
    let payload = String::from_utf8(payload)
        .map_err(|error| json::Error::Utf8 {
            offset: error.utf8_error().valid_up_to(),
        })
        .map_err(Error::PayloadJson)?;
    match json::check_text(&payload, limits.depth) {
        Ok(Shape::Object) => Ok(Verified { payload }),
        Ok(_) => Err(Error::PayloadShape),
        Err(error) => Err(Error::PayloadJson(error)),
    }
}

/// Reads only the header of a token, to find the key it names. Nothing is verified.
pub fn peek<T>(
    token: &str,
    limits: &Limits,
    read: impl FnOnce(&Header<'_>) -> T,
) -> Result<T, Error> {
    let decoded = decoded_header(&Segments::split(token, limits)?)?;
    let text = utf8(&decoded).map_err(Error::HeaderJson)?;
    Header::scan(text, limits.depth).map(|header| read(&header))
}

fn decoded_header(segments: &Segments<'_>) -> Result<Vec<u8>, Error> {
    Ok(base64url::decode(segments.header)?)
}

fn check_header(
    decoded: &[u8],
    key: &HmacKey,
    expected: &EncodedHeader,
    limits: &Limits,
) -> Result<(), Error> {
    let text = utf8(decoded).map_err(Error::HeaderJson)?;
    let header = Header::scan(text, limits.depth)?;
    if header.critical || header.mistyped {
        return Err(Error::HeaderParameter);
    }
    if header.algorithm != Some(key.algorithm()) {
        return Err(Error::Algorithm(key.algorithm()));
    }
    if header.typ.as_deref() != expected.typ() {
        return Err(Error::Type);
    }
    Ok(())
}
