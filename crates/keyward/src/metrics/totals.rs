//! How much is in the database: numbers that it has to count.
//!
//! Invariant: counting takes at most a hundredth of the time, however much there is, and none where nobody asks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use keyward_core::accounts::Realm;
use keyward_core::files::Files;
use keyward_core::metrics::{Metric, gauge};
use keyward_core::sessions::Sessions;
use keyward_server::App;
use metrics::Gauge;
use tokio::sync::Mutex;
use tokio::time::timeout;

const SESSIONS: Metric = gauge(
    "keyward_open_sessions",
    &["realm"],
    "Open sessions in the database, counted once a minute at most.",
);
const FILES: Metric = gauge(
    "keyward_files",
    &[],
    "Stored files, counted once a minute at most.",
);
const BYTES: Metric = gauge(
    "keyward_stored_file_bytes",
    &[],
    "Bytes of stored files, counted once a minute at most.",
);

/// What is counted here.
pub(super) const METRICS: &[&Metric] = &[&SESSIONS, &FILES, &BYTES];

/// How long a number is good at least.
const PAUSE: Duration = Duration::from_secs(60);
/// How many times as long as the counting took.
const SHARE: u32 = 100;

/// Counts when that is due.
pub(super) struct Totals {
    sessions: Sessions,
    files: Files,
    open: [Gauge; Realm::ALL.len()],
    stored: Gauge,
    bytes: Gauge,
    due: Mutex<Option<Instant>>,
}

impl Totals {
    pub(super) fn new(app: &App) -> Self {
        Self {
            sessions: app.sessions.clone(),
            files: app.files.clone(),
            open: Realm::ALL.map(|realm| SESSIONS.gauge([realm.name()])),
            stored: FILES.gauge([]),
            bytes: BYTES.gauge([]),
            due: Mutex::default(),
        }
    }

    /// Counts again if the last numbers are old, and goes on with it even if the caller stops waiting. Where the database
    /// fails, the last numbers stand.
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
        if let Ok(usage) = self.files.measure_all().await {
            self.stored.set(usage.files);
            self.bytes.set(usage.bytes as f64);
        }
        *due = Some(begun + PAUSE.max(begun.elapsed() * SHARE));
    }
}
