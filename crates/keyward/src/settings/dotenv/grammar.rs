//! The grammar of `.env`, as python-dotenv reads it: statements, quotes and escapes.
//!
//! Invariant: each edition reads what that version of python-dotenv reads, character for character. The differential
//! test runs both.

use crate::settings::files::line_of;

/// A version of the grammar.
#[derive(Clone, Copy)]
pub(super) struct Edition {
    /// A backslash escapes the character after it, whatever that is; before, a quote alone.
    escapes_everything: bool,
    /// A `#` behind `=` and a blank begins a comment; before, it began the value.
    has_comment_for_value: bool,
}

/// The grammars of python-dotenv 1.2.4, of 1.2.3, and of all versions before.
pub(super) const EDITIONS: [Edition; 3] = [
    Edition {
        escapes_everything: true,
        has_comment_for_value: true,
    },
    Edition {
        escapes_everything: true,
        has_comment_for_value: false,
    },
    Edition {
        escapes_everything: false,
        has_comment_for_value: false,
    },
];

/// A statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// The line that it begins on.
    pub(super) line: usize,
    /// The line that it ends on.
    pub(super) last_line: usize,
    /// Its name and value; `None` if it cannot be read.
    pub(super) binding: Option<Binding>,
}

/// A name, with its value unless there is no `=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    pub(super) name: String,
    pub(super) value: Option<String>,
    /// The value stood in single quotes and has a `\\` or `\'`.
    pub(super) has_escape_in_single_quotes: bool,
    /// The value stood in single quotes.
    pub(super) is_in_single_quotes: bool,
}

/// The statements of `text`, whose lines end with line feeds. Comments and blank lines are none.
pub(super) fn statements(text: &str, edition: Edition) -> Vec<Statement> {
    let mut reader = Reader {
        text,
        rest: text,
        edition,
    };
    std::iter::from_fn(|| reader.next_statement()).collect()
}

/// What python's regular expressions call white space, `\s`.
pub(super) fn is_space(char: char) -> bool {
    char.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&char)
}

fn is_blank(char: char) -> bool {
    is_space(char) && char != '\n'
}

struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
    edition: Edition,
}

/// A statement that is none.
struct Unreadable;

impl<'a> Reader<'a> {
    fn next_statement(&mut self) -> Option<Statement> {
        loop {
            self.take_while(is_space);
            if self.rest.is_empty() {
                return None;
            }
            let line = line_of(self.consumed());
            let binding = match self.binding() {
                Ok(None) => continue,
                Ok(Some(binding)) => Some(binding),
                Err(Unreadable) => {
                    self.take_while(|char| char != '\n');
                    self.take_if('\n');
                    None
                }
            };
            let consumed = self.consumed();
            let last_line = line_of(consumed.strip_suffix(b"\n").unwrap_or(consumed));
            return Some(Statement {
                line,
                last_line,
                binding,
            });
        }
    }

