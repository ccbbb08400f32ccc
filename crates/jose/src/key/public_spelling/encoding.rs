//! Decodes base64 and hexadecimal in all their variants, and resolves escapes.
//!
//! Nothing here is strict, since a text may be a key in any sense that somebody intended.

use std::str::Chars;

use super::SHORTEST;

/// How many bytes of a key are decoded: more than a certificate has before its first name.
const HEAD: usize = 48;

/// The value in [`hex_digits`] that stands for a character that is neither a digit nor a separator.
const NO_DIGIT: u8 = 0xFF;
/// The bit in [`hex_digits`] that marks a digit after a separator or after another character.
const FIRST: u8 = 0x80;

/// White space, quotes, control characters and zero-width characters.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(
            c,
            '"' | '\'' | '`' | '\u{feff}' | '\u{200b}'..='\u{200d}' | '\u{2060}'
        )
}

/// The text without blanks and with its backslash and percent escapes resolved. `None` if it has neither blanks nor
/// escapes.
pub(super) fn plain(text: &str) -> Option<String> {
    if !text.contains(|c| is_blank(c) || matches!(c, '\\' | '%')) {
        return None;
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let c = match c {
            '\\' => unescape(&mut rest),
            '%' => Some(code(&mut rest, 2).unwrap_or(c)),
            _ => Some(c),
        };
        plain.extend(c.filter(|c| !is_blank(*c)));
    }
    Some(plain)
}

/// Consumes the escape after a backslash, and returns its character. Returns `None` for `n`, `r` and `t`, which are
/// blank, and for a character that stands for itself, which is not consumed.
fn unescape(rest: &mut Chars<'_>) -> Option<char> {
    match rest.as_str().as_bytes().first()? {
        b'n' | b'r' | b't' => {
            rest.next();
            None
        }
        b'u' => {
            rest.next();
            code(rest, 4).or(Some('u'))
        }
        _ => None,
    }
}

/// The character whose hexadecimal code is the next `digits` characters.
fn code(rest: &mut Chars<'_>, digits: usize) -> Option<char> {
    let (code, after) = rest.as_str().split_at_checked(digits)?;
    let code = u32::from_str_radix(code, 16)
        .ok()
        .and_then(char::from_u32)?;
    *rest = after.chars();
    Some(code)
}

/// The first characters as Latin-1 bytes. `None` if one of them is not in Latin-1.
pub(super) fn latin_1(text: &str) -> Option<Vec<u8>> {
    let head = text.chars().take(HEAD);
    head.map(|c| u8::try_from(c).ok()).collect()
}

/// The first bytes of everything that may be base64. It may begin at each word, and within a word after `+`, `/`, `-`
/// and `_`.
pub(super) fn base64_heads(text: &str) -> impl Iterator<Item = Vec<u8>> {
    let bytes = text.as_bytes();
    let begins = |at: &usize| *at == 0 || !bytes[*at - 1].is_ascii_alphanumeric();
    (0..bytes.len())
        .filter(begins)
        .filter(|at| begins_key(&bytes[*at..]))
        .map(|at| base64(&bytes[at..], HEAD))
}

/// Whether the base64 begins like a key that `der` recognises: with 0x30 and a length, three zeros, or `op`.
fn begins_key(base64: &[u8]) -> bool {
    matches!(
        base64,
        [b'M', b'A'..=b'P', ..] | [b'A', b'A', b'A', b'A', ..] | [b'b', b'3', ..]
    )
}

/// The first bytes of everything that may be hexadecimal. It may begin at each digit after a separator.
pub(super) fn hex_heads(text: &str) -> impl Iterator<Item = Vec<u8>> {
    let digits = hex_digits(text);
    let starts = (0..digits.len()).filter(|at| digits[*at] != NO_DIGIT && digits[*at] & FIRST != 0);
    let heads = starts.map(|at| hex(&digits[at..], HEAD));
    heads.collect::<Vec<_>>().into_iter()
}

/// The UTF-8 texts that are encoded within the text.
pub(super) fn texts(text: &str) -> impl Iterator<Item = String> {
    let words = text.as_bytes().split(|byte| sextet(*byte).is_none());
    let words = words.filter(|word| word.len() >= SHORTEST);
    let words = words.map(|word| base64(word, word.len()));
    let digits = hex_digits(text);
    let runs = digits.split(|digit| *digit == NO_DIGIT);
    let runs = runs.filter(|run| run.len() >= 2 * SHORTEST);
    let runs: Vec<_> = runs.map(|run| hex(run, run.len())).collect();
    words
        .chain(runs)
        .filter_map(|bytes| String::from_utf8(bytes).ok())
}

/// The bytes that the whole text encodes, as base64 and as hexadecimal: at most `most`, or one more if there are more.
pub(super) fn whole(text: &str, most: usize) -> impl Iterator<Item = Vec<u8>> {
    let text = text.trim_end_matches('=');
    let is_short = text.len() <= 8 * most;
    let is_base64 = is_short && text.bytes().all(|byte| sextet(byte).is_some());
    let digits = if is_short {
        hex_digits(text)
    } else {
        Vec::new()
    };
    let is_hex = !digits.contains(&NO_DIGIT);
    let base64 = is_base64.then(|| base64(text.as_bytes(), most + 1));
    base64
        .into_iter()
        .chain(is_hex.then(|| hex(&digits, most + 1)))
}

/// Decodes base64 of either alphabet, up to the first other character or to `most` bytes.
fn base64(text: &[u8], most: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(most.min(text.len()));
    let (mut bits, mut count) = (0_u32, 0);
    for sextet in text.iter().map_while(|byte| sextet(*byte)) {
        (bits, count) = (bits << 6 | sextet, count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count).to_le_bytes()[0]);
            if bytes.len() == most {
                break;
            }
        }
    }
    bytes
}

fn sextet(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    }))
}

/// The hexadecimal digits of a text. The separators of hex dumps are left out; anything else becomes [`NO_DIGIT`].
fn hex_digits(text: &str) -> Vec<u8> {
    let mut digits = Vec::with_capacity(text.len());
    let mut first = FIRST;
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        if first != 0 && matches!((byte, after), (b'0', [b'x' | b'X', ..])) {
            rest = &after[1..];
            continue;
        }
        match char::from(*byte).to_digit(16) {
            Some(digit) => {
                digits.push(first | digit.to_le_bytes()[0]);
                first = 0;
            }
            None => {
                let separates = b" \t\r\n:-,;._%xX\\\"'[](){}".contains(byte);
                if !separates && digits.last().is_none_or(|last| *last != NO_DIGIT) {
                    digits.push(NO_DIGIT);
                }
                first = FIRST;
            }
        }
    }
    digits
}

/// Decodes digits, up to the first [`NO_DIGIT`] or to `most` bytes.
fn hex(digits: &[u8], most: usize) -> Vec<u8> {
    let (pairs, _) = digits.as_chunks::<2>();
    let pairs = pairs.iter().take_while(|pair| !pair.contains(&NO_DIGIT));
    pairs
        .take(most)
        .map(|[high, low]| high << 4 | low & 0x0F)
        .collect()
}
