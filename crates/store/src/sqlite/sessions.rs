//! Sessions. The feed of closed ones is in `closures`.
//!
//! Invariant: every operation that closes a session writes its closure in the same commit.

use async_trait::async_trait;
use keyward_core::accounts::Realm;
use keyward_core::clock::Timestamp;
use keyward_core::error::Fault;
use keyward_core::id::{AccountId, SessionId};
use keyward_core::page::Page;
use keyward_core::secret::SecretText;
use keyward_core::sessions::{
    Confirmed, NewSession, PasswordChange, Reason, Rotate, Rotation, Session, Store,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::Sqlite;
use super::writer::in_savepoint;

const OPEN: &str = "
    INSERT INTO sessions
        (id, account_id, created_at, expires_at, ends_at, refresh_counter, refreshed_at, user_agent)
    SELECT ?7, id, ?2, ?3, ?4, 0, ?2, ?5 FROM accounts
    WHERE id = ?1 AND disabled_at IS NULL AND (?6 IS NULL OR password_hash = ?6)
    RETURNING id, account_id, created_at, expires_at, ends_at, refresh_counter, refreshed_at,
        closed_at, user_agent";

// A counter above the row's comes from a rotation that the database has lost. The session continues from that counter,
// and tokens with lower counters count as used.
//
// `expires_at` never decreases. The row of a closed session is deleted by it, and a token issued earlier with a longer
// lifetime must not outlive the row.
const ROTATE: &str = "
    UPDATE sessions SET refresh_counter = ?2 + 1, refreshed_at = ?3,
        expires_at = max(expires_at, min(?4, ends_at))
    WHERE id = ?1 AND refresh_counter <= ?2 AND closed_at IS NULL AND expires_at > ?3
        AND EXISTS (
            SELECT 1 FROM accounts
            WHERE accounts.id = sessions.account_id AND accounts.disabled_at IS NULL)
    RETURNING id, account_id, created_at, expires_at, ends_at, refresh_counter, refreshed_at,
        closed_at, user_agent";

const FIND_REFRESHABLE: &str = "
    SELECT s.id, s.account_id, s.created_at, s.expires_at, s.ends_at, s.refresh_counter,
        s.refreshed_at, s.closed_at, s.user_agent
    FROM sessions s JOIN accounts a ON a.id = s.account_id
    WHERE s.id = ?1 AND s.closed_at IS NULL AND s.expires_at > ?2 AND a.disabled_at IS NULL";

const FIND: &str = "
    SELECT id, account_id, created_at, expires_at, ends_at, refresh_counter, refreshed_at,
        closed_at, user_agent
    FROM sessions WHERE id = ?1";

const LIST: &str = "
    SELECT id, account_id, created_at, expires_at, ends_at, refresh_counter, refreshed_at,
        closed_at, user_agent
    FROM sessions WHERE closed_at IS NULL AND expires_at > ?1 AND id > ?2
    ORDER BY id LIMIT ?3";

// In the order of `Realm::ALL`.
const COUNT_OPEN: &str = "
    SELECT count(*) FILTER (WHERE a.realm = 'default'), count(*) FILTER (WHERE a.realm = 'ops'),
        count(*) FILTER (WHERE a.realm = 'client')
    FROM sessions s JOIN accounts a ON a.id = s.account_id
    WHERE s.expires_at > ?1 AND s.closed_at IS NULL";

const LIST_OF_ACCOUNT: &str = "
    SELECT id, account_id, created_at, expires_at, ends_at, refresh_counter, refreshed_at,
        closed_at, user_agent
    FROM sessions
    WHERE account_id = ?4 AND closed_at IS NULL AND expires_at > ?1 AND id > ?2
    ORDER BY id LIMIT ?3";

const CLOSE: &str = "
    UPDATE sessions SET closed_at = ?2, close_reason = ?3 WHERE id = ?1 AND closed_at IS NULL";

const RECORD_CLOSURE: &str = "
    INSERT INTO session_closures (session_id, closed_at) VALUES (?1, ?2)";

const LIST_TO_CLOSE: &str = "
    SELECT id FROM sessions
    WHERE account_id = ?1 AND closed_at IS NULL AND id IS NOT ?2 ORDER BY id";

const CHANGE_HASH: &str = "
    UPDATE accounts SET password_hash = ?2 WHERE id = ?1";

const CHANGE_OWN_HASH: &str = "
    UPDATE accounts SET password_hash = ?2
    WHERE id = ?1 AND password_hash = ?3 AND disabled_at IS NULL AND EXISTS (
        SELECT 1 FROM sessions
        WHERE sessions.id = ?4 AND sessions.account_id = accounts.id AND closed_at IS NULL)";

const DISABLE: &str = "
    UPDATE accounts SET disabled_at = coalesce(disabled_at, ?2) WHERE id = ?1";

#[async_trait]
impl Store for Sqlite {
    async fn open_session(&self, session: NewSession) -> Result<Option<Session>, Fault> {
        self.writer
            .write_statement(move |db| open(db, &session))
            .await
    }

    async fn rotate_refresh_token(&self, rotation: Rotate) -> Result<Rotation, Fault> {
        self.writer
            .write_statement(move |db| rotate(db, &rotation))
            .await
    }

    async fn find_session(&self, id: SessionId) -> Result<Option<Session>, Fault> {
        self.readers.look_up(|db| {
            db.prepare_cached(FIND)?
                .query_row([id.0], session)
                .optional()
        })
    }

    async fn list_sessions(
        &self,
        account: Option<AccountId>,
        now: Timestamp,
        page: Page,
    ) -> Result<Vec<Session>, Fault> {
        let (now, after, limit) = (now.micros(), page.after, page.limit);
        self.readers
            .scan(move |db| match account {
                None => db
                    .prepare_cached(LIST)?
                    .query_map(params![now, after, limit], session)?
                    .collect(),
                Some(account) => db
                    .prepare_cached(LIST_OF_ACCOUNT)?
                    .query_map(params![now, after, limit, account.0], session)?
                    .collect(),
            })
            .await
    }

    async fn count_open_sessions(&self, now: Timestamp) -> Result<[u64; Realm::ALL.len()], Fault> {
        let now = now.micros();
        self.readers
            .scan(move |db| {
                db.prepare_cached(COUNT_OPEN)?.query_row([now], |row| {
                    let count = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
                    Ok([count(0)?, count(1)?, count(2)?])
                })
            })
            .await
    }

    async fn close_session(
        &self,
        id: SessionId,
        reason: Reason,
        now: Timestamp,
    ) -> Result<bool, Fault> {
        self.writer
            .write(move |db| close(db, id, reason, now))
            .await
    }

    async fn change_password(
        &self,
        change: PasswordChange,
        now: Timestamp,
    ) -> Result<Option<Vec<SessionId>>, Fault> {
        self.writer
            .write(move |db| change_password(db, &change, now))
            .await
    }

    async fn disable_account(
        &self,
        account: AccountId,
        now: Timestamp,
    ) -> Result<Option<Vec<SessionId>>, Fault> {
        self.writer
            .write(move |db| {
                let disabled = db
                    .prepare_cached(DISABLE)?
                    .execute([account.0, now.micros()])?;
                (disabled == 1)
                    .then(|| close_all(db, account, None, Reason::AccountDisabled, now))
                    .transpose()
            })
            .await
    }
}

fn open(db: &Connection, new: &NewSession) -> rusqlite::Result<Option<Session>> {
    db.prepare_cached(OPEN)?
        .query_row(
            params![
                new.account.0,
                new.created_at.micros(),
                new.expires_at.micros(),
                new.ends_at.micros(),
                new.user_agent,
                new.password_hash.as_ref().map(SecretText::expose),
                new.id.0,
            ],
            session,
        )
        .optional()
}

fn rotate(db: &Connection, rotate: &Rotate) -> rusqlite::Result<Rotation> {
    let expires_at = rotate.now.plus(rotate.ttl);
    let rotated = db
        .prepare_cached(ROTATE)?
        .query_row(
            [
                rotate.session.0,
                rotate.counter,
                rotate.now.micros(),
                expires_at.micros(),
            ],
            session,
        )
        .optional()?;
    if let Some(session) = rotated {
        return Ok(Rotation::Rotated(session));
    }
    let found = db
        .prepare_cached(FIND_REFRESHABLE)?
        .query_row([rotate.session.0, rotate.now.micros()], session)
        .optional()?;
    match found {
        Some(session) if rotate.repeats(&session) => Ok(Rotation::Repeated(session)),
        Some(session) if rotate.counter < session.refresh_counter => {
            // Only this case needs two statements, which a savepoint makes atomic.
            in_savepoint(db, |db| close(db, session.id, Reason::Replay, rotate.now))?;
            Ok(Rotation::Replayed(session.account))
        }
        _ => Ok(Rotation::Refused),
    }
}

pub(super) fn close(
    db: &Connection,
    id: SessionId,
    reason: Reason,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let closed = db
        .prepare_cached(CLOSE)?
        .execute(params![id.0, now.micros(), reason.name()])?;
    if closed == 0 {
        return Ok(false);
    }
    db.prepare_cached(RECORD_CLOSURE)?
        .execute([id.0, now.micros()])?;
    Ok(true)
}

fn change_password(
    db: &Connection,
    change: &PasswordChange,
    now: Timestamp,
) -> rusqlite::Result<Option<Vec<SessionId>>> {
    let (account, hash) = (change.account, change.hash.expose());
    let changed = match &change.by_owner {
        None => db
            .prepare_cached(CHANGE_HASH)?
            .execute(params![account.0, hash])?,
        Some(Confirmed { old_hash, session }) => db
            .prepare_cached(CHANGE_OWN_HASH)?
            .execute(params![account.0, hash, old_hash.expose(), session.0])?,
    };
    let keep = change.by_owner.as_ref().map(|owner| owner.session);
    (changed == 1)
        .then(|| close_all(db, account, keep, Reason::PasswordChanged, now))
        .transpose()
}

/// Closes sessions, ended ones included: otherwise they would be open again if the clock were set back.
fn close_all(
    db: &Connection,
    account: AccountId,
    keep: Option<SessionId>,
    reason: Reason,
    now: Timestamp,
) -> rusqlite::Result<Vec<SessionId>> {
    let open = ids(db, LIST_TO_CLOSE, params![account.0, keep.map(|id| id.0)])?;
    for &id in &open {
        close(db, id, reason, now)?;
    }
    Ok(open)
}

pub(super) fn ids(
    db: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> rusqlite::Result<Vec<SessionId>> {
    db.prepare_cached(sql)?
        .query_map(params, |row| row.get(0).map(SessionId))?
        .collect()
}

fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    let time = |column| row.get(column).map(Timestamp::from_micros);
    Ok(Session {
        id: SessionId(row.get(0)?),
        account: AccountId(row.get(1)?),
        created_at: time(2)?,
        expires_at: time(3)?,
        ends_at: time(4)?,
        refresh_counter: row.get(5)?,
        refreshed_at: time(6)?,
        closed_at: row.get::<_, Option<i64>>(7)?.map(Timestamp::from_micros),
        user_agent: row.get(8)?,
    })
}
