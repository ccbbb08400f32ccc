//! Forgetting sessions that have ended, in the store and in the set of closed ones.
//!
//! Invariant: what was forgotten is remembered, by its ids and ends, before a session leaves the set, so that none
//! revives when the clock is set back.

use std::time::Duration;

use super::{BATCH, Error, Forgotten, Sessions};
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
            if let Some(&last) = batch.iter().max() {
                self.closed.forget(Forgotten { horizon, last }, &batch);
            }
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
        let gone: Vec<_> = gone.iter().map(|id| SessionId(id.cast_signed())).collect();
        // Read after the feed, so that they are those of every deletion seen there, or later ones.
        self.learn_epoch().await?;
        if let Some(forgotten) = self.store.find_forgotten().await? {
            self.closed.forget(forgotten, &gone);
        }
        Ok(())
    }
}
