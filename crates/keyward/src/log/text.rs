//! The text format of the log: time, level, target, message and fields, like that of tracing-subscriber. It skips that
//! crate's formatters for values that need no formatting, because they slowed fast requests measurably.

use std::fmt::Debug;
use std::io::Write as _;

use keyward_core::clock::Timestamp;
use tracing::Event;
use tracing::field::{Field, Visit};

use super::{push_escaped, time};

/// Writes an event as a line, without its end. Spans are not written.
pub(super) fn push(line: &mut Vec<u8>, event: &Event<'_>, now: Timestamp) {
    time::push(line, now);
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
        line.extend_from_slice(part.as_bytes());
    }
    event.record(&mut Fields(line));
}

/// The line, to which fields are added.
struct Fields<'a>(&'a mut Vec<u8>);

impl Fields<'_> {
    fn name(&mut self, field: &Field) {
        self.0.push(b' ');
        if field.name() != "message" {
            self.0.extend_from_slice(field.name().as_bytes());
            self.0.push(b'=');
        }
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.name(field);
            push_escaped(self.0, value);
        } else if value.bytes().all(is_plain) && !value.is_empty() {
            self.name(field);
            self.0.extend_from_slice(value.as_bytes());
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.name(field);
        // Writing to a vector does not fail.
        let _ = write!(self.0, "{value}");
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.name(field);
        push_escaped(self.0, &format!("{value:?}"));
    }
}

/// Whether a value with this byte needs no quotes.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'=')
}
