//! Hexadecimal text, in lower case only.

/// `bytes` as lower-case hex.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let pair = |byte: &u8| [byte >> 4, byte & 15].map(|half| DIGITS[usize::from(half)]);
    let text: Vec<[u8; 2]> = bytes.iter().map(pair).collect();
    // Digits are text.
    String::from_utf8(text.into_flattened()).unwrap_or_default()
}

/// The bytes of lower-case hex; `None` for anything else, upper case included.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let decoded = pairs
        .iter()
        .map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?))
        .collect();
    if rest.is_empty() { decoded } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_one_text_and_only_that_is_read() {
        assert_eq!(encode(&[0, 15, 255]), "000fff");
        assert_eq!(decode("000fff"), Some(vec![0, 15, 255]));
        assert_eq!(decode(""), Some(Vec::new()));
        for text in ["0", "000", "0F", "0g", " 0", "é"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
