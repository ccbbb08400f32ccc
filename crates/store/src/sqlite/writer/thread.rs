//! The thread that owns the writing connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;

use keyward_core::error::chain;
use keyward_core::metrics::Stopwatch;
use rusqlite::Connection;
use rusqlite::wal::CheckpointMode;
use tokio::sync::{mpsc, oneshot, watch};

use super::super::measured::Measured;
use super::job::{Job, Meaning, TransactionError};

/// The pages by which the log grows before it is copied into the database.
const CHECKPOINT_PAGES: i32 = 4_000;

pub(super) enum Message {
    Run(Box<dyn Job>),
    Close(oneshot::Sender<()>),
}

/// Says that the writer has failed, also when its thread panics.
pub(super) struct Failed(pub(super) watch::Sender<Option<String>>);

impl Drop for Failed {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0
                .send_replace(Some("the writer has stopped at a defect".into()));
        }
    }
}

pub(super) struct Thread {
    pub(super) db: Connection,
    pub(super) queue: mpsc::Receiver<Message>,
    pub(super) writes_per_commit: usize,
    pub(super) failed: Failed,
    pub(super) log_pages: Arc<AtomicI32>,
    /// How far the log had grown when it was last copied into the database.
    pub(super) checkpointed: i32,
    pub(super) measured: Measured,
}

impl Thread {
    pub(super) fn run(mut self) {
        let mut closing = None;
        while let Some(message) = self.queue.blocking_recv() {
            let outcome = match message {
                Message::Run(job) => self.batch(job, &mut closing),
                Message::Close(sender) => {
                    closing = Some(sender);
                    Ok(())
                }
            };
            if let Err(failure) = outcome.and_then(|()| self.checkpoint_if_due()) {
                self.stop(&failure);
                return;
            }
            if closing.is_some() {
                self.queue.close();
            }
        }
        if let Err(error) = self
            .db
            .wal_checkpoint_v2(None::<&str>, CheckpointMode::TRUNCATE)
        {
            tracing::warn!(error = chain(&error), "the log is left for the next start");
        }
        if let Err((_, error)) = self.db.close() {
            tracing::warn!(error = chain(&error), "the database was not closed");
        }
        drop(closing);
    }

    /// Runs the waiting writes, commits them and reports the results.
    ///
    /// # Errors
    /// The failure after which nothing may be written.
    fn batch(
        &mut self,
        first: Box<dyn Job>,
        closing: &mut Option<oneshot::Sender<()>>,
    ) -> Result<(), TransactionError> {
        let mut jobs = vec![first];
        let committed = self.transact(&mut jobs, closing);
        for job in jobs {
            job.answer(committed.as_ref().copied());
        }
        match committed {
            Err(failure) if failure.meaning == Meaning::Broken => Err(failure),
            Err(failure) => {
                tracing::error!(cause = failure.cause, "writes were not committed");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn transact(
        &mut self,
        jobs: &mut Vec<Box<dyn Job>>,
        closing: &mut Option<oneshot::Sender<()>>,
    ) -> Result<(), TransactionError> {
        if let Err(error) = self.execute("BEGIN IMMEDIATE") {
            // The writes that arrived meanwhile waited for the same lock.
            while let Some(job) = self.next(jobs.len(), closing) {
                jobs.push(job);
            }
            return Err(TransactionError::of_job(&error));
        }
        let mut ran = 0;
        while let Some(job) = jobs.get_mut(ran) {
            let outcome = job.run(&self.db);
            ran += 1;
            if self.db.is_autocommit() {
                return Err(outcome.err().unwrap_or_else(|| TransactionError {
                    meaning: Meaning::Internal,
                    cause: "the transaction was undone".into(),
                }));
            }
            match outcome {
                Err(failure) if failure.meaning == Meaning::Broken => return Err(failure),
                _ => jobs.extend(self.next(ran, closing)),
            }
        }
        let took = Stopwatch::start();
        let Err(error) = self.execute("COMMIT") else {
            took.record(&self.measured.sync);
            self.measured.writes.record(ran as f64);
            return Ok(());
        };
        let mut failure = TransactionError::of_sync(&error);
        if !self.db.is_autocommit()
            && let Err(error) = self.execute("ROLLBACK")
        {
            failure = TransactionError {
                meaning: Meaning::Broken,
                cause: error.to_string(),
            };
        }
        Err(failure)
    }

    /// The next waiting write, if a batch that holds `taken` writes has room for it.
    fn next(
        &mut self,
        taken: usize,
        closing: &mut Option<oneshot::Sender<()>>,
    ) -> Option<Box<dyn Job>> {
        if taken >= self.writes_per_commit || closing.is_some() {
            return None;
        }
        match self.queue.try_recv().ok()? {
            Message::Run(job) => Some(job),
            Message::Close(sender) => {
                *closing = Some(sender);
                None
            }
        }
    }

    /// Copies the write-ahead log into the database when it has grown, after the results were reported.
    fn checkpoint_if_due(&mut self) -> Result<(), TransactionError> {
        let pages = self.log_pages.load(Ordering::Relaxed);
        if pages < self.checkpointed {
            self.checkpointed = 0;
        }
        if pages - self.checkpointed < CHECKPOINT_PAGES {
            return Ok(());
        }
        self.checkpointed = pages;
        match self
            .db
            .wal_checkpoint_v2(None::<&str>, CheckpointMode::PASSIVE)
        {
            Ok(_) => Ok(()),
            Err(error) => {
                let failure = TransactionError::of_sync(&error);
                if failure.meaning == Meaning::Broken {
                    return Err(failure);
                }
                tracing::warn!(
                    error = chain(&error),
                    "the write-ahead log was not copied into the database"
                );
                Ok(())
            }
        }
    }

    /// Refuses the waiting writes and all later ones.
    fn stop(mut self, failure: &TransactionError) {
        tracing::error!(
            cause = failure.cause,
            "the disk failed to make a write durable; every write is refused from now on"
        );
        let cause = format!("a write could not be made durable: {}", failure.cause);
        self.failed.0.send_replace(Some(cause.clone()));
        self.queue.close();
        let refusal = TransactionError {
            meaning: Meaning::Unavailable,
            cause,
        };
        while let Some(message) = self.queue.blocking_recv() {
            if let Message::Run(job) = message {
                job.answer(Err(&refusal));
            }
        }
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<usize> {
        self.db.prepare_cached(sql)?.execute([])
    }
}
