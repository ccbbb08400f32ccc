//! The claims of login and refresh tokens, in the order they are written.

use keyward_jose::claims::Registered;
use keyward_jose::jws::Verified;
use serde::{Deserialize, Serialize};

use super::Error;
use crate::error::Fault;

/// Realm `default` (contract 2).
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

/// Realms `ops` and `client` (contract 3).
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

/// A refresh token: a session and the counter it stood at.
#[derive(Serialize)]
pub(super) struct RefreshClaims {
    pub(super) sid: i64,
    pub(super) ctr: i64,
    pub(super) iat: i64,
    pub(super) exp: i64,
}

/// The claims that are ours alone.
#[derive(Deserialize)]
pub(super) struct Private {
    pub(super) sid: i64,
    pub(super) ctr: Option<i64>,
}

/// The claims of a token whose signature has been verified.
pub(super) struct Read<'a> {
    pub(super) registered: Registered<'a>,
    pub(super) private: Private,
}

pub(super) fn read<'a>(verified: &'a Verified) -> Option<Read<'a>> {
    let registered = serde_json::from_str(verified.json()).ok()?;
    let private = serde_json::from_str(verified.json()).ok()?;
    Some(Read {
        registered,
        private,
    })
}

pub(super) fn write(claims: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(claims).map_err(|error| Fault::Internal(error.into()).into())
}
