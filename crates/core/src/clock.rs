//! Time as a parameter: rules take a [`Clock`], so every expiry is tested without a sleep.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A moment, as microseconds since 1970-01-01T00:00:00Z: the resolution both databases keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `micros` microseconds after the epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// The moment `seconds` seconds after the epoch, saturating at the ends of the range.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down: the `NumericDate` of RFC 7519 §2.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This moment with everything below a millisecond cut off.
    #[must_use]
    pub const fn to_millis(self) -> Self {
        Self(self.0 - self.0.rem_euclid(1_000))
    }

    /// The moment `span` later, saturating.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(micros_of(span)))
    }

    /// The moment `span` earlier, saturating.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(micros_of(span)))
    }

    /// RFC 3339 in UTC with milliseconds and `Z`, as the contracts show times.
    #[must_use]
    pub fn rfc3339_millis(self) -> String {
        format!("{:.3}", self.civil())
    }

    /// The UTC day, `YYYY-MM-DD`.
    #[must_use]
    pub fn utc_day(self) -> String {
        self.civil()
            .to_zoned(jiff::tz::TimeZone::UTC)
            .date()
            .to_string()
    }

    /// Reads an RFC 3339 time with any offset. Digits below a microsecond are cut off. A leap second is read as
    /// the last microsecond of its day, so that it sorts after every other moment of that day.
    ///
    /// Returns `None` for any text that is not an RFC 3339 `date-time`, and for a moment before the year 0 in UTC,
    /// which could not be shown again. The date library alone accepts more: ISO 8601 forms, annotations, times without
    /// an offset, offsets of more than 23 hours, and a second 60 at any moment.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        const YEAR_0: i64 = -62_167_219_200_000_000;
        if !is_rfc3339_shape(text.as_bytes()) {
            return None;
        }
        let is_leap_second = &text[17..19] == "60";
        let moment: jiff::Timestamp = match is_leap_second {
            // The check of the shape has ensured that the text is ASCII.
            true => format!("{}59{}", &text[..17], &text[19..]).parse().ok()?,
            false => text.parse().ok()?,
        };
        let micros = moment.as_nanosecond().div_euclid(1_000);
        let moment = Self(i64::try_from(micros).unwrap_or(i64::MAX));
        let moment = match is_leap_second {
            true => moment.end_of_month()?,
            false => moment,
        };
        (moment.0 >= YEAR_0).then_some(moment)
    }

    /// The last microsecond of this moment's second, where that second is the last of a month in UTC: the only
    /// seconds that a leap second can follow (RFC 3339 §5.7).
    fn end_of_month(self) -> Option<Self> {
        let next = Self::from_seconds(self.seconds().saturating_add(1));
        let begins = next.civil().to_zoned(jiff::tz::TimeZone::UTC);
        let first = begins.day() == 1 && begins.time() == jiff::civil::Time::midnight();
        first.then(|| Self(next.0 - 1))
    }

    fn civil(self) -> jiff::Timestamp {
        let clamped = self.0.clamp(
            jiff::Timestamp::MIN.as_microsecond(),
            jiff::Timestamp::MAX.as_microsecond(),
        );
        jiff::Timestamp::from_microsecond(clamped).unwrap_or_default()
    }
}

