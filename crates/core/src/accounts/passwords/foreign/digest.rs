//! Salted single digests. Two frameworks write `NAME$SALT$HEX` and mean different things: Werkzeug before 3.0 an HMAC
//! of the password keyed with the salt, Django (`sha1`, `md5`) the digest of the salt and then the password. The text
//! does not say which, so a password that matches either way is accepted. Without a salt both mean the bare digest.

use ::hmac::{KeyInit as _, Mac as _};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac};
use md5::Digest as _;
use zeroize::Zeroizing;

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
    /// The digest named `name`, if its length is right.
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
        let salted = Zeroizing::new([salt.as_slice(), password].concat());
        let (keyed, prefixed) = match algorithm {
            Algorithm::Md5 => {
                let keyed = ::hmac::Hmac::<md5::Md5>::new_from_slice(salt)
                    .is_ok_and(|mac| mac.chain_update(password).verify_slice(value).is_ok());
                let computed = md5::Md5::digest(&*salted);
                (keyed, verify_slices_are_equal(&computed, value).is_ok())
            }
            Algorithm::Sha(algorithm, mac) => {
                let keyed = hmac::verify(&hmac::Key::new(*mac, salt), password, value).is_ok();
                let computed = digest::digest(algorithm, &salted);
                let prefixed = verify_slices_are_equal(computed.as_ref(), value).is_ok();
                (keyed, prefixed)
            }
        };
        // Without a salt only the bare digest counts: no framework writes an HMAC with an empty key.
        prefixed || keyed && !salt.is_empty()
    }
}
