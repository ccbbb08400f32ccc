//! The tag of a database, which its tokens carry, so that two databases with one key refuse each other's tokens.
//!
//! Invariant: a tag is 64 random bits, drawn when the database is first opened and whenever all its sessions end.

use serde::{Serialize, Serializer};

use crate::random::Random;

/// The length of a tag as text.
const LENGTH: usize = 16;

/// The tag of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag(u64);

impl Tag {
    /// Draws a new tag.
    #[must_use]
    pub fn random(random: &dyn Random) -> Self {
        let mut bytes = [0; 8];
        random.fill(&mut bytes);
        Self(u64::from_be_bytes(bytes))
    }

    /// The tag that is stored as `number`.
    #[must_use]
    pub const fn from_number(number: i64) -> Self {
        Self(number.cast_unsigned())
    }

    /// The number that is stored for the tag.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0.cast_signed()
    }

    /// The 16 bytes of a `jti`: the tag, then random bytes.
    pub(crate) fn begin_jti(self, random: &dyn Random) -> [u8; 16] {
        let mut bytes = [0; 16];
        let (tag, rest) = bytes.split_at_mut(8);
        tag.copy_from_slice(&self.0.to_be_bytes());
        random.fill(rest);
        bytes
    }

    /// The tag at the beginning of a `jti`, if that can be one.
    pub(crate) fn of_jti(jti: &str) -> Option<Self> {
        let digits = jti.get(..LENGTH)?;
        u64::from_str_radix(digits, 16).ok().map(Self)
    }
}

impl Serialize for Tag {
    /// The tag as text: 16 hexadecimal digits.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:016x}", self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex;
    use crate::random::SeededRandom;

    #[test]
    fn a_tag_is_found_again_at_the_beginning_of_a_jti() {
        let random = SeededRandom::new(1);
        let tag = Tag::random(&random);
        let jti = hex::encode(&tag.begin_jti(&random));
        assert_eq!((jti.len(), Tag::of_jti(&jti)), (32, Some(tag)));
        assert_ne!(jti, hex::encode(&tag.begin_jti(&random)));
        let text = serde_json::to_string(&tag).expect("JSON");
        assert_eq!(text, format!("{:?}", &jti[..16]));
        assert_eq!(Tag::from_number(tag.number()), tag);
        for text in [
            "",
            "0123456789abcde",
            "0123456789abcdeg",
            "0123456789abcdé0",
        ] {
            assert_eq!(Tag::of_jti(text), None, "{text}");
        }
    }
}
