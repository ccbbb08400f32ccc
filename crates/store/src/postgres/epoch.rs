//! Begins a new epoch, which ends every session. Opening and closing sessions waits for a moment.
//!
//! Invariant: no token issued before an epoch is valid in it. Tokens carry the tag of their database, and each epoch
//! has a new tag.

use deadpool_postgres::Transaction;
use futures_util::FutureExt;
use keyward_core::error::Fault;
use keyward_core::sessions::Tag;

use super::error::Error;
use super::pool::Pool;

const LOCK_SESSIONS: &str = "
    LOCK TABLE sessions, session_closures";

const TRUNCATE: &str = "
    TRUNCATE session_closures, sessions";

const RAISE: &str = "
    INSERT INTO meta (key, value) VALUES ('epoch', $1)
    ON CONFLICT (key) DO UPDATE SET value = greatest(meta.value + 1, excluded.value) RETURNING value";

const REPLACE_TAG: &str = "
    INSERT INTO meta (key, value) VALUES ('tag', $1)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value";

const REFUSE_UNTAGGED: &str = "
    DELETE FROM meta WHERE key = 'untagged'";

/// Begins an epoch at `floor`, or above the last one if that is greater, and deletes every session.
pub(super) async fn begin(pool: &Pool, floor: i64, tag: Tag) -> Result<i64, Fault> {
    let identity = (floor, tag.number());
    pool.transaction(&identity, |tx, identity| {
        end_sessions(tx, *identity).boxed()
    })
    .await
}

async fn end_sessions(tx: &Transaction<'_>, (floor, tag): (i64, i64)) -> Result<i64, Error> {
    // Transactions that open or close sessions wait until the epoch has begun.
    tx.batch_execute(LOCK_SESSIONS).await?;
    let epoch = tx.query_one(RAISE, &[&floor]).await?.try_get(0)?;
    tx.execute(REPLACE_TAG, &[&tag]).await?;
    tx.execute(REFUSE_UNTAGGED, &[]).await?;
    tx.batch_execute(TRUNCATE).await?;
    Ok(epoch)
}