fn micros_of(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// `YYYY-MM-DDTHH:MM:SS[.fraction](Z|±HH:MM)`, letters in either case (RFC 3339 §5.6).
fn is_rfc3339_shape(text: &[u8]) -> bool {
    let digits = |range: &[u8]| !range.is_empty() && range.iter().all(u8::is_ascii_digit);
    let Some((head, mut rest)) = text.split_at_checked(19) else {
        return false;
    };
    let fixed = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if !fixed.iter().all(|&(at, byte)| head[at] == byte)
        || !head[10].eq_ignore_ascii_case(&b'T')
        || ![0..4, 5..7, 8..10, 11..13, 14..16, 17..19]
            .into_iter()
            .all(|r| digits(&head[r]))
    {
        return false;
    }
    if let [b'.', fraction @ ..] = rest {
        let length = fraction
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if length == 0 || length > 9 {
            return false;
        }
        rest = &fraction[length..];
    }
    match rest {
        [b'Z' | b'z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => {
            digits(&[*h1, *h2, *m1, *m2]) && [*h1, *h2] <= *b"23" && *m1 <= b'5'
        }
        _ => false,
    }
}

/// A source of the time.
pub trait Clock: Send + Sync {
    /// The wall clock.
    fn now(&self) -> Timestamp;

    /// Time since some fixed point, never going back: for limits and deadlines.
    fn monotonic(&self) -> Duration;
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts here.
    #[must_use]
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the wall clock"
    )]
    fn now(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp(micros_of(since))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A clock that stands still until it is moved: for tests.
#[derive(Debug)]
pub struct ManualClock {
    now: AtomicI64,
    monotonic: AtomicI64,
}

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            now: AtomicI64::new(now.0),
            monotonic: AtomicI64::new(0),
        }
    }

    /// Moves both the wall clock and the monotonic one forward.
    pub fn advance(&self, span: Duration) {
        self.now.fetch_add(micros_of(span), Ordering::SeqCst);
        self.monotonic.fetch_add(micros_of(span), Ordering::SeqCst);
    }

    /// Sets the wall clock alone, as a stepped system clock does; it may go back.
    pub fn set(&self, now: Timestamp) {
        self.now.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(self.monotonic.load(Ordering::SeqCst).unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_is_read_with_any_offset_and_shown_in_utc_milliseconds() {
        for (text, shown) in [
            ("2020-07-08T12:55:49.930Z", "2020-07-08T12:55:49.930Z"),
            ("2020-07-08t12:55:49z", "2020-07-08T12:55:49.000Z"),
            (
                "2020-07-08T14:55:49.9309999+02:00",
                "2020-07-08T12:55:49.930Z",
            ),
            ("1969-12-31T23:59:59.9995Z", "1969-12-31T23:59:59.999Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999Z"),
            ("2016-12-31T23:59:60.1Z", "2016-12-31T23:59:59.999Z"),
            ("2016-12-31T15:59:60-08:00", "2016-12-31T23:59:59.999Z"),
            ("2017-01-01T05:29:60.5+05:30", "2016-12-31T23:59:59.999Z"),
            ("2020-07-08T12:55:49+23:59", "2020-07-07T12:56:49.000Z"),
            ("2020-07-08T12:55:49-00:00", "2020-07-08T12:55:49.000Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z"),
            ("9999-12-30T21:59:59Z", "9999-12-30T21:59:59.000Z"),
        ] {
            let moment = Timestamp::parse_rfc3339(text).expect(text);
            assert_eq!(moment.to_millis().rfc3339_millis(), shown, "{text}");
        }
    }

    #[test]
    fn what_is_not_rfc3339_is_refused() {
        for text in [
            "",
            "2020-07-08",
            "2020-07-08 12:55:49Z",
            "2020-07-08T12:55:49",
            "2020-07-08T12:55Z",
            "2020-07-08T12:55:49.Z",
            "2020-07-08T12:55:49+0200",
            "2020-07-08T12:55:49Z[UTC]",
            "2020-02-30T00:00:00Z",
            "2020-07-08T24:00:00Z",
            "+002020-07-08T12:55:49Z",
            "2020-07-08T12:55:49é",
            "2020-07-08T12:55:49-2:00",
            "0000-01-01T00:00:00+00:01",
            "2020-07-08T12:55:49+24:00",
            "2020-07-08T12:55:49-24:00",
            "2020-07-08T12:55:49+24:30",
            "2020-07-08T12:55:49-25:00",
            "2020-07-08T12:55:49+99:00",
            "2020-07-08T12:55:49+02:60",
            "2020-07-08T12:55:49+-2:00",
            "2020-07-08T12:55:49+02:00:00",
            "2020-07-08T12:60:49Z",
            "2020-07-08T12:55:61Z",
            "2020-01-01T00:00:60Z",
            "2020-07-08T12:55:60Z",
            "2016-12-31T23:59:60+01:00",
            "2016-12-31T23:58:60Z",
            "2016-12-30T23:59:60Z",
        ] {
            assert_eq!(Timestamp::parse_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn a_leap_second_sorts_between_the_days_that_it_separates() {
        let read = |text| Timestamp::parse_rfc3339(text).expect(text);
        let leap = read("2016-12-31T23:59:60.1Z");
        assert!(read("2016-12-31T23:59:59.9Z") < leap);
        assert!(leap < read("2017-01-01T00:00:00Z"));
    }

    #[test]
    fn the_utc_day_of_a_moment_is_its_date() {
        assert_eq!(
            Timestamp::from_seconds(1_668_676_907).utc_day(),
            "2022-11-17"
        );
    }
}
