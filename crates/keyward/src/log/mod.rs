//! The log on standard error: one line for each event, as text on a terminal and as JSON elsewhere, unless the
//! settings say otherwise.
//!
//! Invariant: text from a client cannot end a line or control a terminal. Lines keep their order.

mod ecs;
mod text;
mod time;

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use keyward_core::span;
use tracing::Metadata;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, Registry, registry};

use crate::output::escaped;
use crate::settings::{Log, LogFormat};
use crate::traces::Traces;

/// How long a line of the access log may be buffered. Writing each line by itself would slow fast requests
/// measurably. A process that is killed loses the buffered lines.
const GATHER: Duration = Duration::from_millis(20);
/// The buffer is written when it holds this many bytes.
const MOST_WAITING: usize = 256 * 1024;
/// The target of the events that may be buffered.
const ACCESS: &str = "access";

/// Starts the log, and beside it the traces. Dropping the result writes the buffered lines.
///
/// # Errors
/// When the filter is invalid, or when a log was started before.
pub(crate) fn start(log: &Log, traces: Option<&Traces>) -> anyhow::Result<Lines> {
    let lines = Lines::default();
    let no_spans = format!("{}=off", span::TARGET).parse()?;
    let filter = EnvFilter::try_new(&log.filter.0)?.add_directive(no_spans);
    let layer = fmt::layer().with_ansi(false).with_writer(lines.clone());
    let is_text = match log.format {
        LogFormat::Auto => io::stderr().is_terminal(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    match is_text {
        true => install(layer.event_format(text::Text::default()), filter, traces),
        false => install(layer.event_format(ecs::Ecs::default()), filter, traces),
    }?;
    let gathered = lines.clone();
    thread::Builder::new()
        .name("log".into())
        .spawn(move || gathered.gather())?;
    Ok(lines)
}

/// Installs the layer of the log. Its filter is the whole subscriber's where there are no traces: that costs less, and no
/// span is made then.
fn install(
    lines: impl Layer<Registry> + Send + Sync,
    filter: EnvFilter,
    traces: Option<&Traces>,
) -> Result<(), TryInitError> {
    let registry = registry();
    match traces {
        None => registry.with(lines).with(filter).try_init(),
        Some(traces) => {
            let lines = lines.with_filter(filter);
            registry.with(lines).with(traces.layer()).try_init()
        }
    }
}

/// Writes each event, which arrives as one piece, as one line without control characters.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Waiting>);

#[derive(Default)]
struct Waiting {
    text: Mutex<Vec<u8>>,
    begun: Condvar,
}

impl Lines {
    /// Writes the buffered lines, for as long as the process lives.
    fn gather(&self) {
        loop {
            let waiting = self.0.text.lock().unwrap_or_else(PoisonError::into_inner);
            let begun = self.0.begun.wait_while(waiting, |text| text.is_empty());
            drop(begun);
            thread::sleep(GATHER);
            let _ = write_out(&mut self.waiting());
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.text.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        // If standard error is closed, nobody can be informed.
        let _ = write_out(&mut self.waiting());
    }
}

fn write_out(text: &mut Vec<u8>) -> io::Result<()> {
    let written = io::stderr().lock().write_all(text);
    text.clear();
    written
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line {
            lines: self,
            may_wait: false,
        }
    }

    fn make_writer_for(&'a self, of: &Metadata<'_>) -> Line<'a> {
        Line {
            lines: self,
            may_wait: of.target() == ACCESS,
        }
    }
}

/// The line of one event.
pub(crate) struct Line<'a> {
    lines: &'a Lines,
    may_wait: bool,
}

impl Write for Line<'_> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = line_of(event);
        let mut waiting = self.lines.waiting();
        let is_first = waiting.is_empty();
        waiting.extend_from_slice(line.as_bytes());
        waiting.push(b'\n');
        if !self.may_wait || waiting.len() > MOST_WAITING {
            write_out(&mut waiting)?;
        } else if is_first {
            self.lines.0.begun.notify_one();
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn line_of(event: &[u8]) -> Cow<'_, str> {
    let event = event.strip_suffix(b"\n").unwrap_or(event);
    // Without an early exit, so that the compiler can check many bytes at once.
    let special = event.iter().fold(0, |special, byte| {
        special | u8::from(!(b' '..=b'~').contains(byte))
    });
    match str::from_utf8(event) {
        Ok(text) if special == 0 => Cow::Borrowed(text),
        _ => {
            let text = String::from_utf8_lossy(event);
            escaped(text.trim_end_matches('\n'))
                .replace('\n', "\\n")
                .into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let event = b"INFO a=b\n2026 ERROR forged\x1b[31m\xff\n";
        let line = "INFO a=b\\n2026 ERROR forged\\u001b[31m\u{fffd}";
        assert_eq!(line_of(event), line);
        assert!(matches!(
            line_of(b"INFO a=b ~\n"),
            Cow::Borrowed("INFO a=b ~")
        ));
        assert_eq!(line_of("INFO é\n".as_bytes()), "INFO é");
    }

    #[test]
    fn lines_of_the_access_log_wait_and_any_other_takes_them_along() {
        let lines = Lines::default();
        let write = |may_wait, event: &[u8]| {
            let lines = &lines;
            Line { lines, may_wait }.write_all(event).expect("written");
            lines.waiting().len()
        };
        assert_eq!(write(true, b"INFO access: 1\n"), 15);
        assert_eq!(write(true, b"INFO access: 2\n"), 30);
        assert_eq!(write(false, b"ERROR other\n"), 0);
        assert_eq!(write(true, &[b'a'; MOST_WAITING]), 0);
    }
}
