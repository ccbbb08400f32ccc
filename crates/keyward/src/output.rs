//! What commands print: results on standard output, remarks on standard error.
//!
//! Invariant: no control character of stored or given text reaches a terminal.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use serde::Serialize;

/// Prints a line of the result.
///
/// # Errors
/// When nobody reads it any more.
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

/// Prints rows in columns as wide as they need; the last column is not filled up.
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
    // Where standard error is closed there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "{}", escaped(text));
}

/// `text` with every control character but the line break escaped.
pub(crate) fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\n' => safe.push('\n'),
            // As JSON has it: none lies beyond U+009F.
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
