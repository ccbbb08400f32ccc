//! The keys of one purpose, opened and prepared.

use std::sync::Arc;

use aws_lc_rs::digest::{self, Digest};
use keyward_jose::jws::{self, EncodedHeader, Limits, Verified};
use keyward_jose::{Algorithm, HmacKey};

use super::{Error, Kid, Purpose};
use crate::clock::Timestamp;
use crate::error::Fault;

/// A key whose secret is open.
#[derive(Clone, Debug)]
pub struct Key {
    pub(super) kid: Kid,
    pub(super) signs_from: Timestamp,
    pub(super) verifies_until: Option<Timestamp>,
    pub(super) secret: Arc<Prepared>,
}

/// A secret prepared for signing, with the header of what it signs.
#[derive(Debug)]
pub(super) struct Prepared {
    hmac: HmacKey,
    header: EncodedHeader,
    /// The SHA-256 of the secret.
    digest: Digest,
}

impl Prepared {
    /// Prepares the HMAC key of a purpose.
    pub(super) fn new(
        purpose: Purpose,
        algorithm: Algorithm,
        secret: &[u8],
    ) -> Result<Self, Error> {
        let hmac = HmacKey::new(algorithm, secret).map_err(|weak| Error::Weak(purpose, weak))?;
        let alg = algorithm.name();
        let header = match purpose {
            // As in the services that Keyward replaces.
            Purpose::Access => format!(r#"{{"alg":"{alg}","typ":"JWT"}}"#),
            Purpose::Notary => format!(r#"{{"typ":"JWT","alg":"{alg}"}}"#),
            // So that no refresh token passes for an access token (RFC 8725 §3.11).
            Purpose::Refresh => format!(r#"{{"alg":"{alg}","typ":"rt+jwt"}}"#),
            Purpose::Limits => format!(r#"{{"alg":"{alg}"}}"#),
        };
        let header = EncodedHeader::new(&header)
            .map_err(|error| Error::Store(Fault::Internal(error.into())))?;
        Ok(Self {
            hmac,
            header,
            digest: digest::digest(&digest::SHA256, secret),
        })
    }
}

impl Key {
    /// Its id.
    #[must_use]
    pub fn kid(&self) -> Kid {
        self.kid
    }

    /// Signs claims, a JSON object, into a compact JWS.
    #[must_use]
    pub fn sign(&self, claims: &[u8]) -> String {
        jws::sign(&self.secret.hmac, &self.secret.header, claims)
    }

    /// The HMAC key.
    #[must_use]
    pub fn hmac(&self) -> &HmacKey {
        &self.secret.hmac
    }

    /// Whether the key is good at `now`.
    fn stands(&self, now: Timestamp) -> bool {
        self.verifies_until.is_none_or(|until| now < until)
    }
}

/// The keys of one purpose, the newest first. There is at least one.
#[derive(Clone, Debug)]
pub struct Chain {
    newest: Key,
    older: Vec<Key>,
}

impl Chain {
    /// The largest number of keys of one purpose that verify: a forged token costs a MAC for each of them.
    pub const LARGEST: usize = 16;

    /// The chain of `keys`; `None` if there are none.
    pub(super) fn new(mut keys: Vec<Key>) -> Option<Self> {
        keys.sort_unstable_by_key(|key| (key.signs_from, key.kid));
        let newest = keys.pop()?;
        keys.reverse();
        Some(Self {
            newest,
            older: keys,
        })
    }

    /// The chain of the key that the settings give.
    pub(super) fn of_settings(secret: Prepared) -> Self {
        Self {
            newest: Key {
                kid: Kid::OF_SETTINGS,
                signs_from: Timestamp::default(),
                verifies_until: None,
                secret: Arc::new(secret),
            },
            older: Vec::new(),
        }
    }

    /// All keys, the newest first.
    pub fn iter(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.newest).chain(&self.older)
    }

    /// The key that signs at `now`.
    #[must_use]
    pub fn signing(&self, now: Timestamp) -> &Key {
        self.signing_again(now, now)
    }

    /// The key that signed at `moment`, which signs the same token again, unless it has ended by `now`. If the clock was
    /// set back before all keys, the oldest one signs.
    #[must_use]
    pub fn signing_again(&self, moment: Timestamp, now: Timestamp) -> &Key {
        let standing = || self.iter().filter(|key| key.stands(now));
        standing()
            .find(|key| key.signs_from <= moment)
            .or_else(|| standing().last())
            .unwrap_or(&self.newest)
    }

    /// Verifies that one of the keys signed `token`, and tells which. The token does not choose the key: each one that
    /// stands at `now` is tried, the newest first.
    ///
    /// # Errors
    /// Those of [`jws::verify`].
    pub fn verify(
        &self,
        token: &str,
        limits: &Limits,
        now: Timestamp,
    ) -> Result<(Verified, Kid), jws::Error> {
        let mut refused = jws::Error::Signature;
        for key in self.iter().filter(|key| key.stands(now)) {
            match jws::verify(token, &key.secret.hmac, &key.secret.header, limits) {
                Ok(verified) => return Ok((verified, key.kid)),
                // Another key may have signed it.
                Err(error @ (jws::Error::Signature | jws::Error::Algorithm(_))) => refused = error,
                Err(error) => return Err(error),
            }
        }
        Err(refused)
    }

    /// Whether a key of this chain and one of the other have the same secret.
    pub(super) fn shares_a_secret_with(&self, other: &Self) -> bool {
        let digest = |key: &Key| key.secret.digest;
        self.iter().any(|one| {
            other
                .iter()
                .any(|two| digest(one).as_ref() == digest(two).as_ref())
        })
    }

    /// Whether what the key `kid` signed is good at `now`.
    #[must_use]
    pub fn verifies(&self, kid: Kid, now: Timestamp) -> bool {
        self.iter().any(|key| key.kid == kid && key.stands(now))
    }
}
