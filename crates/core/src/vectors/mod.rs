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
/// `10^8`: what half of a number's digits can hold.
const HALF: u64 = 100_000_000;
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
    let mut text = Vec::with_capacity(dimensions * WIDTH + 2);
    text.push(b'[');
    for index in 0..dimensions {
        if index > 0 {
            text.push(b',');
        }
        text.extend_from_slice(&fraction(below_steps(rng)));
    }
    text.push(b']');
    // Digits, commas and brackets are text.
    String::from_utf8(text).unwrap_or_default()
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

/// `0.` and 16 digits. Digits come in pairs from a table, and the two halves do not wait for one another,
/// which divides an eighth as often in a row as digit by digit.
fn fraction(steps: u64) -> [u8; WIDTH - 1] {
    let mut text = *b"0.0000000000000000";
    for (half, digits) in [steps / HALF, steps % HALF]
        .into_iter()
        .zip(text[2..].chunks_exact_mut(8))
    {
        let mut rest = half;
        for pair in digits.chunks_exact_mut(2).rev() {
            // A remainder of 100 has a place in the table.
            let digits = usize::try_from(rest % 100).unwrap_or_default();
            pair.copy_from_slice(&PAIRS[digits]);
            rest /= 100;
        }
    }
    text
}

/// The digits of 00 to 99.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [*b"00"; 100];
    let (mut pair, mut tens, mut ones) = (0, b'0', b'0');
    while pair < pairs.len() {
        pairs[pair] = [tens, ones];
        (tens, ones) = if ones == b'9' {
            (tens + 1, b'0')
        } else {
            (tens, ones + 1)
        };
        pair += 1;
    }
    pairs
};

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
    fn a_fraction_has_the_sixteen_digits_of_its_number() {
        for steps in [
            0,
            1,
            99,
            100,
            HALF - 1,
            HALF,
            1_234_567_890_123_456,
            STEPS - 1,
        ] {
            assert_eq!(fraction(steps), format!("0.{steps:016}").as_bytes());
        }
        let greatest = std::str::from_utf8(&fraction(STEPS - 1)).map(str::parse::<f64>);
        assert!(greatest.expect("text").expect("number") < 1.0);
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
