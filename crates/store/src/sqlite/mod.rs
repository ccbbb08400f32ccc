//! Every row trait of core on one SQLite file.
//!
//! Invariant: all writes of this process pass through one writer thread (`writer`), which answers
//! after a synced commit; reads go to connections that cannot write (`readers`).

mod accounts;
mod customers;
mod epoch;
mod files;
mod health;
mod migrate;
#[cfg(test)]
mod plans;
mod readers;
mod sessions;
pub(crate) mod snapshot;
mod writer;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keyward_core::error::{Fault, Source, chain};
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, ErrorCode, OpenFlags};

pub use self::snapshot::{Bytes, Figures, compare_bytes, find_namespace, look_over};
use files::blob;
use readers::Readers;
use writer::Writer;

/// How a database is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many writes may wait; one more is refused as [`Fault::Unavailable`].
    pub queue: usize,
    /// The most writes that share a commit.
    pub writes_per_commit: usize,
    /// How long to wait for a lock that another process holds.
    pub busy_timeout: Duration,
    /// How many long reads run at once; more wait.
    pub long_reads: usize,
    /// Whether a database of an earlier version is brought to this program's; otherwise it is refused.
    pub migrate: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queue: 4_096,
            writes_per_commit: 1_024,
            busy_timeout: Duration::from_secs(5),
            long_reads: 4,
            migrate: true,
        }
    }
}

/// Why a database was not opened. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A later version of the program has migrated it.
    #[error(
        "the database {path} is at version {found}, but this program knows only up to {known}: \
         run the newer program that wrote it, or restore a backup"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version it is at.
        found: i64,
        /// The latest version this program knows.
        known: i64,
    },
    /// It must not be migrated now, and would have to be.
    #[error(
        "the database {path} is at version {found} and in use, but this program works with {known}: \
         use the program that runs on it, or stop that first"
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// The version it is at.
        found: i64,
        /// The version this program works with.
        known: i64,
    },
    /// An applied migration is not the one this program carries.
    #[error(
        "migration {version} of the database {path} was applied as another text than this program \
         carries: run the program that wrote it, or restore a backup"
    )]
    Altered {
        /// The file.
        path: PathBuf,
        /// The migration.
        version: i64,
    },
    /// It is something else's database.
    #[error("the database {path} was not made by Keyward: name another file")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It could not be opened or migrated.
    #[error("the database {path} cannot be opened")]
    Failed {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Source,
    },
}

/// The rows of Keyward in one SQLite file.
///
/// Dropped, it finishes the writes that wait, as [`Sqlite::close`] does.
pub struct Sqlite {
    // Closed in this order, so that the writer's connection is the last and tidies the file up.
    readers: Arc<Readers>,
    writer: Writer,
}

impl Sqlite {
    /// Opens the database at `path`, or makes it with mode 0600, migrates it and starts the writer. Blocks.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        let failed = |source: Source| OpenError::Failed {
            path: path.to_owned(),
            source,
        };
        create_private(path).map_err(|error| failed(error.into()))?;
        let mut db = open_writer(path, options).map_err(|error| failed(error.into()))?;
        if !options.migrate {
            migrate::refuse_older(&db, path)?;
        }
        migrate::migrate(&mut db, path)?;
        if options.migrate {
            empty_log(&db).map_err(|error| failed(error.into()))?;
        }
        Ok(Self {
            readers: Arc::new(Readers::new(path, options)),
            writer: Writer::start(db, options).map_err(|error| failed(error.into()))?,
        })
    }

    /// Finishes the writes that wait, takes no more, and closes the file.
    pub async fn close(&self) {
        self.readers.close();
        self.writer.close().await;
    }

    /// Resolves, with the cause, when the disk has failed to make a write durable: nothing can be
    /// written any more, and the process should stop rather than try again.
    pub async fn failed(&self) -> String {
        self.writer.failed().await
    }

    /// Checks that writes are taken and that the database answers and is migrated.
    ///
    /// # Errors
    /// Why it is not ready.
    pub async fn ready(&self) -> Result<(), String> {
        if let Some(cause) = self.writer.failure() {
            return Err(format!("the database takes no writes: {cause}"));
        }
        let version = self
            .readers
            .scan(migrate::version)
            .await
            .map_err(|fault| format!("the database does not answer: {}", cause_of(&fault)))?;
        if version != migrate::latest() {
            return Err(format!("the database is at version {version}"));
        }
        Ok(())
    }

    /// How many commits the writer has made; fewer than the writes where some shared one.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.writer.commits()
    }
}

/// Makes an empty file that only its owner can open. One that exists is not touched: opening and
/// closing it here would drop the locks that SQLite holds on it in this process.
fn create_private(path: &Path) -> io::Result<()> {
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    match created {
        Ok(file) => {
            file.sync_all()?;
            let folder = path.parent().filter(|parent| *parent != Path::new(""));
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

fn open_writer(path: &Path, options: Options) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(options.busy_timeout)?;
    db.pragma_update_and_check(None, "journal_mode", "wal", |row| {
        let mode: String = row.get(0)?;
        if mode == "wal" {
            Ok(())
        } else {
            Err(broken(0, "this file system cannot hold a write-ahead log"))
        }
    })?;
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "foreign_keys", true)?;
    db.pragma_update(None, "cache_size", -4_096)?;
    db.pragma_update(None, "temp_store", "memory")?;
    db.pragma_update(None, "journal_size_limit", 64 << 20)?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}

/// Copies the log of the last process into the database and begins it anew. Where a sync had failed, the
/// system may show a log that never reached the disk: what is appended to it would be lost with it.
fn empty_log(db: &Connection) -> rusqlite::Result<()> {
    use ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull};
    match db.wal_checkpoint_v2(None::<&str>, CheckpointMode::TRUNCATE) {
        Err(error)
            if matches!(
                error.sqlite_error_code(),
                Some(DatabaseBusy | DatabaseLocked | DiskFull)
            ) =>
        {
            // Another process reads, or there is no room: what is there can be served all the same.
            tracing::warn!(
                error = chain(&error),
                "the log was not copied into the database"
            );
            Ok(())
        }
        copied => copied.map(drop),
    }
}

/// What a failed statement means to the caller; nothing of it was kept.
fn fault(error: rusqlite::Error) -> Fault {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Fault::Unavailable(error.into())
        }
        Some(ErrorCode::DiskFull) => Fault::Full(error.into()),
        _ => Fault::Internal(error.into()),
    }
}

/// A value in a row that this program cannot have written.
fn broken(column: usize, what: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, what.into())
}

fn cause_of(fault: &Fault) -> String {
    std::error::Error::source(fault).map_or_else(|| fault.to_string(), ToString::to_string)
}
