//! The settings of PostgreSQL that decide whether an acknowledged commit survives a power cut.

use keyward_core::error::Source;

use super::address::Address;
use super::connect::Connector;
use super::{OpenError, Options, pooler};

/// None of them may be `off`: without `fsync` the log is not synced, without `full_page_writes` a power cut leaves torn
/// pages, and without `synchronous_commit` a commit is acknowledged before its log is synced.
const SETTINGS: [&str; 3] = ["fsync", "full_page_writes", "synchronous_commit"];

/// A setting as Keyward's database sessions see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durability {
    /// Its name in PostgreSQL.
    pub setting: &'static str,
    /// Its value; `None` if the engine does not know the setting.
    pub value: Option<String>,
}

/// Reads the settings from the database at `url`. Changes nothing.
///
/// # Errors
/// [`OpenError`] when it cannot be reached.
pub async fn durability(url: &str) -> Result<Vec<Durability>, OpenError> {
    let address = Address::parse(url)?;
    let name = address.name();
    let failed = |source: Source| OpenError::Failed {
        name: name.clone(),
        source,
    };
    let connector = Connector::new(address, Options::default()).map_err(failed)?;
    if pooler::shares_sessions(&connector).await.map_err(failed)? {
        return Err(OpenError::Pooled { name });
    }
    let db = connector.connect().await.map_err(failed)?;
    let mut found = Vec::new();
    for setting in SETTINGS {
        // An engine that does not know the setting answers with an error.
        let asked = db
            .query_one("SELECT current_setting($1)", &[&setting])
            .await;
        let value = asked.and_then(|row| row.try_get(0)).ok();
        found.push(Durability { setting, value });
    }
    Ok(found)
}
