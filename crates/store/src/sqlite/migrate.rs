//! Versioned migrations, each applied once, in a transaction of its own.
//!
//! Invariant: a database is used only when its migrations are exactly those this program carries.

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::OpenError;

struct Migration {
    version: i64,
    name: &'static str,
    sql: &'static str,
}

const MIGRATIONS: [Migration; 1] = [Migration {
    version: 1,
    name: "initial",
    sql: include_str!("../../migrations/sqlite/0001_initial.sql"),
}];

/// Brings the database at `path` to the latest version; several processes may do so at once.
pub(super) fn migrate(db: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let failed = |error: rusqlite::Error| OpenError::Failed {
        path: path.to_owned(),
        source: error.into(),
    };
    let tables: i64 = db
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(failed)?;
    let ours = db.table_exists(None, "schema_migrations").map_err(failed)?;
    if tables > 0 && !ours {
        return Err(OpenError::Foreign {
            path: path.to_owned(),
        });
    }
    if ours {
        let found = version(db).map_err(failed)?;
        if found > latest() {
            return Err(OpenError::Newer {
                path: path.to_owned(),
                found,
                known: latest(),
            });
        }
    }
    for migration in &MIGRATIONS {
        if apply(db, migration).map_err(failed)? == Applied::Otherwise {
            return Err(OpenError::Altered {
                path: path.to_owned(),
                version: migration.version,
            });
        }
    }
    Ok(())
}

/// The version the database is at.
pub(super) fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached("SELECT coalesce(max(version), 0) FROM schema_migrations")?
        .query_row([], |row| row.get(0))
}

/// The latest version this program knows.
pub(super) fn latest() -> i64 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}

#[derive(PartialEq, Eq)]
enum Applied {
    AsCarried,
    Otherwise,
}

fn apply(db: &mut Connection, migration: &Migration) -> rusqlite::Result<Applied> {
    let checksum = digest(&SHA256, migration.sql.as_bytes());
    if let Some(applied) = find_checksum(db, migration.version)? {
        return Ok(compare(&applied, checksum.as_ref()));
    }
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have applied it while this one waited for the lock.
    if let Some(applied) = find_checksum(&tx, migration.version)? {
        return Ok(compare(&applied, checksum.as_ref()));
    }
    tx.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_migrations (
            version INTEGER PRIMARY KEY,
            name TEXT NOT NULL,
            checksum BLOB NOT NULL,
            applied_at INTEGER NOT NULL
        ) STRICT",
    )?;
    tx.execute_batch(migration.sql)?;
    tx.execute(
        "INSERT INTO schema_migrations (version, name, checksum, applied_at)
        VALUES (?1, ?2, ?3, CAST(unixepoch('subsec') * 1000000 AS INTEGER))",
        params![migration.version, migration.name, checksum.as_ref()],
    )?;
    tx.commit()?;
    Ok(Applied::AsCarried)
}

fn find_checksum(db: &Connection, version: i64) -> rusqlite::Result<Option<Vec<u8>>> {
    if !db.table_exists(None, "schema_migrations")? {
        return Ok(None);
    }
    db.query_row(
        "SELECT checksum FROM schema_migrations WHERE version = ?1",
        [version],
        |row| row.get(0),
    )
    .optional()
}

fn compare(applied: &[u8], carried: &[u8]) -> Applied {
    if applied == carried {
        Applied::AsCarried
    } else {
        Applied::Otherwise
    }
}
