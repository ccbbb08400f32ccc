//! Entity tags of customers: the version in quotes, always strong.
//!
//! `If-Match` compares strongly, so a weak tag never holds; `If-None-Match` compares weakly (RFC 9110
//! §8.8.3.2, §13.1).

use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName};
use keyward_core::customers::Precondition;

use crate::error::Failure;

/// The entity tag of a customer at `version`.
pub(super) fn entity_tag(version: i64) -> String {
    format!("\"{version}\"")
}

/// What `If-Match` asks for. `*` asks for nothing more than the customer, whose absence is 404 anyway.
pub(super) fn required_version(headers: &HeaderMap) -> Result<Precondition, Failure> {
    let malformed = || Failure::bad_request("If-Match must be * or ETags in quotes");
    match tags(headers, &IF_MATCH).ok_or_else(malformed)? {
        Tags::None | Tags::Any => Ok(Precondition::None),
        Tags::Listed(tags) => {
            let strong = tags.iter().filter(|tag| !tag.weak);
            Ok(Precondition::VersionIn(
                strong.filter_map(|tag| version(tag.opaque)).collect(),
            ))
        }
    }
}

/// Whether `If-None-Match` says that the client has `version` already; a malformed one says nothing.
pub(super) fn is_known(headers: &HeaderMap, version: i64) -> bool {
    let current = version.to_string();
    match tags(headers, &IF_NONE_MATCH) {
        Some(Tags::Any) => true,
        Some(Tags::Listed(tags)) => tags.iter().any(|tag| tag.opaque == current),
        Some(Tags::None) | None => false,
    }
}

enum Tags<'h> {
    None,
    Any,
    Listed(Vec<Tag<'h>>),
}

struct Tag<'h> {
    weak: bool,
    opaque: &'h str,
}

/// `"*" / #entity-tag`, over all lines of the header; `None` for anything else.
fn tags<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<Tags<'h>> {
    let lines: Vec<_> = headers
        .get_all(name)
        .iter()
        .map(|line| line.to_str())
        .collect();
    match lines[..] {
        [] => return Some(Tags::None),
        [Ok(line)] if line.trim() == "*" => return Some(Tags::Any),
        _ => {}
    }
    let mut tags = Vec::new();
    for line in lines {
        // Our own tags hold no comma, so one inside quotes is of no tag of ours and may be cut there.
        let members = line
            .ok()?
            .split(',')
            .map(str::trim)
            .filter(|member| !member.is_empty());
        for member in members {
            tags.push(tag(member)?);
        }
    }
    Some(Tags::Listed(tags))
}

fn tag(text: &str) -> Option<Tag<'_>> {
    let (weak, quoted) = match text.strip_prefix("W/") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let opaque = quoted.strip_prefix('"')?.strip_suffix('"')?;
    (!opaque.contains('"')).then_some(Tag { weak, opaque })
}

/// The version in the one spelling that [`entity_tag`] gives it.
fn version(opaque: &str) -> Option<i64> {
    opaque
        .parse()
        .ok()
        .filter(|version: &i64| version.to_string() == opaque)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&name, line.parse().expect("header value"));
        }
        headers
    }

    #[test]
    fn if_match_takes_strong_tags_of_our_spelling_alone() {
        let read = |lines: &[&str]| required_version(&headers(IF_MATCH, lines)).ok();
        let versions = |list: &[i64]| Some(Precondition::VersionIn(list.to_vec()));
        assert_eq!(read(&[]), Some(Precondition::None));
        assert_eq!(read(&[" * "]), Some(Precondition::None));
        assert_eq!(read(&["\"3\""]), versions(&[3]));
        assert_eq!(
            read(&["\"1\", \"x\",W/\"2\"", ", \"3\" ,"]),
            versions(&[1, 3])
        );
        assert_eq!(read(&["\"03\", \"+3\", \" 3\""]), versions(&[]));
        for line in ["3", "\"3", "w/\"3\"", "\"3\" \"4\"", "*, \"3\"", "\"3\"\""] {
            assert_eq!(read(&[line]), None, "{line}");
        }
    }

    #[test]
    fn if_none_match_takes_weak_tags_too_and_ignores_nonsense() {
        let known = |line: &str| is_known(&headers(IF_NONE_MATCH, &[line]), 3);
        assert!(known("\"3\"") && known("W/\"3\"") && known("\"1\", \"3\"") && known("*"));
        assert!(!known("\"4\"") && !known("3") && !known("\"03\""));
        assert!(!is_known(&HeaderMap::new(), 3));
    }
}
