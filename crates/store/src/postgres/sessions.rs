//! Sessions. The feed of closed ones is in `closures`.
//!
//! Invariant: every statement that closes a session writes its closure in the same commit, with a greater number than
//! all closures committed before. See docs/decisions/2026-11-closure-feed.md.

use async_trait::async_trait;
use deadpool_postgres::Transaction;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use keyward_core::accounts::Realm;
use keyward_core::clock::Timestamp;
use keyward_core::error::Fault;
use keyward_core::id::{AccountId, SessionId};
use keyward_core::page::Page;
use keyward_core::secret::SecretText;
use keyward_core::sessions::{
    NewSession, PasswordChange, Reason, Rotate, Rotation, Session, Store,
};
use tokio_postgres::Row;

use super::Postgres;
use super::error::Error;
use super::pool::Params;

// The row of the account is locked. So a transaction that disables the account or changes its password either commits
// first, and no session is opened, or waits and closes the session.
const OPEN: &str = "
    INSERT INTO sessions
        (id, account_id, created_at, expires_at, ends_at, refresh_counter, refreshed_at, user_agent)
    OVERRIDING SYSTEM VALUE
    SELECT $7, id, $2, $3, $4, 0, $2, $5 FROM accounts
    WHERE id = $1 AND disabled_at IS NULL AND ($6::TEXT IS NULL OR password_hash = $6)
    FOR SHARE
    RETURNING id, account_id, created_at, expires_at, ends_at, refresh_counter, refreshed_at,
        closed_at, user_agent";

// A counter above the row's comes from a rotation that the database has lost. The session continues from that counter,
// and tokens with lower counters count as used.
//
// `expires_at` never decreases. The row of a closed session is deleted by it, and a token issued earlier with a longer
// lifetime must not outlive the row.
const ROTATE: &str = "
    UPDATE sessions SET refresh_counter = $2 + 1, refreshed_at = $3,
        expires_at = greatest(expires_at, least($4, ends_at))
    WHERE id = $1 AND refresh_counter <= $2 AND closed_at IS NULL AND expires_at > $3
        AND EXISTS (
            SELECT 1 FROM accounts
            WHERE accounts.id = sessions.account_id AND accounts.disabled_at IS NULL)
    RETURNING id, account_id, created_at, expires_at, ends_at, refresh_counter, refreshed_at,
        closed_at, user_agent";

const FIND_REFRESHABLE: &str = "
    SELECT s.id, s.account_id, s.created_at, s.expires_at, s.ends_at, s.refresh_counter,
        s.refreshed_at, s.closed_at, s.user_agent
    FROM sessions s JOIN accounts a ON a.id = s.account_id
    WHERE s.id = $1 AND s.closed_at IS NULL AND s.expires_at > $2 AND a.disabled_at IS NULL";

const FIND: &str = "
    SELECT id, account_id, created_at, expires_at, ends_at, refresh_counter, refreshed_at,
        closed_at, user_agent
    FROM sessions WHERE id = $1";

const LIST: &str = "
    SELECT id, account_id, created_at, expires_at, ends_at, refresh_counter, refreshed_at,
        closed_at, user_agent
    FROM sessions WHERE closed_at IS NULL AND expires_at > $1 AND id > $2
    ORDER BY id LIMIT $3";

// In the order of `Realm::ALL`.
const COUNT_OPEN: &str = "
    SELECT count(*) FILTER (WHERE a.realm = 'default'), count(*) FILTER (WHERE a.realm = 'ops'),
        count(*) FILTER (WHERE a.realm = 'client')
    FROM sessions s JOIN accounts a ON a.id = s.account_id
    WHERE s.expires_at > $1 AND s.closed_at IS NULL";

const LIST_OF_ACCOUNT: &str = "
    SELECT id, account_id, created_at, expires_at, ends_at, refresh_counter, refreshed_at,
        closed_at, user_agent
    FROM sessions
    WHERE account_id = $4 AND closed_at IS NULL AND expires_at > $1 AND id > $2
    ORDER BY id LIMIT $3";

const CLOSE: &str = "
    UPDATE sessions SET closed_at = $2, close_reason = $3 WHERE id = $1 AND closed_at IS NULL
    RETURNING id";

// Ended sessions are closed too: otherwise they would be open again if the clock were set back.
const CLOSE_ALL: &str = "
    UPDATE sessions SET closed_at = $2, close_reason = $3
    WHERE account_id = $1 AND closed_at IS NULL AND id IS DISTINCT FROM $4
    RETURNING id";

