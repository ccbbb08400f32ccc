//! The sessions that this process closed and has not yet read back from the feed.
//!
//! Invariant: a closure stays pending until the feed contains it. So a closure is written again if it could not be
//! written or if the database lost it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{ClosedSessions, Reason};
use crate::id::SessionId;

/// A closure that was not yet read from the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closure {
    pub(super) reason: Reason,
    /// When the store acknowledged it, on the monotonic clock; `None` if it has not.
    pub(super) written_at: Option<Duration>,
}

/// The pending closures. Their number is bounded by the sessions that exist, because a session can only be opened while
/// the store can be written.
#[derive(Debug, Default)]
pub(super) struct Pending(Mutex<BTreeMap<SessionId, Closure>>);

impl Pending {
    /// Adds a session before the store is asked to close it.
    pub(super) fn close(&self, closed: &ClosedSessions, id: SessionId, reason: Reason) {
        let mut pending = self.lock();
        closed.insert(&[id]);
        pending.entry(id).or_insert(Closure {
            reason,
            written_at: None,
        });
    }

    /// Records that the store closed these sessions at `moment`. Those not yet read from the feed stay pending.
    pub(super) fn written(
        &self,
        closed: &ClosedSessions,
        ids: &[SessionId],
        reason: Reason,
        moment: Duration,
    ) {
        let mut pending = self.lock();
        for &id in ids {
            let closure = Closure {
                reason,
                written_at: Some(moment),
            };
            if pending.contains_key(&id) || !closed.contains(id) {
                pending.insert(id, closure);
            }
        }
        closed.insert(ids);
    }

    /// Removes closures that were read from the feed.
    pub(super) fn read(&self, closed: &ClosedSessions, ids: &[SessionId]) {
        let mut pending = self.lock();
        closed.insert(ids);
        for id in ids {
            pending.remove(id);
        }
    }

    /// Removes a session of which nothing needs to be written.
    pub(super) fn settle(&self, id: SessionId) {
        self.lock().remove(&id);
    }

    /// Up to `limit` closures that were never written, or that a reading of the whole feed, begun at `moment`, should
    /// have contained.
    pub(super) fn overdue(&self, moment: Duration, limit: usize) -> Vec<(SessionId, Closure)> {
        let pending = self.lock();
        let overdue = pending
            .iter()
            .filter(|(_, closure)| closure.written_at.is_none_or(|at| at < moment));
        overdue
            .map(|(id, closure)| (*id, *closure))
            .take(limit)
            .collect()
    }

    /// Whether a session is pending.
    pub(super) fn contains(&self, id: SessionId) -> bool {
        self.lock().contains_key(&id)
    }

    /// Removes all.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    /// How many the store has not acknowledged.
    pub(super) fn unwritten(&self) -> usize {
        let pending = self.lock();
        let unwritten = pending
            .values()
            .filter(|closure| closure.written_at.is_none());
        unwritten.count()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SessionId, Closure>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn ids(overdue: Vec<(SessionId, Closure)>) -> Vec<i64> {
        overdue.into_iter().map(|(id, _)| id.0).collect()
    }

    #[test]
    fn a_closure_is_pending_until_the_feed_shows_it() {
        let (closed, pending) = (ClosedSessions::default(), Pending::default());
        let id = SessionId(7);
        pending.close(&closed, id, Reason::Logout);
        assert!(closed.refuses(id), "at once");
        assert_eq!(ids(pending.overdue(at(1), 9)), [7], "it was never written");
        pending.written(&closed, &[id], Reason::Logout, at(5));
        assert!(
            pending.overdue(at(5), 9).is_empty(),
            "a reading may miss it"
        );
        assert_eq!(ids(pending.overdue(at(6), 9)), [7], "a later one may not");
        pending.read(&closed, &[id]);
        assert!(pending.overdue(at(9), 9).is_empty() && closed.refuses(id));
    }

    #[test]
    fn a_closure_that_the_feed_showed_before_its_answer_came_is_not_pending() {
        let (closed, pending) = (ClosedSessions::default(), Pending::default());
        pending.read(&closed, &[SessionId(8)]);
        pending.written(
            &closed,
            &[SessionId(8), SessionId(9)],
            Reason::Logout,
            at(1),
        );
        assert_eq!(ids(pending.overdue(at(2), 9)), [9]);
        assert!(pending.contains(SessionId(9)) && !pending.contains(SessionId(8)));
        pending.close(&closed, SessionId(10), Reason::Replay);
        assert_eq!(pending.overdue(at(2), 1).len(), 1, "a part of them");
        pending.settle(SessionId(9));
        assert_eq!(ids(pending.overdue(at(2), 9)), [10]);
        pending.clear();
        assert!(pending.overdue(at(2), 9).is_empty());
    }
}
