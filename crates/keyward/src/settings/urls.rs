//! The URLs of other servers, which may hold a password: given as a setting, or in the file that another setting names.
//!
//! Invariant: an error never contains the URL.

use keyward_core::secret::SecretText;

use super::error::{SettingError, Warning};
use super::layers::Layers;
use super::list::{Limits, Place};
use super::secret::Secret;
use super::value::{Database, Raw, Value as _};

/// The database that the one setting names, or the file that the other names.
pub(super) fn database(
    place: &Place,
    layers: &Layers,
    warnings: &mut Vec<Warning>,
) -> Result<Database, SettingError> {
    let file_key = "database_file";
    let file = place.database_file.as_deref();
    let found = match file {
        None => place.database.clone(),
        Some(_) if place.database != Database::InDataDir => {
            let message = format!("{file_key} and database are both given: keep one of them");
            return Err(layers.error(file_key, message));
        }
        Some(_) => {
            let secret = Secret {
                key: "database",
                text: &None,
                file_key,
                file,
            };
            let text = secret.find(layers, warnings)?;
            let text = text.map_or_else(String::new, |text| text.expose().to_owned());
            let read = Database::read(&Raw::Text(text));
            read.ok_or_else(|| {
                let message = format!("the content of {file_key} must be {}", Database::expected());
                layers.error(file_key, message)
            })?
        }
    };
    Ok(match found {
        Database::Sqlite(path) => Database::Sqlite(layers.folder.join(path)),
        other => other,
    })
}

/// The Redis server, likewise.
pub(super) fn redis(
    limits: &Limits,
    layers: &Layers,
    warnings: &mut Vec<Warning>,
) -> Result<Option<SecretText>, SettingError> {
    let secret = Secret {
        key: "limits.redis",
        text: &limits.redis,
        file_key: "limits.redis_file",
        file: limits.redis_file.as_deref(),
    };
    secret.find(layers, warnings)
}
