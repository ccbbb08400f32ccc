//! The metrics of files.

use metrics::Counter;

use crate::metrics::{Metric, counter};

const BYTES: Metric = counter(
    "keyward_file_bytes_total",
    &["direction"],
    "Bytes of files that were uploaded, or read for a download.",
);

/// The metrics of files.
pub(crate) const METRICS: &[&Metric] = &[&BYTES];

/// The handles of these metrics.
#[derive(Clone)]
pub(super) struct Measured {
    pub(super) uploaded: Counter,
    pub(super) downloaded: Counter,
}

impl Measured {
    pub(super) fn new() -> Self {
        Self {
            uploaded: BYTES.counter(["uploaded"]),
            downloaded: BYTES.counter(["downloaded"]),
        }
    }
}
