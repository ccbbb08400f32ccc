//! Measurements that are read from the services when somebody asks for metrics.

use std::sync::Arc;
use std::time::Duration;

use keyward_core::metrics::{Kind, Metric};
use keyward_core::random::Random;
use keyward_server::App;
use metrics::{Counter, Gauge};
use tokio::time::timeout;

use super::BUILD;

/// How long the database may take to say that it is ready.
const PATIENCE: Duration = Duration::from_secs(2);

const READY: Metric = gauge(
    "keyward_ready",
    "1 if the server is ready as /health/ready answers it, 0 if the database cannot be used.",
);
const WENT_BACK: Metric = counter(
    "keyward_database_went_back_total",
    "How often the database lost commits that this process had seen.",
);
const BUDGET: Metric = gauge(
    "keyward_memory_budget_bytes",
    "The memory budget for everything that waits for clients (http.memory_budget).",
);
const RESERVED: Metric = gauge(
    "keyward_memory_reserved_bytes",
    "How much of the memory budget is reserved.",
);

/// What is read here.
pub(super) const METRICS: &[&Metric] = &[&READY, &WENT_BACK, &BUDGET, &RESERVED];

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric::new(name, Kind::Gauge, &[], help)
}

const fn counter(name: &'static str, help: &'static str) -> Metric {
    Metric::new(name, Kind::Counter, &[], help)
}

/// The services that are read, and the handles that their values go to.
#[derive(Clone)]
pub(crate) struct Sources {
    app: App,
    ready: Gauge,
    went_back: Counter,
    reserved: Gauge,
}

impl Sources {
    /// Reads from the services of `app`, which keeps its rows in `engine` and its files in `files`.
    pub(crate) fn new(app: &App, engine: &'static str, files: &'static str) -> Self {
        BUILD
            .gauge([env!("CARGO_PKG_VERSION"), engine, files])
            .set(1);
        BUDGET.gauge([]).set(app.memory.total() as f64);
        Self {
            app: app.clone(),
            ready: READY.gauge([]),
            went_back: WENT_BACK.counter([]),
            reserved: RESERVED.gauge([]),
        }
    }

    pub(super) fn random(&self) -> Arc<dyn Random> {
        self.app.random.clone()
    }

    /// Reads everything once.
    pub(super) async fn collect(&self) {
        let is_ready = matches!(timeout(PATIENCE, self.app.health.check()).await, Ok(Ok(())));
        self.ready.set(u8::from(is_ready));
        self.went_back.absolute(self.app.sessions.rewinds());
        self.reserved.set(self.app.memory.used() as f64);
    }
}
