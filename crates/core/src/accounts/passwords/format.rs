//! The stored form of a password hash: the PHC string of Argon2.
//!
//! Invariant: costs are capped before anything is computed or allocated, so refusing a hostile hash in an import costs
//! nothing.

use argon2::{Algorithm, Params};
use base64_simd::STANDARD_NO_PAD as BASE64;

use super::MOST_MEMORY_KIB;

/// Bytes of salt (RFC 9106 §3.1).
pub(super) const SALT: usize = 16;
/// Bytes of tag.
pub(super) const TAG: usize = 32;

/// The maximum passes and lanes of a stored hash.
const MOST_PASSES: u32 = 16;

/// A parsed Argon2 hash.
pub(super) struct Stored {
    pub(super) algorithm: Algorithm,
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

/// Parses the output of [`write`], with any costs up to the caps. Also accepts Argon2i, Argon2d and tags of 16 to 64
/// bytes, which other services write. Returns `None` for anything else. `stored` must be ASCII.
pub(super) fn read(stored: &str) -> Option<Stored> {
    let (algorithm, (memory, passes, lanes), rest) = read_costs(stored)?;
    let (salt, tag) = rest.split_once('$')?;
    let (salt, tag) = (
        BASE64.decode_to_vec(salt).ok()?,
        BASE64.decode_to_vec(tag).ok()?,
    );
    if salt.len() < 8 || !(16..=64).contains(&tag.len()) {
        return None;
    }
    let params = Params::new(memory, passes, lanes, Some(tag.len())).ok()?;
    is_within_caps(&params).then_some(Stored {
        algorithm,
        params,
        salt,
        tag,
    })
}

/// Parses algorithm, memory, passes and lanes, and returns the rest.
fn read_costs(stored: &str) -> Option<(Algorithm, (u32, u32, u32), &str)> {
    let (name, rest) = stored.strip_prefix('$')?.split_once("$v=19$m=")?;
    let algorithm = match name {
        "argon2id" => Algorithm::Argon2id,
        "argon2i" => Algorithm::Argon2i,
        "argon2d" => Algorithm::Argon2d,
        _ => return None,
    };
    let (costs, rest) = rest.split_once('$')?;
    let (memory, costs) = costs.split_once(",t=")?;
    let (passes, lanes) = costs.split_once(",p=")?;
    let costs = (number(memory)?, number(passes)?, number(lanes)?);
    Some((algorithm, costs, rest))
}

/// The work of the hash with this beginning, if it can be parsed.
pub(super) fn read_work(beginning: &str) -> Option<u64> {
    let (_, (memory, passes, lanes), _) = read_costs(beginning)?;
    let params = Params::new(memory, passes, lanes, None).ok()?;
    is_within_caps(&params).then(|| work(&params))
}

/// The blocks of 1 KiB that a hash fills, in all its passes and lanes.
pub(super) fn work(params: &Params) -> u64 {
    let blocks = u64::try_from(params.block_count()).unwrap_or(u64::MAX);
    blocks.saturating_mul(params.t_cost().into())
}

/// Whether [`read`] accepts a hash with these parameters.
pub(super) fn is_within_caps(params: &Params) -> bool {
    params.m_cost() <= MOST_MEMORY_KIB
        && params.t_cost() <= MOST_PASSES
        && params.p_cost() <= MOST_PASSES
}

impl Stored {
    /// Whether this hash has the form of [`write`] and the costs of `policy`. A cheaper hash is too weak, and a more
    /// costly one would take longer than others.
    pub(super) fn satisfies(&self, policy: &Params) -> bool {
        self.algorithm == Algorithm::Argon2id
            && self.params.p_cost() == policy.p_cost()
            && self.params.m_cost() == policy.m_cost()
            && self.params.t_cost() == policy.t_cost()
            && self.tag.len() == TAG
            && self.salt.len() >= SALT
    }
}

/// Parses a decimal number without sign and leading zeros, so that every hash has exactly one spelling.
pub(super) fn number(text: &str) -> Option<u32> {
    let canonical = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    canonical.then(|| text.parse().ok())?
}
