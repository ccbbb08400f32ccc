//! Where the contents of files are kept.
//!
//! Invariant: settings of a bucket that do not fit together are refused.

use std::time::Duration;

use keyward_core::error::chain;
use keyward_store::blobs::s3::{Credentials, LARGEST, Options, OptionsError};

use super::error::{SettingError, Warning};
use super::layers::Layers;
use super::list::Files;
use super::secret::Secret;

/// How long an upload to a bucket may take: a day later what no file names is removed.
const LONGEST_UPLOAD: Duration = Duration::from_secs(12 * 3_600);

/// Where the contents of files are kept.
pub(crate) enum Storage {
    /// In the data folder.
    DataDir {
        /// How many bytes uploads must leave free on its disk.
        min_free: u64,
    },
    /// In a bucket.
    S3(Box<Options>),
}

impl Storage {
    /// The bucket, where there is one.
    pub(crate) fn bucket(&self) -> Option<&Options> {
        match self {
            Self::DataDir { .. } => None,
            Self::S3(options) => Some(options),
        }
    }

    /// How many bytes uploads must leave free on the disk of the data folder.
    pub(crate) fn min_free(&self) -> u64 {
        match self {
            Self::DataDir { min_free } => *min_free,
            Self::S3(_) => 0,
        }
    }
}

pub(super) fn read(
    files: &Files,
    layers: &Layers,
    warnings: &mut Vec<Warning>,
) -> Result<Storage, SettingError> {
    let Some(url) = &files.url else {
        return match bucket_alone(files) {
            None => Ok(Storage::DataDir {
                min_free: files.min_free.0,
            }),
            Some(key) => {
                let message = format!(
                    "{key} applies to files in a bucket only: name the bucket in files.url"
                );
                Err(layers.error(key, message))
            }
        };
    };
    if files.max_size.0 > LARGEST {
        let message = format!("files.max_size must be at most {}GiB on S3", LARGEST >> 30);
        return Err(layers.error("files.max_size", message));
    }
    if files.upload_timeout.0 > LONGEST_UPLOAD {
        let message = "files.upload_timeout must be at most 12h on S3";
        return Err(layers.error("files.upload_timeout", message));
    }
    let amazon = |name| layers.amazon(name).map(|value| value.expose().to_owned());
    let region = files.region.clone();
    let region = region.or_else(|| amazon("AWS_REGION").or_else(|| amazon("AWS_DEFAULT_REGION")));
    let options = Options {
        endpoint: files.endpoint.clone(),
        region,
        path_style: files.path_style,
        credentials: credentials(files, layers, warnings)?,
        allow_http: files.allow_http,
        longest_upload: files.upload_timeout.0,
        ..Options::new(url.clone())
    };
    options.check().map_err(|error| {
        let key = match error {
            OptionsError::Endpoint | OptionsError::PlainHttp => "files.endpoint",
            OptionsError::Url | OptionsError::Settings(_) => "files.url",
        };
        layers.error(key, format!("{key}: {}", chain(&error)))
    })?;
    Ok(Storage::S3(Box::new(options)))
}

/// The first given setting that applies to a bucket only.
fn bucket_alone(files: &Files) -> Option<&'static str> {
    let given = [
        ("files.endpoint", files.endpoint.is_some()),
        ("files.region", files.region.is_some()),
        ("files.path_style", files.path_style),
        ("files.allow_http", files.allow_http),
        ("files.key_id", files.key_id.is_some()),
        ("files.secret", files.secret.is_some()),
        ("files.secret_file", files.secret_file.is_some()),
    ];
    given.iter().find(|(_, given)| *given).map(|(key, _)| *key)
}

fn credentials(
    files: &Files,
    layers: &Layers,
    warnings: &mut Vec<Warning>,
) -> Result<Credentials, SettingError> {
    let secret = Secret {
        key: "files.secret",
        text: &files.secret,
        file_key: "files.secret_file",
        file: files.secret_file.as_deref(),
    };
    match (&files.key_id, secret.find(layers, warnings)?) {
        (Some(id), Some(secret)) => Ok(Credentials::Key {
            id: id.clone(),
            secret,
        }),
        (None, None) => Ok(Credentials::Standard {
            variables: layers.amazon.clone(),
        }),
        (Some(_), None) => {
            let message = "files.key_id also needs files.secret or files.secret_file";
            Err(layers.error("files.key_id", message))
        }
        (None, Some(_)) => {
            let message = format!("{} also needs files.key_id", secret.source());
            Err(layers.error(secret.source(), message))
        }
    }
}
