//! The SHA-256 and SHA-512 hashes of crypt(3).

use ::sha_crypt::{PasswordVerifier as _, ShaCrypt as Verifier};

use super::super::format::number;

/// The default number of rounds.
const DEFAULT_ROUNDS: u32 = 5_000;
/// The maximum number of rounds. The minimum of crypt(3) is 1,000.
const MOST_ROUNDS: u32 = 1_000_000;
/// The longest salt, in characters. crypt(3) ignores the rest.
const LONGEST_SALT: usize = 16;
/// The maximum work. Each round hashes the password about twice, so a long password multiplies the cost of a round.
const MOST_WORK: u64 = 1 << 28;

/// A hash of crypt(3).
pub(super) struct ShaCrypt {
    rounds: u32,
    hash: String,
}

/// Reads `$5$…` and `$6$…`, with or without `rounds=N$`.
pub(super) fn read(stored: &str) -> Option<ShaCrypt> {
    let (rest, digest) = match stored.strip_prefix("$5$") {
        Some(rest) => (rest, 43),
        None => (stored.strip_prefix("$6$")?, 86),
    };
    let (rounds, rest) = match rest.strip_prefix("rounds=") {
        Some(rest) => {
            let (rounds, rest) = rest.split_once('$')?;
            (number(rounds)?, rest)
        }
        None => (DEFAULT_ROUNDS, rest),
    };
    let (salt, hash) = rest.split_once('$')?;
    let readable = (1_000..=MOST_ROUNDS).contains(&rounds)
        && (1..=LONGEST_SALT).contains(&salt.len())
        && hash.len() == digest
        && [salt, hash].iter().all(|text| text.bytes().all(is_digit));
    readable.then(|| ShaCrypt {
        rounds,
        hash: stored.into(),
    })
}

impl ShaCrypt {
    /// The number of Argon2 blocks that take about as long, for a password of usual length.
    pub(super) fn work(&self) -> u64 {
        u64::from(self.rounds)
    }

    /// Whether this is the hash of `password`. A long password with many rounds is refused.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let length = u64::try_from(password.len()).unwrap_or(u64::MAX);
        // `verify_password` compares in constant time.
        length.saturating_mul(self.rounds.into()) <= MOST_WORK
            && Verifier::SHA512
                .verify_password(password, self.hash.as_str())
                .is_ok()
    }
}

/// A digit of crypt's base 64.
fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'/'
}
