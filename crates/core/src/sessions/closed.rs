//! The closed sessions, in memory: what lets a token be refused at once without a database.
//!
//! Invariant: an id leaves the set only after the horizon has passed the end of all its tokens.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock};

use roaring::RoaringTreemap;

use super::Closures;
use crate::clock::Timestamp;
use crate::id::SessionId;

/// A compressed bitmap over session ids, the place in the feed it is filled from, the horizon
/// before which no token is good, and the epoch up to which no session is.
#[derive(Debug)]
pub struct ClosedSessions {
    ids: RwLock<RoaringTreemap>,
    cursor: AtomicI64,
    horizon: AtomicI64,
    epoch: AtomicI64,
}

impl Default for ClosedSessions {
    fn default() -> Self {
        Self {
            ids: RwLock::default(),
            cursor: AtomicI64::new(0),
            horizon: AtomicI64::new(i64::MIN),
            epoch: AtomicI64::new(0),
        }
    }
}

impl ClosedSessions {
    /// Whether a token of session `id` that ends at `expires_at` must be refused.
    #[must_use]
    pub fn refuses(&self, id: SessionId, expires_at: Timestamp) -> bool {
        if id.0 <= self.epoch.load(Ordering::Acquire) {
            return true;
        }
        let Ok(id) = u64::try_from(id.0) else {
            return true;
        };
        expires_at.micros() <= self.horizon.load(Ordering::Acquire)
            || self
                .ids
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .contains(id)
    }

    /// How many sessions are in the set.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.ids
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Whether no session is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The set as it is now.
    pub(super) fn ids(&self) -> RoaringTreemap {
        let set = self.ids.read().unwrap_or_else(PoisonError::into_inner);
        set.clone()
    }

    pub(super) fn insert(&self, ids: &[SessionId]) {
        let mut set = self.ids.write().unwrap_or_else(PoisonError::into_inner);
        set.extend(ids.iter().filter_map(|id| u64::try_from(id.0).ok()));
    }

    pub(super) fn remove(&self, ids: &[SessionId]) {
        let mut set = self.ids.write().unwrap_or_else(PoisonError::into_inner);
        for id in ids.iter().filter_map(|id| u64::try_from(id.0).ok()) {
            set.remove(id);
        }
    }

    pub(super) fn apply(&self, closures: &Closures) {
        self.insert(&closures.sessions);
        self.cursor.fetch_max(closures.cursor, Ordering::AcqRel);
    }

    pub(super) fn cursor(&self) -> i64 {
        self.cursor.load(Ordering::Acquire)
    }

    pub(super) fn raise_horizon(&self, horizon: Timestamp) {
        self.horizon.fetch_max(horizon.micros(), Ordering::AcqRel);
    }

    pub(super) fn raise_epoch(&self, epoch: SessionId) {
        self.epoch.fetch_max(epoch.0, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_closed_or_ended_before_the_horizon_is_refused() {
        let set = ClosedSessions::default();
        let later = Timestamp::from_seconds(100);
        assert!(!set.refuses(SessionId(7), later));
        set.apply(&Closures {
            sessions: vec![SessionId(7), SessionId(1 << 40)],
            cursor: 3,
        });
        assert!(set.refuses(SessionId(7), later) && set.refuses(SessionId(1 << 40), later));
        assert!(set.refuses(SessionId(-1), later));
        set.raise_horizon(Timestamp::from_seconds(50));
        set.remove(&[SessionId(7)]);
        assert!(!set.refuses(SessionId(7), later));
        assert!(set.refuses(SessionId(7), Timestamp::from_seconds(50)));
        assert_eq!((set.cursor(), set.len()), (3, 1));
    }

    #[test]
    fn no_session_up_to_the_epoch_is_good_whether_it_was_known_or_not() {
        let set = ClosedSessions::default();
        let later = Timestamp::from_seconds(100);
        set.raise_epoch(SessionId(1 << 50));
        set.raise_epoch(SessionId(7));
        assert!(set.refuses(SessionId(1), later) && set.refuses(SessionId(1 << 50), later));
        assert!(!set.refuses(SessionId((1 << 50) + 1), later));
    }

    #[test]
    fn the_horizon_and_the_cursor_never_go_back() {
        let set = ClosedSessions::default();
        set.raise_horizon(Timestamp::from_seconds(50));
        set.raise_horizon(Timestamp::from_seconds(10));
        assert!(set.refuses(SessionId(1), Timestamp::from_seconds(20)));
        set.apply(&Closures {
            sessions: vec![],
            cursor: 9,
        });
        set.apply(&Closures {
            sessions: vec![],
            cursor: 4,
        });
        assert_eq!(set.cursor(), 9);
    }
}
