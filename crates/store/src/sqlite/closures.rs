//! The feed of closed sessions, the identity of the database, and forgetting sessions that have ended.

use async_trait::async_trait;
use keyward_core::clock::Timestamp;
use keyward_core::error::Fault;
use keyward_core::id::SessionId;
use keyward_core::sessions::{Closures, Feed, Forgotten, Identity, Place, Reason, Tag};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::sessions::{close, ids};
use super::{Sqlite, epoch};

const LIST_CLOSURES: &str = "
    SELECT seq, session_id, closed_at FROM session_closures WHERE seq >= ?1 ORDER BY seq LIMIT ?2";

const FIND_IDENTITY: &str = "
    SELECT key, value FROM meta WHERE key IN ('epoch', 'tag', 'untagged', 'doubt', 'keys')";

const KEEP_TAG: &str = "
    INSERT INTO meta (key, value) VALUES ('tag', ?1) ON CONFLICT (key) DO NOTHING";

const RAISE: &str = "
    INSERT INTO meta (key, value) VALUES (?1, ?2)
    ON CONFLICT (key) DO UPDATE SET value = max(value, excluded.value)";

const FIND_FORGOTTEN: &str = "
    SELECT h.value, f.value FROM meta h, meta f WHERE h.key = 'horizon' AND f.key = 'forgotten'";

const FIND_SETTLED: &str = "
    SELECT seq FROM session_closures WHERE seq > 0 AND closed_at < ?1 ORDER BY seq DESC LIMIT 1";

const LIST_ENDED: &str = "
    SELECT id FROM sessions WHERE expires_at < ?1
        AND NOT EXISTS (
            SELECT 1 FROM session_closures c WHERE c.session_id = sessions.id AND c.seq >= ?3)
    ORDER BY expires_at LIMIT ?2";

const DELETE_CLOSURE: &str = "
    DELETE FROM session_closures WHERE session_id = ?1";

const DELETE: &str = "
    DELETE FROM sessions WHERE id = ?1";

#[async_trait]
impl Feed for Sqlite {
    async fn list_closures(&self, place: Place, limit: u32) -> Result<Closures, Fault> {
        self.readers
            .scan(move |db| read_feed(db, place, limit))
            .await
    }

    async fn close_sessions(
        &self,
        sessions: Vec<SessionId>,
        reason: Reason,
        now: Timestamp,
    ) -> Result<Vec<SessionId>, Fault> {
        self.writer
            .write(move |db| {
                let mut closed = Vec::new();
                for &id in &sessions {
                    if close(db, id, reason, now)? {
                        closed.push(id);
                    }
                }
                Ok(closed)
            })
            .await
    }

    async fn keep_tag(&self, fresh: Tag) -> Result<(), Fault> {
        self.writer
            .write(move |db| {
                let mut keep = db.prepare_cached(KEEP_TAG)?;
                keep.execute([fresh.number()]).map(drop)
            })
            .await
    }

    async fn begin_epoch(&self, floor: i64, tag: Tag) -> Result<i64, Fault> {
        self.writer
            .write(move |db| epoch::begin(db, floor, Some(tag)))
            .await
    }

    async fn remember_doubt(&self, until: Timestamp) -> Result<(), Fault> {
        self.writer
            .write(move |db| {
                let mut raise = db.prepare_cached(RAISE)?;
                raise.execute(params!["doubt", until.micros()]).map(drop)
            })
            .await
    }

    async fn forget_ended_sessions(
        &self,
        horizon: Timestamp,
        settled: Timestamp,
        limit: u32,
    ) -> Result<Vec<SessionId>, Fault> {
        self.writer
            .write(move |db| {
                let kept_from: Option<i64> = db
                    .prepare_cached(FIND_SETTLED)?
                    .query_row([settled.micros()], |row| row.get(0))
                    .optional()?;
                let until = params![horizon.micros(), limit, kept_from.unwrap_or(0)];
                let ended = ids(db, LIST_ENDED, until)?;
                if let Some(last) = ended.iter().max() {
                    let mut raise = db.prepare_cached(RAISE)?;
                    raise.execute(params!["horizon", horizon.micros()])?;
                    raise.execute(params!["forgotten", last.0])?;
                }
                for id in &ended {
                    db.prepare_cached(DELETE_CLOSURE)?.execute([id.0])?;
                    db.prepare_cached(DELETE)?.execute([id.0])?;
                }
                Ok(ended)
            })
            .await
    }

    async fn find_forgotten(&self) -> Result<Option<Forgotten>, Fault> {
        self.readers.look_up(|db| {
            db.prepare_cached(FIND_FORGOTTEN)?
                .query_row([], |row| {
                    Ok(Forgotten {
                        horizon: Timestamp::from_micros(row.get(0)?),
                        last: SessionId(row.get(1)?),
                    })
                })
                .optional()
        })
    }
}

fn read_feed(db: &Connection, place: Place, limit: u32) -> rusqlite::Result<Closures> {
    let is_start = place == Place::default();
    // The limit includes the row from which the reader continues.
    let limit = i64::from(limit) + i64::from(!is_start);
    let mut list = db.prepare_cached(LIST_CLOSURES)?;
    let rows = list.query_map(params![place.seq, limit], row_of_feed)?;
    let rows: Vec<Place> = rows.collect::<Result<_, _>>()?;
    let follows = is_start || rows.first() == Some(&place);
    let new = &rows[usize::from(follows && !is_start)..];
    let mut closures = Closures {
        sessions: new.iter().map(|row| row.session).collect(),
        place: new.last().copied().unwrap_or(place),
        follows,
        identity: Identity::default(),
    };
    // The caller relies on this being read after the rows.
    let mut find = db.prepare_cached(FIND_IDENTITY)?;
    let mut found = find.query([])?;
    while let Some(row) = found.next()? {
        let (key, value): (String, i64) = (row.get(0)?, row.get(1)?);
        let identity = &mut closures.identity;
        match key.as_str() {
            "epoch" => identity.epoch = value,
            "tag" => identity.tag = Some(Tag::from_number(value)),
            "untagged" => identity.untagged = value,
            "keys" => identity.keys = value,
            _ => identity.doubtful_until = Some(Timestamp::from_micros(value)),
        }
    }
    Ok(closures)
}

fn row_of_feed(row: &Row<'_>) -> rusqlite::Result<Place> {
    Ok(Place {
        seq: row.get(0)?,
        session: SessionId(row.get(1)?),
        closed_at: Timestamp::from_micros(row.get(2)?),
    })
}
