//! Follows the revocation feed, and detects a database that went back: a lagging standby took over, or a dump was
//! restored under running servers.
//!
//! Invariant: no counter in the database is assumed to grow forever. Three things must still be there at each reading:
//! the last row that was read, the last session that this process opened, and every closure that was acknowledged to
//! this process. If one is missing, the database has lost commits. The server then reads the whole feed again, writes
//! the closures that the database lost, and keeps every closed session closed. It looks up the session of every token
//! issued so far, because the database may have lost that session too.

use std::sync::atomic::Ordering;
use std::time::Duration;

use roaring::RoaringTreemap;

use super::closed::Relation;
use super::{BATCH, Identity, Place, Reason, Sessions, Tag, epoch_at};
use crate::error::Fault;
use crate::id::SessionId;

/// The assumed maximum difference between the clocks of two servers. Tokens issued up to this long after the loss was
/// detected are in doubt too.
const CLOCKS_APART: Duration = Duration::from_secs(60);
/// The interval at which failed writes of closures are tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The state of the reader of the feed.
#[derive(Debug, Default)]
pub(super) struct Follower {
    pub(super) place: Place,
    /// The version of the signing keys, in the last batch.
    keys: i64,
    /// Whether the database went back and the lost closures are not yet written again.
    pub(super) is_behind: bool,
    /// Whether that was reported.
    is_reported: bool,
    /// The time of the next attempt to write the closures that failed, on the monotonic clock.
    retry_at: Option<Duration>,
}

impl Sessions {
    /// Learns the sessions that other processes closed since the last call, and the signing keys, and writes the closures that could not be
    /// written before. Cheap when there is nothing to do.
    ///
    /// # Errors
    /// The store's. The set of closed sessions has then not lost an id.
    pub async fn catch_up(&self) -> Result<(), Fault> {
        let mut follower = self.follower.lock().await;
        let begun_at = self.clock.monotonic();
        if !follower.is_behind {
            follower.is_behind = self.has_lost_what_it_opened().await?
                || !self.read_on(&mut follower).await?
                || self.write_overdue(&mut follower, begun_at).await?;
        }
        if follower.is_behind {
            self.make_up(&mut follower).await?;
        }
        if let Some(ring) = &self.ring {
            ring.catch_up(follower.keys).await?;
        }
        // Every closure before `begun_at` has been read. A later one may be missing.
        self.freshness.read_at(begun_at);
        Ok(())
    }

    /// How often the database went back since this process started, as far as it noticed.
    #[must_use]
    pub fn rewinds(&self) -> u64 {
        self.closed.rewinds()
    }

    /// Ends every session, including sessions that the store does not have. Every token issued before is invalid for
    /// good.
    ///
    /// # Errors
    /// The store's.
    pub async fn close_all(&self) -> Result<(), super::Error> {
        let mut follower = self.follower.lock().await;
        self.begin_epoch(&mut follower).await?;
        tracing::info!(epoch = self.closed.epoch(), "all sessions closed");
        Ok(())
    }

    async fn begin_epoch(&self, follower: &mut Follower) -> Result<(), Fault> {
        let tag = Tag::random(&*self.random);
        let floor = epoch_at(self.clock.now()).max(self.closed.epoch() + 1);
        let epoch = self.store.begin_epoch(floor, tag).await?;
        self.adopt(
            follower,
            &Identity {
                epoch,
                tag: Some(tag),
                ..Identity::default()
            },
        );
        Ok(())
    }

    /// Adopts an epoch that has begun, and drops all state of the earlier ones.
    fn adopt(&self, follower: &mut Follower, identity: &Identity) {
        self.closed.adopt(identity);
        self.pending.clear();
        self.opened.store(0, Ordering::Release);
        *follower = Follower::default();
    }

    /// Whether the last session that this process opened is missing from the database.
    async fn has_lost_what_it_opened(&self) -> Result<bool, Fault> {
        match self.opened.load(Ordering::Acquire) {
            0 => Ok(false),
            id => Ok(self.store.find_session(SessionId(id)).await?.is_none()),
        }
    }

    /// Reads the feed to its end. `false` when it does not continue from the last row that was read.
    async fn read_on(&self, follower: &mut Follower) -> Result<bool, Fault> {
        loop {
            let batch = self.store.list_closures(follower.place, BATCH).await?;
            match self.closed.compare(&batch.identity) {
                Relation::Same if batch.follows => {}
                Relation::Later => {
                    self.adopt(follower, &batch.identity);
                    continue;
                }
                Relation::Same | Relation::Earlier => return Ok(false),
            }
            self.learn_doubt(&batch.identity);
            self.pending.read(&self.closed, &batch.sessions);
            (follower.place, follower.keys) = (batch.place, batch.identity.keys);
            if batch.sessions.len() < BATCH as usize {
                return Ok(true);
            }
        }
    }

