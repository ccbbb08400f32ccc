//! The registered claims of RFC 7519 §4.1, and the rules a login token must meet.
//!
//! A claim of the wrong type is an error, never the same as a claim that is absent.

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, Error as _};

/// The largest time accepted, in seconds: what every JSON reader holds exactly (RFC 8259 §6).
const LATEST: u64 = 1 << 53;

/// The registered claims of a token, borrowed from its payload.
///
/// An `aud` that is an array is refused while reading: Keyward never issues one.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
pub struct Registered<'a> {
    /// Who issued the token.
    #[serde(borrow, default, deserialize_with = "text")]
    pub iss: Option<Cow<'a, str>>,
    /// Whom the token speaks of.
    #[serde(borrow, default, deserialize_with = "text")]
    pub sub: Option<Cow<'a, str>>,
    /// Whom the token is for.
    #[serde(borrow, default, deserialize_with = "text")]
    pub aud: Option<Cow<'a, str>>,
    /// From when on the token is no longer good, in seconds since 1970.
    #[serde(default, deserialize_with = "seconds")]
    pub exp: Option<i64>,
    /// Before when the token is not yet good, in seconds since 1970.
    #[serde(default, deserialize_with = "seconds")]
    pub nbf: Option<i64>,
    /// When the token was issued, in seconds since 1970.
    #[serde(default, deserialize_with = "seconds")]
    pub iat: Option<i64>,
    /// The token's own name.
    #[serde(borrow, default, deserialize_with = "text")]
    pub jti: Option<Cow<'a, str>>,
}

/// Why good claims are not good here and now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// There is no `exp`.
    #[error("token does not say when it expires")]
    NoExpiry,
    /// `exp` has come.
    #[error("token has expired")]
    Expired,
    /// `nbf` has not come.
    #[error("token is not valid yet")]
    NotYetValid,
    /// `iat` has not come.
    #[error("token was issued in the future")]
    IssuedInFuture,
    /// `iss` is missing or another.
    #[error("token is from another issuer")]
    Issuer,
    /// `aud` is missing or another, or present where none should be.
    #[error("token is for another audience")]
    Audience,
}

/// What the claims of a token are held against.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The one issuer accepted; with `None`, any or none.
    pub issuer: Option<&'a str>,
    /// The one audience accepted; with `None`, there must be no `aud`.
    pub audience: Option<&'a str>,
    /// The present time, in seconds since 1970.
    pub now: i64,
    /// How far clocks may be apart, in seconds.
    pub leeway: i64,
}

impl Expected<'_> {
    /// Checks the claims; strings are compared byte for byte, `exp` must be there.
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

/// Reads a claim that is a string when it is present, borrowed where it has no escapes.
///
/// For `#[serde(borrow, default, deserialize_with = "keyward_jose::claims::text")]`.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cow<'de, str>>, D::Error> {
    #[derive(serde::Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

    Text::deserialize(deserializer).map(|text| Some(text.0))
}

/// Reads a time that, when it is present, is a whole number of seconds from 0 to 2^53.
///
/// For `#[serde(default, deserialize_with = "keyward_jose::claims::seconds")]`.
pub fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let seconds = u64::deserialize(deserializer)?;
    match i64::try_from(seconds) {
        Ok(time) if seconds <= LATEST => Ok(Some(time)),
        _ => Err(D::Error::custom("a time out of range")),
    }
}
