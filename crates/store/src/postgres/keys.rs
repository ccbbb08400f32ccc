//! The signing keys, shared by all servers of the database.

use async_trait::async_trait;
use keyward_core::error::Fault;
use keyward_core::keys::{Purpose, Store};
use keyward_core::secret::SecretText;

use super::Postgres;

const INSERT: &str = "
    INSERT INTO signing_keys (purpose, key) VALUES ($1, $2) ON CONFLICT (purpose) DO NOTHING";

const FIND: &str = "
    SELECT key FROM signing_keys WHERE purpose = $1";

#[async_trait]
impl Store for Postgres {
    async fn find_or_create_key(
        &self,
        purpose: Purpose,
        fresh: SecretText,
    ) -> Result<SecretText, Fault> {
        let purpose = purpose.name();
        let find = async || {
            self.pool
                .find(FIND, &[&purpose], |row| {
                    Ok(SecretText::new(row.try_get(0)?))
                })
                .await
        };
        if let Some(key) = find().await? {
            return Ok(key);
        }
        self.pool
            .execute(INSERT, &[&purpose, &fresh.expose()])
            .await?;
        // If several servers start for the first time at once, all use the key that one of them stores.
        find()
            .await?
            .ok_or_else(|| Fault::Internal("a key was removed while it was being stored".into()))
    }
}
