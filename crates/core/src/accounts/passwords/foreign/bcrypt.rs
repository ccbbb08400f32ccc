//! bcrypt hashes, of the password itself or of a digest of it.
//!
//! A password is verified as bcrypt verifies it: by its first 72 bytes. Its owner made the hash with the whole
//! password and must still be able to log in with it; that login replaces the hash by one of every byte.
//! Invariant: a password with a NUL among those bytes is wrong. bcrypt repeats its NUL-terminated key, so
//! "a\0a" would match the hash of "a".

use aws_lc_rs::{digest, hmac};
use base64_simd::STANDARD as BASE64;
use zeroize::Zeroizing;

use crate::hex;

/// How many bytes of its key bcrypt uses.
const LONGEST: usize = 72;
/// The length of a hash: `$2b$10$`, 22 characters of salt and 31 of digest.
const LENGTH: usize = 60;

/// A bcrypt hash and the form of its key.
pub(super) struct Bcrypt {
    key: Key,
    cost: u32,
    hash: String,
}

/// The key that bcrypt hashes.
pub(super) enum Key {
    /// The password.
    Password,
    /// Its SHA-256 in hex, as Django does.
    HexSha256,
    /// Its HMAC-SHA256 under the salt's text, in base64, as passlib does.
    Base64HmacSha256(String),
}

/// Reads `$2a$`, `$2b$` and `$2y$`; the flawed `$2x$` and the ancient `$2$` are refused.
pub(super) fn read(text: &str, key: Key) -> Option<Bcrypt> {
    if text.len() != LENGTH || !text.is_ascii() {
        return None;
    }
    let version = text.get(..4)?;
    let digits = text.get(4..6)?;
    let cost = digits.bytes().all(|byte| byte.is_ascii_digit());
    let cost: u32 = cost.then(|| digits.parse().ok())??;
    let fits = matches!(version, "$2a$" | "$2b$" | "$2y$") && (4..=15).contains(&cost);
    // This also checks the alphabet, and that the unused bits of salt and digest are as bcrypt writes them.
    let readable = fits && text.parse::<::bcrypt::HashParts>().is_ok();
    readable.then(|| Bcrypt {
        key,
        cost,
        hash: text.into(),
    })
}

impl Bcrypt {
    /// The number of Argon2 blocks that take about as long.
    pub(super) fn work(&self) -> u64 {
        64 << self.cost
    }

    /// Whether this is the hash of `password`.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let key = self.key.of(password);
        let key = &key[..key.len().min(LONGEST)];
        // `verify` compares in constant time.
        !key.contains(&0) && ::bcrypt::verify(key, &self.hash).unwrap_or(false)
    }
}

impl Key {
    fn of(&self, password: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Self::Password => password.to_vec(),
            Self::HexSha256 => {
                hex::encode(digest::digest(&digest::SHA256, password).as_ref()).into_bytes()
            }
            Self::Base64HmacSha256(salt) => {
                let salt = hmac::Key::new(hmac::HMAC_SHA256, salt.as_bytes());
                BASE64.encode_type(hmac::sign(&salt, password))
            }
        })
    }
}
