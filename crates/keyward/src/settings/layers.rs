//! The layers that settings are gathered from, the later over the earlier: defaults, the file, `.env`,
//! the environment, flags.
//!
//! Invariant: a name that was meant as a setting and is none is refused. One that was probably meant for somebody else
//! is warned about.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use keyward_core::secret::SecretText;
use toml::de::{DeTable, DeValue};

use super::declare::Setting;
use super::dotenv;
use super::error::{SettingError, Topic, Warning};
use super::files::{TextFile, line_of};
use super::names::{self, Variable, find, settings, variable_of};
use super::sources::{Flags, Origin, Surroundings};
use super::value::{Raw, Value};

/// The file that is read where no other is named.
const FILE: &str = "keyward.toml";

/// The value of each setting, and where it comes from.
pub(crate) struct Layers {
    entries: BTreeMap<&'static str, (Raw, Origin)>,
    /// The key, former or not, under which the present layer gives a setting.
    spelt: BTreeMap<&'static str, &'static str>,
    /// Everything that is not a setting or cannot be read at all.
    pub(crate) errors: Vec<SettingError>,
    /// What is unsafe or out of date.
    pub(crate) warnings: Vec<Warning>,
    /// The folder at which relative paths start.
    pub(crate) folder: PathBuf,
    /// The variables from which Amazon's tools take their credentials.
    pub(crate) amazon: Vec<(String, SecretText)>,
}

impl Layers {
    /// Gathers all layers, and what is wrong with them.
    pub(crate) fn gather(around: &Surroundings, flags: &Flags) -> Self {
        let mut layers = Self {
            entries: settings()
                .map(|s| (s.key, (default_of(s), Origin::Default)))
                .collect(),
            spelt: BTreeMap::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
            folder: around.folder.clone(),
            amazon: amazon(&around.variables),
        };
        layers.add_file(flags.config.as_deref());
        layers.add_dotenv(&around.variables);
        layers.add_environment(&around.variables);
        layers.spelt.clear();
        for (flag, key, value) in &flags.settings {
            if let Some(setting) = find(key) {
                layers.add_text(setting, key, value, Origin::Flag(flag));
            }
        }
        layers
    }

    /// A setting as its type.
    pub(crate) fn value<T: Value>(&self, key: &str) -> Result<T, SettingError> {
        let Some((setting, (raw, _))) = find(key).zip(self.entries.get(key)) else {
            return Err(SettingError::new(key, "is not a setting"));
        };
        T::read(raw).ok_or_else(|| {
            let shown = if setting.secret {
                String::new()
            } else {
                format!(" = {}", raw.to_toml())
            };
            self.error(
                key,
                format!("{key}{shown} must be {}", (setting.expected)()),
            )
        })
    }

    /// An error in the value of a setting, at the place that the value comes from.
    pub(crate) fn error(&self, key: &str, message: impl Into<String>) -> SettingError {
        SettingError::new(self.place(key), message)
    }

    /// The place that the value of a setting comes from.
    pub(crate) fn place(&self, key: &str) -> String {
        self.entries
            .get(key)
            .map_or(key.to_owned(), |(_, origin)| origin.to_string())
    }

    /// The variable of Amazon's tools of that name.
    pub(crate) fn amazon(&self, name: &str) -> Option<&SecretText> {
        let found = self.amazon.iter().find(|(given, _)| given == name);
        found.map(|(_, value)| value)
    }

    /// The raw value of a setting and its origin.
    pub(crate) fn entry(&self, setting: &Setting) -> Option<&(Raw, Origin)> {
        self.entries.get(setting.key)
    }

    fn add_file(&mut self, named: Option<&Path>) {
        let path = named.unwrap_or(Path::new(FILE));
        let shown = path.display().to_string();
        let file = match TextFile::read(&self.folder.join(path)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => return,
            Err(error) => {
                let message = format!("cannot be read: {error}; name another file with --config");
                return self.errors.push(SettingError::new(shown, message));
            }
        };
        let text = &file.text;
        let origin_of = |offset: usize| Origin::File {
            path: path.to_owned(),
            line: line_of(&text.as_bytes()[..offset.min(text.len())]),
        };
        match DeTable::parse(text) {
            Ok(table) => self.add_table("", table.get_ref(), &origin_of),
            // The message alone: the library's own text quotes the line, which may hold a secret.
            Err(error) => {
                let place = origin_of(error.span().map_or(0, |span| span.start));
                let message = format!("is not TOML: {}", error.message());
                self.errors.push(SettingError::new(place, message));
            }
        }
        let is_from_file = |origin: &Origin| matches!(origin, Origin::File { .. });
        let holds_secret = self.has_secret(is_from_file);
        self.warnings.extend(file.exposure(&shown, holds_secret));
    }

    fn add_table(&mut self, prefix: &str, table: &DeTable<'_>, origin: &dyn Fn(usize) -> Origin) {
        for (name, value) in table {
            let key = format!("{prefix}{}", name.get_ref());
            let here = || origin(name.span().start);
            match (names::find_any(&key), value.get_ref()) {
                (Some((setting, spelt)), value) => {
                    self.insert(setting, spelt, raw_of(value), here(), str::to_owned);
                }
                (None, DeValue::Table(inner)) if !inner.is_empty() || names::is_section(&key) => {
                    self.add_table(&format!("{key}."), inner, origin);
                }
                (None, _) => {
                    let nearest = names::nearest(&key).map(str::to_owned);
                    self.errors
                        .push(SettingError::unknown(here(), &key, nearest));
                }
            }
        }
    }

