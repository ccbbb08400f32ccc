//! The state of one limiter: a bounded table of keys, and shared buckets for further keys.
//!
//! Invariant: memory is bounded however many keys arrive, every request is counted in some bucket, and a key in the
//! table stays there until its bucket is full again.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use governor::nanos::Nanos;
use governor::state::StateStore;

/// The number of buckets shared by keys that are not in the table.
const OVERFLOW: usize = 1_024;
/// The intended number of keys in a shard. A table has as many shards as needed, up to [`SHARDS`].
const SHARD_KEYS: usize = 1_024;
const SHARDS: usize = 64;
/// The minimum interval, in nanoseconds, between two sweeps of a full shard, so that a flood does not cause a sweep for
/// each request.
const SWEEP_EVERY: u64 = 1_000_000_000;

/// Keys, which are hashed with a secret, and the theoretical arrival time of each in nanoseconds.
#[derive(Debug)]
pub(super) struct Table {
    shards: Box<[Mutex<Shard>]>,
    shard_keys: usize,
    overflow: Box<[Mutex<Option<Nanos>>]>,
    /// The time after which a bucket regains one request, in nanoseconds.
    period: u64,
}

#[derive(Debug, Default)]
struct Shard {
    arrivals: HashMap<u64, Nanos>,
    next_sweep: u64,
}

impl Table {
    /// A table of at most `keys` keys (at least one) for a limiter whose buckets regain one request per `period`.
    pub(super) fn new(keys: usize, period: u64) -> Self {
        let shards = (keys / SHARD_KEYS).clamp(1, SHARDS);
        Self {
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            shard_keys: (keys / shards).max(1),
            overflow: (0..OVERFLOW).map(|_| Mutex::default()).collect(),
            period,
        }
    }

    /// The number of keys in the table.
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
        // The hash is uniform: the upper bits choose the shard, and the lower ones the shared bucket.
        let mut shard = lock(pick(&self.shards, key >> 32));
        if let Some(arrival) = shard.arrivals.get_mut(key) {
            let (outcome, next) = decide(Some(*arrival))?;
            *arrival = next;
            return Ok(outcome);
        }
        // For a new key, GCRA returns one period after the present.
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
    /// Removes the keys whose buckets are full at `now`.
    fn sweep(&mut self, now: u64) {
        if now >= self.next_sweep {
            self.next_sweep = now + SWEEP_EVERY;
            self.arrivals.retain(|_, arrival| arrival.as_u64() > now);
        }
    }
}

fn pick<T>(from: &[T], hash: u64) -> &T {
    // The remainder is less than the length, so it fits in a `usize`.
    &from[usize::try_from(hash % from.len() as u64).unwrap_or_default()]
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