// Gives the closures the next numbers. The row of the counter stays locked until the commit, so closures become visible
// in the order of their numbers. Nothing but the commit follows this statement.
macro_rules! record_closures {
    ($result:literal) => {
        concat!(
            "
    WITH feed AS (
        UPDATE meta SET value = value + cardinality($1::BIGINT[]) WHERE key = 'closures'
        RETURNING value
    ), recorded AS (
        INSERT INTO session_closures (seq, session_id, closed_at)
        SELECT feed.value - cardinality($1::BIGINT[]) + closed.place, closed.id, $2
        FROM feed, unnest($1::BIGINT[]) WITH ORDINALITY AS closed (id, place)
        RETURNING seq
    )
    SELECT ",
            $result,
            " FROM recorded"
        )
    };
}

const RECORD_CLOSURES: &str = record_closures!("max(seq)");

const RECORD_AND_TELL_CLOSURES: &str =
    record_closures!("max(seq), pg_notify('keyward_closures', max(seq)::TEXT)");

const CHANGE_HASH: &str = "
    UPDATE accounts SET password_hash = $2 WHERE id = $1";

// The account is locked before the session, in the order that all transactions use.
const HOLD_ACCOUNT: &str = "
    SELECT 1 FROM accounts WHERE id = $1 AND password_hash = $2 AND disabled_at IS NULL
    FOR NO KEY UPDATE";

const HOLD_SESSION: &str = "
    SELECT 1 FROM sessions WHERE id = $1 AND account_id = $2 AND closed_at IS NULL FOR SHARE";

const DISABLE: &str = "
    UPDATE accounts SET disabled_at = coalesce(disabled_at, $2) WHERE id = $1";

#[async_trait]
impl Store for Postgres {
    async fn open_session(&self, new: NewSession) -> Result<Option<Session>, Fault> {
        let params: Params<'_> = &[
            &new.account.0,
            &new.created_at.micros(),
            &new.expires_at.micros(),
            &new.ends_at.micros(),
            &new.user_agent,
            &new.password_hash.as_ref().map(SecretText::expose),
            &new.id.0,
        ];
        self.pool.find(OPEN, params, session).await
    }

    async fn rotate_refresh_token(&self, rotate: Rotate) -> Result<Rotation, Fault> {
        let (id, now) = (rotate.session.0, rotate.now.micros());
        let expires_at = rotate.now.plus(rotate.ttl).micros();
        let rotated = self
            .pool
            .find(ROTATE, &[&id, &rotate.counter, &now, &expires_at], session)
            .await?;
        if let Some(session) = rotated {
            return Ok(Rotation::Rotated(session));
        }
        let found = self
            .pool
            .find(FIND_REFRESHABLE, &[&id, &now], session)
            .await?;
        match found {
            Some(session) if rotate.repeats(&session) => Ok(Rotation::Repeated(session)),
            // The counter decreases only if the whole database goes back, so the token stays used whatever happens
            // meanwhile.
            Some(session) if rotate.counter < session.refresh_counter => {
                let closes = self.close_session(session.id, Reason::Replay, rotate.now);
                Ok(if closes.await? {
                    Rotation::Replayed(session.account)
                } else {
                    Rotation::Refused
                })
            }
            _ => Ok(Rotation::Refused),
        }
    }

    async fn find_session(&self, id: SessionId) -> Result<Option<Session>, Fault> {
        self.pool.find(FIND, &[&id.0], session).await
    }

    async fn list_sessions(
        &self,
        account: Option<AccountId>,
        now: Timestamp,
        page: Page,
    ) -> Result<Vec<Session>, Fault> {
        let (now, after, limit) = (now.micros(), page.after, i64::from(page.limit));
        match account {
            None => self.pool.list(LIST, &[&now, &after, &limit], session).await,
            Some(account) => {
                let params: Params<'_> = &[&now, &after, &limit, &account.0];
                self.pool.list(LIST_OF_ACCOUNT, params, session).await
            }
        }
    }

    async fn count_open_sessions(&self, now: Timestamp) -> Result<[u64; Realm::ALL.len()], Fault> {
        let now = now.micros();
        let params: Params<'_> = &[&now];
        let counts = self.pool.find(COUNT_OPEN, params, |row| {
            let count = |column| row.try_get::<_, i64>(column).map(i64::unsigned_abs);
            Ok([count(0)?, count(1)?, count(2)?])
        });
        Ok(counts.await?.unwrap_or_default())
    }

    async fn close_session(
        &self,
        id: SessionId,
        reason: Reason,
        now: Timestamp,
    ) -> Result<bool, Fault> {
        let closing = Closing {
            changes: &[],
            sql: CLOSE,
            params: &[&id.0, &now.micros(), &reason.name()],
            now,
            tells: self.tells,
        };
        let closed = self.pool.transaction(&closing, close).await?;
        Ok(closed.is_some_and(|closed| !closed.is_empty()))
    }

    async fn change_password(
        &self,
        change: PasswordChange,
        now: Timestamp,
    ) -> Result<Option<Vec<SessionId>>, Fault> {
        let (account, hash) = (change.account.0, change.hash.expose());
        let (old_hash, keep) = match &change.by_owner {
            Some(owner) => (owner.old_hash.expose(), Some(owner.session.0)),
            None => ("", None),
        };
        let changes: [(&str, Params<'_>); 3] = [
            (HOLD_ACCOUNT, &[&account, &old_hash]),
            (HOLD_SESSION, &[&keep, &account]),
            (CHANGE_HASH, &[&account, &hash]),
        ];
        let reason = Reason::PasswordChanged.name();
        let closing = Closing {
            changes: match change.by_owner {
                Some(_) => &changes,
                None => &changes[2..],
            },
            sql: CLOSE_ALL,
            params: &[&account, &now.micros(), &reason, &keep],
            now,
            tells: self.tells,
        };
        self.pool.transaction(&closing, close).await
    }

    async fn disable_account(
        &self,
        account: AccountId,
        now: Timestamp,
    ) -> Result<Option<Vec<SessionId>>, Fault> {
        let reason = Reason::AccountDisabled.name();
        let closing = Closing {
            changes: &[(DISABLE, &[&account.0, &now.micros()])],
            sql: CLOSE_ALL,
            params: &[&account.0, &now.micros(), &reason, &None::<i64>],
            now,
            tells: self.tells,
        };
        self.pool.transaction(&closing, close).await
    }
}

