//! Versioned migrations, each applied once, in a transaction of its own.
//!
//! Invariant: a database is opened only when its applied migrations are exactly those that this program contains. When
//! several servers start at once, one applies each migration while the others wait for its row lock.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use deadpool_postgres::{ClientWrapper, Transaction};
use keyward_core::error::Source;
use tokio::time::{sleep, timeout};
use tokio_postgres::error::SqlState;

use super::OpenError;
use super::connect::pause;
use super::error::Error;

struct Migration {
    version: i64,
    name: &'static str,
    sql: &'static str,
}

const MIGRATIONS: [Migration; 5] = [
    Migration {
        version: 1,
        name: "initial",
        sql: include_str!("../../migrations/postgres/0001_initial.sql"),
    },
    Migration {
        version: 2,
        name: "forgotten",
        sql: include_str!("../../migrations/postgres/0002_forgotten.sql"),
    },
    Migration {
        version: 3,
        name: "untagged",
        sql: include_str!("../../migrations/postgres/0003_untagged.sql"),
    },
    Migration {
        version: 4,
        name: "invitations",
        sql: include_str!("../../migrations/postgres/0004_invitations.sql"),
    },
    Migration {
        version: 5,
        name: "keys",
        sql: include_str!("../../migrations/postgres/0005_keys.sql"),
    },
];

/// How long a server waits for migrations, whether it or another server applies them.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often to try to create the table of migrations. Of two servers that do so at once, PostgreSQL refuses one.
const ATTEMPTS: u32 = 8;

const COUNT_TABLES: &str = "
    SELECT count(*),
        count(*) FILTER (WHERE table_name = 'schema_migrations' AND EXISTS (
            SELECT 1 FROM information_schema.columns c
            WHERE c.table_schema = t.table_schema AND c.table_name = t.table_name
                AND c.column_name = 'checksum'))
    FROM information_schema.tables t
    WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'";

const CREATE_TABLE: &str = "
    CREATE TABLE IF NOT EXISTS schema_migrations (
        version BIGINT PRIMARY KEY,
        name TEXT NOT NULL,
        checksum BYTEA NOT NULL,
        applied_at BIGINT NOT NULL
    )";

// Servers that migrate lock the row of version 0, because not every engine has advisory locks.
const CREATE_LOCK: &str = "
    INSERT INTO schema_migrations (version, name, checksum, applied_at)
    VALUES (0, 'lock', '', 0) ON CONFLICT (version) DO NOTHING";

const LOCK: &str = "
    SELECT version FROM schema_migrations WHERE version = 0 FOR UPDATE";

const FIND_VERSION: &str = "
    SELECT max(version) FROM schema_migrations";

const FIND_CHECKSUM: &str = "
    SELECT checksum FROM schema_migrations WHERE version = $1";

const RECORD: &str = "
    INSERT INTO schema_migrations (version, name, checksum, applied_at)
    VALUES ($1, $2, $3, CAST(extract(epoch FROM now()) * 1000000 AS BIGINT))";

/// Migrates the database to the latest version. Several servers may do so at once.
pub(super) async fn migrate(db: &mut ClientWrapper, name: &str) -> Result<(), OpenError> {
    let done = timeout(PATIENCE, bring_up(db, name)).await;
    done.unwrap_or_else(|_| {
        let cause = "another server has been migrating it for two minutes";
        Err(failed(name, cause.into()))
    })
}

/// Refuses a database that [`migrate`] would change.
pub(super) async fn refuse_older(db: &ClientWrapper, name: &str) -> Result<(), OpenError> {
    let fail = |error: Error| failed(name, error.to_string().into());
    let (_, ours) = count_tables(db).await.map_err(fail)?;
    let found = match ours {
        0 => 0,
        _ => find_version(db).await.map_err(fail)?,
    };
    if found >= latest() {
        return Ok(());
    }
    Err(OpenError::Older {
        name: name.to_owned(),
        found,
        known: latest(),
    })
}

/// The latest schema version that this program knows.
pub(super) fn latest() -> i64 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}

