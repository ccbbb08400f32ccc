//! HMAC keys. A key is prepared once, is bound to one algorithm, and never appears in `Debug` output.

use std::fmt;

use aws_lc_rs::hmac;

use crate::Algorithm;

pub use aws_lc_rs::hmac::Tag;

/// The reason why a secret cannot be used as a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The secret is shorter than the algorithm's hash (RFC 7518 §3.2).
    #[error("{} needs a secret of at least {needed} bytes, this one has {got}", algorithm.name())]
    WeakKey {
        /// The algorithm of the key.
        algorithm: Algorithm,
        /// The minimum length, in bytes: 32, 48 or 64.
        needed: usize,
        /// The length of the secret, in bytes.
        got: usize,
    },
    /// The algorithm does not use a shared secret.
    #[error("{} is not an HMAC algorithm", .0.name())]
    NotHmac(Algorithm),
}

/// A secret prepared for one of HS256, HS384 and HS512.
pub struct HmacKey {
    algorithm: Algorithm,
    key: hmac::Key,
}

impl HmacKey {
    /// Prepares a signing key. The secret must be at least as long as the output of the hash.
    pub fn new(algorithm: Algorithm, secret: &[u8]) -> Result<Self, Error> {
        let key = Self::of_any_length(algorithm, secret)?;
        let needed = key.key.algorithm().tag_len();
        if secret.len() < needed {
            return Err(Error::WeakKey {
                algorithm,
                needed,
                got: secret.len(),
            });
        }
        Ok(key)
    }

    /// Prepares a key of any length, only for verifying what others have signed with it.
    pub fn of_any_length(algorithm: Algorithm, secret: &[u8]) -> Result<Self, Error> {
        Ok(Self {
            algorithm,
            key: hmac::Key::new(hash(algorithm)?, secret),
        })
    }

    /// The algorithm of this key.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Computes the tag of a message.
    pub fn sign(&self, message: &[u8]) -> Tag {
        hmac::sign(&self.key, message)
    }

    /// Whether `tag` is the complete tag of `message`, compared in constant time.
    pub fn verifies(&self, message: &[u8], tag: &[u8]) -> bool {
        hmac::verify(&self.key, message, tag).is_ok()
    }
}

/// The length of the tags of an algorithm, which is that of its shortest secret, in bytes.
pub(crate) fn tag_length(algorithm: Algorithm) -> Result<usize, Error> {
    hash(algorithm).map(|hash| hash.tag_len())
}

fn hash(algorithm: Algorithm) -> Result<hmac::Algorithm, Error> {
    match algorithm {
        Algorithm::HS256 => Ok(hmac::HMAC_SHA256),
        Algorithm::HS384 => Ok(hmac::HMAC_SHA384),
        Algorithm::HS512 => Ok(hmac::HMAC_SHA512),
        other => Err(Error::NotHmac(other)),
    }
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("HmacKey")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shorter_than_the_hash_is_refused() {
        for (algorithm, needed) in [
            (Algorithm::HS256, 32),
            (Algorithm::HS384, 48),
            (Algorithm::HS512, 64),
        ] {
            let secret = vec![b'k'; needed];
            assert!(HmacKey::new(algorithm, &secret).is_ok());
            for got in [0, 6, needed - 1] {
                let refused = HmacKey::new(algorithm, &secret[..got]).unwrap_err();
                assert_eq!(
                    refused,
                    Error::WeakKey {
                        algorithm,
                        needed,
                        got
                    }
                );
                assert!(HmacKey::of_any_length(algorithm, &secret[..got]).is_ok());
            }
        }
    }

    #[test]
    fn only_hmac_algorithms_have_hmac_keys() {
        for algorithm in Algorithm::ALL {
            let key = HmacKey::new(algorithm, &[7; 64]);
            assert_eq!(key.is_ok(), algorithm.is_hmac(), "{}", algorithm.name());
        }
    }

    #[test]
    fn only_the_whole_tag_verifies() {
        let key = HmacKey::new(Algorithm::HS256, &[7; 32]).unwrap();
        let tag = key.sign(b"message");
        let tag = tag.as_ref();
        assert!(key.verifies(b"message", tag));
        assert!(!key.verifies(b"massage", tag));
        for length in 0..tag.len() {
            assert!(!key.verifies(b"message", &tag[..length]));
        }
        assert!(!key.verifies(b"message", &[tag, b"\0"].concat()));
    }

    #[test]
    fn debug_does_not_show_the_secret() {
        let key = HmacKey::new(Algorithm::HS256, &[0x6b; 32]).unwrap();
        assert_eq!(format!("{key:?}"), "HmacKey { algorithm: HS256, .. }");
    }
}
