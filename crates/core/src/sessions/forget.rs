//! Forgets sessions that have ended, in the store and in the set of closed sessions. Without this, both would grow
//! forever.
//!
//! Invariant: before sessions leave the set, their greatest id and a time before which all their tokens expired are
//! recorded. If the clock is then set back, a token of a forgotten session is unexpired again, and the record makes the
//! check ask the database. A closure that the database has lost is not forgotten: it stays in the set.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::closed::Relation;
use super::{BATCH, Error, Forgotten, Sessions};
use crate::error::Fault;
use crate::id::SessionId;

/// Closures before the last one of this age may be deleted. Every server has read that one by then.
const SETTLED: Duration = Duration::from_secs(60);

impl Sessions {
    /// Deletes sessions that ended longer than `margin` ago, a batch at a time. Forgets the sessions that other servers
    /// have deleted, too. Returns how many this server deleted.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn forget_ended(&self, margin: Duration) -> Result<usize, Error> {
        let now = self.clock.now();
        let (horizon, settled) = (now.minus(margin), now.minus(SETTLED));
        // The last session that was opened may be deleted below. Its absence then no longer means that the database
        // went back.
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

    /// Removes from the set the sessions that other servers have deleted from the database.
    ///
    /// Each session in the set was in the feed before, or is pending and will be. The set is copied first, and then the
    /// feed is read from its start. A session that is in the copy, not in the feed and not pending was therefore
    /// deleted. The only other explanation is a database that went back and lost the closure. That is excluded while
    /// the last row that was read is still there, so the row is checked after the reading.
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
        // Read after the feed, so that these bounds cover every deletion that the reading saw.
        if let Some(forgotten) = self.store.find_forgotten().await? {
            self.closed.forget(forgotten, &gone);
        }
        Ok(())
    }
}
