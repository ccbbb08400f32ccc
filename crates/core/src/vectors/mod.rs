//! Vectors: arrays of random numbers in [0, 1), for the vectors contract.
//!
//! Invariant: a number is a decimal fraction of exactly 16 digits, so every parser reads its text as the same double,
//! which is below 1.

use aws_lc_rs::digest::{Context, SHA256};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

use crate::random::Random;

/// The default number of dimensions.
pub const DIMENSIONS: usize = 500;
/// The maximum number of dimensions.
pub const MOST_DIMENSIONS: usize = 10_000;

/// `10^16`: the number of different values.
const STEPS: u64 = 10_000_000_000_000_000;
/// `10^8`: the number of values of half of a number's digits.
const HALF: u64 = 100_000_000;
/// The text of a number and the comma before it, with zeros for digits.
const BLANK: [u8; 19] = *b",0.0000000000000000";

/// Generates an array of `dimensions` numbers as JSON text. The same seed and sentence give the same array; without a
/// seed every array is different.
#[must_use]
pub fn generate(
    sentence: &str,
    dimensions: usize,
    seed: Option<u64>,
    random: &dyn Random,
) -> Vec<u8> {
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

fn write_array(rng: &mut ChaCha12Rng, dimensions: usize) -> Vec<u8> {
    let mut text = BLANK.repeat(dimensions);
    for number in text.as_chunks_mut::<{ BLANK.len() }>().0 {
        let steps = below_steps(rng);
        let [_, _, _, digits @ ..] = number;
        let (high, low) = digits.split_at_mut(8);
        high.copy_from_slice(&eight_digits(steps / HALF));
        low.copy_from_slice(&eight_digits(steps % HALF));
    }
    if let Some(first) = text.first_mut() {
        *first = b'[';
    }
    text.push(b']');
    text
}

/// A uniform number below [`STEPS`]. Draws above the largest multiple of it are repeated, which avoids bias.
fn below_steps(rng: &mut ChaCha12Rng) -> u64 {
    const LIMIT: u64 = u64::MAX - u64::MAX % STEPS;
    loop {
        let draw = rng.next_u64();
        if draw < LIMIT {
            return draw % STEPS;
        }
    }
}

/// The decimal digits of a number below [`HALF`]. The number is split in halves within one word until each digit has a
/// byte; all parts are divided by 100 and 10 at once, by multiplication. This takes half the time of a table of pairs
/// of digits.
fn eight_digits(number: u64) -> [u8; 8] {
    const PER_TWO: u64 = 0x0000_007F_0000_007F;
    const PER_FOUR: u64 = 0x000F_000F_000F_000F;
    let fours = (number / 10_000) | ((number % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & PER_TWO;
    let twos = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((twos * 103) >> 10) & PER_FOUR;
    let ones = tens | ((twos - tens * 10) << 8);
    (ones | u64::from_le_bytes(*b"00000000")).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{SeededRandom, SystemRandom};

    fn numbers(text: &[u8]) -> Vec<f64> {
        serde_json::from_slice(text).expect("a JSON array of numbers")
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
    fn a_number_is_written_in_eight_digits() {
        let strides = (0..HALF).step_by(9_973);
        for number in strides.chain([1, 9, 10, 99, 100, 9_999, 10_000, HALF - 1]) {
            let digits = eight_digits(number);
            assert_eq!(digits, format!("{number:08}").as_bytes(), "{number}");
        }
    }

    #[test]
    fn the_greatest_number_is_below_one() {
        let half = eight_digits(HALF - 1);
        let text = [b"0.".as_slice(), &half, &half].concat();
        let greatest: f64 = str::from_utf8(&text)
            .expect("text")
            .parse()
            .expect("number");
        assert!(greatest < 1.0);
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
