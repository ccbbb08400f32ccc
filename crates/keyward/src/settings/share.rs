//! A part of a whole.

use super::value::{Raw, Value};

/// A number from 0 to 1. It is a text, because no other setting is a fraction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Share(pub(crate) f64);

impl Value for Share {
    fn expected() -> String {
        "a number in quotes from \"0\" to \"1\", such as \"0.05\"".into()
    }

    fn read(raw: &Raw) -> Option<Self> {
        let Raw::Text(text) = raw else {
            return None;
        };
        let is_plain = |char: char| char.is_ascii_digit() || char == '.';
        let share = text.parse().ok().filter(|_| text.chars().all(is_plain))?;
        (0.0..=1.0).contains(&share).then_some(Self(share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_plain_number_from_0_to_1() {
        let read = |text: &str| Share::read(&Raw::Text(text.to_owned())).map(|share| share.0);
        for (text, expected) in [("0", 0.0), ("1", 1.0), ("0.05", 0.05), (".5", 0.5)] {
            assert_eq!(read(text), Some(expected), "{text}");
        }
        for text in ["", "1.1", "-0", "nan", "1e-3", "inf", "50%", " 1"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert!(Share::read(&Raw::Integer(1)).is_none());
    }
}