    fn consumed(&self) -> &'a [u8] {
        &self.text.as_bytes()[..self.text.len() - self.rest.len()]
    }

    /// A binding, or `None` where the line is a comment.
    fn binding(&mut self) -> Result<Option<Binding>, Unreadable> {
        if let Some(rest) = self.rest.strip_prefix("export")
            && rest.starts_with(is_blank)
        {
            self.rest = rest.trim_start_matches(is_blank);
        }
        let name = self.name()?;
        self.take_while(is_blank);
        let mut binding = Binding {
            name: name.unwrap_or_default().to_owned(),
            value: None,
            has_escape_in_single_quotes: false,
            is_in_single_quotes: false,
        };
        if self.take_if('=') {
            let blanks = self.take_while(is_blank);
            if self.edition.has_comment_for_value
                && !blanks.is_empty()
                && self.rest.starts_with('#')
            {
                binding.value = Some(String::new());
            } else {
                self.value(&mut binding)?;
            }
        }
        self.end_of_line()?;
        Ok(name.map(|_| binding))
    }

    fn name(&mut self) -> Result<Option<&'a str>, Unreadable> {
        if self.rest.starts_with('#') {
            return Ok(None);
        }
        if let Some(quoted) = self.rest.strip_prefix('\'') {
            let end = quoted.find('\'').filter(|end| *end > 0).ok_or(Unreadable)?;
            self.rest = &quoted[end + 1..];
            return Ok(Some(&quoted[..end]));
        }
        match self.take_while(|char| char != '=' && char != '#' && !is_space(char)) {
            "" => Err(Unreadable),
            name => Ok(Some(name)),
        }
    }

    fn value(&mut self, binding: &mut Binding) -> Result<(), Unreadable> {
        let value = match self.rest.chars().next() {
            Some(quote @ ('\'' | '"')) => {
                let end = self.closing_quote(quote).ok_or(Unreadable)?;
                let quoted = &self.rest[1..end];
                self.rest = &self.rest[end + 1..];
                let escapes: &[(char, char)] = if quote == '"' { &DOUBLE } else { &SINGLE };
                let value = unescaped(quoted, escapes);
                binding.is_in_single_quotes = quote == '\'';
                binding.has_escape_in_single_quotes = quote == '\'' && value != quoted;
                value
            }
            _ => {
                let line = self.take_while(|char| char != '\n');
                before_comment(line).trim_end_matches(is_space).to_owned()
            }
        };
        binding.value = Some(value);
        Ok(())
    }

    /// Where the quoted value ends that begins here.
    fn closing_quote(&self, quote: char) -> Option<usize> {
        let mut chars = self.rest.char_indices().skip(1).peekable();
        let mut escaped_quote = None;
        while let Some((at, char)) = chars.next() {
            if char == quote {
                return Some(at);
            }
            if char != '\\' {
                continue;
            }
            if self.edition.escapes_everything {
                chars.next()?;
            } else if let Some((at, _)) = chars.next_if(|(_, next)| *next == quote) {
                escaped_quote = Some(at);
            }
        }
        // Older versions then take the last escaped quote for the end.
        escaped_quote
    }

    /// Takes a comment and the end of the line.
    fn end_of_line(&mut self) -> Result<(), Unreadable> {
        let rest = self.rest.trim_start_matches(is_blank);
        if rest.starts_with('#') {
            self.rest = rest;
            self.take_while(|char| char != '\n');
        }
        let rest = self.rest.trim_start_matches(is_blank);
        if rest.is_empty() || rest.starts_with('\n') {
            self.rest = rest.strip_prefix('\n').unwrap_or(rest);
            return Ok(());
        }
        Err(Unreadable)
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self
            .rest
            .find(|char| !wanted(char))
            .unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn take_if(&mut self, wanted: char) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }
}

/// The escapes in single quotes.
const SINGLE: [(char, char); 2] = [('\\', '\\'), ('\'', '\'')];
/// The escapes in double quotes.
const DOUBLE: [(char, char); 10] = [
    ('\\', '\\'),
    ('\'', '\''),
    ('"', '"'),
    ('a', '\u{7}'),
    ('b', '\u{8}'),
    ('f', '\u{c}'),
    ('n', '\n'),
    ('r', '\r'),
    ('t', '\t'),
    ('v', '\u{b}'),
];

fn unescaped(text: &str, escapes: &[(char, char)]) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        let next = chars.peek().copied().filter(|_| char == '\\');
        match escapes.iter().find(|(escape, _)| Some(*escape) == next) {
            Some((_, meant)) => {
                plain.push(*meant);
                chars.next();
            }
            None => plain.push(char),
        }
    }
    plain
}

/// The part of an unquoted value before a `#` that follows white space, and before that white space.
fn before_comment(line: &str) -> &str {
    line.match_indices('#')
        .map(|(at, _)| &line[..at])
        .find(|before| before.ends_with(is_space))
        .unwrap_or(line)
}
