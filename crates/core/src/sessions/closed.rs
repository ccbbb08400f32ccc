//! The set of closed sessions, in memory. A token check consults it without asking the database.
//!
//! Invariant: an id leaves the set in two cases only. Either its session is recorded as one that may have been
//! forgotten, or its epoch has ended. Reading the feed only adds ids, so a database that lost closures cannot reopen a
//! session on this server.
//!
//! The parts are read and written without one lock around them all. A check therefore reads them in the reverse of the
//! order in which a change writes them: first the set, then the epoch, the tag and the horizon. A session that leaves
//! the set during the check is then refused or doubted by the later step.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use roaring::RoaringTreemap;

use super::{Forgotten, Identity, Tag};
use crate::clock::Timestamp;
use crate::id::SessionId;

/// A compressed bitmap of the ids of closed sessions, the bounds of the forgotten ones, the bounds of the sessions in
/// doubt, and the identity of the database.
#[derive(Debug)]
pub struct ClosedSessions {
    ids: RwLock<RoaringTreemap>,
    horizon: AtomicI64,
    last_forgotten: AtomicI64,
    epoch: AtomicI64,
    tag: AtomicI64,
    untagged: AtomicI64,
    doubtful_until: AtomicI64,
    /// The sessions in doubt that the database was found to still have after it went back.
    confirmed: RwLock<RoaringTreemap>,
    /// How often the database went back.
    rewinds: AtomicU64,
}

impl Default for ClosedSessions {
    fn default() -> Self {
        Self {
            ids: RwLock::default(),
            horizon: AtomicI64::new(i64::MIN),
            last_forgotten: AtomicI64::new(0),
            epoch: AtomicI64::new(0),
            tag: AtomicI64::new(0),
            untagged: AtomicI64::new(0),
            doubtful_until: AtomicI64::new(i64::MIN),
            confirmed: RwLock::default(),
            rewinds: AtomicU64::new(0),
        }
    }
}

impl ClosedSessions {
    /// Whether the tokens of session `id` must be refused.
    #[must_use]
    pub fn refuses(&self, id: SessionId) -> bool {
        // The epoch is read last: a change of epoch raises it before it empties the set.
        self.contains(id) || id.0 <= self.epoch.load(Ordering::Acquire)
    }

    /// Whether a token with `tag` was issued under this database, or before databases had tags. Call it after
    /// [`refuses`](Self::refuses), because the set is emptied when the tag changes.
    #[must_use]
    pub fn issued(&self, id: SessionId, tag: Option<Tag>) -> bool {
        tag == Some(self.tag()) || id.0 <= self.untagged.load(Ordering::Acquire)
    }

    /// The tag that tokens carry.
    #[must_use]
    pub fn tag(&self) -> Tag {
        Tag::from_number(self.tag.load(Ordering::Acquire))
    }

    /// Whether the set cannot answer for session `id`, so that the database must. The times are those of the token.
    /// The session may have been closed and then forgotten, or a database that went back may have lost it. Call this
    /// after [`refuses`](Self::refuses), so that no session slips through while it is being forgotten.
    ///
    /// A session is forgotten only after its tokens have expired. An unexpired token can therefore belong to a
    /// forgotten session only if the clock was set back.
    #[must_use]
    pub fn doubts(&self, id: SessionId, issued_at: Timestamp, expires_at: Timestamp) -> bool {
        let may_be_forgotten = expires_at.micros() <= self.horizon.load(Ordering::Acquire)
            && id.0 <= self.last_forgotten.load(Ordering::Acquire);
        may_be_forgotten
            || (issued_at.micros() <= self.doubtful_until.load(Ordering::Acquire)
                && !read(&self.confirmed).contains(id.0.cast_unsigned()))
    }

    /// How many sessions are in the set.
    #[must_use]
    pub fn len(&self) -> u64 {
        read(&self.ids).len()
    }

    /// Whether no session is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How often the database has gone back, as far as this process noticed.
    #[must_use]
    pub fn rewinds(&self) -> u64 {
        self.rewinds.load(Ordering::Relaxed)
    }

