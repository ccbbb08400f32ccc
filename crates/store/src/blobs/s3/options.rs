//! How a bucket is reached, checked before anything is asked of it.
//!
//! Invariant: secrets go over TLS unless plain HTTP was allowed for an endpoint that names it.

use std::fmt;
use std::time::Duration;

use keyward_core::secret::SecretText;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::{HttpClient, HttpConnector};
use object_store::path::Path;
use object_store::signer::Url;
use object_store::{BackoffConfig, ClientOptions, HeaderValue, RetryConfig};

use super::http::Connector;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(2);
/// How long an answer, or the next bytes of it, may take; a part has to be sent within it, too.
const STALL: Duration = Duration::from_secs(30);
/// From when on a failed request is not repeated.
const PATIENCE: Duration = Duration::from_secs(5);

/// The variables of the environment that say who this server is, by the names Amazon gave them.
const VARIABLES: [(&str, AmazonS3ConfigKey); 12] = [
    ("AWS_ACCESS_KEY_ID", AmazonS3ConfigKey::AccessKeyId),
    ("AWS_SECRET_ACCESS_KEY", AmazonS3ConfigKey::SecretAccessKey),
    ("AWS_SESSION_TOKEN", AmazonS3ConfigKey::Token),
    (
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        AmazonS3ConfigKey::WebIdentityTokenFile,
    ),
    ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn),
    ("AWS_ROLE_SESSION_NAME", AmazonS3ConfigKey::RoleSessionName),
    ("AWS_ENDPOINT_URL_STS", AmazonS3ConfigKey::StsEndpoint),
    (
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        AmazonS3ConfigKey::ContainerCredentialsRelativeUri,
    ),
    (
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        AmazonS3ConfigKey::ContainerCredentialsFullUri,
    ),
    (
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        AmazonS3ConfigKey::ContainerAuthorizationTokenFile,
    ),
    ("AWS_METADATA_ENDPOINT", AmazonS3ConfigKey::MetadataEndpoint),
    ("AWS_IMDSV1_FALLBACK", AmazonS3ConfigKey::ImdsV1Fallback),
];

/// Which bucket, where, and as whom.
#[derive(Clone, Debug)]
pub struct Options {
    /// `s3://bucket` or `s3://bucket/prefix`.
    pub url: String,
    /// `https://host[:port]` of the server; Amazon's for the region where it is `None`.
    pub endpoint: Option<String>,
    /// The region requests are signed for; `us-east-1` where it is `None`.
    pub region: Option<String>,
    /// Whether the bucket is named in the path rather than in the host name.
    pub path_style: bool,
    /// As whom requests are signed.
    pub credentials: Credentials,
    /// Whether an endpoint may begin with `http://`, which sends files unencrypted.
    pub allow_http: bool,
    /// How long an upload in parts may last: S3 may date its object by its beginning.
    pub longest_upload: Duration,
    /// How old bytes that no file names must be before a sweep takes them: longer than the longest
    /// upload, by more than the clocks of the nodes and of S3 may differ.
    pub sweep_after: Duration,
}

/// As whom requests are signed.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// A fixed key.
    Key {
        /// The access key's id.
        id: String,
        /// The secret access key.
        secret: SecretText,
    },
    /// The usual chain: a key in the environment, a web identity, the container's role, the
    /// machine's role.
    Standard {
        /// The environment, or those of its variables that begin with `AWS_`.
        variables: Vec<(String, SecretText)>,
    },
}

/// Why options cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadOptions {
    /// The URL names no bucket.
    #[error("the URL of the files must be s3://bucket or s3://bucket/prefix")]
    Url,
    /// The endpoint is none.
    #[error(
        "the endpoint of S3 must be https://host or https://host:port, and a host that is an IP address \
         needs path_style = true"
    )]
    Endpoint,
    /// Plain HTTP was not allowed.
    #[error("the endpoint of S3 is not encrypted: use https, or set allow_http = true")]
    PlainHttp,
    /// Anything else, such as a key without its secret.
    #[error("the settings of S3 cannot be used")]
    Settings(#[from] object_store::Error),
}

/// What is made of options.
pub(super) struct Parts {
    pub(super) store: AmazonS3,
    pub(super) client: HttpClient,
    pub(super) prefix: Path,
}

