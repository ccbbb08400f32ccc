//! The settings of the server that decide whether a commit it has answered survives a power cut.

use keyward_core::error::Source;

use super::address::Address;
use super::connect::Connector;
use super::{OpenError, Options};

/// What each must not be is `off`: a log that is not synced, pages that a power cut tears, commits that are
/// answered before their log is synced.
const SETTINGS: [&str; 3] = ["fsync", "full_page_writes", "synchronous_commit"];

/// A setting, as it is for the sessions of Keyward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durability {
    /// What PostgreSQL calls it.
    pub setting: &'static str,
    /// Its value; `None` where the engine does not know it.
    pub value: Option<String>,
}

/// Asks the database at `url` for them, and changes nothing.
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
    let db = connector.connect().await.map_err(failed)?;
    let mut found = Vec::new();
    for setting in SETTINGS {
        // An engine that does not know it says so by an error.
        let asked = db
            .query_one("SELECT current_setting($1)", &[&setting])
            .await;
        let value = asked.and_then(|row| row.try_get(0)).ok();
        found.push(Durability { setting, value });
    }
    Ok(found)
}