async fn bring_up(db: &mut ClientWrapper, name: &str) -> Result<(), OpenError> {
    let fail = |error: Error| {
        let is_forbidden = error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE);
        let source = Source::from(error.to_string());
        match is_forbidden {
            true => OpenError::Forbidden {
                name: name.to_owned(),
                source,
            },
            false => failed(name, source),
        }
    };
    let encoding = prepare(db).await.map_err(fail)?;
    if encoding != "UTF8" {
        return Err(OpenError::Encoding {
            name: name.to_owned(),
            encoding,
        });
    }
    let (tables, ours) = count_tables(db).await.map_err(fail)?;
    if tables > 0 && ours == 0 {
        return Err(OpenError::Foreign {
            name: name.to_owned(),
        });
    }
    if ours == 0 {
        create_table(db).await.map_err(fail)?;
    }
    for migration in &MIGRATIONS {
        let mut attempt = 1;
        let applied = loop {
            match apply(db, migration).await {
                Err(error) if error.is_retryable() && attempt < ATTEMPTS => {
                    sleep(pause(attempt)).await;
                    attempt += 1;
                }
                other => break other.map_err(fail)?,
            }
        };
        if let Some(refusal) = applied.refusal(migration.version, name) {
            return Err(refusal);
        }
    }
    Ok(())
}

/// Lifts the time limits of ordinary work and returns the encoding of the database.
async fn prepare(db: &ClientWrapper) -> Result<String, Error> {
    db.batch_execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
        .await?;
    let row = db
        .query_one("SELECT current_setting('server_encoding')", &[])
        .await?;
    Ok(row.try_get(0)?)
}

async fn count_tables(db: &ClientWrapper) -> Result<(i64, i64), Error> {
    let row = db.query_one(COUNT_TABLES, &[]).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

async fn find_version(db: &ClientWrapper) -> Result<i64, Error> {
    let row = db.query_one(FIND_VERSION, &[]).await?;
    Ok(row.try_get::<_, Option<i64>>(0)?.unwrap_or(0))
}

async fn create_table(db: &ClientWrapper) -> Result<(), Error> {
    let mut attempt = 1;
    loop {
        let created = db.batch_execute(CREATE_TABLE).await.map_err(Error::from);
        match created {
            Err(error) if is_race(&error) && attempt < ATTEMPTS => {
                sleep(pause(attempt)).await;
                attempt += 1;
            }
            other => break other?,
        }
    }
    db.batch_execute(CREATE_LOCK).await.map_err(Error::from)
}

/// Whether another server created the same table at the same instant. `IF NOT EXISTS` checks first and creates later,
/// so it does not prevent this.
fn is_race(error: &Error) -> bool {
    error.is_retryable()
        || error.code().is_some_and(|code| {
            [
                SqlState::UNIQUE_VIOLATION,
                SqlState::DUPLICATE_TABLE,
                SqlState::DUPLICATE_OBJECT,
            ]
            .contains(code)
        })
}

enum Applied {
    AsCarried,
    Otherwise,
    /// A newer program has migrated the database to that version.
    Beyond(i64),
}

impl Applied {
    fn refusal(self, version: i64, name: &str) -> Option<OpenError> {
        let name = name.to_owned();
        match self {
            Self::AsCarried => None,
            Self::Otherwise => Some(OpenError::Altered { name, version }),
            Self::Beyond(found) => Some(OpenError::Newer {
                name,
                found,
                known: latest(),
            }),
        }
    }
}

async fn apply(db: &mut ClientWrapper, migration: &Migration) -> Result<Applied, Error> {
    let tx = db.transaction().await?;
    // The table may exist without its row, if the server that created it was stopped in between.
    tx.batch_execute(CREATE_LOCK).await?;
    tx.query_one(LOCK, &[]).await?;
    let applied = apply_locked(&tx, migration).await?;
    tx.commit().await?;
    Ok(applied)
}

async fn apply_locked(tx: &Transaction<'_>, migration: &Migration) -> Result<Applied, Error> {
    let found: Option<i64> = tx.query_one(FIND_VERSION, &[]).await?.try_get(0)?;
    let found = found.unwrap_or(0);
    if found > latest() {
        return Ok(Applied::Beyond(found));
    }
    let checksum = digest(&SHA256, migration.sql.as_bytes());
    let applied = tx.query_opt(FIND_CHECKSUM, &[&migration.version]).await?;
    if let Some(applied) = applied {
        let same = applied.try_get::<_, &[u8]>(0)? == checksum.as_ref();
        return Ok(if same {
            Applied::AsCarried
        } else {
            Applied::Otherwise
        });
    }
    tx.batch_execute(migration.sql).await?;
    tx.execute(
        RECORD,
        &[&migration.version, &migration.name, &checksum.as_ref()],
    )
    .await?;
    Ok(Applied::AsCarried)
}

fn failed(name: &str, source: Source) -> OpenError {
    OpenError::Failed {
        name: name.to_owned(),
        source,
    }
}
