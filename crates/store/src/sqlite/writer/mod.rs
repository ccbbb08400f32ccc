//! The one writer: runs all writes that wait in one transaction, those of several statements in a savepoint
//! each, commits once, then answers them all.
//!
//! Invariant: no write is answered before the commit that holds it has been synced, and after a sync
//! that failed none is answered with success again: what the kernel dropped cannot be synced later.

mod job;
#[cfg(test)]
mod tests;
mod thread;

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};

use keyward_core::error::Fault;
use rusqlite::hooks::Wal;
use rusqlite::{Connection, Error};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};

use super::Options;
use job::Write;
pub(super) use job::in_savepoint;
use thread::{Failed, Message, Thread};

/// The handle of the writer thread. Dropped, it waits until the thread has finished what waits.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Message>>,
    thread: Option<JoinHandle<()>>,
    failure: watch::Receiver<Option<String>>,
    commits: Arc<AtomicU64>,
}

impl Writer {
    /// Starts the thread on a connection that has a write-ahead log.
    pub(super) fn start(mut db: Connection, options: Options) -> Result<Self, Error> {
        let (sender, receiver) = mpsc::channel(options.queue);
        let (failed, failure) = watch::channel(None);
        let commits = Arc::new(AtomicU64::new(0));
        let log_pages = Arc::new(AtomicI32::new(0));
        let (counted, grown) = (Arc::clone(&commits), Arc::clone(&log_pages));
        // Takes the place of SQLite's own checkpoints, which would delay the answers.
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
        })
    }

    /// Runs `work` in the next transaction and gives its result once that is committed and synced.
    ///
    /// An error of `work` undoes what it did and nothing else.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Fault> {
        self.enqueue(work, true).await
    }

    /// As [`write`](Self::write), for work that changes rows by one statement at most: one that fails is undone by
    /// SQLite itself, and a savepoint costs twice what an insert does.
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
                return Err(Fault::Unavailable("too many writes are waiting".into()));
            }
            Some(Err(TrySendError::Closed(_))) | None => {
                return Err(Fault::Unavailable(
                    self.failure().unwrap_or_default().into(),
                ));
            }
        }
        receiver
            .await
            .unwrap_or_else(|ended| Err(Fault::Internal(ended.into())))
    }

    /// Finishes what waits, takes no more writes, and closes the connection.
    pub(super) async fn close(&self) {
        let (sender, closed) = oneshot::channel::<()>();
        if let Some(queue) = &self.queue
            && queue.send(Message::Close(sender)).await.is_ok()
        {
            // The thread never sends: it drops the sender once its connection is closed.
            let _ = closed.await;
        }
    }

    /// Why writes are refused for good, if they are.
    pub(super) fn failure(&self) -> Option<String> {
        let failure = self.failure.borrow().clone();
        let closed = self.queue.as_ref().is_none_or(mpsc::Sender::is_closed);
        failure.or_else(|| closed.then(|| "the store is closed".to_owned()))
    }

    /// Waits until writes are refused for good.
    pub(super) async fn failed(&self) -> String {
        let mut failure = self.failure.clone();
        match failure.wait_for(Option::is_some).await {
            Ok(cause) => cause.clone().unwrap_or_default(),
            // The thread has ended as it should.
            Err(_) => std::future::pending().await,
        }
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
