//! Where settings come from: the working folder, the environment, the command line.
//!
//! Invariant: the process's own environment is read in one place, and passed on as a parameter.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// The surroundings of the process: a parameter, so that tests need not change the process's own.
#[derive(Default)]
pub(crate) struct Surroundings {
    /// The working folder; empty for the process's own.
    pub(crate) folder: PathBuf,
    /// The environment.
    pub(crate) variables: Vec<(OsString, OsString)>,
}

impl Surroundings {
    /// Those of this process.
    pub(crate) fn of_process() -> Self {
        Self {
            folder: PathBuf::new(),
            variables: std::env::vars_os().collect(),
        }
    }
}

/// The settings of the command line.
#[derive(Default)]
pub(crate) struct Flags {
    /// The settings file, which must then exist.
    pub(crate) config: Option<PathBuf>,
    /// Flag, key and value of each setting that is given.
    pub(crate) settings: Vec<(&'static str, &'static str, String)>,
}

impl Flags {
    /// Adds a flag that was given.
    pub(crate) fn add(&mut self, flag: &'static str, key: &'static str, value: Option<&str>) {
        self.settings
            .extend(value.map(|value| (flag, key, value.to_owned())));
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    File { path: PathBuf, line: usize },
    DotEnv { name: String, line: usize },
    Environment(String),
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::DotEnv { name, line } => write!(f, ".env:{line} ({name})"),
            Self::Environment(name) => write!(f, "the variable {name}"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}
