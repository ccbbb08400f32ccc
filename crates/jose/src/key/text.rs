//! Keys of our own as somebody keeps them in a file: a PEM, a JWK, or the text of a secret.
//!
//! Invariant: a public key is never used as a secret, however it is written.

use super::jwk::Jwk;
use super::public_spelling::{self, Spelled};
use super::signing::SigningKey;
use super::verifying::VerifyingKey;
use super::{KeyError, pem};
use crate::Algorithm;

/// What a text is.
enum Kept<'t> {
    Pem,
    Jwk(&'t str),
    Secret,
}

impl<'t> Kept<'t> {
    fn of(text: &'t str) -> Result<Self, KeyError> {
        if text.contains(pem::BEGIN) {
            return Ok(Self::Pem);
        }
        let json = text.trim();
        if json.starts_with('{')
            && let Ok(jwk) = Jwk::parse(json)
            && jwk.is_key()
        {
            return match jwk.has("keys") {
                true => Err(KeyError::IsSet),
                false => Ok(Self::Jwk(json)),
            };
        }
        match public_spelling::find(text) {
            Some(Spelled::Public | Spelled::Private) => Err(KeyError::Unsupported),
            None => Ok(Self::Secret),
        }
    }
}

impl SigningKey {
    /// Parses a private key in a PEM or a JWK. Any other text is an HMAC secret, its UTF-8 bytes, unless it is a key in
    /// another form. A secret must be given an algorithm, and so must an RSA key in a PEM.
    pub fn from_text(text: &str, algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        match Kept::of(text)? {
            Kept::Pem => Self::from_pem(text, algorithm),
            Kept::Jwk(json) => Self::from_jwk(json, algorithm),
            Kept::Secret => {
                Self::from_secret(algorithm.ok_or(KeyError::NoAlgorithm)?, text.as_bytes())
            }
        }
    }
}

impl VerifyingKey {
    /// Parses a public key in a PEM or a JWK, or takes the public half of what [`SigningKey::from_text`] parses.
    pub fn from_text(text: &str, algorithm: Option<Algorithm>) -> Result<Self, KeyError> {
        let public = match Kept::of(text)? {
            Kept::Pem => Self::from_pem(text, algorithm),
            Kept::Jwk(json) => Self::from_jwk(json, algorithm),
            Kept::Secret => Err(KeyError::Private),
        };
        match public {
            Err(KeyError::Private) => {
                let private = SigningKey::from_text(text, algorithm)?;
                Ok(private.verifying_key().clone())
            }
            public => public,
        }
    }
}
