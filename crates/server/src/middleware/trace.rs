//! The trace that a request belongs to, as its `traceparent` header says (W3C Trace Context).
//!
//! Invariant: a trace id is 32 lowercase hexadecimal digits, so it can be logged whoever sent it. It grants nothing. A client
//! can keep its request out of the exported traces, but cannot have it exported.

use http::HeaderMap;
use http::header::HeaderName;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceState};

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
    pub(super) fn as_str(&self) -> &str {
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl From<opentelemetry::TraceId> for TraceId {
    fn from(id: opentelemetry::TraceId) -> Self {
        let mut digits = [0; DIGITS];
        digits.copy_from_slice(format!("{id:032x}").as_bytes());
        Self(digits)
    }
}

/// The span of a client that a request was sent in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parent {
    pub(super) trace: TraceId,
    span: [u8; 16],
    is_sampled: bool,
}

impl Parent {
    /// The span that the request was sent in. `None` if it has no `traceparent`, several, or a malformed one.
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
        if !is_valid {
            return None;
        }
        // The last bit of the last digit (W3C Trace Context §3.2.2.5.1).
        let is_odd = |digit: u8| {
            char::from(digit)
                .to_digit(16)
                .is_some_and(|value| value % 2 == 1)
        };
        Some(Self {
            trace: TraceId(known[TRACE].try_into().ok()?),
            span: known[PARENT].try_into().ok()?,
            is_sampled: is_odd(known[FLAGS.end - 1]),
        })
    }

    /// The same for OpenTelemetry.
    pub(super) fn context(&self) -> SpanContext {
        let span = str::from_utf8(&self.span).unwrap_or_default();
        let flags = if self.is_sampled {
            TraceFlags::SAMPLED
        } else {
            TraceFlags::default()
        };
        SpanContext::new(
            opentelemetry::TraceId::from_hex(self.trace.as_str())
                .unwrap_or(opentelemetry::TraceId::INVALID),
            SpanId::from_hex(span).unwrap_or(SpanId::INVALID),
            flags,
            true,
            TraceState::NONE,
        )
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
        Parent::sent(&map).map(|parent| parent.trace.as_str().to_owned())
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

    #[test]
    fn the_last_bit_of_the_flags_says_whether_the_client_records_its_span() {
        for (flags, expected) in [
            ("00", false),
            ("01", true),
            ("02", false),
            ("0b", true),
            ("ff", true),
        ] {
            let header = format!("00-{ID}-00f067aa0ba902b7-{flags}");
            let context = Parent::parse(header.as_bytes()).unwrap().context();
            assert_eq!(context.is_sampled(), expected, "{flags}");
            assert!(context.is_remote() && context.is_valid());
            assert_eq!(format!("{:032x}", context.trace_id()), ID);
            assert_eq!(format!("{:016x}", context.span_id()), "00f067aa0ba902b7");
            assert_eq!(TraceId::from(context.trace_id()).as_str(), ID);
        }
    }
}
