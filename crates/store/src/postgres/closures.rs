//! The feed of closed sessions, the identity of the database, and forgetting sessions that have ended.
//!
//! Invariant: the feed is never read from a standby, which lags. The connection that reads the feed is also asked
//! whether its server is in recovery.

use async_trait::async_trait;
use deadpool_postgres::{ClientWrapper, Transaction};
use futures_util::FutureExt;
use keyward_core::clock::Timestamp;
use keyward_core::error::Fault;
use keyward_core::id::SessionId;
use keyward_core::sessions::{Closures, Feed, Forgotten, Identity, Place, Reason, Tag};
use tokio_postgres::Row;

use super::error::Error;
use super::sessions::{Closing, close, ids};
use super::{Postgres, epoch};

const LIST_CLOSURES: &str = "
    SELECT seq, session_id, closed_at FROM session_closures WHERE seq >= $1 ORDER BY seq LIMIT $2";

macro_rules! find_identity {
    ($in_recovery:literal) => {
        concat!(
            "
    SELECT ",
            $in_recovery,
            ",
        max(value) FILTER (WHERE key = 'epoch'), max(value) FILTER (WHERE key = 'tag'),
        max(value) FILTER (WHERE key = 'untagged'), max(value) FILTER (WHERE key = 'doubt'),
        max(value) FILTER (WHERE key = 'keys')
    FROM meta WHERE key IN ('epoch', 'tag', 'untagged', 'doubt', 'keys')"
        )
    };
}

const FIND_IDENTITY: &str = find_identity!("pg_is_in_recovery()");

/// For a database without `pg_is_in_recovery()`.
const FIND_IDENTITY_ALONE: &str = find_identity!("FALSE");

const CLOSE_THOSE: &str = "
    UPDATE sessions SET closed_at = $2, close_reason = $3
    WHERE id = ANY ($1) AND closed_at IS NULL RETURNING id";

const KEEP_TAG: &str = "
    INSERT INTO meta (key, value) VALUES ('tag', $1) ON CONFLICT (key) DO NOTHING";

const DOUBT: &str = "
    INSERT INTO meta (key, value) VALUES ('doubt', $1)
    ON CONFLICT (key) DO UPDATE SET value = greatest(meta.value, excluded.value)";

const REMEMBER_FORGOTTEN: &str = "
    INSERT INTO meta (key, value) VALUES ('horizon', $1), ('forgotten', $2)
    ON CONFLICT (key) DO UPDATE SET value = greatest(meta.value, excluded.value)";

const FIND_FORGOTTEN: &str = "
    SELECT h.value, f.value FROM meta h, meta f WHERE h.key = 'horizon' AND f.key = 'forgotten'";

const FIND_SETTLED: &str = "
    SELECT seq FROM session_closures WHERE closed_at < $1 ORDER BY seq DESC LIMIT 1";

const LIST_ENDED: &str = "
    SELECT id FROM sessions WHERE expires_at < $1
        AND NOT EXISTS (
            SELECT 1 FROM session_closures c WHERE c.session_id = sessions.id AND c.seq >= $3)
    ORDER BY expires_at LIMIT $2 FOR UPDATE";

const DELETE_CLOSURES: &str = "
    DELETE FROM session_closures WHERE session_id = ANY ($1)";

const DELETE: &str = "
    DELETE FROM sessions WHERE id = ANY ($1)";

#[async_trait]
impl Feed for Postgres {
    async fn list_closures(&self, place: Place, limit: u32) -> Result<Closures, Fault> {
        let from = (place, i64::from(limit), self.knows_recovery);
        self.pool
            .run(&from, |db, &(place, limit, knows_recovery)| {
                read_feed(db, place, limit, knows_recovery).boxed()
            })
            .await
    }

