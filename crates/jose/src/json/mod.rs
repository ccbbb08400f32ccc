//! Checks JSON (RFC 8259) strictly, without building a value from it.
//!
//! Accepts exactly the grammar, in UTF-8, and refuses texts on which parsers disagree: duplicate member names at any
//! level, lone surrogates, nesting beyond a limit. Numbers are not converted.

mod scanner;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

/// The kind of a JSON text's outermost value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// A string, a number, `true`, `false` or `null`.
    Other,
}

/// The reason why a text is refused, and the offset of the byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are not UTF-8.
    #[error("not UTF-8 at byte {offset}")]
    Utf8 {
        /// The start of the first invalid sequence.
        offset: usize,
    },
    /// The text is not JSON.
    #[error("not JSON at byte {offset}")]
    Syntax {
        /// The first unexpected byte, or the length of a text that ends too early.
        offset: usize,
    },
    /// Arrays and objects are nested too deeply.
    #[error("nested too deeply at byte {offset}")]
    TooDeep {
        /// The start of the value that exceeds the limit.
        offset: usize,
    },
    /// An object has two members of one name, possibly written with different escapes.
    #[error("duplicate member name at byte {offset}")]
    DuplicateMember {
        /// The start of the second name.
        offset: usize,
    },
    /// A `\u` escape is half of a surrogate pair.
    #[error("lone surrogate at byte {offset}")]
    LoneSurrogate {
        /// The start of the escape.
        offset: usize,
    },
}

/// Checks one JSON text. `max_depth` limits nested arrays and objects; a flat object counts as 1.
pub fn check(bytes: &[u8], max_depth: usize) -> Result<Shape, Error> {
    check_text(utf8(bytes)?, max_depth)
}

/// Like [`check`], for a text that is known to be UTF-8.
pub fn check_text(text: &str, max_depth: usize) -> Result<Shape, Error> {
    scanner::scan(text, max_depth, |_, _| {})
}

/// Checks one JSON text and, if it is an object, calls `visit` with each direct member: its unescaped name and the JSON
/// text of its value.
///
/// Members are visited as they are read, so some may have been visited before an error.
pub fn visit_members<'t>(
    text: &'t str,
    max_depth: usize,
    visit: impl FnMut(&str, &'t str),
) -> Result<Shape, Error> {
    scanner::scan(text, max_depth, visit)
}

/// The bytes as text.
///
/// # Errors
/// [`Error::Utf8`].
pub fn utf8(bytes: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(bytes).map_err(|error| Error::Utf8 {
        offset: error.valid_up_to(),
    })
}

/// The value of a JSON string, borrowed if it has no escapes. `None` if `value` is no string.
///
/// `value` must be one complete, checked JSON value, as [`visit_members`] passes it.
pub fn string(value: &str) -> Option<Cow<'_, str>> {
    let spelled = value.strip_prefix('"')?.strip_suffix('"')?;
    if spelled.contains('\\') {
        return serde_json::from_str(value).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(spelled))
}
