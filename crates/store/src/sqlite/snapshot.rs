//! A database file seen from outside its store. This module copies it while a server writes to it, checks it for
//! doctor, and starts its new epoch after a restore.
//!
//! Invariant: nothing here changes a database that a server uses.

use std::path::Path;
use std::time::Duration;

use keyward_core::clock::Timestamp;
use keyward_core::files::{BlobId, Namespace};
use keyward_core::keys::StoredRing;
use rusqlite::{Connection, OpenFlags};

use super::{OpenError, Options, blob, epoch, migrate, open_writer};
use super::{files, keys};

/// How long a copy waits for a lock.
const PATIENCE: Duration = Duration::from_secs(10);

const NAMED: &str = "
    SELECT blob, size, sha256, owner, name FROM files";

const NAMED_SINCE: &str = "
    SELECT blob, size, sha256, owner, name FROM main.files AS named
    WHERE NOT EXISTS (SELECT 1 FROM earlier.files AS known WHERE known.blob = named.blob)";

const REPLACE_NAMESPACE: &str = "
    INSERT OR REPLACE INTO meta (key, value) VALUES ('namespace', ?1)";

/// The latest time in any column whose times are never in the future.
const NEWEST: &str = "
    SELECT max(
        (SELECT coalesce(max(created_at), 0) FROM accounts),
        (SELECT coalesce(max(refreshed_at), 0) FROM sessions),
        (SELECT coalesce(max(closed_at), 0) FROM session_closures),
        (SELECT coalesce(max(uploaded_at), 0) FROM files))";

/// A blob that a row of `files` names.
pub(crate) struct Named {
    pub(crate) blob: BlobId,
    pub(crate) size: u64,
    pub(crate) sha256: Vec<u8>,
    /// The file, for a message.
    pub(crate) file: String,
}

/// The state of a database, for doctor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Its schema version; 0 for an empty database.
    pub version: i64,
    /// The schema version that this program needs.
    pub known: i64,
    /// The defects that SQLite found; empty for a sound file.
    pub defects: Vec<String>,
    /// The newest time in it.
    pub newest: Option<Timestamp>,
}

/// Opens a connection that creates nothing.
pub(crate) fn connect(path: &Path) -> rusqlite::Result<Connection> {
    // Read-only access could not read a write-ahead log that a crash left.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(PATIENCE)?;
    Ok(db)
}

/// Copies the committed state into the new file `target`, in one read transaction.
pub(crate) fn copy(db: &Connection, target: &Path) -> rusqlite::Result<()> {
    db.execute("VACUUM INTO ?1", [target.to_string_lossy()])
        .map(drop)
}

/// Calls `visit` for each blob that `db` names and the database at `earlier` does not.
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

/// Whether a row of `db` names this blob.
pub(crate) fn names(db: &Connection, id: &BlobId) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM files WHERE blob = ?1")?
        .exists([id.as_str()])
}

/// The total size of all files, in bytes.
pub(crate) fn total(db: &Connection) -> rusqlite::Result<u64> {
    let total: i64 = db.query_row("SELECT coalesce(sum(size), 0) FROM files", [], |row| {
        row.get(0)
    })?;
    Ok(u64::try_from(total).unwrap_or_default())
}

/// The defects that SQLite finds in the file.
pub(crate) fn defects(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut check = db.prepare("PRAGMA quick_check(5)")?;
    let found: Vec<String> = check
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    Ok(found.into_iter().filter(|line| line != "ok").collect())
}

/// Examines the database at `path`.
///
/// # Errors
/// When it cannot be opened or read.
pub fn examine(path: &Path) -> rusqlite::Result<Figures> {
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

/// How many blobs and rows match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlobCounts {
    /// Files whose blob is complete.
    pub whole: u64,
    /// Files whose blob is missing or has another length.
    pub missing: u64,
    /// Blobs that no row names.
    pub unnamed: u64,
}

/// Compares the rows of the database at `path` with the `stored` blobs, by id and length. `size_of` returns the
/// length of a blob. A blob of an unfinished upload may count as unnamed.
///
/// # Errors
/// The database's.
pub fn compare_blobs(
    path: &Path,
    stored: impl Iterator<Item = BlobId>,
    mut size_of: impl FnMut(&BlobId) -> Option<u64>,
) -> rusqlite::Result<BlobCounts> {
    let db = connect(path)?;
    let mut bytes = BlobCounts::default();
    each_named(&db, None, |named| {
        if size_of(&named.blob) == Some(named.size) {
            bytes.whole += 1;
        // Otherwise the file was replaced after its row was read.
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

/// The bucket namespace of the database at `path`; `None` if its blobs were never in a bucket.
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

/// The signing keys of the database at `path`; `None` if no version with a ring has opened it.
///
/// # Errors
/// When it cannot be opened or read.
pub fn list_keys(path: &Path) -> rusqlite::Result<Option<StoredRing>> {
    let db = connect(path)?;
    match db.table_exists(None, "keys")? {
        true => keys::list(&db).map(Some),
        false => Ok(None),
    }
}

/// Migrates a restored database and ends every session, including those that it does not know: it begins an epoch that
/// is at least `floor`, and the next server gives the database another tag. Its blobs get a `namespace` of their own,
/// apart from those of the database it was copied from.
pub(crate) fn begin_epoch(path: &Path, floor: i64, namespace: Namespace) -> Result<i64, OpenError> {
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

fn end_sessions(db: &mut Connection, floor: i64) -> rusqlite::Result<i64> {
    let tx = db.transaction()?;
    let epoch = epoch::begin(&tx, floor, None)?;
    // A backup does not contain the master key that sealed them.
    tx.execute_batch("DELETE FROM keys; UPDATE meta SET value = 0 WHERE key = 'keys'")?;
    tx.commit()?;
    // Leaves a single file, which can be moved.
    db.pragma_update_and_check(None, "journal_mode", "delete", |_| Ok(()))?;
    Ok(epoch)
}