    fn add_dotenv(&mut self, environment: &[(OsString, OsString)]) {
        let file = match TextFile::read(&self.folder.join(dotenv::FILE)) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return,
            Err(error) => {
                let message = format!("cannot be read: {error}");
                return self.errors.push(SettingError::new(dotenv::FILE, message));
            }
        };
        let read = dotenv::read(&file.text, environment);
        self.errors.extend(read.errors);
        self.warnings.extend(read.warnings);
        let variables: Vec<_> = read
            .variables
            .into_iter()
            .map(|dotenv::Variable { name, value, line }| {
                let origin = Origin::DotEnv {
                    name: name.clone(),
                    line,
                };
                (name, value, origin)
            })
            .collect();
        self.add_variables(&variables);
        let holds_secret = self.has_secret(|origin| matches!(origin, Origin::DotEnv { .. }));
        self.warnings
            .extend(file.exposure(dotenv::FILE, holds_secret));
    }

    fn add_environment(&mut self, environment: &[(OsString, OsString)]) {
        let mut variables = Vec::new();
        for (name, value) in environment {
            let Some(name) = name.to_str() else { continue };
            let origin = Origin::Environment(name.to_owned());
            if let Some(value) = value.to_str() {
                variables.push((name.to_owned(), value.to_owned(), origin));
            } else if names::is_ours(name, "") {
                self.errors.push(SettingError::new(origin, "is not UTF-8"));
            }
        }
        self.add_variables(&variables);
    }

    /// Adds a layer of variables: those of the replaced services first, so that ours win over them.
    fn add_variables(&mut self, variables: &[(String, String, Origin)]) {
        self.spelt.clear();
        for (name, value, origin) in variables {
            match names::classify(name, value) {
                Variable::Port => self.add_port(value, origin.clone()),
                Variable::Replaced(setting) => {
                    self.add_text(setting, setting.key, value, origin.clone());
                    self.spelt.clear();
                }
                _ => {}
            }
        }
        for (name, value, origin) in variables {
            match names::classify(name, value) {
                Variable::Setting(setting, spelt) => {
                    self.add_text(setting, spelt, value, origin.clone());
                }
                Variable::Misspelt(nearest) => {
                    self.errors
                        .push(SettingError::unknown(origin, name, nearest));
                }
                Variable::Unknown(nearest) => {
                    let message = format!("{name} is not a setting and is not read");
                    let advice = match nearest {
                        Some(nearest) => format!("If it is meant for Keyward, write {nearest}"),
                        None => "If it is meant for Keyward, see `keyward config example`".into(),
                    };
                    let warning = Warning::new(Topic::Names, origin, message, advice);
                    self.warnings.push(warning);
                }
                Variable::Port | Variable::Replaced(_) | Variable::Foreign => {}
            }
        }
    }

    fn add_port(&mut self, value: &str, origin: Origin) {
        let Ok(port) = value.parse() else {
            let message = format!("{value:?} must be a port number, 0 to 65535");
            return self.errors.push(SettingError::new(origin, message));
        };
        // An address that cannot be read stays as it is, and is reported with its own origin.
        if let Ok(mut address) = self.value::<SocketAddr>("listen") {
            address.set_port(port);
            let raw = Raw::Text(address.to_string());
            self.entries.insert("listen", (raw, origin));
        }
    }

    fn add_text(
        &mut self,
        setting: &'static Setting,
        spelt: &'static str,
        text: &str,
        origin: Origin,
    ) {
        if setting.secret && text.is_empty() {
            let key = setting.key;
            let message = format!("is empty, and {key} must not be: give it a value, or unset it");
            return self.errors.push(SettingError::new(origin, message));
        }
        // A value of another type is kept as text, which the setting's own type then refuses.
        let raw = Raw::coerce(text, &default_of(setting)).unwrap_or(Raw::Text(text.to_owned()));
        self.insert(setting, spelt, raw, origin, variable_of);
    }

    /// Adds the value of a setting that the present layer spells `spelt`; `name_of` gives the name of a key there.
    fn insert(
        &mut self,
        setting: &'static Setting,
        spelt: &'static str,
        raw: Raw,
        origin: Origin,
        name_of: fn(&str) -> String,
    ) {
        let key = setting.key;
        let already = self.spelt.insert(key, spelt);
        if already.is_some_and(|already| already != spelt)
            && self
                .entries
                .get(key)
                .is_some_and(|(given, _)| *given != raw)
        {
            let (other, one) = (name_of(already.unwrap_or(key)), name_of(spelt));
            let message = format!(
                "{one} and {other} are two names of one setting, with different values: keep {} alone",
                name_of(key)
            );
            self.errors.push(SettingError::new(&origin, message));
        }
        if spelt != key {
            let message = format!("{} is an old name", name_of(spelt));
            let advice = format!("Write {} instead", name_of(key));
            let warning = Warning::new(Topic::Names, &origin, message, advice);
            self.warnings.push(warning);
        }
        self.entries.insert(key, (raw, origin));
    }

    /// Whether a secret comes from an origin of this kind.
    fn has_secret(&self, kind: fn(&Origin) -> bool) -> bool {
        let is_secret = |setting: &Setting| match self.entries.get(setting.key) {
            // The name of a SQLite file is none.
            Some((Raw::Text(text), origin)) => {
                kind(origin) && !text.is_empty() && !text.starts_with("sqlite:")
            }
            _ => false,
        };
        settings().any(|setting| setting.secret && is_secret(setting))
    }
}

/// The variables that Amazon's tools read too, as far as they are text.
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
