//! Conditional requests and ranges (RFC 9110 §13 and §14) as pure functions of a request's headers.
//!
//! Invariant: preconditions are evaluated in the order of RFC 9110 §13.2.2. A malformed field never makes a request do
//! more than the same request without conditions.

mod entity_tag;
mod range;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{
    IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE,
};
use http::{HeaderMap, HeaderName, Method};
use keyward_core::clock::Timestamp;

pub(crate) use self::entity_tag::{EntityTag, EntityTags};
pub(crate) use self::range::Selection;

/// The validators of the requested resource, with which conditions are compared (RFC 9110 §8.8).
#[derive(Clone, Debug)]
pub(crate) struct Validators {
    /// The entity tag.
    pub(crate) tag: EntityTag,
    /// The time of the last change, compared in whole seconds.
    pub(crate) modified: Timestamp,
}

/// The outcome of the preconditions of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The request is carried out.
    Proceed,
    /// 304: the client already has the current state.
    NotModified,
    /// 412: a precondition does not hold.
    Failed,
}

/// Evaluates the preconditions of a request for a resource that exists.
pub(crate) fn evaluate(method: &Method, headers: &HeaderMap, current: &Validators) -> Verdict {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    if let Some(expected) = EntityTags::read(headers, &IF_MATCH) {
        if !expected.match_strongly(&current.tag) {
            return Verdict::Failed;
        }
    } else if let Some(moment) = date(headers, &IF_UNMODIFIED_SINCE)
        && current.modified.seconds() > moment
    {
        return Verdict::Failed;
    }
    if let Some(known) = EntityTags::read(headers, &IF_NONE_MATCH) {
        return match known.match_weakly(&current.tag) {
            true if reads => Verdict::NotModified,
            true => Verdict::Failed,
            false if known == EntityTags::Unreadable && !reads => Verdict::Failed,
            false => Verdict::Proceed,
        };
    }
    match date(headers, &IF_MODIFIED_SINCE) {
        Some(moment) if reads && current.modified.seconds() <= moment => Verdict::NotModified,
        _ => Verdict::Proceed,
    }
}

/// The part of a file of `size` bytes that a request asks for. Only `GET` has ranges (RFC 9110 §14.2).
pub(crate) fn select(
    method: &Method,
    headers: &HeaderMap,
    current: &Validators,
    size: u64,
) -> Selection {
    match single(headers, &RANGE) {
        Some(range) if *method == Method::GET && range_holds(headers, current) => {
            range::select(range, size)
        }
        _ => Selection::Whole,
    }
}

/// The value of `Last-Modified` (RFC 9110 §8.8.2).
pub(crate) fn http_date(moment: Timestamp) -> String {
    // The format has four digits for the year.
    const LAST: u64 = 253_402_300_799;
    let seconds = u64::try_from(moment.seconds()).unwrap_or(0).min(LAST);
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}

/// Whether `If-Range` is absent or matches the current state, by a strong tag or by the exact date (RFC 9110 §13.1.5).
fn range_holds(headers: &HeaderMap, current: &Validators) -> bool {
    if !headers.contains_key(IF_RANGE) {
        return true;
    }
    let Some(validator) = single(headers, &IF_RANGE) else {
        return false;
    };
    match EntityTag::parse(validator) {
        Some(tag) => tag.is_strongly(&current.tag),
        None => parse_date(validator) == Some(current.modified.seconds()),
    }
}

/// The seconds of a date field. `None` if it is absent, repeated or not a date; the field is then ignored.
fn date(headers: &HeaderMap, name: &HeaderName) -> Option<i64> {
    parse_date(single(headers, name)?)
}

fn parse_date(text: &str) -> Option<i64> {
    let moment: SystemTime = httpdate::parse_http_date(text).ok()?;
    i64::try_from(moment.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
