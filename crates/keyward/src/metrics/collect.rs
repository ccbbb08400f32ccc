//! Measurements that are read from the services when somebody asks for metrics.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keyward_core::metrics::{Metric, counter, gauge};
use keyward_core::random::Random;
use keyward_server::App;
use metrics::{Counter, Gauge};
use rustix::fs::statvfs;
use tokio::time::timeout;

use super::BUILD;
use super::totals::Totals;
use crate::data::Data;
use crate::engine::Engine;

/// How long the database may take to say that it is ready.
const PATIENCE: Duration = Duration::from_secs(2);

const READY: Metric = gauge(
    "keyward_ready",
    &[],
    "1 if the server is ready as /health/ready answers it, 0 if the database cannot be used.",
);
const LAG: Metric = gauge(
    "keyward_revocation_feed_lag_seconds",
    &[],
    "How old the list of closed sessions is: the time since it was last read from the database.",
);
const CLOSED: Metric = gauge(
    "keyward_closed_sessions",
    &[],
    "Closed sessions that the server keeps in memory, until they would have ended.",
);
const UNWRITTEN: Metric = gauge(
    "keyward_unwritten_closures",
    &[],
    "Closed sessions that this server alone refuses, because the database could not be written.",
);
const WENT_BACK: Metric = counter(
    "keyward_database_went_back_total",
    &[],
    "How often the database lost commits that this process had seen.",
);
const BUDGET: Metric = gauge(
    "keyward_memory_budget_bytes",
    &[],
    "The memory budget for everything that waits for clients (http.memory_budget).",
);
const RESERVED: Metric = gauge(
    "keyward_memory_reserved_bytes",
    &[],
    "How much of the memory budget is reserved.",
);
const UPLOADS: Metric = gauge(
    "keyward_unfinished_upload_bytes",
    &[],
    "Bytes of unfinished uploads (files.max_unfinished).",
);
const FREE: Metric = gauge(
    "keyward_disk_free_bytes",
    &[],
    "Free space on the disk of the data folder.",
);
const MIN_FREE: Metric = gauge(
    "keyward_disk_reserve_bytes",
    &[],
    "The space that uploads leave free there (files.min_free).",
);
const WAITING_WRITES: Metric = gauge(
    "keyward_sqlite_waiting_writes",
    &[],
    "Writes that wait for the next commit.",
);
const CONNECTIONS: Metric = gauge(
    "keyward_postgres_connections",
    &["state"],
    "Connections of the pool.",
);
const MOST_CONNECTIONS: Metric = gauge(
    "keyward_postgres_max_connections",
    &[],
    "How many connections the pool may have.",
);
const WAITING_WORK: Metric = gauge(
    "keyward_postgres_waiting",
    &[],
    "How much work waits for a connection.",
);
const REDIS_UP: Metric = gauge(
    "keyward_redis_up",
    &[],
    "1 if rate limits are counted on Redis, 0 if the server counts alone.",
);
const FALLBACKS: Metric = counter(
    "keyward_redis_fallbacks_total",
    &[],
    "Requests that were counted on this server alone.",
);
const OUTAGES: Metric = counter(
    "keyward_redis_outages_total",
    &[],
    "How often Redis went away.",
);
const FLUSHES: Metric = counter(
    "keyward_redis_flushes_total",
    &[],
    "How often Redis had lost what it had counted.",
);

/// What is read here.
pub(super) const METRICS: &[&Metric] = &[
    &READY,
    &LAG,
    &CLOSED,
    &UNWRITTEN,
    &WENT_BACK,
    &BUDGET,
    &RESERVED,
    &UPLOADS,
    &FREE,
    &MIN_FREE,
    &WAITING_WRITES,
    &CONNECTIONS,
    &MOST_CONNECTIONS,
    &WAITING_WORK,
    &REDIS_UP,
    &FALLBACKS,
    &OUTAGES,
    &FLUSHES,
];

/// What is read, and the handles that the values go to.
#[derive(Clone)]
pub(crate) struct Sources {
    app: App,
    folder: PathBuf,
    handles: Arc<Handles>,
    totals: Arc<Totals>,
    database: Database,
    redis: Option<Arc<Redis>>,
}

struct Handles {
    ready: Gauge,
    lag: Gauge,
    closed: Gauge,
    unwritten: Gauge,
    went_back: Counter,
    reserved: Gauge,
    uploads: Gauge,
    free: Gauge,
}

