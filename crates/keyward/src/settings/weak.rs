//! Secrets that somebody could guess: a rule that finds them, and the words to warn with.
//!
//! Invariant: a random key of the least length, in hexadecimal or base64, is never called weak.

use super::error::{Topic, Warning};
use super::secret::is_invisible;

/// A random key of 32 hexadecimal digits has fewer different ones once in twenty million times.
const FEWEST_BYTES: usize = 8;
/// A secret with fewer letters than these besides the words of placeholders is one, if they are also less than half of it.
const LEAST_REST: usize = 16;
/// Texts that only placeholders contain, as letters and digits in lower case.
const PLACEHOLDERS: [&str; 14] = [
    "changeit",
    "changeme",
    "changethis",
    "replaceme",
    "replacethis",
    "donotuse",
    "placeholder",
    "insecure",
    "yoursecret",
    "256bitsecret",
    "secretkeyhere",
    "secretatleast256bitslong",
    "keyboardcat",
    "notasecret",
];
/// Words that many placeholders are made of.
const WORDS: [&str; 25] = [
    "password",
    "passphrase",
    "secret",
    "default",
    "example",
    "sample",
    "testing",
    "test",
    "development",
    "production",
    "please",
    "super",
    "very",
    "long",
    "jwt",
    "token",
    "private",
    "keyward",
    "key",
    "string",
    "your",
    "random",
    "bytes",
    "admin",
    "demo",
];
/// The beginnings of keys that are published, in examples of RFC 7515 and RFC 7520 and in the demo.
const PUBLISHED: [&str; 3] = [
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ",
    "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG",
    "a9ddbcaba8c0ac1a0a812dc0c2f08514",
];

/// Warns if the secret that `key` gives is weak. `place` is where it is given.
pub(super) fn warn(key: &str, place: &str, secret: &str) -> Option<Warning> {
    let advice = || "Make a random one with `openssl rand -hex 64`; tokens signed by the old one are then refused";
    let warning = |why: &str, advice: &str| {
        Some(Warning::new(
            Topic::Secrets,
            place,
            format!("{key} {why}"),
            advice,
        ))
    };
    match weakness(secret) {
        Some(why) => warning(why, advice()),
        None if secret.starts_with(is_invisible) || secret.ends_with(is_invisible) => warning(
            "begins or ends with a blank, a line break or another invisible character, which is part of the key",
            "Remove it, if it is not meant so; tokens signed by the old key are then refused",
        ),
        None => None,
    }
}

/// Why a secret is weak: the rule in `docs/operations.md`.
fn weakness(secret: &str) -> Option<&'static str> {
    let bytes = secret.as_bytes();
    let mut seen = [false; 256];
    for byte in bytes {
        seen[usize::from(*byte)] = true;
    }
    let plain: String = secret
        .chars()
        .filter(|char| char.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    if seen.iter().filter(|seen| **seen).count() < FEWEST_BYTES {
        Some("is weak: it has fewer than 8 different bytes")
    } else if period(bytes) <= bytes.len() / 2 {
        Some("is weak: it repeats a shorter text")
    } else if is_sequence(bytes) {
        Some("is weak: most of its characters follow the alphabet or count")
    } else if PUBLISHED.iter().any(|key| secret.starts_with(key)) {
        Some("is weak: it is published as an example")
    } else if PLACEHOLDERS.iter().any(|text| plain.contains(text)) || is_made_of_words(&plain) {
        Some("is weak: it looks like a placeholder")
    } else {
        None
    }
}

/// The length of the shortest text whose repetition begins with `bytes`.
fn period(bytes: &[u8]) -> usize {
    // As the failure function of Knuth, Morris and Pratt: the longest proper prefix that ends at each place.
    let mut borders = vec![0; bytes.len()];
    for at in 1..bytes.len() {
        let mut border: usize = borders[at - 1];
        while border > 0 && bytes[border] != bytes[at] {
            border = borders[border - 1];
        }
        borders[at] = border + usize::from(bytes[border] == bytes[at]);
    }
    bytes.len() - borders.last().copied().unwrap_or_default()
}

fn is_sequence(bytes: &[u8]) -> bool {
    let steps = bytes
        .windows(2)
        .filter(|pair| pair[0].abs_diff(pair[1]) <= 1);
    steps.count() * 3 >= bytes.len() * 2
}

fn is_made_of_words(plain: &str) -> bool {
    let mut rest = plain.to_owned();
    for word in WORDS {
        rest = rest.replace(word, "");
    }
    rest.len() < plain.len()
        && rest.chars().filter(|char| !char.is_ascii_digit()).count() < LEAST_REST
        && rest.len() < plain.len() / 2
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn secrets_that_can_be_guessed_are_named_as_weak() {
        for secret in [
            "a".repeat(32),
            " ".repeat(32),
            "secret".repeat(6),
            "secretsecretsecretsecretsecretsec".to_owned(),
            "0123456789abcdef0123456789abcdef".to_owned(),
            "abcdefghijklmnopqrstuvwxyz012345".to_owned(),
            "12345678901234567890123456789012".to_owned(),
            "zyxwvutsrqponmlkjihgfedcba987654".to_owned(),
            "change-me-change-me-please-now-please".to_owned(),
            "CHANGE_ME_IN_PRODUCTION_0123456789".to_owned(),
            "your-256-bit-secret-goes-in-here".to_owned(),
            "a-string-secret-at-least-256-bits-long".to_owned(),
            "my-super-secret-jwt-signing-key-2024".to_owned(),
            "this_is_a_very_long_secret_key_1234".to_owned(),
            "django-insecure-0v#k2(x8!m3@q7w9e5r1t".to_owned(),
            "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg".to_owned(),
        ] {
            assert!(weakness(&secret).is_some(), "{secret}");
        }
    }

    #[test]
    fn random_keys_and_pass_phrases_are_never_named_as_weak() {
        const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut random = StdRng::seed_from_u64(7);
        for round in 0..20_000 {
            let alphabet = [b"0123456789abcdef", BASE64][round % 2];
            let length = [32, 43, 48, 64][round % 4];
            let key: String = (0..length)
                .map(|_| char::from(alphabet[random.random_range(0..alphabet.len())]))
                .collect();
            assert_eq!(weakness(&key), None, "{key}");
        }
        for phrase in [
            "correct horse battery staple is my pass phrase",
            "the old service's secret, of forty-eight bytes!!",
        ] {
            assert_eq!(weakness(phrase), None, "{phrase}");
        }
    }

    #[test]
    fn blanks_at_the_ends_are_said_and_no_warning_has_the_secret() {
        let key = "4f9d0c6b7ae2485fb3c1d95e6a7081f2";
        let warned = warn("tokens.x", "here", &format!("{key}\n"));
        let shown = warned.expect("a warning").to_string();
        assert!(
            shown.contains("line break") && !shown.contains(key),
            "{shown}"
        );
        assert_eq!(warn("tokens.x", "here", key), None);
    }
}