    pub(super) fn count_rewind(&self) {
        self.rewinds.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn contains(&self, id: SessionId) -> bool {
        read(&self.ids).contains(id.0.cast_unsigned())
    }

    /// A copy of the set.
    pub(super) fn ids(&self) -> RoaringTreemap {
        read(&self.ids).clone()
    }

    pub(super) fn insert(&self, ids: &[SessionId]) {
        let mut set = self.ids.write().unwrap_or_else(PoisonError::into_inner);
        set.extend(ids.iter().map(|id| id.0.cast_unsigned()));
    }

    /// Removes the ids of forgotten sessions. Their bounds are recorded first: see [`doubts`](Self::doubts).
    pub(super) fn forget(&self, forgotten: Forgotten, ids: &[SessionId]) {
        let Forgotten { horizon, last } = forgotten;
        self.last_forgotten.fetch_max(last.0, Ordering::AcqRel);
        self.horizon.fetch_max(horizon.micros(), Ordering::AcqRel);
        let mut set = self.ids.write().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            set.remove(id.0.cast_unsigned());
        }
    }

    /// Puts the session of every token issued up to `until` in doubt. Earlier confirmations no longer count.
    pub(super) fn doubt(&self, until: Timestamp) {
        let mut confirmed = self
            .confirmed
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if self
            .doubtful_until
            .fetch_max(until.micros(), Ordering::AcqRel)
            < until.micros()
        {
            confirmed.clear();
        }
    }

    /// Tokens issued up to this time belong to sessions in doubt.
    pub(super) fn doubtful_until(&self) -> i64 {
        self.doubtful_until.load(Ordering::Acquire)
    }

    /// Records that the database still has session `id`. The caller read [`doubtful_until`](Self::doubtful_until) as
    /// `until` before it asked. If the doubt was extended meanwhile, the answer may be outdated and is ignored.
    pub(super) fn confirm(&self, id: SessionId, until: i64) {
        let mut confirmed = self
            .confirmed
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if self.doubtful_until.load(Ordering::Acquire) == until {
            confirmed.insert(id.0.cast_unsigned());
        }
    }

    /// Compares the identity read from the database with the known one. The known epoch is never lowered.
    pub(super) fn compare(&self, found: &Identity) -> Relation {
        let epoch = self.epoch.load(Ordering::Acquire);
        match found.tag {
            Some(_) if found.epoch > epoch => Relation::Later,
            Some(tag) if found.epoch == epoch && tag == self.tag() => Relation::Same,
            _ => Relation::Earlier,
        }
    }

    /// Adopts the identity of a database. A new epoch refuses all sessions of the earlier ones by their ids, so the set
    /// is emptied.
    pub(super) fn adopt(&self, identity: &Identity) {
        if let Some(tag) = identity.tag {
            self.tag.store(tag.number(), Ordering::Release);
        }
        self.untagged.store(identity.untagged, Ordering::Release);
        if self.epoch.fetch_max(identity.epoch, Ordering::AcqRel) < identity.epoch {
            let mut set = self.ids.write().unwrap_or_else(PoisonError::into_inner);
            set.clear();
        }
    }

    pub(super) fn epoch(&self) -> i64 {
        self.epoch.load(Ordering::Acquire)
    }
}

/// How one identity of a database relates to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Relation {
    Same,
    /// The database has begun a later epoch.
    Later,
    /// The identity is an earlier one of this database, or that of another database.
    Earlier,
}

