//! The time of an event, as RFC 3339 in UTC with microseconds.

use std::cell::RefCell;

use keyward_core::clock::Timestamp;

/// Writes the time. The part down to the second is cached, because most events share it.
pub(super) fn push(line: &mut Vec<u8>, now: Timestamp) {
    thread_local! {
        static SECOND: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
    }
    SECOND.with_borrow_mut(|(second, shown)| {
        if *second != now.seconds() {
            *second = now.seconds();
            *shown = now.rfc3339_millis();
            shown.truncate("0000-00-00T00:00:00.".len());
        }
        line.extend_from_slice(shown.as_bytes());
    });
    let mut micros = now.micros().rem_euclid(1_000_000);
    let mut digits = *b"000000Z";
    for digit in digits[..6].iter_mut().rev() {
        *digit += u8::try_from(micros % 10).unwrap_or_default();
        micros /= 10;
    }
    line.extend_from_slice(&digits);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_microseconds_and_follows_the_clock() {
        let shown = |micros| {
            let mut line = Vec::new();
            push(&mut line, Timestamp::from_micros(micros));
            String::from_utf8(line).unwrap()
        };
        assert_eq!(shown(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(shown(999_999), "1970-01-01T00:00:00.999999Z");
        assert_eq!(shown(1_594_212_949_000_042), "2020-07-08T12:55:49.000042Z");
        assert_eq!(shown(-1), "1969-12-31T23:59:59.999999Z");
    }
}
