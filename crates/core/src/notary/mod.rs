//! The notary: signs a text into a JWT, and verifies any JWT with a key that the caller supplies.
//!
//! Invariant: it signs with a key of its own, and no token it signs is accepted as a login.

mod supplied_keys;

use std::sync::Arc;

use keyward_jose::jws::{self, Compact, EncodedHeader, Limits};
use serde::Serialize;

use self::supplied_keys::SuppliedKeys;
use crate::clock::Clock;
use crate::error::{Code, Fault, Kind};
use crate::keys::Keys;
use crate::random::{self, Random};

/// The longest text that is signed, in bytes.
pub const LONGEST_DATA: usize = 64 * 1024;

/// The bounds of a token that is verified: room for the longest one that is signed, escaped and encoded.
const LIMITS: Limits = Limits {
    token: 1024 * 1024,
    depth: 64,
};

/// Why a text is not signed, or a token not verified.
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
    /// The code an edge answers with.
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

/// A token that was taken apart: its header and claims, untouched, and whether its signature is the key's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The header's JSON text.
    pub header: String,
    /// The claims' JSON text.
    pub claims: String,
    /// Whether the key verifies the signature. `exp` and the other claims are not checked.
    pub verified: bool,
}

/// The notary of this server.
pub struct Notary {
    keys: Arc<Keys>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    header: EncodedHeader,
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
    /// A notary that signs with the notary's key.
    ///
    /// # Errors
    /// When its header could not be prepared, which is a defect.
    pub fn new(
        keys: Arc<Keys>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, jws::Error> {
        let header = EncodedHeader::new(r#"{"typ":"JWT","alg":"HS512"}"#)?;
        Ok(Self {
            keys,
            clock,
            random,
            header,
            supplied: SuppliedKeys::default(),
        })
    }

    /// Signs `data` with the time and a random id.
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
        Ok(jws::sign(self.keys.notary(), &self.header, &claims))
    }

    /// Verifies the signature of any well-formed JWT with the key whose text is given: a secret, a PEM or a
    /// JWK.
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
