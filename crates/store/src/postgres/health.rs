//! Readiness of the database.

use async_trait::async_trait;
use keyward_core::error::Fault;
use keyward_core::health::Store;

use super::{Postgres, migrate};

const FIND_VERSION: &str = "
    SELECT coalesce(max(version), 0) FROM schema_migrations";

#[async_trait]
impl Store for Postgres {
    async fn check(&self) -> Result<(), Fault> {
        let version = self
            .pool
            .find(FIND_VERSION, &[], |row| Ok(row.try_get::<_, i64>(0)?))
            .await?;
        // A newer server may have migrated the database further, as happens during a rolling upgrade.
        if version.is_some_and(|version| version >= migrate::latest()) {
            return Ok(());
        }
        let reason = format!("the database is at version {}", version.unwrap_or(0));
        Err(Fault::Unavailable(reason.into()))
    }
}
