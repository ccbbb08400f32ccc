//! The database URL: the connection options for `tokio-postgres`, and how the connection is protected.

use std::path::PathBuf;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// Which certificate the server must present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Any certificate. The encryption protects against eavesdroppers, not against an active attacker.
    Any,
    /// One for the host's name, issued by an authority that the operating system trusts.
    System,
    /// One for the host's name, issued by an authority in this PEM file.
    File(PathBuf),
}

/// The address of the database and how to connect to it.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) config: Config,
    pub(super) trust: Trust,
}

/// Why a URL is refused. The text never quotes the URL, which may contain a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The URL cannot be parsed.
    #[error(
        "it is not of the form postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full, \
         with special characters percent-encoded"
    )]
    Form,
    /// The `sslmode` is unknown.
    #[error("sslmode must be disable, prefer, require or verify-full")]
    SslMode,
    /// An `sslrootcert` with an `sslmode` that verifies nothing.
    #[error("sslrootcert is used only with sslmode=verify-full")]
    UnusedRoot,
}

impl Address {
    /// Parses a URL. `sslmode` has the meaning of libpq: `prefer` (the default) and `require` encrypt without
    /// verifying the server, `verify-full` verifies it.
    pub(super) fn parse(url: &str) -> Result<Self, UrlError> {
        if !(url.starts_with("postgres://") || url.starts_with("postgresql://")) {
            return Err(UrlError::Form);
        }
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let (mut mode, mut root, mut rest) = (None, None, Vec::new());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value),
                Some(("sslrootcert", value)) => root = Some(percent_decode(value)?),
                _ => rest.push(pair),
            }
        }
        let (ssl_mode, verifies) = match mode.unwrap_or("prefer") {
            "disable" => (SslMode::Disable, false),
            "prefer" => (SslMode::Prefer, false),
            "require" => (SslMode::Require, false),
            "verify-full" => (SslMode::Require, true),
            _ => return Err(UrlError::SslMode),
        };
        let trust = match (verifies, root) {
            (false, None) => Trust::Any,
            (false, Some(_)) => return Err(UrlError::UnusedRoot),
            (true, None) => Trust::System,
            (true, Some(file)) => Trust::File(file.into()),
        };
        let mut config: Config = format!("{base}?{}", rest.join("&"))
            .parse()
            .map_err(|_| UrlError::Form)?;
        config.ssl_mode(ssl_mode);
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            config.host("localhost");
        }
        Ok(Self { config, trust })
    }

    /// The database for messages, without user and password.
    pub(super) fn name(&self) -> String {
        let hosts: Vec<String> = self
            .config
            .get_hosts()
            .iter()
            .map(|host| match host {
                Host::Tcp(name) => name.clone(),
                Host::Unix(path) => path.display().to_string(),
            })
            .chain(self.config.get_hostaddrs().iter().map(ToString::to_string))
            .collect();
        let database = self.config.get_dbname().or(self.config.get_user());
        format!("{} on {}", database.unwrap_or("?"), hosts.join(","))
    }
}

fn percent_decode(text: &str) -> Result<String, UrlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next(), rest.next()].map(|digit| digit.unwrap_or(0));
        let digits = str::from_utf8(&digits).map_err(|_| UrlError::Form)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| UrlError::Form)?);
    }
    String::from_utf8(bytes).map_err(|_| UrlError::Form)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> (SslMode, Trust) {
        let address = Address::parse(url).expect(url);
        (address.config.get_ssl_mode(), address.trust)
    }

    #[test]
    fn sslmode_says_what_is_encrypted_and_what_is_checked() {
        let url = "postgres://u:p@h/d";
        assert_eq!(parsed(url), (SslMode::Prefer, Trust::Any));
        let with = |query: &str| parsed(&format!("{url}?{query}"));
        assert_eq!(with("sslmode=disable"), (SslMode::Disable, Trust::Any));
        assert_eq!(
            with("connect_timeout=3&sslmode=require"),
            (SslMode::Require, Trust::Any)
        );
        assert_eq!(
            with("sslmode=verify-full"),
            (SslMode::Require, Trust::System)
        );
        assert_eq!(
            with("sslmode=verify-full&sslrootcert=%2Fetc%2Fa%20b.pem"),
            (SslMode::Require, Trust::File("/etc/a b.pem".into()))
        );
    }

    #[test]
    fn a_url_that_cannot_be_used_is_refused_without_a_word_of_it() {
        for (url, expected) in [
            ("sqlite:keyward.db", UrlError::Form),
            ("host=/run user=x", UrlError::Form),
            ("postgres://u:hunter2@h:port/d", UrlError::Form),
            (
                "postgres://u:p@h/d?sslmode=verify-full&sslrootcert=%zz",
                UrlError::Form,
            ),
            ("postgres://u:p@h/d?hunter2", UrlError::Form),
            ("postgres://u:p@h/d?sslmode=allow", UrlError::SslMode),
            (
                "postgres://u:p@h/d?sslmode=require&sslrootcert=/a",
                UrlError::UnusedRoot,
            ),
        ] {
            let refusal = Address::parse(url).expect_err(url);
            assert_eq!(refusal, expected, "{url}");
            assert!(!format!("{refusal} {refusal:?}").contains("hunter2"));
        }
    }

    #[test]
    fn the_name_of_a_database_tells_no_password() {
        let address = Address::parse("postgres://u:hunter2@h1,h2/d").expect("a URL");
        assert_eq!(address.name(), "d on h1,h2");
        assert!(!format!("{address:?}").contains("hunter2"));
    }
}
