//! Randomness as a parameter: the program passes the system's generator, tests pass a seeded one.

use std::sync::Mutex;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

/// A source of random bytes.
pub trait Random: Send + Sync {
    /// Fills `bytes` with uniformly random, unpredictable bytes.
    fn fill(&self, bytes: &mut [u8]);
}

/// One ChaCha generator for each thread, seeded and reseeded by the operating system, so that drawing needs no system
/// call.
#[derive(Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that draws ambient randomness"
    )]
    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }
}

/// A generator with a seed, for tests.
#[derive(Debug)]
pub struct SeededRandom(Mutex<ChaCha12Rng>);

impl SeededRandom {
    /// The sequence of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(ChaCha12Rng::seed_from_u64(seed)))
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .fill_bytes(bytes);
    }
}

/// `N` random bytes.
#[must_use]
pub fn bytes<const N: usize>(random: &dyn Random) -> [u8; N] {
    let mut bytes = [0; N];
    random.fill(&mut bytes);
    bytes
}

/// `N` random bytes as lower-case hex, `2 N` characters.
#[must_use]
pub fn hex<const N: usize>(random: &dyn Random) -> String {
    crate::hex::encode(&bytes::<N>(random))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_sequence_and_the_system_gives_others() {
        assert_eq!(
            hex::<16>(&SeededRandom::new(7)),
            hex::<16>(&SeededRandom::new(7))
        );
        assert_ne!(hex::<16>(&SystemRandom), hex::<16>(&SystemRandom));
    }
}
