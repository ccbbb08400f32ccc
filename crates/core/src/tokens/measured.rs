//! The metrics of tokens.

use metrics::{Counter, Histogram};

use super::Error;
use crate::metrics::{COMPUTATIONS, Metric, Stopwatch, counter, histogram};
use crate::sessions::Rotation;

const CHECKS: Metric = histogram(
    "keyward_token_check_duration_seconds",
    COMPUTATIONS,
    &["result"],
    "Time to check an access token, with the database if it had to be asked.",
);
const REFRESHES: Metric = counter(
    "keyward_token_refreshes_total",
    &["result"],
    "Refresh tokens presented.",
);

/// The metrics of tokens.
pub(crate) const METRICS: &[&Metric] = &[&CHECKS, &REFRESHES];

/// The results of presenting a refresh token: exchanged, repeated within the grace period, reused (its session is
/// closed), invalid, or failed.
const RESULTS: [&str; 5] = ["rotated", "repeated", "reused", "refused", "failed"];

/// The handles of these metrics.
pub(super) struct Measured {
    valid: Histogram,
    invalid: Histogram,
    failed: Histogram,
    refreshes: [Counter; RESULTS.len()],
}

impl Measured {
    pub(super) fn new() -> Self {
        let checks = |result: &'static str| CHECKS.histogram([result.into()]);
        Self {
            valid: checks("valid"),
            invalid: checks("invalid"),
            failed: checks("failed"),
            refreshes: RESULTS.map(|result| REFRESHES.counter([result])),
        }
    }

    pub(super) fn checked<T>(&self, took: Stopwatch, result: &Result<T, Error>) {
        took.record(match result {
            Ok(_) => &self.valid,
            Err(Error::Invalid) => &self.invalid,
            Err(_) => &self.failed,
        });
    }

    pub(super) fn refreshed(&self, rotated: &Result<Rotation, Error>) {
        let result = match rotated {
            Ok(Rotation::Rotated(_)) => 0,
            Ok(Rotation::Repeated(_)) => 1,
            Ok(Rotation::Replayed(_)) => 2,
            Ok(Rotation::Refused) | Err(Error::Invalid) => 3,
            Err(_) => 4,
        };
        self.refreshes[result].increment(1);
    }
}
