//! The registered claims of RFC 7519 §4.1, and the rules that an access or refresh token must meet.
//!
//! A claim of the wrong type is an error. It is never treated as absent.

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, Error as _};

/// The largest time accepted, in seconds: a number that every JSON parser represents exactly (RFC 8259 §6).
const LATEST: u64 = 1 << 53;

/// The registered claims of a token, borrowed from its payload.
///
/// An `aud` that is an array is refused while reading: Keyward never issues one.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
pub struct Registered<'a> {
    /// The issuer of the token.
    #[serde(borrow, default, deserialize_with = "text")]
    pub iss: Option<Cow<'a, str>>,
    /// The subject of the token.
    #[serde(borrow, default, deserialize_with = "text")]
    pub sub: Option<Cow<'a, str>>,
    /// The audience of the token.
    #[serde(borrow, default, deserialize_with = "text")]
    pub aud: Option<Cow<'a, str>>,
    /// The time at which the token expires, in seconds since 1970.
    #[serde(default, deserialize_with = "seconds")]
    pub exp: Option<i64>,
    /// The time before which the token is not valid, in seconds since 1970.
    #[serde(default, deserialize_with = "seconds")]
    pub nbf: Option<i64>,
    /// The time at which the token was issued, in seconds since 1970.
    #[serde(default, deserialize_with = "seconds")]
    pub iat: Option<i64>,
    /// The id of the token.
    #[serde(borrow, default, deserialize_with = "text")]
    pub jti: Option<Cow<'a, str>>,
}

/// The reason why the claims of a token are not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// `exp` is missing.
    #[error("token has no expiry time")]
    NoExpiry,
    /// `exp` is not in the future.
    #[error("token has expired")]
    Expired,
    /// `nbf` is in the future.
    #[error("token is not valid yet")]
    NotYetValid,
    /// `iat` is in the future.
    #[error("token was issued in the future")]
    IssuedInFuture,
    /// `iss` is missing or is not the expected issuer.
    #[error("token is from another issuer")]
    Issuer,
    /// `aud` is missing or is not the expected audience, or is present although none is expected.
    #[error("token is for another audience")]
    Audience,
}

/// The values against which the claims of a token are checked.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The only issuer accepted. With `None`, any `iss` is accepted, and so is its absence.
    pub issuer: Option<&'a str>,
    /// The only audience accepted. With `None`, there must be no `aud`.
    pub audience: Option<&'a str>,
    /// The present time, in seconds since 1970.
    pub now: i64,
    /// The clock skew that is tolerated, in seconds.
    pub leeway: i64,
}

impl Expected<'_> {
    /// Checks the claims. Strings are compared byte for byte, and `exp` is required.
    pub fn check(&self, claims: &Registered<'_>) -> Result<(), ClaimError> {
        let earliest = self.now.saturating_sub(self.leeway);
        let latest = self.now.saturating_add(self.leeway);
        if claims.exp.ok_or(ClaimError::NoExpiry)? <= earliest {
            return Err(ClaimError::Expired);
        }
        if claims.nbf.is_some_and(|nbf| nbf > latest) {
            return Err(ClaimError::NotYetValid);
        }
        if claims.iat.is_some_and(|iat| iat > latest) {
            return Err(ClaimError::IssuedInFuture);
        }
        if self.issuer.is_some() && claims.iss.as_deref() != self.issuer {
            return Err(ClaimError::Issuer);
        }
        if claims.aud.as_deref() != self.audience {
            return Err(ClaimError::Audience);
        }
        Ok(())
    }
}

/// Deserializes a claim that, if present, must be a string. A string without escapes is borrowed.
///
/// For `#[serde(borrow, default, deserialize_with = "keyward_jose::claims::text")]`.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cow<'de, str>>, D::Error> {
    #[derive(serde::Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

    Text::deserialize(deserializer).map(|text| Some(text.0))
}

/// Deserializes a time that, if present, must be a whole number of seconds from 0 to 2^53.
///
/// For `#[serde(default, deserialize_with = "keyward_jose::claims::seconds")]`.
pub fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let seconds = u64::deserialize(deserializer)?;
    match i64::try_from(seconds) {
        Ok(time) if seconds <= LATEST => Ok(Some(time)),
        _ => Err(D::Error::custom("a time out of range")),
    }
}
