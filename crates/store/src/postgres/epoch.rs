//! Epochs of session ids: their beginning, which locks out everyday work for a moment.
//!
//! Invariant: ids up to the epoch are never good again, and those given from then on are greater.

use deadpool_postgres::Transaction;
use futures_util::FutureExt;
use keyward_core::error::Fault;
use keyward_core::id::SessionId;

use super::error::Error;
use super::pool::Pool;

// Sessions are deleted when they are forgotten and when an epoch begins alone, so that this is so only
// where none was ever opened.
const IS_UNUSED: &str = "
    SELECT NOT EXISTS (SELECT 1 FROM sessions)
        AND NOT EXISTS (SELECT 1 FROM meta WHERE key IN ('horizon', 'epoch'))";

const LOCK_SESSIONS: &str = "
    LOCK TABLE sessions, session_closures";

const TRUNCATE: &str = "
    TRUNCATE session_closures, sessions";

const RAISE: &str = "
    INSERT INTO meta (key, value)
    SELECT 'epoch', greatest($1, (SELECT max(id) FROM sessions), (SELECT max(value) FROM meta WHERE key = 'forgotten'))
    ON CONFLICT (key) DO UPDATE SET value = greatest(meta.value, excluded.value) RETURNING value";

/// Begins an epoch where no session was ever opened nor one begun.
pub(super) async fn begin_first(pool: &Pool, epoch: SessionId) -> Result<(), Fault> {
    // Asked before, so that nobody waits for a lock on a database that is in use.
    let unused = pool.find(IS_UNUSED, &[], |row| Ok(row.try_get(0)?));
    if unused.await? != Some(true) {
        return Ok(());
    }
    pool.transaction(&epoch, |tx, epoch| begin_where_unused(tx, *epoch).boxed())
        .await
}

/// Begins an epoch at `floor` or the greatest id that was given, and deletes every session.
pub(super) async fn begin(pool: &Pool, floor: SessionId) -> Result<SessionId, Fault> {
    pool.transaction(&floor, |tx, floor| end_sessions(tx, *floor).boxed())
        .await
}

async fn begin_where_unused(tx: &Transaction<'_>, epoch: SessionId) -> Result<(), Error> {
    tx.batch_execute(LOCK_SESSIONS).await?;
    match tx.query_one(IS_UNUSED, &[]).await?.try_get(0)? {
        true => raise(tx, epoch).await.map(drop),
        false => Ok(()),
    }
}

async fn end_sessions(tx: &Transaction<'_>, floor: SessionId) -> Result<SessionId, Error> {
    // Whoever opens a session waits until ids go on from the epoch.
    tx.batch_execute(LOCK_SESSIONS).await?;
    let epoch = raise(tx, floor).await?;
    tx.batch_execute(TRUNCATE).await?;
    Ok(epoch)
}

async fn raise(tx: &Transaction<'_>, floor: SessionId) -> Result<SessionId, Error> {
    let raised = tx.query_one(RAISE, &[&floor.0]).await?;
    let epoch: i64 = raised.try_get(0)?;
    let next = epoch.saturating_add(1);
    let restart = format!("ALTER TABLE sessions ALTER COLUMN id RESTART WITH {next}");
    tx.batch_execute(&restart).await?;
    Ok(SessionId(epoch))
}
