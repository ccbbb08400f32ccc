//! The reading connections. A look-up by key runs on the calling thread, because handing it to another thread would
//! cost more than the look-up. A read that may touch many pages runs on a blocking thread, a few at a time.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use keyward_core::error::Fault;
use keyward_core::span;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;
use tracing::{Instrument as _, info_span};

use super::{Options, fault};

/// Connections kept open when nobody reads.
const KEPT: usize = 8;

pub(super) struct Readers {
    path: PathBuf,
    options: Options,
    idle: Mutex<Vec<Connection>>,
    closed: AtomicBool,
    long: Semaphore,
}

impl Readers {
    pub(super) fn new(path: &Path, options: Options) -> Self {
        Self {
            path: path.to_owned(),
            options,
            idle: Mutex::default(),
            closed: AtomicBool::new(false),
            long: Semaphore::new(options.long_reads),
        }
    }

    /// Runs a look-up of a few pages on the calling thread.
    pub(super) fn look_up<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Fault> {
        if self.closed.load(Ordering::Acquire) {
            return Err(Fault::Unavailable("the store is closed".into()));
        }
        let idle = self.idle().pop();
        let db = match idle {
            Some(db) => db,
            None => self.connect().map_err(fault)?,
        };
        // After an error the connection is dropped, because it may be the cause.
        let found = work(&db).map_err(fault)?;
        let mut idle = self.idle();
        if idle.len() < KEPT && !self.closed.load(Ordering::Acquire) {
            idle.push(db);
        }
        Ok(found)
    }

    /// Runs a read of any length on a blocking thread.
    pub(super) async fn scan<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        let span = info_span!(target: span::TARGET, "scan", otel.kind = "client", db.system.name = "sqlite");
        let read = async {
            let _turn = self
                .long
                .acquire()
                .await
                .map_err(|closed| Fault::Unavailable(closed.into()))?;
            let readers = Arc::clone(self);
            tokio::task::spawn_blocking(move || readers.look_up(work))
                .await
                .map_err(|ended| Fault::Internal(ended.into()))?
        };
        read.instrument(span).await
    }

    /// Refuses further reads. Closes idle connections now, and the others when their reads end.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.idle().clear();
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(&self.path, flags)?;
        db.busy_timeout(self.options.busy_timeout)?;
        db.pragma_update(None, "query_only", true)?;
        db.pragma_update(None, "cache_size", -512)?;
        db.pragma_update(None, "mmap_size", 0)?;
        db.set_prepared_statement_cache_capacity(32);
        Ok(db)
    }
}
