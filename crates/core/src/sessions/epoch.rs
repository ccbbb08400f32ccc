//! Epochs of session ids: from where ids go on when a database begins a life of its own.
//!
//! Invariant: an epoch is above every id that was given before it began, by this database or by another.

use crate::clock::Timestamp;
use crate::id::SessionId;

/// How many session ids there are for each millisecond between two epochs: more than can be opened. Ids stay below
/// 2^53, which JSON readers need, until the year 2248.
const IDS_A_MILLISECOND: i64 = 1 << 10;

/// The epoch that begins at `now`.
#[must_use]
pub fn epoch_at(now: Timestamp) -> SessionId {
    SessionId((now.micros() / 1_000).saturating_mul(IDS_A_MILLISECOND))
}
