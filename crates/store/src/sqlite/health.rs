//! Readiness of the database.

use async_trait::async_trait;
use keyward_core::error::Fault;
use keyward_core::health::Store;

use super::Sqlite;

#[async_trait]
impl Store for Sqlite {
    async fn check(&self) -> Result<(), Fault> {
        self.ready()
            .await
            .map_err(|reason| Fault::Unavailable(reason.into()))
    }
}
