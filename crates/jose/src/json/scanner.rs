//! The scanner behind [`super::check`]: one pass, no recursion, names borrowed from the text.

use std::borrow::Cow;
use std::collections::HashSet;

use super::{Error, Shape};

/// Up to this many names of an object are searched one by one. Beyond that, a hash set with a random key is used, so
/// that no choice of names makes the check quadratic.
const SEARCHED_NAMES: usize = 16;

pub(super) fn scan<'t>(
    text: &'t str,
    max_depth: usize,
    visit: impl FnMut(&str, &'t str),
) -> Result<Shape, Error> {
    let frames = Vec::with_capacity(max_depth.min(4));
    let names = Vec::with_capacity(SEARCHED_NAMES);
    Scanner {
        text,
        at: 0,
        max_depth,
        frames,
        names,
        member_value: 0,
        visit,
    }
    .run()
}

/// An array or object that is still open.
struct Frame<'t> {
    is_object: bool,
    /// The index in `Scanner::names` of this object's first name.
    first_name: usize,
    many_names: Option<HashSet<Cow<'t, str>>>,
}

struct Scanner<'t, V> {
    text: &'t str,
    at: usize,
    max_depth: usize,
    frames: Vec<Frame<'t>>,
    /// The names of all open objects, outermost first.
    names: Vec<Cow<'t, str>>,
    /// The offset of the value of the outermost object's last member.
    member_value: usize,
    visit: V,
}

