//! A strict look at JSON (RFC 8259) without building anything from it.
//!
//! Accepts exactly the grammar, in UTF-8, and refuses what readers disagree about: duplicate
//! member names at any level, lone surrogates, nesting beyond a bound. Numbers are only text here.

mod scanner;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

/// What a JSON text is at its top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// A string, a number, `true`, `false` or `null`.
    Other,
}

/// Why a text is refused, and at which byte of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are not UTF-8.
    #[error("not UTF-8 at byte {offset}")]
    Utf8 {
        /// Where the first wrong sequence begins.
        offset: usize,
    },
    /// The text is not JSON.
    #[error("not JSON at byte {offset}")]
    Syntax {
        /// The first byte that cannot stand there, or the length of a text that ends too early.
        offset: usize,
    },
    /// Arrays and objects are nested deeper than allowed.
    #[error("nested too deep at byte {offset}")]
    TooDeep {
        /// Where the value one too deep begins.
        offset: usize,
    },
    /// An object names a member twice, possibly spelled with other escapes.
    #[error("duplicate member name at byte {offset}")]
    DuplicateMember {
        /// Where the second name begins.
        offset: usize,
    },
    /// A `\u` escape is half of a surrogate pair.
    #[error("lone surrogate at byte {offset}")]
    LoneSurrogate {
        /// Where the escape begins.
        offset: usize,
    },
}

/// Checks one JSON text; `max_depth` counts nested arrays and objects, a flat object being 1.
pub fn check(bytes: &[u8], max_depth: usize) -> Result<Shape, Error> {
    check_text(utf8(bytes)?, max_depth)
}

/// As [`check`], for text already known to be UTF-8.
pub fn check_text(text: &str, max_depth: usize) -> Result<Shape, Error> {
    scanner::scan(text, max_depth, |_, _| {})
}

/// Checks one JSON text and, when it is an object, visits each of its own members: the name
/// unescaped, the value as it is spelled.
///
/// Members are visited as they are read: on an error, some may have been visited before it.
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

/// The value of a JSON string, borrowed where it has no escapes; none for anything else.
///
/// `value` is one whole, checked JSON value, as [`visit_members`] gives it.
pub fn string(value: &str) -> Option<Cow<'_, str>> {
    let spelled = value.strip_prefix('"')?.strip_suffix('"')?;
    if spelled.contains('\\') {
        return serde_json::from_str(value).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(spelled))
}
