//! The format of Werkzeug's `generate_password_hash`: a method, the salt as text and the digest in hex, separated by
//! `$`.

use super::super::format::number;
use super::Kind;
use super::derived::{self, Derived};
use super::digest::Digest;
use crate::hex;

/// Bytes of a scrypt key: the default of Python's `hashlib.scrypt`.
const SCRYPT_KEY: usize = 64;
/// The parameters of `scrypt` without numbers.
const SCRYPT_COSTS: &str = "32768:8:1";

/// Reads `METHOD$SALT$HEX`. Clear text (`plain`) and PBKDF2 without its number of iterations, whose
/// default changes from version to version, are refused.
pub(super) fn read(stored: &str) -> Option<Kind> {
    let (method, rest) = stored.split_once('$')?;
    let (salt, digest) = rest.split_once('$')?;
    let value = hex::decode(digest)?;
    let (name, costs) = method.split_once(':').unwrap_or((method, ""));
    match name {
        "scrypt" | "pbkdf2" if salt.is_empty() => None,
        "scrypt" if value.len() == SCRYPT_KEY => {
            let costs = if method == name { SCRYPT_COSTS } else { costs };
            let (n, costs) = costs.split_once(':')?;
            let (r, p) = costs.split_once(':')?;
            let costs = (number(n)?, number(r)?, number(p)?);
            Derived::scrypt(costs, salt.into(), value).map(Kind::Derived)
        }
        "pbkdf2" => {
            let (digest, iterations) = costs.split_once(':')?;
            let digest = match digest {
                "sha1" => derived::Digest::Sha1,
                "sha256" => derived::Digest::Sha256,
                "sha512" => derived::Digest::Sha512,
                _ => return None,
            };
            Derived::pbkdf2(digest, number(iterations)?, salt.into(), value).map(Kind::Derived)
        }
        _ => Digest::new(method, salt, value).map(Kind::Digest),
    }
}
