//! The stored form of a password hash: the PHC string of Argon2id.
//!
//! Invariant: costs are capped before anything is computed or allocated, so a hostile hash in an
//! import costs no more than a refusal.

use argon2::Params;
use base64_simd::STANDARD_NO_PAD as BASE64;

/// Bytes of salt (RFC 9106 §3.1).
pub(super) const SALT: usize = 16;
/// Bytes of tag.
pub(super) const TAG: usize = 32;

/// The longest stored hash that is looked at, in bytes.
const LONGEST: usize = 1_024;
/// The most memory a stored hash may ask for, KiB: 256 MiB.
const MOST_MEMORY: u32 = 256 * 1_024;
/// The most passes and lanes it may ask for.
const MOST_PASSES: u32 = 16;

/// A stored Argon2id hash, taken apart.
pub(super) struct Stored {
    pub(super) params: Params,
    pub(super) salt: Vec<u8>,
    pub(super) tag: Vec<u8>,
}

/// Writes `$argon2id$v=19$m=…,t=…,p=…$salt$tag`.
pub(super) fn write(params: &Params, salt: &[u8], tag: &[u8]) -> String {
    format!(
        "$argon2id$v=19$m={},t={},p={}${}${}",
        params.m_cost(),
        params.t_cost(),
        params.p_cost(),
        BASE64.encode_to_string(salt),
        BASE64.encode_to_string(tag),
    )
}

/// Reads what [`write`] writes, with other costs up to the caps; `None` for anything else.
pub(super) fn read(stored: &str) -> Option<Stored> {
    if stored.len() > LONGEST || !stored.is_ascii() {
        return None;
    }
    let rest = stored.strip_prefix("$argon2id$v=19$m=")?;
    let (costs, rest) = rest.split_once('$')?;
    let (salt, tag) = rest.split_once('$')?;
    let (memory, costs) = costs.split_once(",t=")?;
    let (passes, lanes) = costs.split_once(",p=")?;
    let (memory, passes, lanes) = (number(memory)?, number(passes)?, number(lanes)?);
    if memory > MOST_MEMORY || passes > MOST_PASSES || lanes > MOST_PASSES {
        return None;
    }
    let (salt, tag) = (
        BASE64.decode_to_vec(salt).ok()?,
        BASE64.decode_to_vec(tag).ok()?,
    );
    if salt.len() < 8 || tag.len() != TAG {
        return None;
    }
    Some(Stored {
        params: Params::new(memory, passes, lanes, Some(TAG)).ok()?,
        salt,
        tag,
    })
}

/// A decimal number without sign or leading zeros, so that every hash has one spelling.
fn number(text: &str) -> Option<u32> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    canonical.then(|| text.parse().ok())?
}
