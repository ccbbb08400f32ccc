//! What a ring takes from outside its rows: the master keys that seal them, and the unsealed keys of 0.1.0.

use async_trait::async_trait;

use super::MasterKey;
use crate::error::Fault;
use crate::secret::SecretText;

/// The master keys, which are kept apart from the database.
#[async_trait]
pub trait MasterKeys: Send + Sync {
    /// The master keys at hand. The first one seals, and all of them open.
    async fn read(&self) -> Result<Vec<MasterKey>, Fault>;

    /// Stores `fresh` durably if there is no master key. Returns the one that is there then.
    async fn create(&self, fresh: MasterKey) -> Result<MasterKey, Fault>;

    /// Where they are, for messages.
    fn place(&self) -> String;
}

/// The unsealed keys of a version without the ring.
#[derive(Clone, Debug, Default)]
pub struct LegacyKeys {
    /// The key of access tokens, from which that of refresh tokens was derived.
    pub login: Option<SecretText>,
    /// The notary's key.
    pub notary: Option<SecretText>,
}

/// Where a version without the ring, or a restored backup, left unsealed keys.
#[async_trait]
pub trait Legacy: Send + Sync {
    /// The keys that are there.
    async fn find(&self) -> Result<LegacyKeys, Fault>;

    /// Removes them for good. The ring has them by now.
    async fn remove(&self) -> Result<(), Fault>;
}
