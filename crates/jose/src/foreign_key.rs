//! A key as a caller names it, in one text: a secret, a PEM or a JWK (contract 1, `Signing_key`).
//!
//! What looks like a public key is never taken for a secret, however malformed it is.

use std::fmt;
use std::sync::OnceLock;

use zeroize::Zeroizing;

use crate::hmac::HmacKey;
use crate::jwk::Jwk;
use crate::jws::Envelope;
use crate::public_key::PEM_BEGIN;
use crate::{Algorithm, KeyError, PublicKey};

const HMAC: [Algorithm; 3] = [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512];

/// A key to judge others' tokens with.
#[derive(Debug)]
pub enum ForeignKey {
    /// A shared secret: verifies HS256, HS384 and HS512.
    Secret(Secret),
    /// A public key: verifies the asymmetric algorithms it is made for.
    Public(PublicKey),
    /// A PEM or JWK that is malformed, unsupported or too weak: verifies nothing.
    Unusable,
}

/// A shared secret of any length, and the algorithms it may verify.
pub struct Secret {
    bytes: Zeroizing<Vec<u8>>,
    bound: Option<Algorithm>,
    /// Prepared at the first use, in the order of [`HMAC`].
    prepared: [OnceLock<Option<Box<HmacKey>>>; HMAC.len()],
}

impl ForeignKey {
    /// Reads a key; the only error is [`KeyError::Private`].
    ///
    /// A text with `-----BEGIN` is a PEM; a JSON object with `kty` or `keys` is a JWK, of which
    /// `oct` is the secret in its `k`; of any other text the UTF-8 bytes are the secret. Key sets
    /// are not used.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        if text.contains(PEM_BEGIN) {
            return Self::public(PublicKey::from_pem(text));
        }
        if let Some(jwk) = looks_like_jwk(text) {
            return Self::of_jwk(jwk);
        }
        if is_bare_public_key(text) {
            return Ok(Self::Unusable);
        }
        Ok(Self::Secret(Secret::new(text.as_bytes().to_vec(), None)))
    }

    /// Whether this key signed the token, under an algorithm that is the key's to verify.
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

    fn of_jwk(text: &str) -> Result<Self, KeyError> {
        let Ok(jwk) = Jwk::parse(text) else {
            return Ok(Self::Unusable);
        };
        if jwk.has("keys") {
            return if jwk.has_private_key_in_set() {
                Err(KeyError::Private)
            } else {
                Ok(Self::Unusable)
            };
        }
        if !jwk.is("kty", "oct") {
            return Self::public(PublicKey::of_jwk(&jwk));
        }
        Ok(Secret::of_jwk(&jwk).map_or(Self::Unusable, Self::Secret))
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

/// The text, trimmed, when it is or was meant to be a JWK or a set of them.
fn looks_like_jwk(text: &str) -> Option<&str> {
    let text = text.trim();
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let spelled = text.contains("\"kty\"") || text.contains("\"keys\"");
    let escaped = || Jwk::parse(text).is_ok_and(|jwk| jwk.has("kty") || jwk.has("keys"));
    (spelled || escaped()).then_some(text)
}

/// Whether the text is a public key without its PEM frame, or as OpenSSH writes it.
fn is_bare_public_key(text: &str) -> bool {
    if text.starts_with("ssh-") || text.starts_with("ecdsa-sha2-") {
        return true;
    }
    // A `SubjectPublicKeyInfo` is a DER sequence, so its base64 begins with M.
    text.trim_start().starts_with('M') && {
        let base64: String = text.split_ascii_whitespace().collect();
        base64_simd::STANDARD
            .decode_to_vec(base64)
            .is_ok_and(|der| !matches!(PublicKey::from_spki_der(&der), Err(KeyError::Malformed)))
    }
}