impl<'t, V: FnMut(&str, &'t str)> Scanner<'t, V> {
    fn run(mut self) -> Result<Shape, Error> {
        self.skip_space();
        let shape = match self.peek() {
            Some(b'{') => Shape::Object,
            Some(b'[') => Shape::Array,
            _ => Shape::Other,
        };
        loop {
            if self.opens_with_content()? {
                continue;
            }
            if self.nothing_follows()? {
                return Ok(shape);
            }
        }
    }

    /// Reads a scalar, an empty array or object, or the start of a non-empty one. Returns true for the last.
    fn opens_with_content(&mut self) -> Result<bool, Error> {
        match self.peek() {
            Some(b'"') => self.string().map(drop)?,
            Some(b'{') => {
                self.open(true)?;
                if self.peek() != Some(b'}') {
                    self.member_name()?;
                    return Ok(true);
                }
                self.close();
            }
            Some(b'[') => {
                self.open(false)?;
                if self.peek() != Some(b']') {
                    return Ok(true);
                }
                self.close();
            }
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.literal("true")?,
            Some(b'f') => self.literal("false")?,
            Some(b'n') => self.literal("null")?,
            _ => return Err(self.syntax()),
        }
        Ok(false)
    }

    /// Reads from the end of a value to the next one. Returns true at the end of the text.
    fn nothing_follows(&mut self) -> Result<bool, Error> {
        loop {
            if let [
                Frame {
                    is_object: true, ..
                },
            ] = self.frames[..]
                && let Some(name) = self.names.last()
            {
                (self.visit)(name, &self.text[self.member_value..self.at]);
            }
            self.skip_space();
            let Some(Frame { is_object, .. }) = self.frames.last() else {
                return if self.at == self.text.len() {
                    Ok(true)
                } else {
                    Err(self.syntax())
                };
            };
            match (self.peek(), *is_object) {
                (Some(b','), is_object) => {
                    self.at += 1;
                    self.skip_space();
                    if is_object {
                        self.member_name()?;
                    }
                    return Ok(false);
                }
                (Some(b'}'), true) | (Some(b']'), false) => self.close(),
                _ => return Err(self.syntax()),
            }
        }
    }

    fn open(&mut self, is_object: bool) -> Result<(), Error> {
        if self.frames.len() >= self.max_depth {
            return Err(Error::TooDeep { offset: self.at });
        }
        self.frames.push(Frame {
            is_object,
            first_name: self.names.len(),
            many_names: None,
        });
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    fn close(&mut self) {
        self.at += 1;
        if let Some(frame) = self.frames.pop() {
            self.names.truncate(frame.first_name);
        }
    }

    /// Reads a member's name, the colon and the white space before the value.
    fn member_name(&mut self) -> Result<(), Error> {
        let offset = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.syntax());
        }
        let (spelled, escaped) = self.string()?;
        let name = if escaped {
            Cow::Owned(unescape(spelled))
        } else {
            Cow::Borrowed(spelled)
        };
        if !self.note(name) {
            return Err(Error::DuplicateMember { offset });
        }
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.syntax());
        }
        self.at += 1;
        self.skip_space();
        if self.frames.len() == 1 {
            self.member_value = self.at;
        }
        Ok(())
    }

    /// Records a name of the innermost object. Returns false if the object already has that name.
    fn note(&mut self, name: Cow<'t, str>) -> bool {
        let Some(frame) = self.frames.last_mut() else {
            return true;
        };
        let named = &self.names[frame.first_name..];
        let is_first = if named.len() < SEARCHED_NAMES {
            !named.contains(&name)
        } else {
            let all = frame
                .many_names
                .get_or_insert_with(|| named.iter().cloned().collect());
            all.insert(name.clone())
        };
        self.names.push(name);
        is_first
    }

    /// Reads a string. Returns the text between the quotes and whether it contains escapes.
    fn string(&mut self) -> Result<(&'t str, bool), Error> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        let mut escaped = false;
        self.at = start;
        loop {
            self.at += plain_length(&bytes[self.at..]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok((&self.text[start..self.at - 1], escaped));
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(self.syntax()),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Error> {
        let offset = self.at;
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                return Ok(());
            }
            Some(b'u') => {}
            _ => return Err(self.syntax()),
        }
        match self.code_unit()? {
            0xD800..=0xDBFF => {
                let rest = &self.text.as_bytes()[self.at..];
                if !rest.starts_with(b"\\u") {
                    return Err(Error::LoneSurrogate { offset });
                }
                self.at += 1;
                match self.code_unit()? {
                    0xDC00..=0xDFFF => Ok(()),
                    _ => Err(Error::LoneSurrogate { offset }),
                }
            }
            0xDC00..=0xDFFF => Err(Error::LoneSurrogate { offset }),
            _ => Ok(()),
        }
    }

    /// Reads `u` and its four hexadecimal digits.
    fn code_unit(&mut self) -> Result<u16, Error> {
        self.at += 1;
        let mut unit = 0;
        for _ in 0..4 {
            let digit = match self.peek() {
                Some(byte @ b'0'..=b'9') => byte - b'0',
                Some(byte @ b'a'..=b'f') => byte - b'a' + 10,
                Some(byte @ b'A'..=b'F') => byte - b'A' + 10,
                _ => return Err(self.syntax()),
            };
            unit = unit << 4 | u16::from(digit);
            self.at += 1;
        }
        Ok(unit)
    }

    fn number(&mut self) -> Result<(), Error> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Error> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start {
            Err(self.syntax())
        } else {
            Ok(())
        }
    }

    fn literal(&mut self, word: &str) -> Result<(), Error> {
        for expected in word.bytes() {
            if self.peek() != Some(expected) {
                return Err(self.syntax());
            }
            self.at += 1;
        }
        Ok(())
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn syntax(&self) -> Error {
        Error::Syntax { offset: self.at }
    }
}

/// The number of bytes before the first quote, backslash or control character. Eight bytes are compared at once, since
/// most of a token or a body consists of such bytes.
fn plain_length(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xFF;
    const HIGHS: u64 = ONES << 7;
    // The high bit of each byte below `bound`, exact up to the first such byte.
    let below = |word: u64, bound: u8| word.wrapping_sub(ONES * u64::from(bound)) & !word & HIGHS;
    let is = |word: u64, byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let special = below(word, 0x20) | is(word, b'"') | is(word, b'\\');
        if special != 0 {
            return index * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let plain = |byte: &u8| *byte >= 0x20 && *byte != b'"' && *byte != b'\\';
    let end = rest.iter().position(|byte| !plain(byte));
    bytes.len() - rest.len() + end.unwrap_or(rest.len())
}

/// Resolves the escapes of a checked string.
fn unescape(spelled: &str) -> String {
    let quoted = format!("\"{spelled}\"");
    serde_json::from_str(&quoted).unwrap_or(quoted)
}
