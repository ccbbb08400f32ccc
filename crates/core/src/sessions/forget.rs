//! What leaves the closed set, so that memory is bounded on every server of a store.
//!
//! Invariant: the horizon is remembered before a session leaves the set, so that none revives when the clock is set
//! back.

use std::time::Duration;

use super::{BATCH, Error, Sessions};
use crate::error::Fault;
use crate::id::SessionId;

impl Sessions {
    /// Deletes what ended longer than `margin` ago, a batch at a time, and forgets what others have deleted; tells
    /// how many sessions.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn forget_ended(&self, margin: Duration) -> Result<usize, Error> {
        let horizon = self.clock.now().minus(margin);
        let mut forgotten = 0;
        loop {
            let batch = self.store.forget_ended_sessions(horizon, BATCH).await?;
            self.closed.raise_horizon(horizon);
            self.closed.remove(&batch);
            forgotten += batch.len();
            if batch.len() < BATCH as usize {
                break;
            }
        }
        if self.freshness.is_bounded() {
            self.forget_what_others_deleted().await?;
        }
        Ok(forgotten)
    }

    /// Whatever is in the set was in the store's feed before. So what is in the set now, and not in the feed when that
    /// is read from its start, has been deleted by another server.
    async fn forget_what_others_deleted(&self) -> Result<(), Fault> {
        let mut gone = self.closed.ids();
        let (mut cursor, mut full) = (0, !gone.is_empty());
        while full {
            let batch = self.store.list_closures(cursor, BATCH).await?;
            for id in &batch.sessions {
                gone.remove(id.0.unsigned_abs());
            }
            (cursor, full) = (batch.cursor, batch.sessions.len() == BATCH as usize);
        }
        // Read after the feed, so that it is that of every deletion seen there, or a later one.
        if let Some(horizon) = self.store.find_horizon().await? {
            self.closed.raise_horizon(horizon);
        }
        let gone: Vec<_> = gone.iter().map(|id| SessionId(id.cast_signed())).collect();
        self.closed.remove(&gone);
        Ok(())
    }
}
