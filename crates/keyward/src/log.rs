//! The log, on standard error: a line an event, as text or JSON.
//!
//! Invariant: what others sent cannot end a line or steer a terminal.

use std::io::{self, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::output::escaped;
use crate::settings::{Log, LogFormat};

/// Starts to log.
///
/// # Errors
/// When the filter is none, or something logs already.
pub(crate) fn start(log: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&log.filter.0)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false);
    let builder = builder.with_writer(Lines);
    let started = match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!(error))
}

/// Writes each event, which arrives as one piece, as one line without control characters.
struct Lines;

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        Self
    }
}

impl Write for Lines {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write_all(line_of(event).as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn line_of(event: &[u8]) -> String {
    let text = String::from_utf8_lossy(event);
    escaped(text.trim_end_matches('\n')).replace('\n', "\\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let event = b"INFO a=b\n2026 ERROR forged\x1b[31m\xff\n";
        let line = "INFO a=b\\n2026 ERROR forged\\u001b[31m\u{fffd}\n";
        assert_eq!(line_of(event), line);
    }
}
