//! The metrics of password hashing.

use metrics::{Counter, Gauge, Histogram};

use crate::metrics::{Metric, WAITS, counter, gauge, histogram};

const LENGTH: Metric = gauge(
    "keyward_password_queue_length",
    &[],
    "Hashes that wait for a thread.",
);
const WAIT: Metric = histogram(
    "keyward_password_queue_wait_seconds",
    WAITS,
    &[],
    "How long a hash waited for a thread.",
);
const REFUSED: Metric = counter(
    "keyward_password_queue_refused_total",
    &[],
    "Hashes refused because the queue was full (passwords.queue).",
);
const DURATION: Metric = histogram(
    "keyward_password_hash_duration_seconds",
    WAITS,
    &[],
    "How long a thread took to hash or to check a password.",
);

/// The metrics of password hashing.
pub(crate) const METRICS: &[&Metric] = &[&LENGTH, &WAIT, &REFUSED, &DURATION];

/// The handles of these metrics.
#[derive(Clone)]
pub(super) struct Measured {
    pub(super) length: Gauge,
    pub(super) wait: Histogram,
    pub(super) refused: Counter,
    pub(super) duration: Histogram,
}

impl Measured {
    pub(super) fn new() -> Self {
        Self {
            length: LENGTH.gauge([]),
            wait: WAIT.histogram([]),
            refused: REFUSED.counter([]),
            duration: DURATION.histogram([]),
        }
    }
}
