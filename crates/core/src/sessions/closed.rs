//! The closed sessions, in memory: what lets a token be refused at once without a database.
//!
//! Invariant: an id leaves the set only after it counts as one that may have been forgotten.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{PoisonError, RwLock};

use roaring::RoaringTreemap;

use super::{Closures, Forgotten};
use crate::clock::Timestamp;
use crate::id::SessionId;

/// A compressed bitmap over session ids, the place in the feed it is filled from, what was forgotten of
/// it, and the epoch up to which no session is good.
#[derive(Debug)]
pub struct ClosedSessions {
    ids: RwLock<RoaringTreemap>,
    cursor: AtomicI64,
    horizon: AtomicI64,
    last_forgotten: AtomicI64,
    epoch: AtomicI64,
}

impl Default for ClosedSessions {
    fn default() -> Self {
        Self {
            ids: RwLock::default(),
            cursor: AtomicI64::new(0),
            horizon: AtomicI64::new(i64::MIN),
            last_forgotten: AtomicI64::new(0),
            epoch: AtomicI64::new(0),
        }
    }
}

impl ClosedSessions {
    /// Whether the tokens of session `id` must be refused.
    #[must_use]
    pub fn refuses(&self, id: SessionId) -> bool {
        if id.0 <= self.epoch.load(Ordering::Acquire) {
            return true;
        }
        let Ok(id) = u64::try_from(id.0) else {
            return true;
        };
        self.ids
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(id)
    }

    /// Whether session `id`, of a token that ends at `expires_at`, may have been closed and forgotten since. Asked after
    /// [`refuses`](Self::refuses), so that none slips through while it is forgotten.
    ///
    /// A token is good before its end alone, so this is so only where the clock has been set back.
    #[must_use]
    pub fn may_have_forgotten(&self, id: SessionId, expires_at: Timestamp) -> bool {
        expires_at.micros() <= self.horizon.load(Ordering::Acquire)
            && id.0 <= self.last_forgotten.load(Ordering::Acquire)
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

    /// Removes `ids`, which were forgotten, after it has noted what they were.
    pub(super) fn forget(&self, forgotten: Forgotten, ids: &[SessionId]) {
        let Forgotten { horizon, last } = forgotten;
        self.last_forgotten.fetch_max(last.0, Ordering::AcqRel);
        self.horizon.fetch_max(horizon.micros(), Ordering::AcqRel);
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

    /// Takes over an epoch that has begun; what is in the set of those before it is needed no more.
    pub(super) fn raise_epoch(&self, epoch: SessionId) {
        if self.epoch.fetch_max(epoch.0, Ordering::AcqRel) < epoch.0
            && let Ok(epoch) = u64::try_from(epoch.0)
        {
            let mut set = self.ids.write().unwrap_or_else(PoisonError::into_inner);
            set.remove_range(..=epoch);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn closures(sessions: &[i64], cursor: i64) -> Closures {
        Closures {
            sessions: sessions.iter().copied().map(SessionId).collect(),
            cursor,
        }
    }

    #[test]
    fn what_was_closed_is_refused_and_what_was_forgotten_is_in_doubt() {
        let set = ClosedSessions::default();
        assert!(!set.refuses(SessionId(7)) && !set.may_have_forgotten(SessionId(7), at(50)));
        set.apply(&closures(&[7, 1 << 40], 3));
        assert!(set.refuses(SessionId(7)) && set.refuses(SessionId(1 << 40)));
        assert!(set.refuses(SessionId(-1)));
        let forgotten = Forgotten {
            horizon: at(50),
            last: SessionId(7),
        };
        set.forget(forgotten, &[SessionId(7)]);
        assert!(!set.refuses(SessionId(7)));
        assert!(set.may_have_forgotten(SessionId(7), at(50)));
        assert!(set.may_have_forgotten(SessionId(6), at(50)));
        assert!(!set.may_have_forgotten(SessionId(7), at(51)), "ends later");
        assert!(!set.may_have_forgotten(SessionId(8), at(50)), "is younger");
        assert_eq!((set.cursor(), set.len()), (3, 1));
    }

    #[test]
    fn no_session_up_to_the_epoch_is_good_whether_it_was_known_or_not() {
        let set = ClosedSessions::default();
        set.apply(&closures(&[5, 1 << 50, (1 << 50) + 2], 1));
        set.raise_epoch(SessionId(1 << 50));
        set.raise_epoch(SessionId(7));
        assert!(set.refuses(SessionId(1)) && set.refuses(SessionId(1 << 50)));
        assert!(!set.refuses(SessionId((1 << 50) + 1)));
        assert!(set.refuses(SessionId((1 << 50) + 2)));
        assert_eq!(set.len(), 1, "those before it take no room");
    }

    #[test]
    fn what_was_forgotten_and_the_cursor_never_go_back() {
        let set = ClosedSessions::default();
        for (horizon, last) in [(at(50), 3), (at(10), 9)] {
            let last = SessionId(last);
            set.forget(Forgotten { horizon, last }, &[]);
        }
        assert!(set.may_have_forgotten(SessionId(9), at(50)));
        set.apply(&closures(&[], 9));
        set.apply(&closures(&[], 4));
        assert_eq!(set.cursor(), 9);
    }
}
