//! What keys need of a store.

use async_trait::async_trait;

use super::Purpose;
use crate::error::Fault;
use crate::secret::SecretText;

/// Keys at rest.
#[async_trait]
pub trait Store: Send + Sync {
    /// The key of that purpose; where there is none, `fresh` is kept durably and becomes it.
    async fn find_or_create_key(
        &self,
        purpose: Purpose,
        fresh: SecretText,
    ) -> Result<SecretText, Fault>;
}
