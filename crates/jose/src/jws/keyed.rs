//! Verifies tokens with a set of our own keys.
//!
//! Invariant: a token chooses nothing but which of our keys it names. The key decides the algorithm; a key or a URL in
//! the header (`jwk`, `jku`, `x5c`, `x5u`) is never read. The payload is decoded only after the signature has verified.

use super::verify::{Verified, verified_payload};
use super::{Error, Header, Limits, Segments};
use crate::claims::{Claims, Expectations};
use crate::json::utf8;
use crate::{KeySet, VerifyingKey, base64url};

impl KeySet {
    /// Verifies a token's signature, type and claims at a time in seconds since 1970.
    ///
    /// The header's `kid` must be that of a key of this set; it may be missing if the set has one key only. Its `alg`
    /// must be that of the key, and `crit` and `b64` must be absent. See [`Expectations`] for the type and the claims.
    pub fn verify(
        &self,
        token: &str,
        expected: &Expectations<'_>,
        limits: &Limits,
        now: i64,
    ) -> Result<Verified, Error> {
        let verified = self.verify_signature(token, expected.typ, limits)?;
        let claims: Claims<'_> =
            serde_json::from_str(verified.json()).map_err(|_| Error::ClaimType)?;
        expected.check(&claims, now)?;
        Ok(verified)
    }

    /// Verifies a token like [`verify`](Self::verify), but for its claims. With a `typ` of `None`, any type is accepted.
    pub fn verify_signature(
        &self,
        token: &str,
        typ: Option<&str>,
        limits: &Limits,
    ) -> Result<Verified, Error> {
        let segments = Segments::split(token, limits)?;
        let known = typ.and_then(|typ| self.key_with_header(segments.header, typ));
        let key = match known {
            Some(key) => key,
            None => self.key_of(segments.header, typ, limits)?,
        };
        let signature = base64url::decode(segments.signature)?;
        if !key.verifies(segments.signing_input.as_bytes(), &signature) {
            return Err(Error::Signature);
        }
        verified_payload(&segments, limits)
    }

    /// The key that must have signed a token with this header.
    fn key_of(
        &self,
        header: &str,
        typ: Option<&str>,
        limits: &Limits,
    ) -> Result<&VerifyingKey, Error> {
        let header = base64url::decode(header)?;
        let header = utf8(&header).map_err(Error::HeaderJson)?;
        let header = Header::scan(header, limits.depth)?;
        if header.critical || header.mistyped {
            return Err(Error::HeaderParameter);
        }
        let key = match &header.kid {
            Some(kid) => self.get(kid).ok_or(Error::UnknownKey)?,
            None => self.only().ok_or(Error::NoKeyNamed)?,
        };
        if header.algorithm != Some(key.algorithm()) {
            return Err(Error::Algorithm(key.algorithm()));
        }
        if typ.is_some_and(|typ| !is_type(header.typ.as_deref(), typ)) {
            return Err(Error::Type);
        }
        Ok(key)
    }
}

/// Whether a `typ` is the expected one: media types, whose case does not matter, and whose `application/` may be left
/// out (RFC 7515 §4.1.9).
fn is_type(typ: Option<&str>, expected: &str) -> bool {
    typ.is_some_and(|typ| subtype(typ).eq_ignore_ascii_case(subtype(expected)))
}

fn subtype(typ: &str) -> &str {
    const PREFIX: &str = "application/";
    match typ.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) && !rest.contains('/') => rest,
        _ => typ,
    }
}
