//! Where traces are sent.
//!
//! Invariant: an error never contains the header, and the URL never holds a password.

use keyward_core::secret::SecretText;
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};

use super::error::{SettingError, Warning};
use super::layers::Layers;
use super::list;
use super::secret::Secret;

/// Where traces are sent, and what is sent.
pub(crate) struct Traces {
    /// The whole URL.
    pub(crate) endpoint: String,
    /// The name and the value of a header that authenticates Keyward.
    pub(crate) header: Option<(String, SecretText)>,
    /// The share of requests that are traced.
    pub(crate) sampling: f64,
    pub(crate) service_name: String,
}

/// `None` if nothing is traced.
pub(super) fn read(
    traces: list::Traces,
    layers: &Layers,
    warnings: &mut Vec<Warning>,
) -> Result<Option<Traces>, SettingError> {
    let Some(endpoint) = &traces.otlp_endpoint else {
        return Ok(None);
    };
    let secret = Secret {
        key: "traces.header",
        text: &traces.header,
        file_key: "traces.header_file",
        file: traces.header_file.as_deref(),
    };
    let header = match secret.find(layers, warnings)? {
        None => None,
        Some(text) => Some(split(&text).ok_or_else(|| {
            let key = secret.source();
            let message =
                format!("{key} must be one header, such as \"Authorization: Bearer TOKEN\"");
            layers.error(key, message)
        })?),
    };
    let key = "traces.otlp_endpoint";
    let endpoint = url_of(endpoint).ok_or_else(|| {
        let message = format!(
            "{key} must be a URL without user name, password and query, such as \"http://127.0.0.1:4318\""
        );
        layers.error(key, message)
    })?;
    Ok(Some(Traces {
        endpoint,
        header,
        sampling: traces.sampling.0,
        service_name: traces.service_name,
    }))
}

fn url_of(endpoint: &str) -> Option<String> {
    let url = Url::parse(endpoint).ok()?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let base = url.as_str().trim_end_matches('/');
    is_plain.then(|| format!("{base}/v1/traces"))
}

fn split(header: &SecretText) -> Option<(String, SecretText)> {
    let (name, value) = header.expose().split_once(':')?;
    let value = value.trim();
    HeaderName::try_from(name).ok()?;
    HeaderValue::try_from(value).ok()?;
    (!value.is_empty()).then(|| (name.to_owned(), SecretText::new(value.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_go_below_the_endpoint() {
        for (endpoint, expected) in [
            (
                "http://127.0.0.1:4318",
                Some("http://127.0.0.1:4318/v1/traces"),
            ),
            (
                "https://otel.example.org/",
                Some("https://otel.example.org/v1/traces"),
            ),
            (
                "https://otel.example.org/a/b",
                Some("https://otel.example.org/a/b/v1/traces"),
            ),
            ("127.0.0.1:4318", None),
            ("grpc://127.0.0.1:4317", None),
            ("http://u:p@127.0.0.1", None),
            ("http://127.0.0.1/?token=a", None),
        ] {
            assert_eq!(url_of(endpoint).as_deref(), expected, "{endpoint}");
        }
    }

    #[test]
    fn a_header_has_a_name_and_a_value() {
        let read = |text: &str| {
            let found = split(&SecretText::new(text.to_owned()));
            found.map(|(name, value)| (name, value.expose().to_owned()))
        };
        let expected = ("x-key".to_owned(), "a:b".to_owned());
        assert_eq!(read("x-key:  a:b"), Some(expected));
        for text in ["", "x-key", "x-key:", ": a", "x key: a", "x-key: a\nb: c"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
