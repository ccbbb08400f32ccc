//! What a ring lacks, and how it changes: pure functions from rows to rows.
//!
//! Invariant: a key that has ended stays ended, and a key that has a successor keeps it. So the rows that a process
//! knows and those of the database can be united, which mends a database that went back.

use std::time::Duration;

use keyward_jose::Algorithm;

use super::{Chain, Error, Kid, Policy, Purpose, State, StoredKey};
use crate::clock::Timestamp;

/// The assumed maximum difference between the clocks of two servers, and between a change and its last reader.
const CLOCKS_APART: Duration = Duration::from_secs(60);

/// How long an ended key stays in the database.
const KEPT: Duration = Duration::from_secs(24 * 3_600);

/// A key to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) purpose: Purpose,
    pub(super) algorithm: Algorithm,
    pub(super) signs_from: Timestamp,
    pub(super) lifetime: Duration,
}

impl Wanted {
    pub(super) fn new(policy: &Policy, purpose: Purpose, signs_from: Timestamp) -> Self {
        Self {
            purpose,
            algorithm: policy.algorithm(purpose),
            signs_from,
            lifetime: policy.lifetime(purpose),
        }
    }
}

/// The keys of a purpose that have not ended.
pub(super) fn living(
    keys: &[StoredKey],
    purpose: Purpose,
    now: Timestamp,
) -> impl Iterator<Item = &StoredKey> {
    keys.iter()
        .filter(move |key| key.purpose == purpose && key.state(now) != State::Ended)
}

/// The key of a purpose that has no successor, which signs or will sign.
pub(super) fn last(keys: &[StoredKey], purpose: Purpose, now: Timestamp) -> Option<&StoredKey> {
    living(keys, purpose, now)
        .filter(|key| key.signs_until.is_none())
        .max_by_key(|key| (key.signs_from, key.kid))
}

/// The row of a key whose successor signs from `from`.
pub(super) fn succeeded(key: &StoredKey, from: Timestamp) -> StoredKey {
    // A token that is signed at the last moment, by a server whose clock is behind, lives this long.
    let until = from.plus(key.lifetime).plus(CLOCKS_APART);
    StoredKey {
        signs_until: Some(sooner(key.signs_until, from)),
        verifies_until: Some(sooner(key.verifies_until, until)),
        ..key.clone()
    }
}

/// The row of a key that ends at once: its end lies in the past for servers whose clock is behind, too.
pub(super) fn ended(key: &StoredKey, now: Timestamp) -> StoredKey {
    let past = now.minus(CLOCKS_APART);
    StoredKey {
        signs_until: Some(sooner(key.signs_until, past)),
        verifies_until: Some(sooner(key.verifies_until, past)),
        ..key.clone()
    }
}

fn sooner(one: Option<Timestamp>, other: Timestamp) -> Timestamp {
    one.map_or(other, |one| one.min(other))
}

/// Refuses another key of a purpose that has as many as may be.
pub(super) fn refuse_too_many(
    keys: &[StoredKey],
    purpose: Purpose,
    now: Timestamp,
) -> Result<(), Error> {
    if living(keys, purpose, now).count() < Chain::LARGEST {
        return Ok(());
    }
    let ends = living(keys, purpose, now).filter_map(|key| key.verifies_until);
    Err(Error::TooMany {
        purpose,
        until: ends.min().unwrap_or(now),
    })
}

/// The keys of a purpose that sign now or later, and whose tokens may live longer than their rows say: `lifetime`.
pub(super) fn shorter_than(
    keys: &[StoredKey],
    purpose: Purpose,
    lifetime: Duration,
    now: Timestamp,
) -> Vec<StoredKey> {
    living(keys, purpose, now)
        .filter(|key| matches!(key.state(now), State::Announced | State::Active))
        .filter(|key| key.lifetime < lifetime)
        .map(|key| with_lifetime(key, lifetime))
        .collect()
}

/// The row of a key that signs tokens which live this long.
fn with_lifetime(key: &StoredKey, lifetime: Duration) -> StoredKey {
    let longer = StoredKey {
        lifetime,
        ..key.clone()
    };
    match key.signs_until {
        // Its end is already set, for shorter tokens.
        Some(until) => {
            let open = StoredKey {
                verifies_until: None,
                ..longer
            };
            succeeded(&open, until)
        }
        None => longer,
    }
}

/// Whether a key ended so long ago that nobody asks for it.
pub(super) fn is_forgettable(key: &StoredKey, now: Timestamp) -> bool {
    key.verifies_until
        .is_some_and(|until| until.plus(KEPT) < now)
}

/// Unites the rows that this process knows with those of the database. Also returns the keys that the database has
/// lost, or whose end it has lost, because it went back.
pub(super) fn unite(
    known: &[StoredKey],
    stored: Vec<StoredKey>,
    now: Timestamp,
) -> (Vec<StoredKey>, Vec<Kid>) {
    let (mut united, mut lost) = (stored, Vec::new());
    for key in known {
        let Some(row) = united.iter_mut().find(|row| row.kid == key.kid) else {
            if key.state(now) != State::Ended {
                united.push(key.clone());
                lost.push(key.kid);
            }
            continue;
        };
        let was_retired = key.state(now) == State::Ended && row.state(now) != State::Ended;
        let lost_successor = key.signs_until.is_some() && row.signs_until.is_none();
        if was_retired || lost_successor {
            row.signs_until = key.signs_until;
            row.verifies_until = key.verifies_until;
            row.lifetime = row.lifetime.max(key.lifetime);
            lost.push(row.kid);
        }
    }
    (united, lost)
}
