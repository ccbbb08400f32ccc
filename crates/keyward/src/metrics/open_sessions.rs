//! The number of open sessions, which the database has to count.
//!
//! Invariant: counting takes at most a hundredth of the time, however many sessions there are, and none where nobody asks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keyward_core::accounts::Realm;
use keyward_core::metrics::{Kind, Metric};
use keyward_core::sessions::Sessions;
use metrics::Gauge;
use tokio::sync::Mutex;
use tokio::time::timeout;

pub(super) const OPEN: Metric = Metric::new(
    "keyward_open_sessions",
    Kind::Gauge,
    &["realm"],
    "Open sessions in the database, counted once a minute at most.",
);

/// How long a number is good at least.
const PAUSE: Duration = Duration::from_secs(60);
/// How many times as long as the counting took.
const SHARE: u32 = 100;

/// Counts the open sessions when that is due.
pub(super) struct OpenSessions {
    sessions: Sessions,
    open: [Gauge; Realm::ALL.len()],
    due: Mutex<Option<Instant>>,
}

impl OpenSessions {
    pub(super) fn new(sessions: Sessions) -> Self {
        Self {
            sessions,
            open: Realm::ALL.map(|realm| OPEN.gauge([realm.name()])),
            due: Mutex::default(),
        }
    }

    /// Counts again if the last number is old, and goes on with it even if the caller stops waiting. Where the database
    /// fails, the last number stands.
    pub(super) async fn collect(self: &Arc<Self>, patience: Duration) {
        let this = Arc::clone(self);
        let counting = tokio::spawn(async move { this.count_if_due().await });
        let _ = timeout(patience, counting).await;
    }

    async fn count_if_due(&self) {
        // Whoever holds it is counting.
        let Ok(mut due) = self.due.try_lock() else {
            return;
        };
        let begun = Instant::now();
        if due.is_some_and(|due| begun < due) {
            return;
        }
        if let Ok(counts) = self.sessions.count_open().await {
            for (gauge, count) in self.open.iter().zip(counts) {
                gauge.set(count as f64);
            }
        }
        *due = Some(begun + PAUSE.max(begun.elapsed() * SHARE));
    }
}
