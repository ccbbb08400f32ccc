//! The age of the set of closed sessions, on a server that shares its database with others.
//!
//! Other servers close sessions too, and this one learns of that by reading the feed. Between two readings its set may
//! lack a closure. While the last reading is younger than the bound, the set alone decides; after that, each check asks
//! the database.
//!
//! Invariant: the age is never underestimated. It is measured on the monotonic clock, from a moment before the feed was
//! read: a closure committed during the reading may be missing. A check takes its [`Reading`] before it consults the
//! set, and computes the age afterwards. If the process is paused in between, the pause makes the data older, and a
//! reading that ends during the check does not make it younger.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Clock;

/// The time of the last complete reading of the feed, and the bound on its age.
#[derive(Debug, Default)]
pub(super) struct Freshness {
    /// `None` if every closure in the database goes through this process.
    bound: Option<Duration>,
    /// The start of the last complete reading, on the monotonic clock, in microseconds.
    read_at: AtomicU64,
}

impl Freshness {
    pub(super) fn bounded_by(&self, bound: Duration) -> Self {
        Self {
            bound: Some(bound),
            read_at: self.read_at.load(Ordering::Acquire).into(),
        }
    }

    pub(super) fn read_at(&self, moment: Duration) {
        let micros = u64::try_from(moment.as_micros()).unwrap_or(u64::MAX);
        self.read_at.fetch_max(micros, Ordering::AcqRel);
    }

    /// Whether other servers close sessions too.
    pub(super) fn is_bounded(&self) -> bool {
        self.bound.is_some()
    }

    /// The last complete reading. Take it before consulting the set.
    pub(super) fn reading(&self) -> Reading {
        Reading(self.read_at.load(Ordering::Acquire))
    }

    /// Whether a set that was consulted after `reading` was taken may decide alone.
    pub(super) fn is_fresh(&self, reading: Reading, clock: &dyn Clock) -> bool {
        match self.bound {
            Some(bound) => reading.age(clock) <= bound,
            None => true,
        }
    }

    /// The age of the last complete reading.
    pub(super) fn age(&self, clock: &dyn Clock) -> Duration {
        self.reading().age(clock)
    }
}

/// The start of the reading that was the last one at some moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading(u64);

impl Reading {
    fn age(self, clock: &dyn Clock) -> Duration {
        let begun_at = Duration::from_micros(self.0);
        clock.monotonic().saturating_sub(begun_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, Timestamp};

    #[test]
    fn what_was_read_counts_for_the_bound_and_no_longer() {
        let clock = ManualClock::new(Timestamp::from_seconds(0));
        let unbounded = Freshness::default();
        let freshness = unbounded.bounded_by(Duration::from_secs(2));
        let is_fresh = |of: &Freshness| of.is_fresh(of.reading(), &clock);
        clock.advance(Duration::from_secs(2));
        assert!(is_fresh(&freshness));
        clock.advance(Duration::from_micros(1));
        assert!(!is_fresh(&freshness) && is_fresh(&unbounded));
        let before = freshness.reading();
        freshness.read_at(Duration::from_secs(1));
        assert!(is_fresh(&freshness));
        // A later reading does not make an earlier one younger.
        assert!(!freshness.is_fresh(before, &clock));
        // A reading that began earlier and ended later.
        freshness.read_at(Duration::ZERO);
        assert!(is_fresh(&freshness));
        // The wall clock does not count.
        clock.set(Timestamp::from_seconds(-100));
        assert!(is_fresh(&freshness));
    }
}
