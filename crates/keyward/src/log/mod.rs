//! The log on standard error: one line for each event, as text on a terminal and as JSON elsewhere, unless the
//! settings say otherwise.
//!
//! Invariant: text from a client cannot end a line or control a terminal. A line is written in one piece, and lines keep
//! their order.

mod ecs;
mod text;
mod time;

use std::cell::Cell;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use keyward_core::clock::{Clock as _, SystemClock, Timestamp};
use keyward_core::span;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, registry};

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
    let is_text = match log.format {
        LogFormat::Auto => io::stderr().is_terminal(),
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let layer = LineLayer {
        format: match is_text {
            true => Format::Text,
            false => Format::Json,
        },
        clock: SystemClock::new(),
        lines: lines.clone(),
    };
    install(layer, filter, traces)?;
    let gathered = lines.clone();
    thread::Builder::new()
        .name("log".into())
        .spawn(move || gathered.gather())?;
    Ok(lines)
}

/// Installs the layer of the log. Its filter is the whole subscriber's where there are no traces: that costs less, and no
/// span is made then.
fn install(
    lines: LineLayer,
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

/// The format of the lines.
#[derive(Clone, Copy)]
enum Format {
    Text,
    Json,
}

impl Format {
    fn push(self, line: &mut Vec<u8>, event: &Event<'_>, now: Timestamp) {
        match self {
            Self::Text => text::push(line, event, now),
            Self::Json => ecs::push(line, event, now),
        }
    }
}

/// The layer that writes each event as one line.
struct LineLayer {
    format: Format,
    clock: SystemClock,
    lines: Lines,
}

impl<S: Subscriber> Layer<S> for LineLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        thread_local! {
            static LINE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
        }
        // Taken, not borrowed: to show a value may write a line, too.
        let mut line = LINE.take();
        self.format.push(&mut line, event, self.clock.now());
        line.push(b'\n');
        let may_wait = event.metadata().target() == ACCESS;
        // If standard error is closed, nobody can be informed.
        let _ = self.lines.add(&line, may_wait);
        line.clear();
        LINE.set(line);
    }
}

/// The lines that are not yet written.
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

    /// Adds a line. It is written at once, with those that wait, unless it may wait too.
    fn add(&self, line: &[u8], may_wait: bool) -> io::Result<()> {
        let mut waiting = self.waiting();
        let is_first = waiting.is_empty();
        waiting.extend_from_slice(line);
        if !may_wait || waiting.len() > MOST_WAITING {
            write_out(&mut waiting)?;
        } else if is_first {
            self.0.begun.notify_one();
        }
        Ok(())
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

/// Writes a text, with its control characters and line breaks escaped.
fn push_escaped(line: &mut Vec<u8>, text: &str) {
    // Without an early exit, so that the compiler can check many bytes at once.
    let special = text.bytes().fold(0, |special, byte| {
        special | u8::from(!(b' '..=b'~').contains(&byte))
    });
    if special == 0 {
        line.extend_from_slice(text.as_bytes());
    } else {
        let text = escaped(text).replace('\n', "\\n");
        line.extend_from_slice(text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Kept(Format, Arc<Mutex<Vec<u8>>>);

    impl<S: Subscriber> Layer<S> for Kept {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let now = SystemClock::new().now();
            self.0.push(&mut self.1.lock().unwrap(), event, now);
        }
    }

    /// The line of what `log` logs, without its end.
    pub(super) fn logged(format: Format, log: impl FnOnce()) -> String {
        let line = Arc::default();
        let kept = Kept(format, Arc::clone(&line));
        tracing::subscriber::with_default(registry().with(kept), log);
        let line = line.lock().unwrap().clone();
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let forged = "b\n2026 ERROR forged\x1b[31m\u{9b}é\n";
        let safe = r"b\n2026 ERROR forged\u001b[31m\u009bé\n";
        let text = logged(Format::Text, || {
            tracing::info!(target: ACCESS, shown = %forged, quoted = forged, count = -1, "{forged}");
        });
        let (time, line) = text.split_once("  ").unwrap();
        assert_eq!(time.len(), "2020-07-08T12:55:49.930042Z".len());
        assert_eq!(
            line,
            format!("INFO access: {safe} shown={safe} quoted={forged:?} count=-1")
        );
    }

    #[test]
    fn lines_of_the_access_log_wait_and_any_other_takes_them_along() {
        let lines = Lines::default();
        let write = |may_wait, line: &[u8]| {
            lines.add(line, may_wait).expect("written");
            lines.waiting().len()
        };
        assert_eq!(write(true, b"INFO access: 1\n"), 15);
        assert_eq!(write(true, b"INFO access: 2\n"), 30);
        assert_eq!(write(false, b"ERROR other\n"), 0);
        assert_eq!(write(true, &[b'a'; MOST_WAITING + 1]), 0);
    }
}
