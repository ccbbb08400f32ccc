//! The options of a bucket, validated before the first request.
//!
//! Invariant: requests go over TLS, unless the endpoint begins with `http://` and plain HTTP is allowed.

use std::fmt;
use std::time::Duration;

use keyward_core::secret::SecretText;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::client::{HttpClient, HttpConnector};
use object_store::path::Path;
use object_store::signer::Url;
use object_store::{BackoffConfig, ClientOptions, HeaderValue, RetryConfig};

use super::http::Connector;

/// The time limit for connecting.
const CONNECT: Duration = Duration::from_secs(2);
/// The time limit for a response, or for the next bytes of it. Sending a part must fit in it too.
const STALL: Duration = Duration::from_secs(30);
/// The time after which a failed request is not retried.
const PATIENCE: Duration = Duration::from_secs(5);

/// The environment variables of Amazon's standard credential chain.
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

/// The bucket, its server and the credentials.
#[derive(Clone, Debug)]
pub struct Options {
    /// `s3://bucket` or `s3://bucket/prefix`.
    pub url: String,
    /// `https://host[:port]` of the server; `None` for Amazon's server of the region.
    pub endpoint: Option<String>,
    /// The region for which requests are signed; `None` for `us-east-1`.
    pub region: Option<String>,
    /// Whether the bucket's name goes in the path rather than in the host name.
    pub path_style: bool,
    /// The credentials that sign requests.
    pub credentials: Credentials,
    /// Whether an endpoint may begin with `http://`, which sends files unencrypted.
    pub allow_http: bool,
    /// The time limit of a multipart upload. S3 may use the time at which it began as the time of the object.
    pub longest_upload: Duration,
    /// How old an unnamed object must be before a sweep deletes it: longer than the longest upload, by more than the
    /// clock skew between the nodes and S3.
    pub sweep_after: Duration,
}

/// The credentials that sign requests.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// A fixed key.
    Key {
        /// The id of the access key.
        id: String,
        /// The secret access key.
        secret: SecretText,
    },
    /// Amazon's standard chain: a key in the environment, a web identity, the role of the container, the role of the
    /// machine.
    Standard {
        /// The environment, or those of its variables that begin with `AWS_`.
        variables: Vec<(String, SecretText)>,
    },
}

/// The reason why options cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    /// The URL names no bucket.
    #[error("the URL of the files must be s3://bucket or s3://bucket/prefix")]
    Url,
    /// The endpoint is not an http or https URL.
    #[error(
        "the endpoint of S3 must be https://host or https://host:port, and a host that is an IP address \
         needs path_style = true"
    )]
    Endpoint,
    /// The endpoint uses plain HTTP, which is not allowed.
    #[error("the endpoint of S3 is not encrypted: use https, or set allow_http = true")]
    PlainHttp,
    /// Anything else, such as a key without its secret.
    #[error("the settings of S3 cannot be used")]
    Settings(#[from] object_store::Error),
}

/// The values derived from options.
pub(super) struct Parts {
    pub(super) store: AmazonS3,
    pub(super) client: HttpClient,
    pub(super) prefix: Path,
}

impl Options {
    /// Amazon's S3 with the credentials of the machine. A sweep deletes unnamed objects older than a day.
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

    /// The same bucket, with `name` appended to the prefix.
    #[must_use]
    pub fn below(&self, name: impl fmt::Display) -> Self {
        Self {
            url: format!("{}/{name}", self.url.trim_end_matches('/')),
            ..self.clone()
        }
    }

    /// Validates the options, as far as that is possible without a request.
    ///
    /// # Errors
    /// [`OptionsError`].
    pub fn check(&self) -> Result<(), OptionsError> {
        self.build().map(drop)
    }

    pub(super) fn build(&self) -> Result<Parts, OptionsError> {
        let (bucket, prefix) = self.bucket_and_prefix()?;
        let mut builder = AmazonS3Builder::new().with_bucket_name(bucket);
        let mut plain = false;
        if let Some(endpoint) = &self.endpoint {
            let mut url = self.checked(endpoint)?;
            plain = url.scheme() == "http";
            if !self.path_style {
                let host = format!("{bucket}.{}", url.host_str().unwrap_or_default());
                url.set_host(Some(&host))
                    .map_err(|_| OptionsError::Endpoint)?;
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
            // Not every server has the bulk request, and blobs are deleted one at a time.
            .with_disable_bulk_delete(true)
            .build()?;
        Ok(Parts {
            store,
            client,
            prefix,
        })
    }

    fn bucket_and_prefix(&self) -> Result<(&str, Path), OptionsError> {
        let rest = self.url.strip_prefix("s3://").ok_or(OptionsError::Url)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let fits = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-')
        };
        if !(3..=63).contains(&bucket.len()) || !bucket.bytes().all(fits) {
            return Err(OptionsError::Url);
        }
        // A leading slash would be ignored silently, so it is refused. A trailing one is common, and is dropped.
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        match Path::parse(prefix) {
            Ok(path) if path.as_ref() == prefix => Ok((bucket, path)),
            _ => Err(OptionsError::Url),
        }
    }

    fn checked(&self, endpoint: &str) -> Result<Url, OptionsError> {
        let url: Url = endpoint.parse().map_err(|_| OptionsError::Endpoint)?;
        let bare = url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none();
        match url.scheme() {
            "http" if !self.allow_http => Err(OptionsError::PlainHttp),
            "http" | "https" if bare => Ok(url),
            _ => Err(OptionsError::Endpoint),
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

/// Files of any size are transferred, so a whole request has no time limit.
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
