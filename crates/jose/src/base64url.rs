//! Base64url as JOSE uses it (RFC 7515 §2): the URL alphabet, no padding, no line breaks.
//!
//! Each byte string has exactly one accepted encoding. Text that decodes but would be encoded differently is refused,
//! so two different tokens never mean the same.

use base64_simd::{AsOut, URL_SAFE_NO_PAD};

/// The text is not the canonical base64url encoding of any bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not canonical base64url")]
pub struct NotCanonical;

/// Encodes without padding.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode_to_string(bytes)
}

/// Appends the encoding of `bytes` to `text`.
pub(crate) fn encode_onto(text: &mut String, bytes: &[u8]) {
    URL_SAFE_NO_PAD.encode_append(bytes, text);
}

/// Decodes canonical base64url. The empty text decodes to no bytes.
pub fn decode(text: impl AsRef<[u8]>) -> Result<Vec<u8>, NotCanonical> {
    let mut bytes = Vec::new();
    decode_onto(&mut bytes, text.as_ref())?;
    Ok(bytes)
}

/// Appends the bytes that `text` encodes. If `text` is refused, `bytes` is unchanged.
pub(crate) fn decode_onto(bytes: &mut Vec<u8>, text: &[u8]) -> Result<(), NotCanonical> {
    URL_SAFE_NO_PAD
        .decode_append(text, bytes)
        .map_err(|_| NotCanonical)
}

/// Decodes into `buffer` and returns the part it filled. Text that decodes to more bytes than `buffer` has is refused.
pub(crate) fn decode_into<'b>(buffer: &'b mut [u8], text: &[u8]) -> Result<&'b [u8], NotCanonical> {
    let length = URL_SAFE_NO_PAD
        .decoded_length(text)
        .map_err(|_| NotCanonical)?;
    let buffer = buffer.get_mut(..length).ok_or(NotCanonical)?;
    match URL_SAFE_NO_PAD.decode(text, buffer.as_out()) {
        Ok(decoded) => Ok(decoded),
        Err(_) => Err(NotCanonical),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    #[test]
    fn one_or_two_bytes_have_one_spelling_among_all_trailing_bits() {
        let mut accepted = 0;
        for &first in ALPHABET {
            for &last in ALPHABET {
                let texts = [vec![first, last], vec![b'A', first, last]];
                for text in texts {
                    if let Ok(bytes) = decode(&text) {
                        assert_eq!(encode(&bytes).as_bytes(), text);
                        accepted += 1;
                    }
                }
            }
        }
        // 256 texts of one byte; of two bytes, the 1,024 that begin with six zero bits.
        assert_eq!(accepted, 256 + 1024);
    }

    #[test]
    fn trailing_bits_are_refused_behind_every_length() {
        for length in 0..100_usize {
            let canonical = encode(vec![0_u8; length]);
            assert_eq!(decode(&canonical).as_deref(), Ok(&vec![0_u8; length][..]));
            let spare_bits = [0, 4, 2][length % 3];
            for wrong in &ALPHABET[1..1 << spare_bits] {
                let mut text = canonical.clone().into_bytes();
                *text.last_mut().unwrap() = *wrong;
                assert_eq!(
                    decode(&text),
                    Err(NotCanonical),
                    "{length} bytes, bits {wrong}"
                );
                let mut buffer = [0; 128];
                assert_eq!(decode_into(&mut buffer, &text), Err(NotCanonical));
            }
        }
    }

    #[test]
    fn a_foreign_byte_is_refused_at_every_place() {
        for length in [2, 3, 4, 7, 8, 16, 31, 32, 33, 64, 130] {
            for place in 0..length {
                for byte in 0..=255_u8 {
                    let mut text = vec![b'A'; length];
                    text[place] = byte;
                    if !ALPHABET.contains(&byte) {
                        assert_eq!(decode(&text), Err(NotCanonical), "{byte} at {place}");
                    }
                }
            }
        }
    }

    #[test]
    fn padding_and_impossible_lengths_are_refused() {
        for text in [
            "A", "AAAAA", "AA==", "AAA=", "AAAA====", "=", "AA\n", " AA", "AA+/", "ＡＡ",
        ] {
            assert_eq!(decode(text), Err(NotCanonical), "{text:?}");
        }
    }

    #[test]
    fn a_text_longer_than_the_buffer_is_refused() {
        assert_eq!(decode_into(&mut [0; 3], b"AAAAAA"), Err(NotCanonical));
        assert_eq!(decode_into(&mut [0; 3], b"AAAA"), Ok(&[0; 3][..]));
    }
}