/// A transaction that closes sessions: optional changes of the account, each of which must find its row, and a
/// statement that marks the sessions as closed and returns their ids.
pub(super) struct Closing<'a> {
    pub(super) changes: &'a [(&'static str, Params<'a>)],
    pub(super) sql: &'static str,
    pub(super) params: Params<'a>,
    pub(super) now: Timestamp,
    pub(super) tells: bool,
}

/// Closes sessions and records their closures. Returns `None` if a change did not find its row.
pub(super) fn close<'c>(
    tx: &'c Transaction<'_>,
    closing: &'c Closing<'_>,
) -> BoxFuture<'c, Result<Option<Vec<SessionId>>, Error>> {
    async move {
        for &(sql, params) in closing.changes {
            let change = tx.prepare_cached(sql).await?;
            if tx.execute(&change, params).await? == 0 {
                return Ok(None);
            }
        }
        let close = tx.prepare_cached(closing.sql).await?;
        let mut closed = ids(&tx.query(&close, closing.params).await?)?;
        closed.sort_unstable();
        if !closed.is_empty() {
            record(tx, &closed, closing).await?;
        }
        Ok(Some(closed.into_iter().map(SessionId).collect()))
    }
    .boxed()
}

/// The last statement before the commit. From here to the commit, other transactions that close sessions wait.
async fn record(tx: &Transaction<'_>, closed: &[i64], closing: &Closing<'_>) -> Result<(), Error> {
    let sql = if closing.tells {
        RECORD_AND_TELL_CLOSURES
    } else {
        RECORD_CLOSURES
    };
    let record = tx.prepare_cached(sql).await?;
    let recorded = tx
        .query_one(&record, &[&closed, &closing.now.micros()])
        .await?;
    match recorded.try_get::<_, Option<i64>>(0)? {
        Some(_) => Ok(()),
        None => Err(Error::Broken(
            "the row with the number of the last closure is missing",
        )),
    }
}

pub(super) fn ids(rows: &[Row]) -> Result<Vec<i64>, Error> {
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

fn session(row: &Row) -> Result<Session, Error> {
    let time = |column| row.try_get(column).map(Timestamp::from_micros);
    Ok(Session {
        id: SessionId(row.try_get(0)?),
        account: AccountId(row.try_get(1)?),
        created_at: time(2)?,
        expires_at: time(3)?,
        ends_at: time(4)?,
        refresh_counter: row.try_get(5)?,
        refreshed_at: time(6)?,
        closed_at: row
            .try_get::<_, Option<i64>>(7)?
            .map(Timestamp::from_micros),
        user_agent: row.try_get(8)?,
    })
}