    async fn close_sessions(
        &self,
        sessions: Vec<SessionId>,
        reason: Reason,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, Fault> {
        let sessions: Vec<i64> = sessions.into_iter().map(|id| id.0).collect();
        let closing = Closing {
            changes: &[],
            sql: CLOSE_THOSE,
            params: &[&sessions, &now.micros(), &reason.name()],
            now,
            tells: self.tells,
        };
        let closed = self.pool.transaction(&closing, close).await?;
        Ok(closed.unwrap_or_default())
    }

    async fn keep_tag(&self, fresh: Tag) -> Result<(), Fault> {
        let tag = fresh.number();
        self.pool.execute(KEEP_TAG, &[&tag]).await.map(drop)
    }

    async fn begin_epoch(&self, floor: i64, tag: Tag) -> Result<i64, Fault> {
        epoch::begin(&self.pool, floor, tag).await
    }

    async fn remember_doubt(&self, until: Timestamp) -> Result<(), Fault> {
        let until = until.micros();
        self.pool.execute(DOUBT, &[&until]).await.map(drop)
    }

    async fn forget_ended_sessions(
        &self,
        horizon: Timestamp,
        settled: Timestamp,
        limit: u32,
    ) -> Result<Vec<SessionId>, Fault> {
        let until = (horizon.micros(), settled.micros(), i64::from(limit));
        self.pool
            .transaction(&until, |tx, until| forget(tx, *until).boxed())
            .await
    }

    async fn find_forgotten(&self) -> Result<Option<Forgotten>, Fault> {
        self.pool
            .find(FIND_FORGOTTEN, &[], |row| {
                Ok(Forgotten {
                    horizon: Timestamp::from_micros(row.try_get(0)?),
                    last: SessionId(row.try_get(1)?),
                })
            })
            .await
    }
}

async fn read_feed(
    db: &mut ClientWrapper,
    place: Place,
    limit: i64,
    knows_recovery: bool,
) -> Result<Closures, Error> {
    let list = db.prepare_cached(LIST_CLOSURES).await?;
    let find = match knows_recovery {
        true => FIND_IDENTITY,
        false => FIND_IDENTITY_ALONE,
    };
    let find = db.prepare_cached(find).await?;
    let is_start = place == Place::default();
    // The limit includes the row from which the reader continues.
    let rows = limit + i64::from(!is_start);
    let rows = db.query(&list, &[&place.seq, &rows]).await?;
    let rows: Vec<Place> = rows.iter().map(row_of_feed).collect::<Result<_, _>>()?;
    // The caller relies on this being read after the rows.
    let identity = db.query_one(&find, &[]).await?;
    if identity.try_get(0)? {
        return Err(Error::Standby);
    }
    let follows = is_start || rows.first() == Some(&place);
    let new = &rows[usize::from(follows && !is_start)..];
    Ok(Closures {
        sessions: new.iter().map(|row| row.session).collect(),
        place: new.last().copied().unwrap_or(place),
        follows,
        identity: Identity {
            epoch: identity.try_get::<_, Option<i64>>(1)?.unwrap_or(0),
            tag: identity.try_get::<_, Option<i64>>(2)?.map(Tag::from_number),
            untagged: identity.try_get::<_, Option<i64>>(3)?.unwrap_or(0),
            doubtful_until: identity
                .try_get::<_, Option<i64>>(4)?
                .map(Timestamp::from_micros),
            keys: identity.try_get::<_, Option<i64>>(5)?.unwrap_or(0),
        },
    })
}

fn row_of_feed(row: &Row) -> Result<Place, Error> {
    Ok(Place {
        seq: row.try_get(0)?,
        session: SessionId(row.try_get(1)?),
        closed_at: Timestamp::from_micros(row.try_get(2)?),
    })
}

async fn forget(
    tx: &Transaction<'_>,
    (horizon, settled, limit): (i64, i64, i64),
) -> Result<Vec<SessionId>, Error> {
    let find = tx.prepare_cached(FIND_SETTLED).await?;
    let kept_from: i64 = match tx.query_opt(&find, &[&settled]).await? {
        Some(row) => row.try_get(0)?,
        None => 0,
    };
    let list = tx.prepare_cached(LIST_ENDED).await?;
    let ended = ids(&tx.query(&list, &[&horizon, &limit, &kept_from]).await?)?;
    for sql in [DELETE_CLOSURES, DELETE] {
        let delete = tx.prepare_cached(sql).await?;
        tx.execute(&delete, &[&ended]).await?;
    }
    if let Some(last) = ended.iter().max() {
        let remember = tx.prepare_cached(REMEMBER_FORGOTTEN).await?;
        tx.execute(&remember, &[&horizon, last]).await?;
    }
    Ok(ended.into_iter().map(SessionId).collect())
}
