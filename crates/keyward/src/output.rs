//! Output of commands: results on standard output, remarks on standard error.
//!
//! Invariant: no control character of stored or given text reaches a terminal.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

/// Prints a line of the result.
///
/// # Errors
/// When standard output is closed.
pub(crate) fn line(text: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{}", escaped(text))
}

/// Prints a value as JSON, indented.
///
/// # Errors
/// As [`line()`].
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(line(&serde_json::to_string_pretty(value)?)?)
}

/// Prints rows in aligned columns. The last column is not padded.
///
/// # Errors
/// As [`line()`].
pub(crate) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> io::Result<()> {
    let rows = || std::iter::once(head.map(str::to_owned)).chain(rows.iter().cloned());
    let rows = || rows().map(|row| row.map(|cell| escaped(&cell).replace('\n', "\\n")));
    let mut widths = [0; N];
    for row in rows() {
        for (width, cell) in widths.iter_mut().zip(&row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows() {
        let padded = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        let _ = writeln!(text, "{}", padded.collect::<Vec<_>>().join("  ").trim_end());
    }
    io::stdout().lock().write_all(text.as_bytes())
}

/// Prints a remark, which is not part of the result.
pub(crate) fn remark(text: &str) {
    // If standard error is closed, nobody can be informed.
    let _ = writeln!(io::stderr().lock(), "{}", escaped(text));
}

/// Progress on standard error: a bar on a terminal, one line for each tenth elsewhere.
pub(crate) struct Progress {
    what: &'static str,
    shown: Shown,
}

enum Shown {
    Nothing,
    Bar(ProgressBar),
    /// The tenth that was printed last.
    Lines(u64),
}

impl Progress {
    /// Progress that begins at zero. `what` is the participle that is shown.
    pub(crate) fn new(what: &'static str, quiet: bool) -> Self {
        let shown = if quiet {
            Shown::Nothing
        } else if io::stderr().is_terminal() {
            let bar = ProgressBar::new(0);
            let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}");
            Shown::Bar(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
        } else {
            Shown::Lines(0)
        };
        Self { what, shown }
    }

    /// Reports the bytes done and the total.
    pub(crate) fn show(&mut self, done: u64, total: u64) {
        match &mut self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => {
                bar.set_length(total);
                bar.set_position(done);
            }
            Shown::Lines(told) => {
                let tenth = done.saturating_mul(10) / total.max(1);
                if tenth > *told {
                    *told = tenth;
                    remark(&format!("{} {}0 %", self.what, tenth));
                }
            }
        }
    }

    /// Removes the bar.
    pub(crate) fn end(self) {
        if let Shown::Bar(bar) = self.shown {
            bar.finish_and_clear();
        }
    }
}

/// `text` with every control character but the line break escaped.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\n' => safe.push('\n'),
            // Written as in JSON. No control character lies beyond U+009F.
            control if control.is_control() => {
                let _ = write!(safe, "\\u{:04x}", u32::from(control));
            }
            char => safe.push(char),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_steer_a_terminal_is_shown_instead() {
        assert_eq!(
            escaped("a\u{1b}[2Jb\rc\u{9b}d\u{7f}é\n"),
            "a\\u001b[2Jb\\u000dc\\u009bd\\u007fé\n"
        );
    }
}
