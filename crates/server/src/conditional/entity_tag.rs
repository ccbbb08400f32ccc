//! Entity tags (RFC 9110 §8.8.3) and lists of them.

use http::{HeaderMap, HeaderName, HeaderValue};

/// An entity tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EntityTag {
    weak: bool,
    opaque: String,
}

impl EntityTag {
    /// A strong tag with the text `opaque`, which must be visible ASCII without quotes.
    pub(crate) fn strong(opaque: impl Into<String>) -> Self {
        Self {
            weak: false,
            opaque: opaque.into(),
        }
    }

    /// Parses one tag, `"…"` or `W/"…"`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match take(text) {
            Some((tag, "")) => Some(tag),
            _ => None,
        }
    }

    /// Whether both tags are equal and neither is weak.
    pub(crate) fn is_strongly(&self, other: &Self) -> bool {
        !self.weak && self == other
    }

    pub(crate) fn is_strong(&self) -> bool {
        !self.weak
    }

    /// The text without the quotes.
    pub(crate) fn text(&self) -> &str {
        &self.opaque
    }

    /// The value of `ETag`.
    pub(crate) fn to_header(&self) -> HeaderValue {
        let weak = if self.weak { "W/" } else { "" };
        HeaderValue::from_str(&format!("{weak}\"{}\"", self.opaque))
            .unwrap_or(HeaderValue::from_static("\"\""))
    }
}

/// The value of `If-Match` or `If-None-Match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EntityTags {
    /// `*`: any tag.
    Any,
    /// One of these tags.
    These(Vec<EntityTag>),
    /// The field is malformed. It matches nothing, and a request that has it changes nothing.
    Unreadable,
}

impl EntityTags {
    /// Parses the field `name`, with all its lines as one list. `None` if it is absent.
    pub(crate) fn read(headers: &HeaderMap, name: &HeaderName) -> Option<Self> {
        let lines: Vec<_> = headers
            .get_all(name)
            .iter()
            .map(HeaderValue::as_bytes)
            .collect();
        match lines[..] {
            [] => None,
            [b"*"] => Some(Self::Any),
            _ => Some(list(&lines.join(&b',')).map_or(Self::Unreadable, Self::These)),
        }
    }

    /// Whether `current` is in the list by strong comparison, which `If-Match` requires.
    pub(crate) fn match_strongly(&self, current: &EntityTag) -> bool {
        match self {
            Self::Any => true,
            Self::These(tags) => tags.iter().any(|tag| tag.is_strongly(current)),
            Self::Unreadable => false,
        }
    }

    /// Whether `current` is in the list by weak comparison, which `If-None-Match` requires.
    pub(crate) fn match_weakly(&self, current: &EntityTag) -> bool {
        match self {
            Self::Any => true,
            Self::These(tags) => tags.iter().any(|tag| tag.opaque == current.opaque),
            Self::Unreadable => false,
        }
    }
}

/// Parses a comma-separated list of tags, in which empty elements are allowed (RFC 9110 §5.6.1.2).
fn list(field: &[u8]) -> Option<Vec<EntityTag>> {
    let mut rest = std::str::from_utf8(field).ok()?.trim_matches(BLANK);
    let mut tags = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(',') {
            rest = after.trim_start_matches(BLANK);
            continue;
        }
        let (tag, after) = take(rest)?;
        tags.push(tag);
        rest = after.trim_start_matches(BLANK);
        if !rest.is_empty() && !rest.starts_with(',') {
            return None;
        }
    }
    Some(tags)
}

const BLANK: [char; 2] = [' ', '\t'];

/// Splits a tag from the text after it.
fn take(text: &str) -> Option<(EntityTag, &str)> {
    let (weak, quoted) = match text.strip_prefix("W/") {
        Some(quoted) => (true, quoted),
        None => (false, text),
    };
    let (opaque, rest) = quoted.strip_prefix('"')?.split_once('"')?;
    let allowed = |char: char| !char.is_ascii_control() && char != ' ';
    let tag = EntityTag {
        weak,
        opaque: opaque.to_owned(),
    };
    opaque.chars().all(allowed).then_some((tag, rest))
}

#[cfg(test)]
mod tests {
    use http::header::IF_MATCH;

    use super::*;

    fn read(lines: &[&str]) -> Option<EntityTags> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(IF_MATCH, line.parse().expect("value"));
        }
        EntityTags::read(&headers, &IF_MATCH)
    }

    #[test]
    fn a_list_may_span_lines_and_hold_commas_in_its_tags() {
        let strong = EntityTag::strong;
        let weak = EntityTag {
            weak: true,
            opaque: "c".into(),
        };
        assert_eq!(read(&[]), None);
        assert_eq!(read(&["*"]), Some(EntityTags::Any));
        for (lines, expected) in [
            (&[r#""a""#][..], vec![strong("a")]),
            (
                &[r#" ,"a,b" ,, W/"c","#, r#""""#],
                vec![strong("a,b"), weak, strong("")],
            ),
        ] {
            assert_eq!(read(lines), Some(EntityTags::These(expected)), "{lines:?}");
        }
    }

    #[test]
    fn what_is_no_list_of_tags_matches_nothing() {
        for line in [
            "a",
            r#""a"#,
            r#""a" "b""#,
            r#"w/"a""#,
            r#""a"b"#,
            r#""a b""#,
            "*, *",
        ] {
            assert_eq!(read(&[line]), Some(EntityTags::Unreadable), "{line}");
        }
        assert_eq!(read(&["*", r#""a""#]), Some(EntityTags::Unreadable));
        assert_eq!(read(&[" , "]), Some(EntityTags::These(vec![])));
    }

    #[test]
    fn a_weak_tag_is_never_strongly_the_same() {
        let (strong, weak) = (
            EntityTag::strong("a"),
            EntityTag {
                weak: true,
                opaque: "a".into(),
            },
        );
        assert!(strong.is_strongly(&strong) && !weak.is_strongly(&weak));
        assert!(!weak.is_strongly(&strong) && !strong.is_strongly(&weak));
        let weak_only = EntityTags::These(vec![weak.clone()]);
        assert!(weak_only.match_weakly(&strong) && !weak_only.match_strongly(&strong));
        assert_eq!(
            (strong.to_header(), weak.to_header()),
            (
                HeaderValue::from_static("\"a\""),
                HeaderValue::from_static("W/\"a\""),
            )
        );
    }
}
