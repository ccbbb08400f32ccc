//! The text format of the log: time, level, target, message and fields, like that of tracing-subscriber. It skips that
//! crate's styles, which are off, and its formatters for values that need no formatting, because both slowed fast
//! requests measurably.

use std::cell::RefCell;
use std::fmt::{self, Debug, Write as _};

use keyward_core::clock::{Clock as _, SystemClock, Timestamp};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The format. Keyward has no spans, so the format writes none.
#[derive(Default)]
pub(super) struct Text(SystemClock);

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Line {
            text: String::with_capacity(256),
        };
        line.time(self.0.now());
        let metadata = event.metadata();
        let level = metadata.level().as_str();
        for part in [
            &"     "[level.len()..],
            " ",
            level,
            " ",
            metadata.target(),
            ":",
        ] {
            line.text.push_str(part);
        }
        event.record(&mut line);
        line.text.push('\n');
        writer.write_str(&line.text)
    }
}

/// A line that is being written.
struct Line {
    text: String,
}

impl Line {
    /// Writes the time as RFC 3339 in UTC with microseconds. The part down to the second is cached.
    fn time(&mut self, now: Timestamp) {
        thread_local! {
            static SECOND: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
        }
        SECOND.with_borrow_mut(|(second, shown)| {
            if *second != now.seconds() {
                *second = now.seconds();
                *shown = now.rfc3339_millis();
                shown.truncate("0000-00-00T00:00:00.".len());
            }
            self.text.push_str(shown);
        });
        let mut micros = now.micros().rem_euclid(1_000_000);
        let mut digits = *b"000000Z";
        for digit in digits[..6].iter_mut().rev() {
            *digit += u8::try_from(micros % 10).unwrap_or_default();
            micros /= 10;
        }
        self.text
            .push_str(str::from_utf8(&digits).unwrap_or_default());
    }

    fn name(&mut self, field: &Field) {
        self.text.push(' ');
        if field.name() != "message" {
            self.text.push_str(field.name());
            self.text.push('=');
        }
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field);
        let is_plain = value.bytes().all(is_plain) && !value.is_empty();
        if is_plain || field.name() == "message" {
            self.text.push_str(value);
        } else {
            // Writing to a string does not fail.
            let _ = write!(self.text, "{value:?}");
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.name(field);
        let _ = write!(self.text, "{value}");
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.name(field);
        let _ = write!(self.text, "{value:?}");
    }
}

/// Whether a value with this byte needs no quotes.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_microseconds_and_follows_the_clock() {
        let shown = |micros| {
            let mut line = Line {
                text: String::new(),
            };
            line.time(Timestamp::from_micros(micros));
            line.text
        };
        assert_eq!(shown(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(shown(999_999), "1970-01-01T00:00:00.999999Z");
        assert_eq!(shown(1_594_212_949_000_042), "2020-07-08T12:55:49.000042Z");
        assert_eq!(shown(-1), "1969-12-31T23:59:59.999999Z");
    }
}
