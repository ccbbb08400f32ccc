//! The metrics of sessions.

use metrics::Counter;

use super::Reason;
use crate::accounts::Realm;
use crate::metrics::{Metric, counter};

const OPENED: Metric = counter(
    "keyward_sessions_opened_total",
    &["realm"],
    "Sessions opened by this server.",
);
const CLOSED: Metric = counter(
    "keyward_sessions_closed_total",
    &["reason"],
    "Sessions closed by this server before their end.",
);

/// The metrics of sessions.
pub(crate) const METRICS: &[&Metric] = &[&OPENED, &CLOSED];

/// The handles of these metrics.
pub(super) struct Measured {
    opened: [Counter; Realm::ALL.len()],
    closed: [Counter; Reason::ALL.len()],
}

impl Measured {
    pub(super) fn new() -> Self {
        Self {
            opened: Realm::ALL.map(|realm| OPENED.counter([realm.name()])),
            closed: Reason::ALL.map(|reason| CLOSED.counter([reason.name()])),
        }
    }

    pub(super) fn opened(&self, realm: Realm) {
        self.opened[realm as usize].increment(1);
    }

    pub(super) fn closed(&self, count: usize, reason: Reason) {
        self.closed[reason as usize].increment(count as u64);
    }
}
