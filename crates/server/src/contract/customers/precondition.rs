//! Entity tags of customers: the version in quotes, always strong.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::request::Parts;
use keyward_core::customers::Precondition;

use crate::conditional::{EntityTag, EntityTags};

/// The entity tag of a customer at `version`.
pub(super) fn entity_tag(version: i64) -> EntityTag {
    EntityTag::strong(version.to_string())
}

/// The conditions of a change, from `If-Match` and `If-None-Match` (RFC 9110 §13.2.2). `If-Match: *` requires only that the
/// customer exists, and a missing one is 404 anyway. `If-None-Match: *` fails for every customer that exists.
pub(super) struct Required(pub(super) Precondition);

impl<A: Sync> FromRequestParts<A> for Required {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &A) -> Result<Self, Infallible> {
        Ok(Self::read(&parts.headers))
    }
}

impl Required {
    fn read(headers: &HeaderMap) -> Self {
        const NEVER: Precondition = Precondition::VersionIn(Vec::new());
        let unwanted: Vec<_> = match EntityTags::read(headers, &IF_NONE_MATCH) {
            None => Vec::new(),
            Some(EntityTags::These(tags)) => tags.iter().filter_map(weak_version).collect(),
            Some(EntityTags::Any | EntityTags::Unreadable) => return Self(NEVER),
        };
        Self(match EntityTags::read(headers, &IF_MATCH) {
            None | Some(EntityTags::Any) if unwanted.is_empty() => Precondition::None,
            None | Some(EntityTags::Any) => Precondition::VersionNotIn(unwanted),
            Some(EntityTags::These(tags)) => {
                let wanted = tags.iter().filter_map(version);
                Precondition::VersionIn(wanted.filter(|it| !unwanted.contains(it)).collect())
            }
            Some(EntityTags::Unreadable) => NEVER,
        })
    }
}

/// The versions that the client already has, from `If-None-Match`.
pub(super) struct Known(Option<EntityTags>);

impl Known {
    /// Whether `version` is among them, by weak comparison.
    pub(super) fn has(&self, version: i64) -> bool {
        let known = self.0.as_ref();
        known.is_some_and(|known| known.match_weakly(&entity_tag(version)))
    }
}

impl<A: Sync> FromRequestParts<A> for Known {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &A) -> Result<Self, Infallible> {
        Ok(Self(EntityTags::read(&parts.headers, &IF_NONE_MATCH)))
    }
}

/// The version that a strong tag names.
fn version(tag: &EntityTag) -> Option<i64> {
    weak_version(tag).filter(|_| tag.is_strong())
}

/// The version that a weak or strong tag names, in the spelling of [`entity_tag`].
fn weak_version(tag: &EntityTag) -> Option<i64> {
    let text = tag.text();
    text.parse()
        .ok()
        .filter(|version: &i64| version.to_string() == text)
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    #[test]
    fn if_match_takes_strong_tags_of_our_spelling_alone() {
        let read = |line: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(IF_MATCH, line.parse().expect("header value"));
            Required::read(&headers).0
        };
        assert_eq!(Required::read(&HeaderMap::new()).0, Precondition::None);
        assert_eq!(read("*"), Precondition::None);
        for (line, versions) in [
            ("\"3\"", vec![3]),
            ("\"1\", \"x\",W/\"2\" ,\"3\"", vec![1, 3]),
            ("\"03\", \"+3\", \"9223372036854775808\"", vec![]),
            ("3", vec![]),
        ] {
            assert_eq!(read(line), Precondition::VersionIn(versions), "{line}");
        }
    }

    #[test]
    fn if_none_match_takes_weak_tags_too_and_comes_after_if_match() {
        let read = |fields: &[(HeaderName, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, line) in fields {
                headers.append(name, line.parse().expect("header value"));
            }
            Required::read(&headers).0
        };
        let never = Precondition::VersionIn(vec![]);
        for line in ["*", "3", "*, \"3\"", "\"3"] {
            assert_eq!(read(&[(IF_NONE_MATCH, line)]), never, "{line}");
            let both = [(IF_NONE_MATCH, line), (IF_MATCH, "\"3\"")];
            assert_eq!(read(&both), never, "{line}");
        }
        let unwanted = [
            (IF_NONE_MATCH, "W/\"3\" ,, \"x\""),
            (IF_NONE_MATCH, "\"4\""),
        ];
        assert_eq!(read(&unwanted), Precondition::VersionNotIn(vec![3, 4]));
        let of_others = [(IF_NONE_MATCH, "\"x\"")];
        assert_eq!(read(&of_others), Precondition::None);
        let both = [(IF_NONE_MATCH, "\"3\""), (IF_MATCH, "\"3\", \"5\"")];
        assert_eq!(read(&both), Precondition::VersionIn(vec![5]));
        let all = [(IF_NONE_MATCH, "\"3\""), (IF_MATCH, "*")];
        assert_eq!(read(&all), Precondition::VersionNotIn(vec![3]));
    }
}
