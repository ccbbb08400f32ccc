//! The single digests of Werkzeug before 3.0: HMAC keyed with the salt, or without a salt the bare digest.

use ::hmac::{KeyInit as _, Mac as _};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac};
use md5::Digest as _;

/// A digest of a password and its salt, which may be empty.
pub(super) struct Digest {
    algorithm: Algorithm,
    salt: Vec<u8>,
    value: Vec<u8>,
}

enum Algorithm {
    Md5,
    Sha(&'static digest::Algorithm, hmac::Algorithm),
}

impl Digest {
    /// The digest called `name`, of the length that it has.
    pub(super) fn new(name: &str, salt: &str, value: Vec<u8>) -> Option<Self> {
        let (algorithm, length) = match name {
            "md5" => (Algorithm::Md5, 16),
            "sha1" => (
                Algorithm::Sha(
                    &digest::SHA1_FOR_LEGACY_USE_ONLY,
                    hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
                ),
                20,
            ),
            "sha256" => (Algorithm::Sha(&digest::SHA256, hmac::HMAC_SHA256), 32),
            "sha512" => (Algorithm::Sha(&digest::SHA512, hmac::HMAC_SHA512), 64),
            _ => return None,
        };
        (value.len() == length).then(|| Self {
            algorithm,
            salt: salt.into(),
            value,
        })
    }

    /// Whether this is the digest of `password`.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let Self {
            algorithm,
            salt,
            value,
        } = self;
        match algorithm {
            Algorithm::Md5 if salt.is_empty() => {
                verify_slices_are_equal(&md5::Md5::digest(password), value).is_ok()
            }
            Algorithm::Md5 => ::hmac::Hmac::<md5::Md5>::new_from_slice(salt)
                .is_ok_and(|mac| mac.chain_update(password).verify_slice(value).is_ok()),
            Algorithm::Sha(algorithm, _) if salt.is_empty() => {
                let computed = digest::digest(algorithm, password);
                verify_slices_are_equal(computed.as_ref(), value).is_ok()
            }
            Algorithm::Sha(_, algorithm) => {
                hmac::verify(&hmac::Key::new(*algorithm, salt), password, value).is_ok()
            }
        }
    }
}