    /// Reads the feed from its start. Returns the closed sessions in it, and how the database's identity compares.
    pub(super) async fn read_all(
        &self,
        follower: &mut Follower,
    ) -> Result<(RoaringTreemap, Relation), Fault> {
        let (mut seen, mut place) = (RoaringTreemap::new(), Place::default());
        loop {
            let batch = self.store.list_closures(place, BATCH).await?;
            let relation = self.closed.compare(&batch.identity);
            if relation == Relation::Later {
                self.adopt(follower, &batch.identity);
                return Ok((seen, relation));
            }
            self.learn_doubt(&batch.identity);
            self.pending.read(&self.closed, &batch.sessions);
            seen.extend(batch.sessions.iter().map(|id| id.0.cast_unsigned()));
            place = batch.place;
            if batch.sessions.len() < BATCH as usize {
                (follower.place, follower.keys) = (place, batch.identity.keys);
                return Ok((seen, relation));
            }
        }
    }

    fn learn_doubt(&self, identity: &Identity) {
        if let Some(until) = identity.doubtful_until {
            self.closed.doubt(until);
        }
    }

    /// Repairs a database that went back: closes there every session that this process knows to be closed.
    async fn make_up(&self, follower: &mut Follower) -> Result<(), Fault> {
        let (seen, relation) = self.read_all(follower).await?;
        if relation == Relation::Later {
            // The missing rows were deleted because all sessions were ended. Nothing was lost.
            return Ok(());
        }
        let until = self.clock.now().plus(CLOCKS_APART);
        self.closed.doubt(until);
        if !follower.is_reported {
            follower.is_reported = true;
            self.closed.count_rewind();
            tracing::error!(
                alarm = "database_went_back",
                rewinds = self.closed.rewinds(),
                "the database has lost changes that it had acknowledged, as after a failover to a standby that lagged \
                 or after a dump was put back: sessions that were closed stay closed, and sessions that it no longer \
                 has are refused; see \"Failover\" in docs/operations.md"
            );
        }
        if relation == Relation::Earlier {
            // The database lost the commit that ended all sessions, or it is another database.
            self.begin_epoch(follower).await?;
            tracing::warn!("all sessions are ended again, which the database had lost");
            return Ok(());
        }
        self.store.remember_doubt(until).await?;
        let lost = self.closed.ids() - seen;
        for id in &lost {
            let id = SessionId(id.cast_signed());
            self.pending.close(&self.closed, id, Reason::Recovered);
        }
        self.opened.store(0, Ordering::Release);
        self.write_overdue(follower, self.clock.monotonic()).await?;
        (follower.is_behind, follower.is_reported) = (false, false);
        tracing::warn!(
            lost = lost.len(),
            "closed sessions that the database had lost are written to it again"
        );
        Ok(())
    }

    /// Writes the closures that the feed should have shown by now. Returns whether the store had acknowledged one of
    /// them, which means that the database lost it. A write that fails is tried again later.
    async fn write_overdue(
        &self,
        follower: &mut Follower,
        begun_at: Duration,
    ) -> Result<bool, Fault> {
        if follower.retry_at.is_some_and(|at| begun_at < at) {
            return Ok(false);
        }
        let mut lost = false;
        loop {
            let overdue = self.pending.overdue(begun_at, BATCH as usize);
            let Some((_, first)) = overdue.first().copied() else {
                break;
            };
            let same: Vec<_> = overdue
                .into_iter()
                .filter(|(_, closure)| closure.reason == first.reason)
                .collect();
            let ids = same.iter().map(|(id, _)| *id).collect();
            let now = self.clock.now();
            let closed = match self.store.close_sessions(ids, first.reason, now).await {
                Ok(closed) => {
                    RoaringTreemap::from_iter(closed.iter().map(|id| id.0.cast_unsigned()))
                }
                Err(fault) => {
                    if follower.retry_at.is_none() {
                        let cause = crate::error::chain(&fault);
                        tracing::error!(
                            cause,
                            "closed sessions cannot be written: they are refused by this server alone until they can"
                        );
                    }
                    follower.retry_at = Some(begun_at + RETRY);
                    return Ok(lost);
                }
            };
            for (id, closure) in same {
                let reopened = closed.contains(id.0.cast_unsigned());
                lost |= closure.written_at.is_some()
                    && (reopened || self.store.find_session(id).await?.is_none());
                if reopened {
                    let moment = self.clock.monotonic();
                    self.pending
                        .written(&self.closed, &[id], first.reason, moment);
                } else {
                    // The session was closed already, or the database does not have it.
                    self.pending.settle(id);
                }
            }
        }
        if follower.retry_at.take().is_some() {
            tracing::info!("closed sessions are written again");
        }
        Ok(lost)
    }
}
