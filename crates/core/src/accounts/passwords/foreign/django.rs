//! The formats of Django's password hashers: an algorithm, its parameters, the salt as text and padded base64,
//! separated by `$`. Django's Argon2 hashes are parsed as PHC strings, elsewhere.

use base64_simd::STANDARD as BASE64;

use super::super::format::number;
use super::Kind;
use super::bcrypt;
use super::derived::{Derived, Digest};

/// Bytes of a scrypt key.
const SCRYPT_KEY: usize = 64;

/// Reads `pbkdf2_sha256$…`, `pbkdf2_sha1$…`, `scrypt$…`, `bcrypt$…` and `bcrypt_sha256$…`.
pub(super) fn read(stored: &str) -> Option<Kind> {
    let (name, rest) = stored.split_once('$')?;
    match name {
        "pbkdf2_sha256" => pbkdf2(Digest::Sha256, rest),
        "pbkdf2_sha1" => pbkdf2(Digest::Sha1, rest),
        "scrypt" => scrypt(rest),
        "bcrypt" => bcrypt::read(rest, bcrypt::Key::Password).map(Kind::Bcrypt),
        "bcrypt_sha256" => bcrypt::read(rest, bcrypt::Key::HexSha256).map(Kind::Bcrypt),
        _ => None,
    }
}

fn pbkdf2(digest: Digest, rest: &str) -> Option<Kind> {
    let (iterations, rest) = rest.split_once('$')?;
    let (salt, key) = rest.split_once('$')?;
    let key = BASE64.decode_to_vec(key).ok()?;
    Derived::pbkdf2(digest, number(iterations)?, salt.into(), key).map(Kind::Derived)
}

fn scrypt(rest: &str) -> Option<Kind> {
    let mut parts = rest.split('$');
    let (n, salt) = (number(parts.next()?)?, parts.next()?);
    let (r, p) = (number(parts.next()?)?, number(parts.next()?)?);
    let key = BASE64.decode_to_vec(parts.next()?).ok()?;
    if key.len() != SCRYPT_KEY || parts.next().is_some() {
        return None;
    }
    Derived::scrypt((n, r, p), salt.into(), key).map(Kind::Derived)
}
