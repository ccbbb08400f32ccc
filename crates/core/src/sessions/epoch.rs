//! The epoch of a database: a number that is raised whenever all its sessions end.
//!
//! Invariant: an epoch is above every session id that the database assigned by counting, as it did before ids were
//! drawn at random.

use crate::clock::Timestamp;

/// More than the sessions that can be opened in a millisecond. Epochs stay below the ids that are drawn at random until
/// the year 2109.
const A_MILLISECOND: i64 = 1 << 10;

/// The smallest epoch that may begin at `now`.
#[must_use]
pub fn epoch_at(now: Timestamp) -> i64 {
    (now.micros() / 1_000).saturating_mul(A_MILLISECOND)
}
