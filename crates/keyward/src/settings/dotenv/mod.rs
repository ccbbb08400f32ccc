//! The `.env` file of the working folder, read as python-dotenv reads it: the reader of the replaced services.
//!
//! Invariant: a variable that Keyward wants has the value that every version of python-dotenv gives it, or the file is
//! refused with the line and the reason. The process's own environment is not changed.

mod expand;
mod grammar;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fmt;

use self::expand::Piece;
use self::grammar::{Binding, EDITIONS, Statement, statements};
use super::error::{SettingError, Topic, Warning};
use super::names;

/// The name of the file.
pub(super) const FILE: &str = ".env";

/// A variable that Keyward wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) line: usize,
}

/// The content of the file.
#[derive(Default)]
pub(super) struct Read {
    pub(super) variables: Vec<Variable>,
    pub(super) errors: Vec<SettingError>,
    pub(super) warnings: Vec<Warning>,
}

impl Read {
    fn refuse(&mut self, line: usize, message: impl fmt::Display) {
        let error = SettingError::new(format!("{FILE}:{line}"), message.to_string());
        self.errors.push(error);
    }

    fn warn(&mut self, line: usize, message: impl fmt::Display, advice: &str) {
        let place = format!("{FILE}:{line}");
        self.warnings
            .push(Warning::new(Topic::Names, place, message, advice));
    }
}

/// Reads the text of the file. Its values may refer to the environment.
pub(super) fn read(text: &str, environment: &[(OsString, OsString)]) -> Read {
    // As python reads text: each kind of line end is a line feed.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut read = Read::default();
    let readings: Vec<Reading> = EDITIONS
        .iter()
        .flat_map(|edition| {
            let statements = statements(&text, *edition);
            [Precedence::Environment, Precedence::File]
                .map(|precedence| Reading::of(&statements, precedence, environment))
        })
        .collect();
    let names: BTreeSet<&String> = readings.iter().flat_map(|read| read.bound.keys()).collect();
    for name in names {
        decide(name, &readings, &mut read);
    }
    look_for_unread_names(&text, &statements(&text, EDITIONS[0]), &mut read);
    read
}

/// Takes a variable, if it is wanted and all readings agree about it.
fn decide(name: &str, readings: &[Reading], read: &mut Read) {
    let bound: Vec<Option<&Bound>> = readings.iter().map(|read| read.bound.get(name)).collect();
    let Some(first) = bound.iter().flatten().next() else {
        return;
    };
    let line = first.line;
    let value = first.value.as_deref().unwrap_or_default();
    match wanted(name, value) {
        Wanted::No => return,
        Wanted::Perhaps => {
            return read.variables.push(Variable {
                name: name.to_owned(),
                value: value.to_owned(),
                line,
            });
        }
        Wanted::Yes => {}
    }
    let value_of = |bound: &Option<&Bound>| bound.map(|bound| bound.value.clone());
    let same = |first: &Option<&Bound>, other: &Option<&Bound>| value_of(first) == value_of(other);
    let refused = if bound.iter().step_by(2).any(|other| !same(&bound[0], other)) {
        "versions of python-dotenv disagree about its value. Write no backslash before a quote, and no # directly after \
         the ="
    } else if !bound.iter().all(|other| same(&bound[0], other)) {
        "its ${…} names a variable that this file and the environment give different values"
    } else if first.value.is_none() {
        "it has no value: write = after the name"
    } else if first.has_reference_in_single_quotes {
        "python-dotenv replaces ${…} in single quotes too, and Keyward 0.1.0 did not. Give the value in keyward.toml or, \
         if it is a secret, in a file (`keyward config example`)"
    } else if first.has_escape_in_single_quotes {
        "python-dotenv reads \\\\ and \\' in single quotes as one character, and Keyward 0.1.0 read two. Put the value in \
         double quotes, with \\\\ for each backslash"
    } else if value.contains('\0') {
        "its value has a NUL character"
    } else {
        if bound.iter().flatten().any(|bound| bound.is_unresolved) {
            let message = format!(
                "{name}: its ${{…}} names a variable that is not set, and stands for nothing"
            );
            read.warn(line, message, "Set that variable, or remove the reference");
        }
        return read.variables.push(Variable {
            name: name.to_owned(),
            value: value.to_owned(),
            line,
        });
    };
    read.refuse(line, format!("{name}: {refused}"));
}

/// Refuses lines that name a wanted variable and give it no value, and warns about lines that nobody can read.
fn look_for_unread_names(text: &str, statements: &[Statement], read: &mut Read) {
    let lines: Vec<&str> = text.split('\n').collect();
    for statement in statements {
        let part = &lines[statement.line - 1..statement.last_line];
        let numbered = (statement.line..).zip(part);
        match &statement.binding {
            Some(binding) => {
                look_at_spelling(statement.line, binding, read);
                for (line, name) in numbered
                    .skip(1)
                    .filter_map(|(at, line)| Some((at, assigned(line)?)))
                {
                    let opened = statement.line;
                    read.refuse(
                        line,
                        format!(
                            "{name} is not read: it stands within the quotes that are opened on line {opened}. Close \
                             them before this line"
                        ),
                    );
                }
            }
            None => {
                let found = numbered
                    .filter(|(_, line)| !line.trim_start().starts_with('#'))
                    .find_map(|(at, line)| Some((at, words(line).find(|name| is_wanted(name))?)));
                match found {
                    Some((line, name)) => read.refuse(
                        line,
                        format!(
                            "{name} is not read: write NAME=VALUE, with nothing but `export` before the name, and close \
                             every quote"
                        ),
                    ),
                    None => read.warn(
                        statement.line,
                        "is not NAME=VALUE and is not read",
                        "Correct it, or begin it with #",
                    ),
                }
            }
        }
    }
}

