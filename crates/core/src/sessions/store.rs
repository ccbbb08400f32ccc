//! The store of sessions. Each method is atomic, and its effect is on disk when it returns.

use std::time::Duration;

use async_trait::async_trait;

use super::{Feed, NewSession, PasswordChange, Reason, Session};
use crate::accounts::Realm;
use crate::clock::Timestamp;
use crate::error::Fault;
use crate::id::{AccountId, SessionId};
use crate::page::Page;

/// A refresh token presented for rotation.
#[derive(Clone, Copy, Debug)]
pub struct Rotate {
    /// Its session.
    pub session: SessionId,
    /// Its counter.
    pub counter: i64,
    /// The time.
    pub now: Timestamp,
    /// The lifetime of its successor, which ends with the session at the latest.
    pub ttl: Duration,
    /// How long after a rotation the used token may be presented again; zero turns this off.
    pub grace: Duration,
}

impl Rotate {
    /// Whether its token was rotated into the session's current one within the grace period. Concurrent requests take
    /// their times before they queue, so the earlier time may come second.
    #[must_use]
    pub fn repeats(&self, session: &Session) -> bool {
        let apart = self.now.micros().abs_diff(session.refreshed_at.micros());
        self.counter == session.refresh_counter - 1 && Duration::from_micros(apart) < self.grace
    }

    /// Whether its token was used before, outside the grace period.
    #[must_use]
    pub fn replays(&self, session: &Session) -> bool {
        self.counter < session.refresh_counter && !self.repeats(session)
    }
}

/// The outcome of presenting a refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// It was the current token. The session's counter is now one above the token's.
    Rotated(Session),
    /// It was the predecessor of the current token, within the grace period. Nothing was changed.
    Repeated(Session),
    /// It was used before. The session was closed.
    Replayed(AccountId),
    /// Its session is not open, or the account is disabled.
    Refused,
}

/// Stored sessions.
#[async_trait]
pub trait Store: Feed {
    /// Opens a session of an account, under an id that no session has. Returns `None` if the account is gone, disabled,
    /// or has another password hash than the given one.
    async fn open_session(&self, session: NewSession) -> Result<Option<Session>, Fault>;

    /// Rotates a refresh token in one conditional update. Of concurrent calls, one returns `Rotated`.
    ///
    /// A counter above the session's comes from a rotation that the database lost: the session continues with it.
    ///
    /// A used token outside the grace period closes its session with [`Reason::Replay`], in the same commit.
    async fn rotate_refresh_token(&self, rotate: Rotate) -> Result<Rotation, Fault>;

    /// The session with that id, open or closed.
    async fn find_session(&self, id: SessionId) -> Result<Option<Session>, Fault>;

    /// The sessions of an account, or of all, that are open and not ended at `now`, by id.
    async fn list_sessions(
        &self,
        account: Option<AccountId>,
        now: Timestamp,
        page: Page,
    ) -> Result<Vec<Session>, Fault>;

    /// How many sessions of each realm are open and not ended at `now`, in the order of [`Realm::ALL`]. Reads every
    /// such session.
    async fn count_open_sessions(&self, now: Timestamp) -> Result<[u64; Realm::ALL.len()], Fault>;

    /// Closes a session. Returns `false` if it was not open.
    async fn close_session(
        &self,
        id: SessionId,
        reason: Reason,
        now: Timestamp,
    ) -> Result<bool, Fault>;

    /// Replaces an account's password hash and closes its sessions, in one commit. An owner's change keeps the session
    /// that requests it. Returns the closed sessions. Returns `None`, and changes nothing, if there is no such account
    /// or a condition of the owner's change does not hold.
    async fn change_password(
        &self,
        change: PasswordChange,
        now: Timestamp,
    ) -> Result<Option<Vec<SessionId>>, Fault>;

    /// Disables an account and closes its sessions, in one commit. Returns the closed sessions, or `None` if there is
    /// no such account.
    async fn disable_account(
        &self,
        account: AccountId,
        now: Timestamp,
    ) -> Result<Option<Vec<SessionId>>, Fault>;
}
