//! The types a setting can have: how each is read, and what to say of a value that it refuses.

mod metrics_listen;
mod sign_ups;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use keyward_core::secret::SecretText;
use keyward_jose::Algorithm;
use keyward_server::address::TrustedProxies;
use keyward_server::hosts::HostList;
use keyward_store::postgres;
use tracing_subscriber::EnvFilter;

pub(crate) use self::metrics_listen::MetricsListen;

/// A value as a layer gives it, before its setting's type is applied.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Raw {
    Text(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<String>),
    /// A TOML type that no setting has.
    Foreign,
}

impl Raw {
    /// Reads text from outside a file as what `like` is: a list is separated by commas.
    pub(crate) fn coerce(text: &str, like: &Self) -> Option<Self> {
        match like {
            Self::Text(_) => Some(Self::Text(text.to_owned())),
            Self::Integer(_) => text.parse().ok().map(Self::Integer),
            Self::Boolean(_) => text.parse().ok().map(Self::Boolean),
            Self::List(_) => {
                let items = text
                    .split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty());
                Some(Self::List(items.map(str::to_owned).collect()))
            }
            Self::Foreign => None,
        }
    }

    /// The value as it stands in a TOML file.
    pub(crate) fn to_toml(&self) -> String {
        match self {
            Self::Text(text) => toml::Value::from(text.as_str()).to_string(),
            Self::Integer(number) => number.to_string(),
            Self::Boolean(truth) => truth.to_string(),
            Self::List(items) => toml::Value::from(items.clone()).to_string(),
            Self::Foreign => "…".to_owned(),
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// A type that a setting can have.
pub(crate) trait Value: Sized {
    /// Whether it is kept out of everything that is printed.
    const SECRET: bool = false;

    /// What is allowed, to follow "must be".
    fn expected() -> String;

    /// The value, if it is allowed.
    fn read(raw: &Raw) -> Option<Self>;
}

impl Value for bool {
    fn expected() -> String {
        "true or false".into()
    }

    fn read(raw: &Raw) -> Option<Self> {
        match raw {
            Raw::Boolean(truth) => Some(*truth),
            _ => None,
        }
    }
}

/// A whole number from `LEAST` to `MOST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count<const LEAST: u32, const MOST: u32>(pub(crate) u32);

impl<const LEAST: u32, const MOST: u32> Count<LEAST, MOST> {
    pub(crate) fn size(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<const LEAST: u32, const MOST: u32> Value for Count<LEAST, MOST> {
    fn expected() -> String {
        format!("a whole number from {LEAST} to {MOST}")
    }

    fn read(raw: &Raw) -> Option<Self> {
        match raw {
            Raw::Integer(number) => u32::try_from(*number)
                .ok()
                .filter(|number| (LEAST..=MOST).contains(number))
                .map(Self),
            _ => None,
        }
    }
}

/// Text with at least one character that shows.
impl Value for String {
    fn expected() -> String {
        "a text that is not empty".into()
    }

    fn read(raw: &Raw) -> Option<Self> {
        raw.text()
            .filter(|text| !text.trim().is_empty())
            .map(str::to_owned)
    }
}

impl Value for PathBuf {
    fn expected() -> String {
        "a path".into()
    }

    fn read(raw: &Raw) -> Option<Self> {
        Option::<Self>::read(raw).flatten()
    }
}

/// A path that may be left out: the empty text.
impl Value for Option<PathBuf> {
    fn expected() -> String {
        "a path, or empty".into()
    }

    fn read(raw: &Raw) -> Option<Self> {
        let text = raw.text()?;
        if text.contains('\0') {
            return None;
        }
        Some((!text.is_empty()).then(|| text.into()))
    }
}

/// A text that may be left out: the empty one.
impl Value for Option<String> {
    fn expected() -> String {
        "a text, or empty".into()
    }

    fn read(raw: &Raw) -> Option<Self> {
        let text = raw.text()?;
        Some((!text.is_empty()).then(|| text.to_owned()))
    }
}

/// A secret that may be left out: the empty text.
impl Value for Option<SecretText> {
    const SECRET: bool = true;

    fn expected() -> String {
        "a text, or empty".into()
    }

    fn read(raw: &Raw) -> Option<Self> {
        let text = raw.text()?;
        Some((!text.is_empty()).then(|| SecretText::new(text.to_owned())))
    }
}

impl Value for SocketAddr {
    fn expected() -> String {
        "an IP address and a port, such as \"127.0.0.1:5000\" or \"[::1]:0\"".into()
    }

    fn read(raw: &Raw) -> Option<Self> {
        raw.text()?.parse().ok()
    }
}

/// An address that may be left out: the empty text.
impl Value for Option<SocketAddr> {
    fn expected() -> String {
        format!("{}, or empty", SocketAddr::expected())
    }

    fn read(raw: &Raw) -> Option<Self> {
        match raw.text()? {
            "" => Some(None),
            _ => SocketAddr::read(raw).map(Some),
        }
    }
}

impl Value for Algorithm {
    fn expected() -> String {
        "\"HS256\", \"HS384\" or \"HS512\"".into()
    }

    fn read(raw: &Raw) -> Option<Self> {
        Self::from_name(raw.text()?).filter(|algorithm| algorithm.is_hmac())
    }
}

/// A span of time of at least `LEAST` seconds: a whole number and one of `ms`, `s`, `m`, `h`, `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span<const LEAST: u64 = 0>(pub(crate) Duration);

/// A century: beyond any use, and it keeps every sum of times within its range.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 86_400);

impl<const LEAST: u64> Span<LEAST> {
    /// Reads `10m` and the like.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (number, unit) = text.split_at(text.find(|char: char| !char.is_ascii_digit())?);
        let number: u64 = number.parse().ok()?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        let span = Duration::from_millis(number.checked_mul(millis)?);
        (Duration::from_secs(LEAST)..=LONGEST)
            .contains(&span)
            .then_some(Self(span))
    }
}

impl<const LEAST: u64> Value for Span<LEAST> {
    fn expected() -> String {
        format!("a time from {LEAST}s to 100 years, such as \"30s\", \"10m\", \"12h\" or \"30d\"")
    }

    fn read(raw: &Raw) -> Option<Self> {
        Self::parse(raw.text()?)
    }
}

/// A number of bytes: a whole number and one of `B`, `KiB`, `MiB`, `GiB`, `TiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

impl Value for Size {
    fn expected() -> String {
        "a size from \"1B\" up, such as \"64KiB\", \"100MiB\" or \"1GiB\"".into()
    }

    fn read(raw: &Raw) -> Option<Self> {
        let text = raw.text()?;
        let (number, unit) = text.split_at(text.find(|char: char| !char.is_ascii_digit())?);
        let shift = match unit {
            "B" => 0,
            "KiB" => 10,
            "MiB" => 20,
            "GiB" => 30,
            "TiB" => 40,
            _ => return None,
        };
        let bytes = number.parse::<u64>().ok()?.checked_mul(1 << shift)?;
        // SQLite and Content-Length both stop at 63 bits.
        (1..=i64::MAX.unsigned_abs())
            .contains(&bytes)
            .then_some(Self(bytes))
    }
}

/// A number of bytes of memory, from 32 MiB up: half of it must hold a part of a file on its way to S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget(pub(crate) u64);

impl Value for Budget {
    fn expected() -> String {
        "a size from \"32MiB\" up, such as \"64MiB\" or \"1GiB\"".into()
    }

    fn read(raw: &Raw) -> Option<Self> {
        let Size(bytes) = Size::read(raw)?;
        (bytes >= 32 << 20).then_some(Self(bytes))
    }
}

/// Where the rows are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Database {
    /// SQLite, in the data folder.
    InDataDir,
    /// SQLite, in a file of its own.
    Sqlite(PathBuf),
    /// PostgreSQL, by its URL, which may hold a password.
    Postgres(SecretText),
}

impl Value for Database {
    const SECRET: bool = true;

    fn expected() -> String {
        "empty for SQLite in the data folder, \"sqlite:PATH\", or \
         \"postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full\", in which special characters \
         are percent-encoded"
            .into()
    }

    fn read(raw: &Raw) -> Option<Self> {
        match raw.text()? {
            "" => Some(Self::InDataDir),
            url if postgres::check_url(url).is_ok() => {
                Some(Self::Postgres(SecretText::new(url.to_owned())))
            }
            text => match text.strip_prefix("sqlite:")? {
                "" | ":memory:" => None,
                path => (!path.contains('\0')).then(|| Self::Sqlite(path.into())),
            },
        }
    }
}

impl Value for TrustedProxies {
    fn expected() -> String {
        "a list of IP addresses and networks, such as [\"10.0.0.0/8\", \"::1\"]".into()
    }

    fn read(raw: &Raw) -> Option<Self> {
        match raw {
            Raw::List(items) => Self::parse(items).ok(),
            _ => None,
        }
    }
}

impl Value for HostList {
    fn expected() -> String {
        "a list of hosts without ports, such as [\"keyward.example.org\", \"*.example.org\"]".into()
    }

    fn read(raw: &Raw) -> Option<Self> {
        match raw {
            Raw::List(items) => Self::parse(items).ok(),
            _ => None,
        }
    }
}

/// What the log lets through, in the language of `tracing`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogFilter(pub(crate) String);

impl Value for LogFilter {
    fn expected() -> String {
        "off, error, warn, info, debug, trace, or a filter such as \
         \"info,keyward_server=debug\""
            .into()
    }

    fn read(raw: &Raw) -> Option<Self> {
        let text = raw.text().filter(|text| !text.trim().is_empty())?;
        EnvFilter::try_new(text).ok().map(|_| Self(text.to_owned()))
    }
}

/// How a line of the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people on a terminal, for programs elsewhere.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line, for programs.
    Json,
}

impl Value for LogFormat {
    fn expected() -> String {
        "\"auto\", \"text\" or \"json\"".into()
    }

    fn read(raw: &Raw) -> Option<Self> {
        match raw.text()? {
            "auto" => Some(Self::Auto),
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