/// Refuses a name in quotes and the like, and warns about one in lower case.
fn look_at_spelling(line: usize, Binding { name, value, .. }: &Binding, read: &mut Read) {
    if is_wanted(name) {
        return;
    }
    // Such as `$env:PORT=8080` and, without a value, `PORT:8080`.
    let is_marked = name.starts_with(is_mark) || name.ends_with(is_mark) || value.is_none();
    if is_marked && let Some(meant) = words(name).find(|word| is_wanted(word)) {
        let message =
            format!("{meant} is not read: write {meant}=VALUE, with the name alone before the =");
        return read.refuse(line, message);
    }
    let upper = name.to_ascii_uppercase();
    if is_wanted(&upper) {
        let message = format!("{name} is not read: names are compared with case");
        read.warn(
            line,
            message,
            &format!("If it is meant for Keyward, write {upper}"),
        );
    }
}

fn is_mark(char: char) -> bool {
    !char.is_alphanumeric() && char != '_'
}

/// The words of a line that could be names.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(is_mark).filter(|word| !word.is_empty())
}

/// The wanted name that a line gives a value.
fn assigned(line: &str) -> Option<&str> {
    let (name, _) = line.trim_start().split_once('=')?;
    let name = name.trim_end();
    let name = name.strip_prefix("export ").unwrap_or(name).trim_start();
    is_wanted(name).then_some(name)
}

/// Whether a variable is wanted.
enum Wanted {
    Yes,
    /// It has our prefix, and is probably meant for somebody else.
    Perhaps,
    No,
}

fn wanted(name: &str, value: &str) -> Wanted {
    match names::classify(name, value) {
        names::Variable::Foreign => Wanted::No,
        names::Variable::Unknown(_) => Wanted::Perhaps,
        _ => Wanted::Yes,
    }
}

fn is_wanted(name: &str) -> bool {
    matches!(wanted(name, ""), Wanted::Yes)
}

/// Which value a reference takes where the file and the environment both have one: `load_dotenv()` takes that of the
/// environment, and `load_dotenv(override=True)` that of the file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Precedence {
    Environment,
    File,
}

/// The variables of the file, as one version of python-dotenv reads them.
struct Reading {
    bound: BTreeMap<String, Bound>,
}

/// The last binding of a name.
#[derive(Clone, Debug)]
struct Bound {
    value: Option<String>,
    line: usize,
    /// Its value has a reference to a variable that is not set, without a default.
    is_unresolved: bool,
    has_reference_in_single_quotes: bool,
    has_escape_in_single_quotes: bool,
}

impl Reading {
    fn of(
        statements: &[Statement],
        precedence: Precedence,
        environment: &[(OsString, OsString)],
    ) -> Self {
        let mut reading = Self {
            bound: BTreeMap::new(),
        };
        for statement in statements {
            let Some(binding) = &statement.binding else {
                continue;
            };
            let pieces = binding.value.as_deref().map(expand::pieces);
            let pieces = pieces.unwrap_or_default();
            let has_reference = pieces
                .iter()
                .any(|piece| matches!(piece, Piece::Reference { .. }));
            let mut is_unresolved = false;
            let expanded = pieces.into_iter().map(|piece| match piece {
                Piece::Text(text) => text.to_owned(),
                Piece::Reference { name, default } => {
                    let found = reading.find(name, precedence, environment);
                    is_unresolved |= found.is_none() && default.is_none();
                    is_unresolved |= environment
                        .iter()
                        .any(|(other, value)| other == name && value.to_str().is_none());
                    found.unwrap_or_else(|| default.unwrap_or_default().to_owned())
                }
            });
            let expanded: String = expanded.collect();
            let bound = Bound {
                value: binding.value.as_ref().map(|_| expanded),
                line: statement.line,
                is_unresolved,
                has_reference_in_single_quotes: binding.is_in_single_quotes && has_reference,
                has_escape_in_single_quotes: binding.has_escape_in_single_quotes,
            };
            reading.bound.insert(binding.name.clone(), bound);
        }
        reading
    }

    /// The value that a reference yields, or `None` where no such variable is set.
    fn find(
        &self,
        name: &str,
        precedence: Precedence,
        environment: &[(OsString, OsString)],
    ) -> Option<String> {
        // A name without a value counts as one that is set.
        let in_file = || Some(self.bound.get(name)?.value.clone().unwrap_or_default());
        let outside = || {
            let found = environment.iter().rfind(|(other, _)| other == name);
            found.map(|(_, value)| value.to_string_lossy().into_owned())
        };
        match precedence {
            Precedence::Environment => outside().or_else(in_file),
            Precedence::File => in_file().or_else(outside),
        }
    }
}

#[cfg(test)]
mod tests;