impl Options {
    /// Amazon's own S3 with the credentials of the machine, sweeping what is older than a day.
    #[must_use]
    pub fn new(url: String) -> Self {
        Self {
            url,
            endpoint: None,
            region: None,
            path_style: false,
            credentials: Credentials::Standard {
                variables: Vec::new(),
            },
            allow_http: false,
            longest_upload: Duration::from_secs(12 * 60 * 60),
            sweep_after: Duration::from_secs(24 * 60 * 60),
        }
    }

    /// The same bucket, below a folder of that name.
    #[must_use]
    pub fn below(&self, name: impl fmt::Display) -> Self {
        Self {
            url: format!("{}/{name}", self.url.trim_end_matches('/')),
            ..self.clone()
        }
    }

    /// Tells whether they can be used, as far as that can be known without asking S3.
    ///
    /// # Errors
    /// [`BadOptions`].
    pub fn check(&self) -> Result<(), BadOptions> {
        self.build().map(drop)
    }

    pub(super) fn build(&self) -> Result<Parts, BadOptions> {
        let (bucket, prefix) = self.bucket_and_prefix()?;
        let mut builder = AmazonS3Builder::new().with_bucket_name(bucket);
        let mut plain = false;
        if let Some(endpoint) = &self.endpoint {
            let mut url = self.checked(endpoint)?;
            plain = url.scheme() == "http";
            if !self.path_style {
                let host = format!("{bucket}.{}", url.host_str().unwrap_or_default());
                url.set_host(Some(&host))
                    .map_err(|_| BadOptions::Endpoint)?;
            }
            builder = builder.with_endpoint(url.as_str().trim_end_matches('/'));
        }
        let options = client_options(plain);
        let client = Connector.connect(&options)?;
        let store = self
            .signed(builder)
            .with_virtual_hosted_style_request(!self.path_style)
            .with_client_options(options)
            .with_http_connector(Connector)
            .with_retry(retries())
            // A bucket may be on a server that cannot delete many at once, and one is all it takes.
            .with_disable_bulk_delete(true)
            .build()?;
        Ok(Parts {
            store,
            client,
            prefix,
        })
    }

    fn bucket_and_prefix(&self) -> Result<(&str, Path), BadOptions> {
        let rest = self.url.strip_prefix("s3://").ok_or(BadOptions::Url)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let fits = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-')
        };
        if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(fits) {
            return Err(BadOptions::Url);
        }
        // A leading slash would be dropped silently, a trailing one is what people type.
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        match Path::parse(prefix) {
            Ok(path) if path.as_ref() == prefix => Ok((bucket, path)),
            _ => Err(BadOptions::Url),
        }
    }

    fn checked(&self, endpoint: &str) -> Result<Url, BadOptions> {
        let url: Url = endpoint.parse().map_err(|_| BadOptions::Endpoint)?;
        let bare = url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none();
        match url.scheme() {
            "http" if !self.allow_http => Err(BadOptions::PlainHttp),
            "http" | "https" if bare => Ok(url),
            _ => Err(BadOptions::Endpoint),
        }
    }

    fn signed(&self, mut builder: AmazonS3Builder) -> AmazonS3Builder {
        if let Some(region) = &self.region {
            builder = builder.with_region(region);
        }
        match &self.credentials {
            Credentials::Key { id, secret } => builder
                .with_access_key_id(id)
                .with_secret_access_key(secret.expose()),
            Credentials::Standard { variables } => {
                for (name, key) in VARIABLES {
                    if let Some((_, value)) = variables.iter().find(|(given, _)| given == name) {
                        builder = builder.with_config(key, value.expose());
                    }
                }
                builder
            }
        }
    }
}

/// A file of any size may be moved, so that there is no limit to a whole request.
fn client_options(plain: bool) -> ClientOptions {
    ClientOptions::new()
        .with_allow_http(plain)
        .with_user_agent(HeaderValue::from_static("keyward"))
        .with_connect_timeout(CONNECT)
        .with_read_timeout(STALL)
        .with_timeout_disabled()
}

fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(50),
            max_backoff: Duration::from_secs(1),
            base: 2.0,
        },
        max_retries: 4,
        retry_timeout: PATIENCE,
    }
}
