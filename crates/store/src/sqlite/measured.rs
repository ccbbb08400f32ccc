//! What is measured of the writer.

use keyward_core::metrics::{Metric, NUMBERS, WAITS, counter, histogram};
use metrics::{Counter, Histogram};

const WRITES: Metric = histogram(
    "keyward_sqlite_commit_writes",
    NUMBERS,
    &[],
    "How many writes shared a commit.",
);
const SYNC: Metric = histogram(
    "keyward_sqlite_commit_duration_seconds",
    WAITS,
    &[],
    "How long a commit took, nearly all of it to sync the disk.",
);
const REFUSED: Metric = counter(
    "keyward_sqlite_writes_refused_total",
    &[],
    "Writes refused because too many were waiting.",
);

/// What is measured of the writer.
pub(crate) const METRICS: &[&Metric] = &[&WRITES, &SYNC, &REFUSED];

/// The handles of these metrics.
#[derive(Clone)]
pub(super) struct Measured {
    pub(super) writes: Histogram,
    pub(super) sync: Histogram,
    pub(super) refused: Counter,
}

impl Measured {
    pub(super) fn new() -> Self {
        Self {
            writes: WRITES.histogram([]),
            sync: SYNC.histogram([]),
            refused: REFUSED.counter([]),
        }
    }
}
