//! Byte ranges (RFC 9110 §14.1.2).
//!
//! One range is answered with that part. A set of several ranges is answered with the whole file, as RFC 9110 §14.2
//! permits, so no set of ranges costs more than the file.

use std::ops::Range;

/// The bytes to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// 200: the whole file.
    Whole,
    /// 206: this part, which is not empty.
    Part(Range<u64>),
    /// 416: the file has none of the requested bytes.
    Unsatisfiable,
}

/// The selection that `range`, the value of a `Range` field, makes of `size` bytes. Anything but a set of byte ranges
/// is ignored.
pub(super) fn select(range: &str, size: u64) -> Selection {
    let Some(specs) = parse(range) else {
        return Selection::Whole;
    };
    let mut satisfiable = specs.iter().filter_map(|spec| spec.within(size));
    match (satisfiable.next(), &specs[..]) {
        (None, _) => Selection::Unsatisfiable,
        // Content-Range cannot describe an empty part.
        (Some(part), [_]) if !part.is_empty() => Selection::Part(part),
        _ => Selection::Whole,
    }
}

#[derive(Clone, Copy)]
enum Spec {
    From { first: u64, last: Option<u64> },
    Suffix(u64),
}

impl Spec {
    fn within(self, size: u64) -> Option<Range<u64>> {
        match self {
            Self::From { first, last } if first < size => {
                Some(first..last.map_or(size, |last| last.saturating_add(1).min(size)))
            }
            Self::Suffix(length) if length > 0 => Some(size.saturating_sub(length)..size),
            Self::From { .. } | Self::Suffix(_) => None,
        }
    }
}

fn parse(range: &str) -> Option<Vec<Spec>> {
    let (unit, set) = range.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let specs = set
        .split(',')
        .map(str::trim)
        .filter(|spec| !spec.is_empty());
    let specs: Vec<_> = specs.map(parse_spec).collect::<Option<_>>()?;
    (!specs.is_empty()).then_some(specs)
}

fn parse_spec(spec: &str) -> Option<Spec> {
    match spec.split_once('-')? {
        ("", length) => Some(Spec::Suffix(number(length)?)),
        (first, "") => Some(Spec::From {
            first: number(first)?,
            last: None,
        }),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Spec::From {
                first,
                last: Some(last),
            })
        }
    }
}

/// Parses digits. A number that is too large becomes the largest one.
fn number(digits: &str) -> Option<u64> {
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::Selection::{Part, Unsatisfiable, Whole};
    use super::*;

    #[test]
    fn one_range_is_a_part_and_anything_else_the_whole_or_nothing() {
        for (range, expected) in [
            ("bytes=0-0", Part(0..1)),
            ("bytes=0-9", Part(0..10)),
            ("bytes=2-5", Part(2..6)),
            ("bytes=7-", Part(7..10)),
            ("bytes=7-99", Part(7..10)),
            ("bytes=9-18446744073709551615", Part(9..10)),
            ("bytes=9-99999999999999999999999", Part(9..10)),
            ("bytes=-3", Part(7..10)),
            ("bytes=-99", Part(0..10)),
            ("bytes=-99999999999999999999999", Part(0..10)),
            ("Bytes= , 1-2 ,", Part(1..3)),
            ("bytes=10-", Unsatisfiable),
            ("bytes=10-11", Unsatisfiable),
            ("bytes=99999999999999999999999-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=10-,-0", Unsatisfiable),
            ("bytes=0-1,4-5", Whole),
            ("bytes=0-1,10-", Whole),
            ("bytes=5-4", Whole),
            ("bytes=0-1,5-4", Whole),
            ("bytes=", Whole),
            ("bytes=,", Whole),
            ("bytes=-", Whole),
            ("bytes=--1", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=1-2-3", Whole),
            ("bytes=0x1-2", Whole),
            ("bytes=a-b", Whole),
            ("bytes 0-1", Whole),
            ("items=0-1", Whole),
            ("", Whole),
        ] {
            assert_eq!(select(range, 10), expected, "{range}");
        }
        let many = format!("bytes={}", "0-,".repeat(10_000));
        assert_eq!(select(&many, 10), Whole);
    }

    #[test]
    fn an_empty_file_has_no_part() {
        assert_eq!(select("bytes=0-", 0), Unsatisfiable);
        assert_eq!(select("bytes=-5", 0), Whole);
    }
}
