//! The layers that settings are gathered from, the later over the earlier: defaults, the file, `.env`,
//! the environment, flags.
//!
//! Invariant: nothing that looks like a setting and is none passes unnoticed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use keyward_core::secret::SecretText;
use toml::de::{DeTable, DeValue};

use super::declare::Setting;
use super::list::SECTIONS;
use super::value::{Raw, Value};
use super::{Problem, dotenv};

/// The file that is read where no other is named.
const FILE: &str = "keyward.toml";
/// What begins the variables that are settings.
const PREFIX: &str = "KEYWARD_";
/// The variables that the replaced services read, and what they are here.
const ALIASES: [(&str, &str); 2] = [
    ("JWT_SECRET", "tokens.secret"),
    ("JWT_ALGO", "tokens.algorithm"),
];
/// The variable that the replaced services read their port from.
const PORT: &str = "PORT";

/// What surrounds the process: a parameter, so that tests need not change the process's own.
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

/// What the command line says about settings.
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
pub(crate) enum Source {
    Default,
    File { path: PathBuf, line: usize },
    DotEnv(String),
    Environment(String),
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::DotEnv(name) => write!(f, "{name} in .env"),
            Self::Environment(name) => write!(f, "the variable {name}"),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// The value of each setting, and where it comes from.
pub(crate) struct Layers {
    entries: BTreeMap<&'static str, (Raw, Source)>,
    /// Everything that is not a setting or cannot be read at all.
    pub(crate) problems: Vec<Problem>,
    /// What relative paths begin at.
    pub(crate) folder: PathBuf,
    /// The variables by which Amazon's tools are told who a machine is.
    pub(crate) amazon: Vec<(String, SecretText)>,
}

impl Layers {
    /// Gathers all layers, and what is wrong with them.
    pub(crate) fn gather(around: &Surroundings, flags: &Flags) -> Self {
        let mut layers = Self {
            entries: settings()
                .map(|s| (s.key, (default_of(s), Source::Default)))
                .collect(),
            problems: Vec::new(),
            folder: around.folder.clone(),
            amazon: amazon(&around.variables),
        };
        layers.add_file(around, flags.config.as_deref());
        let (variables, problems) = dotenv::read(&around.folder, is_ours);
        layers.problems.extend(problems);
        layers.add_variables(&variables, Source::DotEnv);
        let variables = layers.readable(&around.variables);
        layers.add_variables(&variables, Source::Environment);
        for (flag, key, value) in &flags.settings {
            layers.add_text(key, value, Source::Flag(flag));
        }
        layers
    }

    /// A setting as its type.
    pub(crate) fn value<T: Value>(&self, key: &str) -> Result<T, Problem> {
        let Some((setting, (raw, _))) = find(key).zip(self.entries.get(key)) else {
            return Err(Problem::new(key, "is not a setting"));
        };
        T::read(raw).ok_or_else(|| {
            let shown = if setting.secret {
                String::new()
            } else {
                format!(" = {}", raw.to_toml())
            };
            self.problem(
                key,
                format!("{key}{shown} must be {}", (setting.expected)()),
            )
        })
    }

    /// A problem with the value of a setting, which names where that comes from.
    pub(crate) fn problem(&self, key: &str, message: impl Into<String>) -> Problem {
        let place = self
            .entries
            .get(key)
            .map_or(key.to_owned(), |(_, source)| source.to_string());
        Problem::new(&place, message)
    }

    /// The variable of Amazon's tools of that name.
    pub(crate) fn amazon(&self, name: &str) -> Option<&SecretText> {
        let found = self.amazon.iter().find(|(given, _)| given == name);
        found.map(|(_, value)| value)
    }

    /// The raw value of a setting and its source.
    pub(crate) fn entry(&self, setting: &Setting) -> Option<&(Raw, Source)> {
        self.entries.get(setting.key)
    }

    fn add_file(&mut self, around: &Surroundings, named: Option<&Path>) {
        let shown = named.unwrap_or(Path::new(FILE));
        let text = match std::fs::read_to_string(around.folder.join(shown)) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => return,
            Err(error) => {
                let message = format!("cannot be read: {error}; name another file with --config");
                return self
                    .problems
                    .push(Problem::new(&shown.display().to_string(), message));
            }
        };
        let line_of = |offset: usize| Source::File {
            path: shown.to_owned(),
            line: text.as_bytes()[..offset.min(text.len())]
                .iter()
                .filter(|b| **b == b'\n')
                .count()
                + 1,
        };
        match DeTable::parse(&text) {
            Ok(table) => self.add_table("", table.get_ref(), &line_of),
            // The message alone: the library's own text quotes the line, which may hold a secret.
            Err(error) => {
                let place = line_of(error.span().map_or(0, |span| span.start)).to_string();
                self.problems.push(Problem::new(
                    &place,
                    format!("is not TOML: {}", error.message()),
                ));
            }
        }
    }

    fn add_table(&mut self, prefix: &str, table: &DeTable<'_>, source: &dyn Fn(usize) -> Source) {
        for (name, value) in table {
            let key = format!("{prefix}{}", name.get_ref());
            let source_here = || source(name.span().start);
            match (find(&key), value.get_ref()) {
                (Some(setting), value) => {
                    self.entries
                        .insert(setting.key, (raw_of(value), source_here()));
                }
                (None, DeValue::Table(inner)) if !inner.is_empty() || is_section(&key) => {
                    self.add_table(&format!("{key}."), inner, source);
                }
                (None, _) => {
                    let hint = nearest(&key).map(|setting| setting.key.to_owned());
                    self.problems
                        .push(Problem::unknown(&source_here().to_string(), &key, hint));
                }
            }
        }
    }

