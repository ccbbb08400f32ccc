//! The store of keys.

use async_trait::async_trait;

use super::Purpose;
use crate::error::Fault;
use crate::secret::SecretText;

/// Stored keys.
#[async_trait]
pub trait Store: Send + Sync {
    /// The key of that purpose. If there is none, `fresh` is stored durably and returned.
    async fn find_or_create_key(
        &self,
        purpose: Purpose,
        fresh: SecretText,
    ) -> Result<SecretText, Fault>;
}