#[derive(Clone)]
struct Database {
    engine: Engine,
    waiting: Gauge,
    busy: Gauge,
    idle: Gauge,
}

struct Redis {
    up: Gauge,
    fallbacks: Counter,
    outages: Counter,
    flushes: Counter,
}

impl Sources {
    /// Reads from the services of `app`, which keeps its rows in `data` and its files in the storage `files`. Uploads leave
    /// `min_free` of the disk of `folder` free; of a bucket's they leave nothing.
    pub(crate) fn new(
        app: &App,
        data: &Data,
        files: &'static str,
        folder: PathBuf,
        min_free: u64,
    ) -> Self {
        let engine = &data.engine;
        let version = env!("CARGO_PKG_VERSION");
        BUILD.gauge([version, engine.name(), files]).set(1);
        BUDGET.gauge([]).set(app.memory.total() as f64);
        MIN_FREE.gauge([]).set(min_free as f64);
        Self {
            app: app.clone(),
            folder,
            handles: Arc::new(Handles::new()),
            totals: Arc::new(Totals::new(app)),
            database: Database::new(engine),
            redis: app.limits.shared().map(|_| Arc::new(Redis::new())),
        }
    }

    pub(super) fn random(&self) -> Arc<dyn Random> {
        self.app.random.clone()
    }

    /// Reads everything once.
    pub(super) async fn collect(&self) {
        let (app, to) = (&self.app, &*self.handles);
        let is_ready = matches!(timeout(PATIENCE, app.health.check()).await, Ok(Ok(())));
        to.ready.set(u8::from(is_ready));
        to.lag.set(app.sessions.feed_lag());
        to.closed.set(app.sessions.closed().len() as f64);
        to.unwritten.set(app.sessions.unwritten_closures() as f64);
        to.went_back.absolute(app.sessions.rewinds());
        to.reserved.set(app.memory.used() as f64);
        to.uploads.set(app.files.unfinished() as f64);
        if let Ok(disk) = statvfs(&self.folder) {
            to.free
                .set(disk.f_bavail.saturating_mul(disk.f_frsize) as f64);
        }
        self.database.collect();
        if is_ready {
            self.totals.collect(PATIENCE).await;
        }
        if let (Some(to), Some(shared)) = (&self.redis, app.limits.shared()) {
            let counts = shared.counts();
            to.up.set(u8::from(counts.up));
            to.fallbacks.absolute(counts.fallbacks);
            to.outages.absolute(counts.outages);
            to.flushes.absolute(counts.flushes);
        }
    }
}

impl Handles {
    fn new() -> Self {
        Self {
            ready: READY.gauge([]),
            lag: LAG.gauge([]),
            closed: CLOSED.gauge([]),
            unwritten: UNWRITTEN.gauge([]),
            went_back: WENT_BACK.counter([]),
            reserved: RESERVED.gauge([]),
            uploads: UPLOADS.gauge([]),
            free: FREE.gauge([]),
        }
    }
}

impl Database {
    fn new(engine: &Engine) -> Self {
        let (waiting, busy, idle) = match engine {
            Engine::Sqlite(..) => (WAITING_WRITES.gauge([]), Gauge::noop(), Gauge::noop()),
            Engine::Postgres(store) => {
                let most = store.pool_status().most;
                MOST_CONNECTIONS.gauge([]).set(most as f64);
                let [busy, idle] = ["busy", "idle"].map(|state| CONNECTIONS.gauge([state]));
                (WAITING_WORK.gauge([]), busy, idle)
            }
        };
        Self {
            engine: engine.clone(),
            waiting,
            busy,
            idle,
        }
    }

    fn collect(&self) {
        match &self.engine {
            Engine::Sqlite(store, _) => self.waiting.set(store.waiting_writes() as f64),
            Engine::Postgres(store) => {
                let status = store.pool_status();
                self.waiting.set(status.waiting as f64);
                self.busy.set(status.busy as f64);
                self.idle.set(status.idle as f64);
            }
        }
    }
}

impl Redis {
    fn new() -> Self {
        Self {
            up: REDIS_UP.gauge([]),
            fallbacks: FALLBACKS.counter([]),
            outages: OUTAGES.counter([]),
            flushes: FLUSHES.counter([]),
        }
    }
}
