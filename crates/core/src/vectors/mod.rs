//! Vectors: arrays of random numbers in [0, 1) for contract 4.
//!
//! Invariant: a number is a decimal fraction of exactly 16 digits, so its text reads back to the
//! same double wherever it is parsed, and is below 1 there as well.

use aws_lc_rs::digest::{Context, SHA256};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

use crate::random::Random;

/// The dimensions of an array where none are asked for.
pub const DIMENSIONS: usize = 500;
/// The most dimensions that may be asked for.
pub const MOST_DIMENSIONS: usize = 10_000;

/// `10^16`: the number of different values.
const STEPS: u64 = 10_000_000_000_000_000;
/// A number and its comma: `0.` and 16 digits, and one byte.
const WIDTH: usize = 19;

/// An array of `dimensions` numbers as JSON text; the same for the same seed and sentence, otherwise never
/// the same.
#[must_use]
pub fn generate(
    sentence: &str,
    dimensions: usize,
    seed: Option<u64>,
    random: &dyn Random,
) -> String {
    let mut key = [0; 32];
    match seed {
        Some(seed) => {
            let mut digest = Context::new(&SHA256);
            digest.update(&seed.to_be_bytes());
            digest.update(sentence.as_bytes());
            key.copy_from_slice(digest.finish().as_ref());
        }
        None => random.fill(&mut key),
    }
    write_array(&mut ChaCha12Rng::from_seed(key), dimensions)
}

fn write_array(rng: &mut ChaCha12Rng, dimensions: usize) -> String {
    let mut text = String::with_capacity(dimensions * WIDTH + 2);
    text.push('[');
    for index in 0..dimensions {
        if index > 0 {
            text.push(',');
        }
        push_fraction(&mut text, below_steps(rng));
    }
    text.push(']');
    text
}

/// A uniform number below [`STEPS`]: draws above the largest multiple are drawn again.
fn below_steps(rng: &mut ChaCha12Rng) -> u64 {
    const LIMIT: u64 = u64::MAX - u64::MAX % STEPS;
    loop {
        let draw = rng.next_u64();
        if draw < LIMIT {
            return draw % STEPS;
        }
    }
}

fn push_fraction(text: &mut String, mut steps: u64) {
    let mut digits = *b"0.0000000000000000";
    for digit in digits[2..].iter_mut().rev() {
        *digit = b'0' + u8::try_from(steps % 10).unwrap_or_default();
        steps /= 10;
    }
    text.extend(digits.map(char::from));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{SeededRandom, SystemRandom};

    fn numbers(text: &str) -> Vec<f64> {
        serde_json::from_str(text).expect("a JSON array of numbers")
    }

    #[test]
    fn an_array_has_its_dimensions_and_every_number_is_in_the_unit_interval() {
        for dimensions in [1, 500, 10_000] {
            let numbers = numbers(&generate("s", dimensions, None, &SystemRandom));
            assert_eq!(numbers.len(), dimensions);
            assert!(numbers.iter().all(|number| (0.0..1.0).contains(number)));
        }
    }

    #[test]
    fn every_number_reads_back_to_the_same_double() {
        for number in numbers(&generate("s", 10_000, None, &SeededRandom::new(1))) {
            let again: f64 = serde_json::to_string(&number)
                .expect("text")
                .parse()
                .expect("number");
            assert_eq!(again.to_bits(), number.to_bits());
        }
    }

    #[test]
    fn the_greatest_fraction_is_below_one() {
        let mut text = String::new();
        push_fraction(&mut text, STEPS - 1);
        assert_eq!(text, "0.9999999999999999");
        assert!(text.parse::<f64>().expect("number") < 1.0);
    }

    #[test]
    fn numbers_spread_evenly_over_the_interval() {
        let mut tenths = [0_u32; 10];
        for number in numbers(&generate("s", 10_000, None, &SeededRandom::new(2))) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "0 to 9"
            )]
            let tenth = (number * 10.0) as usize;
            tenths[tenth] += 1;
        }
        assert!(
            tenths.iter().all(|count| (850..1_150).contains(count)),
            "{tenths:?}"
        );
    }

    #[test]
    fn a_seed_and_sentence_repeat_and_any_other_pair_does_not() {
        let make = |sentence, seed| generate(sentence, 8, seed, &SystemRandom);
        assert_eq!(make("a", Some(1)), make("a", Some(1)));
        assert_ne!(make("a", Some(1)), make("a", Some(2)));
        assert_ne!(make("a", Some(1)), make("b", Some(1)));
        assert_ne!(make("a", None), make("a", None));
    }
}
