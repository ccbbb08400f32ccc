//! The trace that a request belongs to, as its `traceparent` header says (W3C Trace Context).
//!
//! Invariant: a trace id is 32 lowercase hexadecimal digits, so it can be logged whoever sent it. It is logged and nothing
//! else: it grants nothing, and the flags that ask for sampling are ignored.

use http::HeaderMap;
use http::header::HeaderName;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const DIGITS: usize = 32;
/// Where the trace id lies in `VERSION-TRACE-PARENT-FLAGS`.
const TRACE: std::ops::Range<usize> = 3..3 + DIGITS;
const PARENT: std::ops::Range<usize> = 36..52;
const FLAGS: std::ops::Range<usize> = 53..55;

/// The id of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TraceId([u8; DIGITS]);

impl TraceId {
    /// The trace that the request was sent with. `None` if it has no `traceparent`, several, or a malformed one.
    pub(super) fn sent(headers: &HeaderMap) -> Option<Self> {
        let first = headers.get(TRACEPARENT)?;
        let is_only = headers.get_all(TRACEPARENT).iter().nth(1).is_none();
        Self::parse(first.as_bytes()).filter(|_| is_only)
    }

    fn parse(header: &[u8]) -> Option<Self> {
        let (known, rest) = header.split_at_checked(FLAGS.end)?;
        let version = &known[..2];
        // A later version may have more parts.
        let ends = rest.is_empty() || (version != b"00" && rest[0] == b'-');
        let is_version = is_hex(version) && version != b"ff";
        let has_dashes = [2, TRACE.end, PARENT.end]
            .iter()
            .all(|&place| known[place] == b'-');
        let has_ids = [TRACE, PARENT].into_iter().all(|range| {
            let id = &known[range];
            is_hex(id) && id.iter().any(|&digit| digit != b'0')
        });
        let is_valid = ends && is_version && has_dashes && has_ids && is_hex(&known[FLAGS]);
        let trace = known[TRACE].try_into().ok().filter(|_| is_valid)?;
        Some(Self(trace))
    }

    pub(super) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Whether these are lowercase hexadecimal digits, as the specification demands.
fn is_hex(digits: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    digits.iter().all(is_digit)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn sent(headers: &[&str]) -> Option<String> {
        let mut map = HeaderMap::new();
        for header in headers {
            map.append(
                TRACEPARENT,
                HeaderValue::from_bytes(header.as_bytes()).unwrap(),
            );
        }
        TraceId::sent(&map).map(|id| id.as_str().to_owned())
    }

    #[test]
    fn a_well_formed_traceparent_gives_its_trace() {
        for header in [
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00",
            "fe-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-later",
        ] {
            assert_eq!(sent(&[header]).as_deref(), Some(ID), "{header}");
        }
    }

    #[test]
    fn any_other_is_ignored() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(sent(&[]), None);
        assert_eq!(sent(&[good, good]), None);
        for cut in 0..good.len() {
            assert_eq!(sent(&[&good[..cut]]), None, "{cut}");
            // At each place, a byte that cannot be there.
            for wrong in ["A", "G", " ", "\""] {
                let header = [&good[..cut], wrong, &good[cut + 1..]].concat();
                assert_eq!(sent(&[&header]), None, "{header}");
            }
        }
        for header in [
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
        ] {
            assert_eq!(sent(&[header]), None, "{header}");
        }
    }
}
