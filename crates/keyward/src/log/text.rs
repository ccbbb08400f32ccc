//! The text format of the log: time, level, target, message and fields, like that of tracing-subscriber. It skips that
//! crate's styles, which are off, and its formatters for values that need no formatting, because both slowed fast
//! requests measurably.

use std::fmt::{self, Debug, Write as _};

use keyward_core::clock::{Clock as _, SystemClock};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::time;

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
        time::push(&mut line.text, self.0.now());
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
