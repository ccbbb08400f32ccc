//! The notary: signs a text into a JWT, and verifies any JWT with a key that the caller supplies.
//!
//! Invariant: the notary has its own key, and no token that it signs is accepted as an access token.

mod supplied_keys;

use std::sync::Arc;

use keyward_jose::jws::{self, Compact, Limits};
use serde::Serialize;

use self::supplied_keys::SuppliedKeys;
use crate::clock::Clock;
use crate::error::{Code, Fault, Kind};
use crate::keys::Ring;
use crate::random::{self, Random};

/// The longest text that is signed, in bytes.
pub const LONGEST_DATA: usize = 64 * 1024;

/// The limits of a token to verify: enough for the longest text that the notary signs, escaped and encoded.
const LIMITS: Limits = Limits {
    token: 1024 * 1024,
    depth: 64,
};

/// An error of signing a text or verifying a token.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text to sign is longer than [`LONGEST_DATA`].
    #[error("the text to sign must be at most {LONGEST_DATA} bytes")]
    TooLarge,
    /// The token is not well formed.
    #[error(
        "the token is not a JWT: it must be three base64url segments, of which the first two are JSON objects"
    )]
    Malformed(#[source] jws::Error),
    /// A private key was sent where a secret or a public key belongs.
    #[error(
        "the signing key is a private key. Send the public key, and replace this key pair: it is compromised."
    )]
    PrivateKey,
    /// The claims could not be written.
    #[error(transparent)]
    Store(#[from] Fault),
}

impl Error {
    /// The stable code of the error.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::TooLarge => Code::TooLarge,
            Self::Malformed(_) => Code::MalformedToken,
            Self::PrivateKey => Code::PrivateKey,
            Self::Store(fault) => fault.code(),
        }
    }

    /// The kind of that code.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.code().kind()
    }
}

/// A parsed token: its header and claims, unchanged, and whether its signature verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The header's JSON text.
    pub header: String,
    /// The claims' JSON text.
    pub claims: String,
    /// Whether the key verifies the signature. `exp` and the other claims are not checked.
    pub verified: bool,
}

/// The operations of the notary.
pub struct Notary {
    ring: Arc<Ring>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    supplied: SuppliedKeys,
}

#[derive(Serialize)]
struct Claims<'a> {
    iat: i64,
    jti: &'a str,
    payload: Payload<'a>,
}

#[derive(Serialize)]
struct Payload<'a> {
    data: &'a str,
    date: &'a str,
}

impl Notary {
    /// Creates a notary that signs with the notary's key.
    #[must_use]
    pub fn new(ring: Arc<Ring>, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self {
            ring,
            clock,
            random,
            supplied: SuppliedKeys::default(),
        }
    }

    /// Signs a token with `data`, the time and a random id.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub fn mint(&self, data: &str) -> Result<String, Error> {
        if data.len() > LONGEST_DATA {
            return Err(Error::TooLarge);
        }
        let now = self.clock.now();
        let claims = Claims {
            iat: now.seconds(),
            jti: &random::hex::<16>(&*self.random),
            payload: Payload {
                data,
                date: &now.utc_day(),
            },
        };
        let claims = serde_json::to_vec(&claims).map_err(|error| Fault::Internal(error.into()))?;
        Ok(self.ring.keys().notary().signing(now).sign(&claims))
    }

    /// Verifies the signature of any well-formed JWT with a supplied key: a secret, a PEM or a JWK.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::PrivateKey`].
    pub fn verify_with(&self, key: &str, token: &str) -> Result<Verdict, Error> {
        let token = Compact::parse(token, &LIMITS).map_err(Error::Malformed)?;
        let key = self.supplied.key(key).map_err(|_| Error::PrivateKey)?;
        Ok(Verdict {
            verified: key.verifies(&token),
            header: token.header_json().to_owned(),
            claims: token.payload_json().to_owned(),
        })
    }
}
