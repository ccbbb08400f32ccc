//! What is wrong with the settings, and what is unsafe or out of date about them.
//!
//! Invariant: neither an error nor a warning contains the value of a secret.

use std::fmt;

/// One thing that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SettingError {
    place: String,
    message: String,
}

impl SettingError {
    /// An error at `place`, such as `keyward.toml:3`.
    pub(super) fn new(place: impl fmt::Display, message: impl Into<String>) -> Self {
        Self {
            place: place.to_string(),
            message: message.into(),
        }
    }

    /// A name that is not a setting.
    pub(super) fn unknown(place: impl fmt::Display, name: &str, nearest: Option<String>) -> Self {
        let hint = match nearest {
            Some(nearest) => format!("did you mean {nearest}?"),
            None => "`keyward config example` lists all settings".to_owned(),
        };
        Self::new(place, format!("{name} is not a setting; {hint}"))
    }
}

/// Everything that is wrong with the settings: at least one error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SettingsError(Vec<SettingError>);

impl SettingsError {
    /// Fails if there is an error.
    ///
    /// # Errors
    /// All of them.
    pub(super) fn none_of(errors: Vec<SettingError>) -> Result<(), Self> {
        if errors.is_empty() {
            Ok(())
        } else {
            Err(Self(errors))
        }
    }
}

impl From<SettingError> for SettingsError {
    fn from(error: SettingError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the settings cannot be used:")?;
        for SettingError { place, message } in &self.0 {
            write!(f, "\n  {place}: {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingsError {}

/// What a warning is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    /// A name that is out of date or not read.
    Names,
    /// A file that other users can read or change.
    Files,
    /// A secret that can be guessed, or that contains more than its author probably meant.
    Secrets,
    /// A network that should not be trusted.
    Proxies,
}

/// Something that works and should be changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Warning {
    pub(crate) topic: Topic,
    /// Where it is, such as `.env:3`, and what is wrong.
    pub(crate) found: String,
    /// What to do about it.
    pub(crate) advice: String,
}

impl Warning {
    pub(super) fn new(
        topic: Topic,
        place: impl fmt::Display,
        message: impl fmt::Display,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            topic,
            found: format!("{place}: {message}"),
            advice: advice.into(),
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}", self.found, self.advice)
    }
}
