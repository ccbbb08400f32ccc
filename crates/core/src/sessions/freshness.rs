//! How old what a server knows of closed sessions may be, where others close some too.
//!
//! Invariant: it is never younger than told: its age counts from before the feed was read, on a clock that does
//! not go back; and a check counts the age of what it had before it looked, to a moment after it looked, since the
//! process may stand still in between.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Clock;

/// When the feed was last read to its end, and for how long that counts.
#[derive(Debug, Default)]
pub(super) struct Freshness {
    /// `None` where nobody else closes sessions but by this process's leave.
    bound: Option<Duration>,
    /// On the monotonic clock, in microseconds.
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

    /// Whether others close sessions too.
    pub(super) fn is_bounded(&self) -> bool {
        self.bound.is_some()
    }

    /// The reading that a look at what is known, from here on, rests on.
    pub(super) fn reading(&self) -> Reading {
        Reading(self.read_at.load(Ordering::Acquire))
    }

    /// Whether what was known at `reading` may still be relied on.
    pub(super) fn is_fresh(&self, reading: Reading, clock: &dyn Clock) -> bool {
        let Some(bound) = self.bound else {
            return true;
        };
        clock
            .monotonic()
            .saturating_sub(Duration::from_micros(reading.0))
            <= bound
    }
}

/// When the feed had last been read at some moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading(u64);

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
        // What was looked at before is as old as it was.
        assert!(!freshness.is_fresh(before, &clock));
        // One that began earlier and ended later.
        freshness.read_at(Duration::ZERO);
        assert!(is_fresh(&freshness));
        // The wall clock has no say in it.
        clock.set(Timestamp::from_seconds(-100));
        assert!(is_fresh(&freshness));
    }
}
