//! What is measured of the connection pool.

use keyward_core::metrics::{Metric, WAITS, counter, histogram};
use metrics::{Counter, Histogram};

const WAIT: Metric = histogram(
    "keyward_postgres_wait_seconds",
    WAITS,
    &[],
    "How long work waited for a connection.",
);
const DURATION: Metric = histogram(
    "keyward_postgres_work_duration_seconds",
    WAITS,
    &[],
    "How long the statements of one piece of work took on their connection.",
);
const FAILURES: Metric = counter(
    "keyward_postgres_failures_total",
    &["reason"],
    "Work that was given up.",
);

/// What is measured of the pool.
pub(crate) const METRICS: &[&Metric] = &[&WAIT, &DURATION, &FAILURES];

/// The handles of these metrics.
pub(super) struct Measured {
    pub(super) wait: Histogram,
    pub(super) duration: Histogram,
    /// More work was waiting than may wait.
    pub(super) queue_full: Counter,
    /// There was no connection: the database is away.
    pub(super) unreachable: Counter,
    /// The deadline passed.
    pub(super) late: Counter,
    /// The database refused a statement, or broke the connection.
    pub(super) error: Counter,
}

impl Measured {
    pub(super) fn new() -> Self {
        Self {
            wait: WAIT.histogram([]),
            duration: DURATION.histogram([]),
            queue_full: FAILURES.counter(["queue_full"]),
            unreachable: FAILURES.counter(["unreachable"]),
            late: FAILURES.counter(["late"]),
            error: FAILURES.counter(["error"]),
        }
    }
}
