//! The claims of login and refresh tokens, in the order they are written.

use std::borrow::Cow;

use keyward_jose::claims::{Registered, seconds, text};
use keyward_jose::jws::Verified;
use serde::{Deserialize, Serialize};

use super::Error;
use crate::error::Fault;
use crate::sessions::Tag;

/// Realm `default` (directory).
#[derive(Serialize)]
pub(super) struct AccessClaims<'a> {
    pub(super) sub: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) email: Option<&'a str>,
    pub(super) iat: i64,
    pub(super) exp: i64,
    pub(super) jti: &'a str,
    pub(super) sid: i64,
}

/// Realms `ops` and `client` (exchange).
#[derive(Serialize)]
pub(super) struct ExchangeClaims<'a> {
    pub(super) iss: &'a str,
    pub(super) sub: &'a str,
    pub(super) aud: &'a str,
    pub(super) sid: i64,
    pub(super) exp: i64,
    pub(super) iat: i64,
    pub(super) jti: &'a str,
}

/// The claims of a refresh token: the tag of the database, the session, and the session's counter when the token was
/// issued.
#[derive(Serialize)]
pub(super) struct RefreshClaims {
    pub(super) jti: Tag,
    pub(super) sid: i64,
    pub(super) ctr: i64,
    pub(super) iat: i64,
    pub(super) exp: i64,
}

/// The private claims (RFC 7519 §4.3).
pub(super) struct Private {
    pub(super) sid: i64,
    pub(super) ctr: Option<i64>,
}

/// The claims of a token whose signature has been verified.
pub(super) struct Read<'a> {
    pub(super) registered: Registered<'a>,
    pub(super) private: Private,
}

/// Reads all claims in one pass over their text.
pub(super) fn read(verified: &Verified) -> Option<Read<'_>> {
    #[derive(Deserialize)]
    struct Claims<'a> {
        #[serde(borrow, default, deserialize_with = "text")]
        iss: Option<Cow<'a, str>>,
        #[serde(borrow, default, deserialize_with = "text")]
        sub: Option<Cow<'a, str>>,
        #[serde(borrow, default, deserialize_with = "text")]
        aud: Option<Cow<'a, str>>,
        #[serde(default, deserialize_with = "seconds")]
        exp: Option<i64>,
        #[serde(default, deserialize_with = "seconds")]
        nbf: Option<i64>,
        #[serde(default, deserialize_with = "seconds")]
        iat: Option<i64>,
        #[serde(borrow, default, deserialize_with = "text")]
        jti: Option<Cow<'a, str>>,
        sid: i64,
        ctr: Option<i64>,
    }

    let claims: Claims<'_> = serde_json::from_str(verified.json()).ok()?;
    Some(Read {
        registered: Registered {
            iss: claims.iss,
            sub: claims.sub,
            aud: claims.aud,
            exp: claims.exp,
            nbf: claims.nbf,
            iat: claims.iat,
            jti: claims.jti,
        },
        private: Private {
            sid: claims.sid,
            ctr: claims.ctr,
        },
    })
}

pub(super) fn write(claims: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(claims).map_err(|error| Fault::Internal(error.into()).into())
}