    /// The variables that concern us, as text.
    fn readable(&mut self, variables: &[(OsString, OsString)]) -> Vec<(String, String)> {
        let mut ours = Vec::new();
        for (name, value) in variables {
            let Some(name) = name.to_str().filter(|name| is_ours(name)) else {
                continue;
            };
            match value.to_str() {
                Some(value) => ours.push((name.to_owned(), value.to_owned())),
                None => self.problems.push(Problem::new(name, "is not UTF-8")),
            }
        }
        ours
    }

    /// Adds variables, those of the replaced services first, so that ours win over them.
    fn add_variables(&mut self, variables: &[(String, String)], source: fn(String) -> Source) {
        for (name, value) in variables {
            if name == PORT {
                self.add_port(value, source(name.clone()));
            } else if let Some((_, key)) = ALIASES.iter().find(|(alias, _)| alias == name) {
                self.add_text(key, value, source(name.clone()));
            }
        }
        for (name, value) in variables {
            let Some(rest) = name.strip_prefix(PREFIX) else {
                continue;
            };
            let key = rest.to_ascii_lowercase().replace("__", ".");
            // One spelling each, so that of two that differ in case neither is silently preferred.
            if find(&key).is_some_and(|setting| variable_of(setting) == *name) {
                self.add_text(&key, value, source(name.clone()));
            } else {
                let hint = nearest(&key).map(variable_of);
                self.problems.push(Problem::unknown(
                    &source(name.clone()).to_string(),
                    name,
                    hint,
                ));
            }
        }
    }

    fn add_port(&mut self, value: &str, source: Source) {
        let Ok(port) = value.parse() else {
            let message = format!("{value:?} must be a port number, 0 to 65535");
            return self
                .problems
                .push(Problem::new(&source.to_string(), message));
        };
        // An address that cannot be read stays as it is, and is reported with its own source.
        if let Ok(mut address) = self.value::<SocketAddr>("listen") {
            address.set_port(port);
            self.add_text("listen", &address.to_string(), source);
        }
    }

    fn add_text(&mut self, key: &str, text: &str, source: Source) {
        let Some(setting) = find(key) else { return };
        if setting.secret && text.is_empty() {
            let message = format!("is empty, and {key} must not be: give it a value, or unset it");
            return self
                .problems
                .push(Problem::new(&source.to_string(), message));
        }
        // What cannot be coerced is kept as text, which the setting's type then refuses.
        let raw = Raw::coerce(text, &default_of(setting)).unwrap_or(Raw::Text(text.to_owned()));
        self.entries.insert(setting.key, (raw, source));
    }
}

/// Every setting, in the order of the list.
pub(crate) fn settings() -> impl Iterator<Item = &'static Setting> {
    SECTIONS.iter().flat_map(|section| section.settings)
}

/// The variable that gives a setting.
pub(crate) fn variable_of(setting: &Setting) -> String {
    format!(
        "{PREFIX}{}",
        setting.key.replace('.', "__").to_ascii_uppercase()
    )
}

fn find(key: &str) -> Option<&'static Setting> {
    settings().find(|setting| setting.key == key)
}

fn is_section(key: &str) -> bool {
    SECTIONS
        .iter()
        .any(|section| section.prefix.strip_suffix('.') == Some(key))
}

/// What Amazon's tools read too, as far as it is text.
fn amazon(variables: &[(OsString, OsString)]) -> Vec<(String, SecretText)> {
    let text = |(name, value): &(OsString, OsString)| {
        Some((name.to_str()?.to_owned(), value.to_str()?.to_owned()))
    };
    variables
        .iter()
        .filter_map(text)
        .filter(|(name, value)| name.starts_with("AWS_") && !value.is_empty())
        .map(|(name, value)| (name, SecretText::new(value)))
        .collect()
}

/// Whether a variable is one that settings are read from.
///
/// Kubernetes adds variables for each service: beside one called `keyward` there are
/// `KEYWARD_SERVICE_HOST`, `KEYWARD_PORT_5000_TCP` and more, which are no settings.
fn is_ours(name: &str) -> bool {
    let service_link = name.strip_prefix(PREFIX).is_some_and(|rest| {
        rest == PORT || rest.starts_with("PORT_") || rest.starts_with("SERVICE_")
    });
    let alias = name == PORT || ALIASES.iter().any(|(alias, _)| *alias == name);
    alias || (name.starts_with(PREFIX) && !service_link)
}

/// The setting that was probably meant.
fn nearest(key: &str) -> Option<&'static Setting> {
    let name = key.rsplit('.').next().unwrap_or(key);
    let distance = |setting: &Setting| match setting.name == name {
        true => 0,
        false => strsim::damerau_levenshtein(key, setting.key),
    };
    settings()
        .min_by_key(|setting| distance(setting))
        .filter(|setting| distance(setting) <= 1 + key.len() / 5)
}

fn default_of(setting: &Setting) -> Raw {
    DeValue::parse(setting.default).map_or(Raw::Foreign, |value| raw_of(value.get_ref()))
}

fn raw_of(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Raw::Foreign, Raw::Integer)
        }
        DeValue::Boolean(truth) => Raw::Boolean(*truth),
        DeValue::Array(items) => items
            .iter()
            .map(|item| match item.get_ref() {
                DeValue::String(text) => Some(text.to_string()),
                _ => None,
            })
            .collect::<Option<_>>()
            .map_or(Raw::Foreign, Raw::List),
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => Raw::Foreign,
    }
}
