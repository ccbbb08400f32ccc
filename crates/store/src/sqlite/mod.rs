//! Implements every row trait of core on one SQLite file.
//!
//! Invariant: all writes of this process go through one writer thread (`writer`), which reports success only after
//! a synced commit. Reads use connections that cannot write (`readers`).

mod accounts;
mod closures;
mod customers;
mod epoch;
mod files;
mod health;
mod keys;
mod measured;
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
use std::thread;
use std::time::Duration;

use keyward_core::error::{Fault, Source, chain};
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, ErrorCode, OpenFlags};

pub(crate) use self::measured::METRICS;
pub use self::snapshot::{BlobCounts, Figures, compare_blobs, examine, find_namespace, list_keys};
use files::blob;
use readers::Readers;
use writer::Writer;

/// How long to wait between two tries where SQLite does not wait by itself.
const PAUSE: Duration = Duration::from_millis(5);

/// How a database is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many writes may wait in the queue. One more is refused as [`Fault::Unavailable`].
    pub queue: usize,
    /// The most writes that share a commit.
    pub writes_per_commit: usize,
    /// How long to wait for a lock that another process holds.
    pub busy_timeout: Duration,
    /// How many long reads run at once; more wait.
    pub long_reads: usize,
    /// Whether to migrate a database of an earlier version. If not, such a database is refused.
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
    /// A newer version of the program has migrated it.
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
    /// It needs a migration, and the options forbid one.
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
    /// An applied migration differs from the one that this program contains.
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
    /// The file is a database of another program.
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
/// Dropping it finishes the waiting writes, as [`Sqlite::close`] does.
pub struct Sqlite {
    // The fields are dropped in this order: the writer's connection closes last and removes the write-ahead log.
    readers: Arc<Readers>,
    writer: Writer,
}

impl Sqlite {
    /// Opens or creates (mode 0600) the database at `path`, migrates it and starts the writer. Blocks.
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

    /// Finishes the waiting writes, refuses further ones, and closes the file.
    pub async fn close(&self) {
        self.readers.close();
        self.writer.close().await;
    }

    /// Resolves with the cause when the disk failed to make a write durable. The store refuses every write from then
    /// on, and the process should stop rather than retry.
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

    /// How many writes wait for the writer.
    #[must_use]
    pub fn waiting_writes(&self) -> usize {
        self.writer.waiting()
    }

    /// How many commits the writer has made. The number is lower than that of writes when writes shared a commit.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.writer.commits()
    }
}

/// Creates an empty file that only its owner can open. An existing file is left alone: opening and closing it here
/// would release the POSIX locks that SQLite holds on it in this process.
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
    use_log(&db, options.busy_timeout)?;
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "foreign_keys", true)?;
    db.pragma_update(None, "cache_size", -4_096)?;
    db.pragma_update(None, "temp_store", "memory")?;
    db.pragma_update(None, "journal_size_limit", 64 << 20)?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}

/// Switches to a write-ahead log. For this SQLite does not wait by itself: while another process closes the database, and
/// with it the log, it answers that the database is locked.
fn use_log(db: &Connection, patience: Duration) -> rusqlite::Result<()> {
    let mut waited = Duration::ZERO;
    loop {
        let switched = db.pragma_update_and_check(None, "journal_mode", "wal", |row| {
            let mode: String = row.get(0)?;
            match mode.as_str() {
                "wal" => Ok(()),
                _ => Err(broken(0, "this file system cannot hold a write-ahead log")),
            }
        });
        match switched {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && waited < patience =>
            {
                thread::sleep(PAUSE);
                waited += PAUSE;
            }
            switched => return switched,
        }
    }
}

/// Copies the write-ahead log of the previous process into the database and resets it. After a failed sync the
/// operating system may show a log that never reached the disk, and anything appended to it would be lost with it.
fn empty_log(db: &Connection) -> rusqlite::Result<()> {
    use ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull};
    match db.wal_checkpoint_v2(None::<&str>, CheckpointMode::TRUNCATE) {
        Err(error)
            if matches!(
                error.sqlite_error_code(),
                Some(DatabaseBusy | DatabaseLocked | DiskFull)
            ) =>
        {
            // Another process is reading, or the disk is full. The data can be served nevertheless.
            tracing::warn!(
                error = chain(&error),
                "the write-ahead log was not copied into the database"
            );
            Ok(())
        }
        copied => copied.map(drop),
    }
}

/// Translates a failed statement for the caller. The statement left no effect.
fn fault(error: rusqlite::Error) -> Fault {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            Fault::Unavailable(error.into())
        }
        Some(ErrorCode::DiskFull) => Fault::Full(error.into()),
        _ => Fault::Internal(error.into()),
    }
}

/// The error for a value in a row that this program cannot have written.
fn broken(column: usize, what: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, what.into())
}

fn cause_of(fault: &Fault) -> String {
    std::error::Error::source(fault).map_or_else(|| fault.to_string(), ToString::to_string)
}
