//! The formats of passlib: PBKDF2 with a base64 variant of its own, scrypt, and bcrypt over a keyed digest.

use base64_simd::STANDARD_NO_PAD as BASE64;

use super::super::format::number;
use super::Kind;
use super::bcrypt;
use super::derived::{Derived, Digest};

/// Bytes of a scrypt key.
const SCRYPT_KEY: usize = 32;

/// Reads `$pbkdf2$…`, `$pbkdf2-sha256$…`, `$pbkdf2-sha512$…`, `$scrypt$…` and `$bcrypt-sha256$v=2,…`.
pub(super) fn read(stored: &str) -> Option<Kind> {
    let (name, rest) = stored.strip_prefix('$')?.split_once('$')?;
    let (costs, rest) = rest.split_once('$')?;
    let (salt, value) = rest.split_once('$')?;
    match name {
        "pbkdf2" => pbkdf2(Digest::Sha1, costs, salt, value),
        "pbkdf2-sha256" => pbkdf2(Digest::Sha256, costs, salt, value),
        "pbkdf2-sha512" => pbkdf2(Digest::Sha512, costs, salt, value),
        "scrypt" => scrypt(costs, salt, value),
        "bcrypt-sha256" => bcrypt_sha256(costs, salt, value),
        _ => None,
    }
}

fn pbkdf2(digest: Digest, iterations: &str, salt: &str, key: &str) -> Option<Kind> {
    let (salt, key) = (decode(salt)?, decode(key)?);
    Derived::pbkdf2(digest, number(iterations)?, salt, key).map(Kind::Derived)
}

fn scrypt(costs: &str, salt: &str, key: &str) -> Option<Kind> {
    let (log_n, costs) = costs.strip_prefix("ln=")?.split_once(",r=")?;
    let (r, p) = costs.split_once(",p=")?;
    let n = 1_u32.checked_shl(number(log_n)?)?;
    let salt = BASE64.decode_to_vec(salt).ok()?;
    let key = BASE64.decode_to_vec(key).ok()?;
    if key.len() != SCRYPT_KEY {
        return None;
    }
    Derived::scrypt((n, number(r)?, number(p)?), salt, key).map(Kind::Derived)
}

/// Version 2: bcrypt of base64(HMAC-SHA256(key = salt text, password)).
fn bcrypt_sha256(costs: &str, salt: &str, value: &str) -> Option<Kind> {
    let rounds = number(costs.strip_prefix("v=2,t=2b,r=")?)?;
    let plain = format!("$2b${rounds:02}${salt}{value}");
    let key = bcrypt::Key::Base64HmacSha256(salt.into());
    bcrypt::read(&plain, key).map(Kind::Bcrypt)
}

/// Unpadded base64 with `.` for `+`.
fn decode(text: &str) -> Option<Vec<u8>> {
    let standard = (!text.contains('+')).then(|| text.replace('.', "+"))?;
    BASE64.decode_to_vec(standard).ok()
}
