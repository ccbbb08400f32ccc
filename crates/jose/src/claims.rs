//! The registered claims of RFC 7519 §4.1, and the rules that an access or refresh token must meet.
//!
//! A claim of the wrong type is an error. It is never treated as absent.

use std::borrow::Cow;

use serde::de::{Deserialize, Deserializer, Error as _};
use serde_json::value::RawValue;

use crate::json;

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
    /// `aud` is missing or is not the expected audience, or is present where there must be none.
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
        check_times([claims.exp, claims.nbf, claims.iat], self.now, self.leeway)?;
        if self.issuer.is_some() && claims.iss.as_deref() != self.issuer {
            return Err(ClaimError::Issuer);
        }
        if claims.aud.as_deref() != self.audience {
            return Err(ClaimError::Audience);
        }
        Ok(())
    }
}

/// The registered claims of a token whose `aud` may name several audiences (RFC 7519 §4.1.3).
#[derive(Clone, Debug, serde::Deserialize)]
pub struct Claims<'a> {
    /// The issuer of the token.
    #[serde(borrow, default, deserialize_with = "text")]
    pub iss: Option<Cow<'a, str>>,
    /// The subject of the token.
    #[serde(borrow, default, deserialize_with = "text")]
    pub sub: Option<Cow<'a, str>>,
    /// The audiences of the token.
    #[serde(borrow, default, deserialize_with = "audiences")]
    pub aud: Option<Audiences<'a>>,
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

/// The value of `aud`: a string or an array of strings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audiences<'a>(Vec<Cow<'a, str>>);

impl Audiences<'_> {
    /// The audiences, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|one| &**one)
    }

    /// Whether this is one of the audiences, byte for byte.
    pub fn contains(&self, audience: &str) -> bool {
        self.0.iter().any(|one| one == audience)
    }
}

/// What a token must be and say to be accepted by a service.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expectations<'a> {
    /// The media type in the header's `typ`, such as `at+jwt`, compared without regard to case and to the prefix
    /// `application/`. With `None`, any `typ` is accepted, and so is its absence.
    pub typ: Option<&'a str>,
    /// The only issuer accepted. With `None`, any `iss` is accepted, and so is its absence.
    pub issuer: Option<&'a str>,
    /// The audience that `aud` must contain. With `None`, `aud` is not checked.
    pub audience: Option<&'a str>,
    /// The clock skew that is tolerated, in seconds.
    pub leeway: i64,
}

impl Expectations<'_> {
    /// Checks the claims at a time in seconds since 1970. Strings are compared byte for byte, and `exp` is required.
    pub fn check(&self, claims: &Claims<'_>, now: i64) -> Result<(), ClaimError> {
        check_times([claims.exp, claims.nbf, claims.iat], now, self.leeway)?;
        if self.issuer.is_some() && claims.iss.as_deref() != self.issuer {
            return Err(ClaimError::Issuer);
        }
        let is_for = |audience| {
            claims
                .aud
                .as_ref()
                .is_some_and(|aud| aud.contains(audience))
        };
        if self.audience.is_some_and(|audience| !is_for(audience)) {
            return Err(ClaimError::Audience);
        }
        Ok(())
    }
}

fn check_times([exp, nbf, iat]: [Option<i64>; 3], now: i64, leeway: i64) -> Result<(), ClaimError> {
    let earliest = now.saturating_sub(leeway);
    let latest = now.saturating_add(leeway);
    if exp.ok_or(ClaimError::NoExpiry)? <= earliest {
        return Err(ClaimError::Expired);
    }
    if nbf.is_some_and(|nbf| nbf > latest) {
        return Err(ClaimError::NotYetValid);
    }
    if iat.is_some_and(|iat| iat > latest) {
        return Err(ClaimError::IssuedInFuture);
    }
    Ok(())
}

fn audiences<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Audiences<'de>>, D::Error> {
    let value = <&RawValue>::deserialize(deserializer)?.get();
    let audiences = match json::string(value) {
        Some(one) => vec![one],
        None => serde_json::from_str(value).map_err(D::Error::custom)?,
    };
    Ok(Some(Audiences(audiences)))
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
