//! A JSON member that should be a string, so that an error can name the member.

use std::fmt;

use keyward_core::secret::Password;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::error::Failure;

/// A member as sent. `null` counts as absent.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) enum Member {
    /// Not sent, or `null`.
    #[default]
    Absent,
    /// A string.
    Text(String),
    /// A value of another type.
    Other,
}

impl Member {
    /// The string. A failure names the member `name`.
    pub(crate) fn required(self, name: &str) -> Result<String, Failure> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Absent => Err(Failure::bad_request(format!("{name} is missing"))),
            Self::Other => Err(Failure::bad_request(format!("{name} must be a string"))),
        }
    }

    /// The password. A failure says which rule it breaks.
    pub(crate) fn password(self) -> Result<Password, Failure> {
        Password::new(self.required("password")?)
            .map_err(|error| Failure::bad_request(format!("password {error}")))
    }

    /// Whether it was sent.
    pub(crate) fn is_present(&self) -> bool {
        *self != Self::Absent
    }
}

impl fmt::Debug for Member {
    /// Without the text, which may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "Absent",
            Self::Text(_) => "Text(…)",
            Self::Other => "Other",
        })
    }
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MemberVisitor)
    }
}

struct MemberVisitor;

impl<'de> Visitor<'de> for MemberVisitor {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Member, E> {
        Ok(Member::Absent)
    }

    fn visit_str<E>(self, text: &str) -> Result<Member, E> {
        Ok(Member::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Member, E> {
        Ok(Member::Text(text))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Member, E> {
        Ok(Member::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Member, E> {
        Ok(Member::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Member, E> {
        Ok(Member::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Member, E> {
        Ok(Member::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Member, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Member::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Member, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Member::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_json_value_is_absent_a_text_or_something_else() {
        let read = |text: &str| serde_json::from_str::<Member>(text).expect(text);
        assert_eq!(read("null"), Member::Absent);
        assert_eq!(read(r#""a\u0000""#), Member::Text("a\0".into()));
        for text in ["1", "-1", "1.5", "true", "[1,[2]]", r#"{"a":{"b":1}}"#] {
            assert_eq!(read(text), Member::Other, "{text}");
        }
    }
}
