//! Forgetting sessions that have ended, in the store and in the set of closed ones.
//!
//! Invariant: before a session leaves the set, its id and its end are noted, so that no forgotten session revives when
//! the clock is set back. A closure that the database has lost is not a forgotten one: it stays in the set.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::closed::Relation;
use super::{BATCH, Error, Forgotten, Sessions};
use crate::error::Fault;
use crate::id::SessionId;

/// How old a closure is before the ones before it may be deleted: every server has read it by then.
const SETTLED: Duration = Duration::from_secs(60);

impl Sessions {
    /// Deletes sessions that ended longer than `margin` ago, a batch at a time, and forgets those that others have
    /// deleted; returns how many it deleted.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn forget_ended(&self, margin: Duration) -> Result<usize, Error> {
        let now = self.clock.now();
        let (horizon, settled) = (now.minus(margin), now.minus(SETTLED));
        // It may be deleted from here on.
        self.opened.store(0, Ordering::Release);
        let mut forgotten = 0;
        loop {
            let deleted = self
                .store
                .forget_ended_sessions(horizon, settled, BATCH)
                .await?;
            if let Some(&last) = deleted.iter().max() {
                self.closed.forget(Forgotten { horizon, last }, &deleted);
            }
            forgotten += deleted.len();
            if deleted.len() < BATCH as usize {
                break;
            }
        }
        if self.freshness.is_bounded() {
            self.forget_what_others_deleted().await?;
        }
        Ok(forgotten)
    }

    /// Every session in the set was in the feed before, or is about to be. So a session that is in the set now, and not
    /// in the feed when that is read from its start, has been deleted by another server: provided that the database has
    /// not gone back, which it has not while the last row that was read is still there.
    async fn forget_what_others_deleted(&self) -> Result<(), Fault> {
        let mut follower = self.follower.lock().await;
        let known = self.closed.ids();
        if known.is_empty() || follower.is_behind {
            return Ok(());
        }
        let (place, epoch) = (follower.place, self.closed.epoch());
        let (seen, _) = self.read_all(&mut follower).await?;
        let last = self.store.list_closures(place, 0).await?;
        if self.closed.epoch() != epoch {
            return Ok(());
        }
        if !last.follows || self.closed.compare(&last.identity) != Relation::Same {
            follower.is_behind = true;
            return Ok(());
        }
        let gone = known - seen;
        let ids = gone.iter().map(|id| SessionId(id.cast_signed()));
        let gone: Vec<_> = ids.filter(|id| !self.pending.contains(*id)).collect();
        // Read after the feed, so that they are those of every deletion seen there, or later ones.
        if let Some(forgotten) = self.store.find_forgotten().await? {
            self.closed.forget(forgotten, &gone);
        }
        Ok(())
    }
}
