//! Whether the server can do its work.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;

use crate::error::{Fault, chain};

/// What readiness is asked of.
#[async_trait]
pub trait Store: Send + Sync {
    /// Succeeds while the store answers and its migrations are in place.
    async fn check(&self) -> Result<(), Fault>;
}

/// A store whose readiness is logged, with the cause, whenever it changes: not once for each probe.
pub struct Reported {
    store: Arc<dyn Store>,
    is_ready: AtomicBool,
}

impl Reported {
    /// Reports on `store`, which counts as ready at first.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            is_ready: AtomicBool::new(true),
        }
    }
}

#[async_trait]
impl Store for Reported {
    async fn check(&self) -> Result<(), Fault> {
        let checked = self.store.check().await;
        let was_ready = self.is_ready.swap(checked.is_ok(), Ordering::AcqRel);
        match &checked {
            Err(fault) if was_ready => tracing::error!(cause = chain(fault), "not ready"),
            Ok(()) if !was_ready => tracing::info!("ready again"),
            _ => {}
        }
        checked
    }
}
