//! What sessions need of a store. Each method is one atomic fact, on disk when it returns.

use std::time::Duration;

use async_trait::async_trait;

use super::{NewSession, PasswordChange, Reason, Session};
use crate::clock::Timestamp;
use crate::error::Fault;
use crate::id::{AccountId, SessionId};
use crate::page::Page;

/// A refresh token presented for rotation.
#[derive(Clone, Copy, Debug)]
pub struct Rotate {
    /// The session it names.
    pub session: SessionId,
    /// The counter it names.
    pub counter: i64,
    /// The time.
    pub now: Timestamp,
    /// How long the successor lives; it never outlives the session.
    pub ttl: Duration,
    /// How long after a rotation its predecessor may be presented again; zero is never.
    pub grace: Duration,
}

/// What became of a presented refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// It was the current one: the session as it stands now, its counter advanced by one.
    Rotated(Session),
    /// It was the last one before the current, within the grace: the session, nothing changed.
    Repeated(Session),
    /// It had been used: the session has just been closed for it.
    Replayed(AccountId),
    /// There is no open session it belongs to, or its account is disabled.
    Refused,
}

/// Sessions closed, in the order of their sequence numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closures {
    /// The closed sessions.
    pub sessions: Vec<SessionId>,
    /// Where to go on from: the last sequence number read.
    pub cursor: i64,
}

/// What was deleted of sessions that had ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// Their tokens end before it.
    pub horizon: Timestamp,
    /// The greatest id among them.
    pub last: SessionId,
}

/// Sessions at rest.
#[async_trait]
pub trait Store: Send + Sync {
    /// Opens a session of an account; `None` when the account is gone or disabled, or has another password hash than
    /// the one named, at that instant.
    async fn open_session(&self, session: NewSession) -> Result<Option<Session>, Fault>;

    /// Trades a refresh token in one conditional update: of any number at once, one is `Rotated`.
    ///
    /// A token whose counter has passed and that is not within the grace closes its session, with
    /// [`Reason::Replay`], in the same commit.
    async fn rotate_refresh_token(&self, rotate: Rotate) -> Result<Rotation, Fault>;

    /// The session of that id, open or closed.
    async fn find_session(&self, id: SessionId) -> Result<Option<Session>, Fault>;

    /// The sessions of an account, or of all, that are open and not ended at `now`, by id.
    async fn list_sessions(
        &self,
        account: Option<AccountId>,
        now: Timestamp,
        page: Page,
    ) -> Result<Vec<Session>, Fault>;

    /// Closes a session; `false` when it was not open.
    async fn close_session(
        &self,
        id: SessionId,
        reason: Reason,
        now: Timestamp,
    ) -> Result<bool, Fault>;

    /// Replaces an account's password hash and closes its sessions, in one commit. An owner's change keeps the session
    /// that asks for it. Returns the sessions it closed; `None`, with nothing changed, when there is no such account or
    /// when what an owner's change rests on does not hold.
    async fn change_password(
        &self,
        change: PasswordChange,
        now: Timestamp,
    ) -> Result<Option<Vec<SessionId>>, Fault>;

    /// Disables an account and closes its sessions, in one commit. Tells which it closed; `None` when there
    /// is no such account.
    async fn disable_account(
        &self,
        account: AccountId,
        now: Timestamp,
    ) -> Result<Option<Vec<SessionId>>, Fault>;

    /// Up to `limit` closures with a greater sequence number than `cursor`.
    ///
    /// Whatever is committed later has a greater number than all that this returned: none is missed.
    async fn list_closures(&self, cursor: i64, limit: u32) -> Result<Closures, Fault>;

    /// Deletes up to `limit` sessions that ended before `horizon` with their closures, and remembers durably what
    /// they were, in one commit. Tells which it deleted.
    async fn forget_ended_sessions(
        &self,
        horizon: Timestamp,
        limit: u32,
    ) -> Result<Vec<SessionId>, Fault>;

    /// The latest horizon before which [`forget_ended_sessions`](Store::forget_ended_sessions) deleted something, and
    /// the greatest id that it deleted.
    async fn find_forgotten(&self) -> Result<Option<Forgotten>, Fault>;

    /// The id up to which no session is good: those of other databases, those that a restore brought back, and those
    /// that were opened after its backup and that the store does not know. Ids given after it are greater.
    async fn find_epoch(&self) -> Result<Option<SessionId>, Fault>;

    /// Begins the epoch where there is none and no session was ever opened; of any number at once, one does.
    async fn begin_first_epoch(&self, epoch: SessionId) -> Result<(), Fault>;

    /// Begins another epoch, at `floor` or the greatest id ever given, and deletes all sessions, which are not good in
    /// it, with their closures, in one commit. Tells the epoch.
    async fn begin_epoch(&self, floor: SessionId) -> Result<SessionId, Fault>;
}
