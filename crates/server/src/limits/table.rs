//! The state of one limiter: a bounded table of keys, and shared buckets for those beyond it.
//!
//! However many keys arrive, memory stays bounded, every request is counted against some bucket, and
//! a key that has a place of its own keeps it until it has recovered.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use governor::nanos::Nanos;
use governor::state::StateStore;

/// Buckets that keys without a place of their own share.
const OVERFLOW: usize = 1_024;
/// Keys a shard is meant to hold; a table has as many shards as that takes, up to [`SHARDS`].
const SHARD_KEYS: usize = 1_024;
const SHARDS: usize = 64;
/// A full shard is searched for recovered keys at most this often, so a flood cannot make it a habit.
const SWEEP_EVERY: u64 = 1_000_000_000;

/// Keys, already hashed with a secret, and the theoretical arrival time (in nanoseconds) of each.
#[derive(Debug)]
pub(super) struct Table {
    shards: Box<[Mutex<Shard>]>,
    shard_keys: usize,
    overflow: Box<[Mutex<Option<Nanos>>]>,
    /// How long one request takes to be forgiven, in nanoseconds.
    period: u64,
}

#[derive(Debug, Default)]
struct Shard {
    arrivals: HashMap<u64, Nanos>,
    next_sweep: u64,
}

impl Table {
    /// A table of at most `keys` keys (at least one) for a limiter that forgives one request a `period`.
    pub(super) fn new(keys: usize, period: u64) -> Self {
        let shards = (keys / SHARD_KEYS).clamp(1, SHARDS);
        Self {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            shard_keys: (keys / shards).max(1),
            overflow: (0..OVERFLOW).map(|_| Mutex::default()).collect(),
            period,
        }
    }

    /// How many keys have a place of their own.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| lock(shard).arrivals.len())
            .sum()
    }
}

impl StateStore for Table {
    type Key = u64;

    fn measure_and_replace<T, F, E>(&self, key: &u64, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        // The upper bits choose the shard and the lower ones the bucket: the hash is uniform.
        let mut shard = lock(pick(&self.shards, key >> 32));
        if let Some(arrival) = shard.arrivals.get_mut(key) {
            let (outcome, next) = decide(Some(*arrival))?;
            *arrival = next;
            return Ok(outcome);
        }
        // What GCRA gives a key never seen is one period after the present.
        let (outcome, next) = decide(None)?;
        if shard.arrivals.len() >= self.shard_keys {
            shard.sweep(next.as_u64().saturating_sub(self.period));
        }
        if shard.arrivals.len() < self.shard_keys {
            shard.arrivals.insert(*key, next);
            return Ok(outcome);
        }
        drop(shard);
        let mut arrival = lock(pick(&self.overflow, *key));
        let (outcome, next) = decide(*arrival)?;
        *arrival = Some(next);
        Ok(outcome)
    }
}

impl Shard {
    /// Forgets the keys that have all their requests back at `now`.
    fn sweep(&mut self, now: u64) {
        if now >= self.next_sweep {
            self.next_sweep = now + SWEEP_EVERY;
            self.arrivals.retain(|_, arrival| arrival.as_u64() > now);
        }
    }
}

fn pick<T>(from: &[T], hash: u64) -> &T {
    // A remainder fits where its divisor did.
    &from[usize::try_from(hash % from.len() as u64).unwrap_or_default()]
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
