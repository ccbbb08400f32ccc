//! Group commit. One writer thread runs all waiting writes in one transaction, each write of several statements in
//! a savepoint of its own. It commits once, and then reports the results.
//!
//! Invariant: no write succeeds before its commit was synced. After a failed sync no write succeeds again, because
//! the kernel may have dropped the dirty pages, and a later sync would report success without writing them.

mod job;
#[cfg(test)]
mod tests;
mod thread;

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};

use keyward_core::error::Fault;
use keyward_core::span;
use rusqlite::hooks::Wal;
use rusqlite::{Connection, Error};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};
use tracing::{Instrument as _, info_span};

use super::Options;
use super::measured::Measured;
use job::Write;
pub(super) use job::in_savepoint;
use thread::{Failed, Message, Thread};

/// The handle of the writer thread. Dropping it waits until the thread has finished the waiting writes.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Message>>,
    thread: Option<JoinHandle<()>>,
    failure: watch::Receiver<Option<String>>,
    commits: Arc<AtomicU64>,
    measured: Measured,
}

impl Writer {
    /// Starts the thread on a connection that has a write-ahead log.
    pub(super) fn start(mut db: Connection, options: Options) -> Result<Self, Error> {
        let measured = Measured::new();
        let (sender, receiver) = mpsc::channel(options.queue);
        let (failed, failure) = watch::channel(None);
        let commits = Arc::new(AtomicU64::new(0));
        let log_pages = Arc::new(AtomicI32::new(0));
        let (counted, grown) = (Arc::clone(&commits), Arc::clone(&log_pages));
        // The thread makes its own checkpoints, after it has reported results: SQLite's automatic ones would delay them.
        db.wal_hook(Some(move |_: &mut Wal, pages| {
            counted.fetch_add(1, Ordering::Relaxed);
            grown.store(pages, Ordering::Relaxed);
            Ok(())
        }))?;
        let thread = Thread {
            db,
            queue: receiver,
            writes_per_commit: options.writes_per_commit,
            failed: Failed(failed),
            log_pages,
            checkpointed: 0,
            measured: measured.clone(),
        };
        let thread = Builder::new()
            .name("keyward-writer".into())
            .spawn(move || thread.run())
            .map_err(|error| Error::ToSqlConversionFailure(error.into()))?;
        Ok(Self {
            queue: Some(sender),
            thread: Some(thread),
            failure,
            commits,
            measured,
        })
    }

    /// Runs `work` in the next transaction and returns its result once that is committed and synced.
    ///
    /// An error of `work` undoes its own changes and nothing else.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        self.enqueue(work, true).await
    }

    /// Like [`write`](Self::write), for work of at most one changing statement. SQLite itself undoes a statement that
    /// fails, so this omits the savepoint, which would cost twice as much as an insert.
    pub(super) async fn write_statement<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        self.enqueue(work, false).await
    }

    async fn enqueue<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
        in_savepoint: bool,
    ) -> Result<T, Fault> {
        let (sender, receiver) = oneshot::channel();
        let write = Write::new(work, in_savepoint, sender);
        let sent = self
            .queue
            .as_ref()
            .map(|queue| queue.try_send(Message::Run(Box::new(write))));
        match sent {
            Some(Ok(())) => {}
            Some(Err(TrySendError::Full(_))) => {
                self.measured.refused.increment(1);
                return Err(Fault::Unavailable("too many writes are waiting".into()));
            }
            Some(Err(TrySendError::Closed(_))) | None => {
                return Err(Fault::Unavailable(
                    self.failure().unwrap_or_default().into(),
                ));
            }
        }
        let span = info_span!(target: span::TARGET, "commit", otel.kind = "client", db.system.name = "sqlite");
        receiver
            .instrument(span)
            .await
            .unwrap_or_else(|ended| Err(Fault::Internal(ended.into())))
    }

    /// Finishes the waiting writes, refuses further ones, and closes the connection.
    pub(super) async fn close(&self) {
        let (sender, closed) = oneshot::channel::<()>();
        if let Some(queue) = &self.queue
            && queue.send(Message::Close(sender)).await.is_ok()
        {
            // The thread never sends a value. It drops the sender after closing its connection.
            let _ = closed.await;
        }
    }

    /// Why all writes are refused, if they are.
    pub(super) fn failure(&self) -> Option<String> {
        let failure = self.failure.borrow().clone();
        let closed = self.queue.as_ref().is_none_or(mpsc::Sender::is_closed);
        failure.or_else(|| closed.then(|| "the store is closed".to_owned()))
    }

    /// Waits until all writes are refused.
    pub(super) async fn failed(&self) -> String {
        let mut failure = self.failure.clone();
        match failure.wait_for(Option::is_some).await {
            Ok(cause) => cause.clone().unwrap_or_default(),
            // The thread ended as intended.
            Err(_) => std::future::pending().await,
        }
    }

    /// How many writes wait for the thread.
    pub(super) fn waiting(&self) -> usize {
        let queue = self.queue.as_ref();
        queue.map_or(0, |queue| queue.max_capacity() - queue.capacity())
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported through `failed`.
            let _ = thread.join();
        }
    }
}
