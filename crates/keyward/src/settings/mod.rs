//! Settings: gathered from their layers, read once into the policies that the rest of the program takes.

mod declare;
mod dotenv;
mod layers;
mod list;
mod policy;
mod print;
mod secret;
mod storage;
mod value;

use std::fmt;

pub(crate) use self::layers::{Flags, Layers, Surroundings};
pub(crate) use self::policy::{Log, Settings};
pub(crate) use self::print::{example, show, show_json};
pub(crate) use self::storage::Storage;
pub(crate) use self::value::{Database, LogFormat, Span};

/// Something wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    place: String,
    message: String,
}

impl Problem {
    fn new(place: &str, message: impl Into<String>) -> Self {
        Self {
            place: place.to_owned(),
            message: message.into(),
        }
    }

    fn unknown(place: &str, name: &str, nearest: Option<String>) -> Self {
        let hint = match nearest {
            Some(nearest) => format!("did you mean {nearest}?"),
            None => "see `keyward config example`".to_owned(),
        };
        Self::new(place, format!("{name} is not a setting; {hint}"))
    }
}

/// Everything that is wrong with the settings, at least one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    /// Fails unless there is nothing wrong.
    fn none_of(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Self(problems))
        }
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings are not usable:")?;
        for Problem { place, message } in &self.0 {
            write!(f, "\n  {place}: {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests;
