//! A database seen from outside its store: copied while a server writes to it, looked over, and made
//! the start of a new epoch after a restore.
//!
//! Invariant: nothing here changes a database that a server uses.

use std::path::Path;
use std::time::Duration;

use keyward_core::clock::Timestamp;
use keyward_core::files::{BlobId, Namespace};
use keyward_core::id::SessionId;
use rusqlite::{Connection, OpenFlags};

use super::files;
use super::{OpenError, Options, blob, epoch, migrate, open_writer};

/// How long a copy waits for a lock.
const PATIENCE: Duration = Duration::from_secs(10);

const NAMED: &str = "
    SELECT blob, size, sha256, owner, name FROM files";

const NAMED_SINCE: &str = "
    SELECT blob, size, sha256, owner, name FROM main.files AS named
    WHERE NOT EXISTS (SELECT 1 FROM earlier.files AS known WHERE known.blob = named.blob)";

const REPLACE_NAMESPACE: &str = "
    INSERT OR REPLACE INTO meta (key, value) VALUES ('namespace', ?1)";

/// The latest moment that a row tells of, of those that are never in the future.
const NEWEST: &str = "
    SELECT max(
        (SELECT coalesce(max(created_at), 0) FROM accounts),
        (SELECT coalesce(max(refreshed_at), 0) FROM sessions),
        (SELECT coalesce(max(closed_at), 0) FROM session_closures),
        (SELECT coalesce(max(uploaded_at), 0) FROM files))";

/// The bytes that a file's row names.
pub(crate) struct Named {
    pub(crate) blob: BlobId,
    pub(crate) size: u64,
    pub(crate) sha256: Vec<u8>,
    /// The file, for a message.
    pub(crate) file: String,
}

/// What a database says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// The version it is at; 0 where it is empty.
    pub version: i64,
    /// The version this program works with.
    pub known: i64,
    /// What is wrong with the file; nothing where it is sound.
    pub defects: Vec<String>,
    /// The newest moment in it.
    pub newest: Option<Timestamp>,
}

/// A connection that creates nothing.
pub(crate) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    // Not read-only: a log that a crash left could then not be read.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(PATIENCE)?;
    Ok(db)
}

/// Copies what is committed at this moment into the new file `target`, in one read transaction.
pub(crate) fn copy(db: &Connection, target: &Path) -> rusqlite::Result<()> {
    db.execute("VACUUM INTO ?1", [target.to_string_lossy()])
        .map(drop)
}

/// Calls `visit` for the bytes that `db` names and the database at `earlier` does not.
pub(crate) fn each_named<E: From<rusqlite::Error>>(
    db: &Connection,
    earlier: Option<&Path>,
    mut visit: impl FnMut(Named) -> Result<(), E>,
) -> Result<(), E> {
    if let Some(earlier) = earlier {
        db.execute("ATTACH ?1 AS earlier", [earlier.to_string_lossy()])?;
    }
    let mut statement = db.prepare(earlier.map_or(NAMED, |_| NAMED_SINCE))?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let size: i64 = row.get(1)?;
        let (owner, name): (i64, String) = (row.get(3)?, row.get(4)?);
        visit(Named {
            blob: blob(row, 0)?,
            size: u64::try_from(size).unwrap_or_default(),
            sha256: row.get(2)?,
            file: format!("{name} of account {owner}"),
        })?;
    }
    Ok(())
}

/// Whether `db` names those bytes.
pub(crate) fn names(db: &Connection, id: &BlobId) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM files WHERE blob = ?1")?
        .exists([id.as_str()])
}

/// The bytes of all files together.
pub(crate) fn total(db: &Connection) -> rusqlite::Result<u64> {
    let total: i64 = db.query_row("SELECT coalesce(sum(size), 0) FROM files", [], |row| {
        row.get(0)
    })?;
    Ok(u64::try_from(total).unwrap_or_default())
}

/// What SQLite finds wrong with the file.
pub(crate) fn defects(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut check = db.prepare("PRAGMA quick_check(5)")?;
    let found: Vec<String> = check
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(found.into_iter().filter(|line| line != "ok").collect())
}

/// Looks the database at `path` over.
///
/// # Errors
/// When it cannot be opened or read.
pub fn look_over(path: &Path) -> rusqlite::Result<Figures> {
    let db = connect(path)?;
    let version = match db.table_exists(None, "schema_migrations")? {
        true => migrate::version(&db)?,
        false => 0,
    };
    let newest: Option<i64> = match version {
        0 => None,
        _ => Some(db.query_row(NEWEST, [], |row| row.get(0))?),
    };
    Ok(Figures {
        version,
        known: migrate::latest(),
        defects: defects(&db)?,
        newest: newest.filter(|&at| at > 0).map(Timestamp::from_micros),
    })
}

/// How the bytes on the disk and the rows that name them agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    /// Files whose bytes are there.
    pub whole: u64,
    /// Files whose bytes are missing or of another length.
    pub missing: u64,
    /// Bytes that no file names.
    pub unnamed: u64,
}

/// Compares the rows of the database at `path` with the bytes that are `stored`, by id and length; `size_of` tells
/// how many there are under an id. An upload under way may count as unnamed.
///
/// # Errors
/// The database's.
pub fn compare_bytes(
    path: &Path,
    stored: impl Iterator<Item = BlobId>,
    mut size_of: impl FnMut(&BlobId) -> Option<u64>,
) -> rusqlite::Result<Bytes> {
    let db = connect(path)?;
    let mut bytes = Bytes::default();
    each_named(&db, None, |named| {
        if size_of(&named.blob) == Some(named.size) {
            bytes.whole += 1;
        // Else it was replaced since the row was read.
        } else if names(&db, &named.blob)? {
            bytes.missing += 1;
        }
        Ok::<_, rusqlite::Error>(())
    })?;
    for id in stored {
        if !names(&db, &id)? {
            bytes.unnamed += 1;
        }
    }
    Ok(bytes)
}

/// The namespace of the bytes of the database at `path`; `None` where they were never in a bucket.
///
/// # Errors
/// When it cannot be opened or read.
pub fn find_namespace(path: &Path) -> rusqlite::Result<Option<Namespace>> {
    let db = connect(path)?;
    if !db.table_exists(None, "meta")? {
        return Ok(None);
    }
    files::find_namespace(&db)
}

/// Brings a restored database to this program's version and ends every session it knows of or does not: ids up
/// to the epoch, at least `floor`, are never good again, and those given from then on are greater. Its bytes have
/// a `namespace` apart from those of the database it was copied from.
pub(crate) fn begin_epoch(
    path: &Path,
    floor: SessionId,
    namespace: Namespace,
) -> Result<SessionId, OpenError> {
    let failed = |error: rusqlite::Error| OpenError::Failed {
        path: path.to_owned(),
        source: error.into(),
    };
    let mut db = open_writer(path, Options::default()).map_err(failed)?;
    migrate::migrate(&mut db, path)?;
    db.execute(REPLACE_NAMESPACE, [namespace.number()])
        .map_err(failed)?;
    end_sessions(&mut db, floor).map_err(failed)
}

fn end_sessions(db: &mut Connection, floor: SessionId) -> rusqlite::Result<SessionId> {
    let tx = db.transaction()?;
    let epoch = epoch::begin(&tx, floor)?;
    tx.commit()?;
    // One file again, to be moved.
    db.pragma_update_and_check(None, "journal_mode", "delete", |_| Ok(()))?;
    Ok(epoch)
}
