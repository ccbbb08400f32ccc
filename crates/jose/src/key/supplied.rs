//! Supplied keys: a secret, a PEM or a JWK, as one text.
//!
//! Invariant: a public key is never used as a secret, however it is written.

use std::fmt;
use std::sync::OnceLock;

use zeroize::Zeroizing;

use super::hmac::HmacKey;
use super::jwk::Jwk;
use super::public::PublicKey;
use super::public_spelling::{self, Spelled};
use super::{KeyError, pem};
use crate::Algorithm;
use crate::jws::Envelope;

const HMAC: [Algorithm; 3] = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];

/// A key that a caller supplies for verifying a token.
#[derive(Debug)]
pub enum SuppliedKey {
    /// A shared secret, for HS256, HS384 and HS512.
    Secret(Secret),
    /// A public key, for the asymmetric algorithms of its type.
    Public(PublicKey),
    /// A key that verifies nothing: a public key that is malformed, unsupported, too weak or neither a PEM nor a JWK, a
    /// key set, or an `oct` key that cannot be used.
    Unusable,
}

/// A shared secret of any length, and the algorithms it may verify.
pub struct Secret {
    bytes: Zeroizing<Vec<u8>>,
    bound: Option<Algorithm>,
    /// The keys prepared at the first use, in the order of [`HMAC`].
    prepared: [OnceLock<Option<Box<HmacKey>>>; HMAC.len()],
}

impl SuppliedKey {
    /// Parses a key. The only error is [`KeyError::Private`].
    ///
    /// A text that contains `-----BEGIN` is a PEM. A JSON object with the members of a key is a JWK; a JWK of type
    /// `oct` is the secret in its `k`. Any other text is a secret, its UTF-8 bytes, unless it is a public key in
    /// another form. A key set is [`Unusable`](Self::Unusable).
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text.contains(pem::BEGIN) {
            return Self::public(PublicKey::from_pem(text));
        }
        let json = text.trim_start_matches('\u{feff}').trim();
        if json.starts_with('{')
            && let Ok(jwk) = Jwk::parse(json)
            && jwk.is_key()
        {
            return Self::of_jwk(&jwk);
        }
        match public_spelling::find(text) {
            Some(Spelled::Private) => Err(KeyError::Private),
            Some(Spelled::Public) => Ok(Self::Unusable),
            None => Ok(Self::Secret(Secret::new(text.as_bytes().to_vec(), None))),
        }
    }

    /// Whether this key verifies the token. False for an algorithm that the key may not verify.
    pub fn verifies(&self, token: &Envelope<'_>) -> bool {
        let Some(algorithm) = token.acceptable_algorithm() else {
            return false;
        };
        let message = token.signing_input().as_bytes();
        match self {
            Self::Secret(secret) => secret.verifies(algorithm, message, token.signature()),
            Self::Public(key) => key.verifies(algorithm, message, token.signature()),
            Self::Unusable => false,
        }
    }

    fn public(key: Result<PublicKey, KeyError>) -> Result<Self, KeyError> {
        match key {
            Ok(key) => Ok(Self::Public(key)),
            Err(KeyError::Private) => Err(KeyError::Private),
            Err(_) => Ok(Self::Unusable),
        }
    }

    fn of_jwk(jwk: &Jwk<'_>) -> Result<Self, KeyError> {
        if jwk.has("keys") {
            return if jwk.has_private_key_in_set() {
                Err(KeyError::Private)
            } else {
                Ok(Self::Unusable)
            };
        }
        if !jwk.is("kty", "oct") {
            return Self::public(PublicKey::of_jwk(jwk));
        }
        Ok(Secret::of_jwk(jwk).map_or(Self::Unusable, Self::Secret))
    }
}

impl Secret {
    fn new(bytes: Vec<u8>, bound: Option<Algorithm>) -> Self {
        Self {
            bytes: Zeroizing::new(bytes),
            bound,
            prepared: Default::default(),
        }
    }

    fn of_jwk(jwk: &Jwk<'_>) -> Result<Self, KeyError> {
        let bound = jwk.bound_algorithm()?;
        let secret = Self::new(jwk.bytes("k")?, bound);
        if secret.bytes.is_empty() || bound.is_some_and(|bound| !bound.is_hmac()) {
            return Err(KeyError::OtherUse);
        }
        Ok(secret)
    }

    fn verifies(&self, algorithm: Algorithm, message: &[u8], tag: &[u8]) -> bool {
        self.key(algorithm)
            .is_some_and(|key| key.verifies(message, tag))
    }

    fn key(&self, algorithm: Algorithm) -> Option<&HmacKey> {
        if self.bound.is_some_and(|bound| bound != algorithm) {
            return None;
        }
        let slot = &self.prepared[HMAC.iter().position(|hmac| *hmac == algorithm)?];
        let prepare = || {
            HmacKey::of_any_length(algorithm, &self.bytes)
                .ok()
                .map(Box::new)
        };
        slot.get_or_init(prepare).as_deref()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Secret").finish_non_exhaustive()
    }
}
