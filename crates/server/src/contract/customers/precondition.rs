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

/// What `If-Match` asks for, by strong comparison. `*` asks for nothing more than the customer,
/// whose absence is 404 anyway.
pub(super) struct Required(pub(super) Precondition);

impl<A: Sync> FromRequestParts<A> for Required {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &A) -> Result<Self, Infallible> {
        Ok(Self::read(&parts.headers))
    }
}

impl Required {
    fn read(headers: &HeaderMap) -> Self {
        Self(match EntityTags::read(headers, &IF_MATCH) {
            None | Some(EntityTags::Any) => Precondition::None,
            Some(EntityTags::These(tags)) => {
                Precondition::VersionIn(tags.iter().filter_map(version).collect())
            }
        })
    }
}

/// What the client has already, as `If-None-Match` says.
pub(super) struct Known(Option<EntityTags>);

impl Known {
    /// Whether, by weak comparison, `version` is among it.
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

/// The version in the one spelling that [`entity_tag`] gives it.
fn version(tag: &EntityTag) -> Option<i64> {
    let text = tag.strong_text()?;
    text.parse()
        .ok()
        .filter(|version: &i64| version.to_string() == text)
}

#[cfg(test)]
mod tests {
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
}
