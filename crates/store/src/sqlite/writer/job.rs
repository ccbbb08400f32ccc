//! One write in the writer's queue, and how its result reaches the caller.

use keyward_core::error::Fault;
use rusqlite::{Connection, Error, ErrorCode, ffi};
use tokio::sync::oneshot;

use crate::sqlite::fault;

/// A write in the queue.
pub(super) trait Job: Send {
    /// Runs the write in the open transaction.
    fn run(&mut self, db: &Connection) -> Result<(), TransactionError>;

    /// Sends the result to the caller, given the outcome of the transaction.
    fn answer(self: Box<Self>, committed: Result<(), &TransactionError>);
}

pub(super) struct Write<F, T> {
    work: Option<F>,
    in_savepoint: bool,
    result: Option<rusqlite::Result<T>>,
    sender: oneshot::Sender<Result<T, Fault>>,
}

impl<F, T> Write<F, T> {
    pub(super) fn new(
        work: F,
        in_savepoint: bool,
        sender: oneshot::Sender<Result<T, Fault>>,
    ) -> Self {
        Self {
            work: Some(work),
            in_savepoint,
            result: None,
            sender,
        }
    }
}

impl<F, T> Job for Write<F, T>
where
    F: FnOnce(&Connection) -> rusqlite::Result<T> + Send,
    T: Send,
{
    fn run(&mut self, db: &Connection) -> Result<(), TransactionError> {
        let Some(work) = self.work.take() else {
            return Ok(());
        };
        let result = match self.in_savepoint {
            true => in_savepoint(db, work),
            false => work(db),
        };
        let outcome = match &result {
            Err(error) => Err(TransactionError::of_job(error)),
            Ok(_) => Ok(()),
        };
        self.result = Some(result);
        outcome
    }

    fn answer(self: Box<Self>, committed: Result<(), &TransactionError>) {
        let answer = match (committed, self.result) {
            (Ok(()), Some(result)) => result.map_err(fault),
            (Ok(()), None) => Err(Fault::Internal("the write was not run".into())),
            (Err(failure), _) => Err(failure.fault()),
        };
        // The caller may have left. The write stands nevertheless.
        let _ = self.sender.send(answer);
    }
}

/// Runs `work` in a savepoint, so that its error undoes its own changes and nothing else.
pub(in crate::sqlite) fn in_savepoint<T>(
    db: &Connection,
    work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let execute = |sql| db.prepare_cached(sql)?.execute([]);
    execute("SAVEPOINT job")?;
    let result = work(db);
    // Some errors, such as a full disk, roll back the whole transaction and its savepoints.
    if result.is_err() && !db.is_autocommit() {
        execute("ROLLBACK TO job")?;
    }
    if !db.is_autocommit() {
        execute("RELEASE job")?;
    }
    result
}

/// The reason why a transaction was not committed.
#[derive(Debug)]
pub(super) struct TransactionError {
    pub(super) meaning: Meaning,
    pub(super) cause: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Unavailable,
    Full,
    Internal,
    /// The disk failed a sync, so no later write can be trusted.
    Broken,
}

impl TransactionError {
    /// Classifies an error within a transaction. When SQLite's cache overflows, the log is written, and possibly
    /// synced, before the commit.
    pub(super) fn of_job(error: &Error) -> Self {
        let sync = [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_DIR_FSYNC];
        let synced = error
            .sqlite_error()
            .is_some_and(|error| sync.contains(&error.extended_code));
        let meaning = match error.sqlite_error_code() {
            _ if synced => Meaning::Broken,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Meaning::Unavailable,
            Some(ErrorCode::DiskFull) => Meaning::Full,
            _ => Meaning::Internal,
        };
        Self {
            meaning,
            cause: error.to_string(),
        }
    }

    /// Classifies an error of `COMMIT` or of a checkpoint, both of which write and sync.
    pub(super) fn of_sync(error: &Error) -> Self {
        let failure = Self::of_job(error);
        match error.sqlite_error_code() {
            Some(ErrorCode::SystemIoFailure) => Self {
                meaning: Meaning::Broken,
                ..failure
            },
            _ => failure,
        }
    }

    fn fault(&self) -> Fault {
        let cause = self.cause.clone().into();
        match self.meaning {
            Meaning::Unavailable => Fault::Unavailable(cause),
            Meaning::Full => Fault::Full(cause),
            Meaning::Internal | Meaning::Broken => Fault::Internal(cause),
        }
    }
}