fn read(set: &RwLock<RoaringTreemap>) -> std::sync::RwLockReadGuard<'_, RoaringTreemap> {
    set.read().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUED: Timestamp = Timestamp::from_seconds(40);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn ids(sessions: &[i64]) -> Vec<SessionId> {
        sessions.iter().copied().map(SessionId).collect()
    }

    #[test]
    fn a_closed_session_is_refused_and_a_forgotten_one_is_in_doubt() {
        let set = ClosedSessions::default();
        let doubts = |id, end| set.doubts(SessionId(id), ISSUED, at(end));
        assert!(!set.refuses(SessionId(7)) && !doubts(7, 50));
        set.insert(&ids(&[7, 1 << 40]));
        assert!(set.refuses(SessionId(7)) && set.refuses(SessionId(1 << 40)));
        assert!(set.refuses(SessionId(-1)) && set.refuses(SessionId(0)));
        let forgotten = Forgotten {
            horizon: at(50),
            last: SessionId(7),
        };
        set.forget(forgotten, &ids(&[7]));
        assert!(!set.refuses(SessionId(7)));
        assert!(doubts(7, 50) && doubts(6, 50));
        assert!(!doubts(7, 51), "ends later");
        assert!(!doubts(8, 50), "is younger");
        assert_eq!(set.len(), 1);
    }

    #[test]
    fn no_session_up_to_the_epoch_is_good_whether_it_was_known_or_not() {
        let set = ClosedSessions::default();
        set.insert(&ids(&[5, 1 << 50, (1 << 50) + 2]));
        let (first, second) = (Tag::from_number(1), Tag::from_number(-2));
        let identity = |epoch, tag| Identity {
            epoch,
            tag: Some(tag),
            ..Identity::default()
        };
        let begun = identity(1 << 50, second);
        set.adopt(&identity(0, first));
        assert_eq!(set.compare(&begun), Relation::Later);
        assert_eq!(set.len(), 3, "no epoch has begun");
        assert!(!set.is_empty() && set.ids().contains(5));
        set.adopt(&begun);
        assert_eq!(set.epoch(), 1 << 50);
        assert!(set.refuses(SessionId(1)) && set.refuses(SessionId(1 << 50)));
        assert!(!set.refuses(SessionId((1 << 50) + 1)));
        assert!(set.is_empty(), "the sessions before it take no room");
        for earlier in [
            identity(1 << 50, first),
            identity(7, second),
            Identity::default(),
            Identity {
                tag: None,
                ..identity(i64::MAX, first)
            },
        ] {
            assert_eq!(set.compare(&earlier), Relation::Earlier, "{earlier:?}");
        }
        assert_eq!(set.compare(&begun), Relation::Same);
    }

    #[test]
    fn a_token_is_of_the_database_whose_tag_it_carries_or_from_before_there_were_tags() {
        let set = ClosedSessions::default();
        let (own, other) = (Tag::from_number(1), Tag::from_number(2));
        set.adopt(&Identity {
            tag: Some(own),
            untagged: 10,
            ..Identity::default()
        });
        assert_eq!(set.tag(), own);
        for (id, tag, issued) in [
            (11, Some(own), true),
            (11, Some(other), false),
            (11, None, false),
            (10, Some(other), true),
            (10, None, true),
        ] {
            assert_eq!(set.issued(SessionId(id), tag), issued, "{id} {tag:?}");
        }
    }

    #[test]
    fn a_session_in_doubt_is_confirmed_until_the_database_goes_back_again() {
        let set = ClosedSessions::default();
        let id = SessionId(3);
        let doubts = |issued| set.doubts(id, at(issued), at(1_000));
        set.doubt(at(100));
        assert!(doubts(100) && !doubts(101));
        set.confirm(id, at(100).micros());
        assert!(!doubts(100));
        set.doubt(at(90));
        assert!(!doubts(90), "nothing that is doubted less");
        set.doubt(at(200));
        set.confirm(id, at(100).micros());
        assert!(doubts(200), "the answer is from before");
        set.confirm(id, set.doubtful_until());
        assert!(!doubts(200));
        set.doubt(at(200));
        assert!(!doubts(200), "the same doubt once more");
    }

    #[test]
    fn each_rewind_is_counted() {
        let set = ClosedSessions::default();
        assert_eq!(set.rewinds(), 0);
        set.count_rewind();
        set.count_rewind();
        assert_eq!(set.rewinds(), 2);
    }

    #[test]
    fn what_was_forgotten_never_goes_back() {
        let set = ClosedSessions::default();
        for (horizon, last) in [(at(50), 3), (at(10), 9)] {
            let last = SessionId(last);
            set.forget(Forgotten { horizon, last }, &[]);
        }
        assert!(set.doubts(SessionId(9), ISSUED, at(50)));
    }
}
