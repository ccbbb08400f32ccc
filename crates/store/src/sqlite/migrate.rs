//! Versioned migrations, each applied once, in a transaction of its own.
//!
//! Invariant: a database is used only when its applied migrations are exactly those that this program contains.

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::OpenError;

struct Migration {
    version: i64,
    name: &'static str,
    sql: &'static str,
}

const MIGRATIONS: [Migration; 5] = [
    Migration {
        version: 1,
        name: "initial",
        sql: include_str!("../../migrations/sqlite/0001_initial.sql"),
    },
    Migration {
        version: 2,
        name: "forgotten",
        sql: include_str!("../../migrations/sqlite/0002_forgotten.sql"),
    },
    Migration {
        version: 3,
        name: "untagged",
        sql: include_str!("../../migrations/sqlite/0003_untagged.sql"),
    },
    Migration {
        version: 4,
        name: "invitations",
        sql: include_str!("../../migrations/sqlite/0004_invitations.sql"),
    },
    Migration {
        version: 5,
        name: "keys",
        sql: include_str!("../../migrations/sqlite/0005_keys.sql"),
    },
];

/// Migrates the database at `path` to the latest version. Several processes may do so at once.
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

/// Refuses a database that [`migrate`] would change.
pub(super) fn refuse_older(db: &Connection, path: &Path) -> Result<(), OpenError> {
    let found = db
        .table_exists(None, "schema_migrations")
        .and_then(|ours| if ours { version(db) } else { Ok(0) })
        .map_err(|error| OpenError::Failed {
            path: path.to_owned(),
            source: error.into(),
        })?;
    if found < latest() {
        return Err(OpenError::Older {
            path: path.to_owned(),
            found,
            known: latest(),
        });
    }
    Ok(())
}

/// The schema version of the database.
pub(super) fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached("SELECT coalesce(max(version), 0) FROM schema_migrations")?
        .query_row([], |row| row.get(0))
}

/// The latest schema version that this program knows.
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
    if !has_migrations(db)? {
        return Ok(None);
    }
    db.query_row(
        "SELECT checksum FROM schema_migrations WHERE version = ?1",
        [version],
        |row| row.get(0),
    )
    .optional()
}

/// Queries the file itself, because the connection's cached schema may be older than the lock.
fn has_migrations(db: &Connection) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM sqlite_schema WHERE name = 'schema_migrations'")?
        .exists([])
}

fn compare(applied: &[u8], carried: &[u8]) -> Applied {
    if applied == carried {
        Applied::AsCarried
    } else {
        Applied::Otherwise
    }
}

#[cfg(test)]
mod tests {
    use keyward_core::clock::Timestamp;
    use keyward_core::id::SessionId;
    use keyward_core::sessions::{Feed as _, Forgotten};

    use super::*;
    use crate::sqlite::{Options, Sqlite};

    fn prepare(sql: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("keyward.db");
        if !sql.is_empty() {
            drop(Sqlite::open(&path, Options::default()).expect("a store"));
            Connection::open(&path)
                .expect("a connection")
                .execute_batch(sql)
                .expect("the change");
        }
        (home, path)
    }

    fn refusal(path: &Path) -> OpenError {
        Sqlite::open(path, Options::default())
            .err()
            .expect("a refusal")
    }

    #[test]
    fn an_empty_file_is_brought_to_the_latest_version_and_stays_there() {
        let (_home, path) = prepare("");
        for _ in 0..2 {
            drop(Sqlite::open(&path, Options::default()).expect("a store"));
            let db = Connection::open(&path).expect("a connection");
            assert_eq!(version(&db).expect("a version"), latest());
            let count: i64 = db
                .query_row("SELECT count(*) FROM schema_migrations", [], |row| {
                    row.get(0)
                })
                .expect("a count");
            assert_eq!(usize::try_from(count).expect("a count"), MIGRATIONS.len());
        }
    }

    #[test]
    fn processes_that_start_at_once_migrate_once() {
        let (_home, path) = prepare("");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| drop(Sqlite::open(&path, Options::default()).expect("a store")));
            }
        });
    }

    #[test]
    fn a_database_of_a_newer_program_is_refused() {
        let (_home, path) = prepare("INSERT INTO schema_migrations VALUES (99, 'later', x'00', 0)");
        let refusal = refusal(&path);
        assert!(matches!(refusal, OpenError::Newer { found: 99, .. }));
        assert!(refusal.to_string().contains("run the newer program"));
    }

    #[test]
    fn a_database_that_must_not_be_migrated_is_refused_until_it_is() {
        let (_home, path) = prepare("");
        let beside = Options {
            migrate: false,
            ..Options::default()
        };
        let refusal = Sqlite::open(&path, beside).err().expect("a refusal");
        assert!(matches!(refusal, OpenError::Older { found: 0, .. }));
        drop(Sqlite::open(&path, Options::default()).expect("a store"));
        assert!(Sqlite::open(&path, beside).is_ok());
    }

    #[test]
    fn a_database_with_another_text_of_a_migration_is_refused() {
        let (_home, path) = prepare("UPDATE schema_migrations SET checksum = x'00'");
        assert!(matches!(
            refusal(&path),
            OpenError::Altered { version: 1, .. }
        ));
    }

    #[test]
    fn a_database_of_something_else_is_refused_and_left_as_it_was() {
        let (_home, path) = prepare("");
        let other = Connection::open(&path).expect("a database");
        other
            .execute_batch("CREATE TABLE theirs (x)")
            .expect("a table");
        assert!(matches!(refusal(&path), OpenError::Foreign { .. }));
        let tables: i64 = other
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .expect("a count");
        assert_eq!(tables, 1);
    }

    #[test]
    fn a_file_that_is_no_database_is_refused() {
        let (_home, path) = prepare("");
        std::fs::write(&path, "not a database, though it is long enough to be one")
            .expect("a file");
        assert!(matches!(refusal(&path), OpenError::Failed { .. }));
    }

    #[tokio::test]
    async fn of_what_was_forgotten_before_it_was_remembered_every_id_given_counts() {
        for (more, expected) in [
            ("", None),
            (
                "INSERT INTO meta VALUES ('horizon', 7)",
                Some(Forgotten {
                    horizon: Timestamp::from_micros(7),
                    last: SessionId(41),
                }),
            ),
        ] {
            let older = "DELETE FROM schema_migrations WHERE version = 2;
                INSERT INTO sqlite_sequence VALUES ('sessions', 41);";
            let (_home, path) = prepare(&format!("{older} {more}"));
            let store = Sqlite::open(&path, Options::default()).expect("a store");
            let found = store.find_forgotten().await.expect("the store");
            assert_eq!(found, expected);
        }
    }
}
