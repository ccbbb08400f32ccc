//! Whether the server can do its work.

use async_trait::async_trait;

use crate::error::Fault;

/// What readiness is asked of.
#[async_trait]
pub trait Store: Send + Sync {
    /// Succeeds while the store answers and its migrations are in place.
    async fn check(&self) -> Result<(), Fault>;
}
