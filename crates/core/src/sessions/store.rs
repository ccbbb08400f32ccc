//! What sessions need of a store. Each method is one atomic fact, on disk when it returns.

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

impl Rotate {
    /// Whether its token is the predecessor of the session's current one, rotated less than the grace ago. The times of
    /// two requests at once are taken before they queue, so the earlier may come second.
    #[must_use]
    pub fn repeats(&self, session: &Session) -> bool {
        let apart = self.now.micros().abs_diff(session.refreshed_at.micros());
        self.counter == session.refresh_counter - 1 && Duration::from_micros(apart) < self.grace
    }

    /// Whether its token was used before, outside the grace.
    #[must_use]
    pub fn replays(&self, session: &Session) -> bool {
        self.counter < session.refresh_counter && !self.repeats(session)
    }
}

/// What became of a presented refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// It was the current one: the session as it stands now, its counter one above the token's.
    Rotated(Session),
    /// It was the last one before the current, within the grace: the session, nothing changed.
    Repeated(Session),
    /// It had been used: the session has just been closed for it.
    Replayed(AccountId),
    /// There is no open session it belongs to, or its account is disabled.
    Refused,
}

/// Sessions at rest.
#[async_trait]
pub trait Store: Feed {
    /// Opens a session of an account, under an id that no session has; `None` when the account is gone or disabled, or
    /// has another password hash than the one named, at that instant.
    async fn open_session(&self, session: NewSession) -> Result<Option<Session>, Fault>;

    /// Trades a refresh token in one conditional update: of any number at once, one is `Rotated`.
    ///
    /// A counter above the session's is that of a rotation which the database has lost: the session goes on from it.
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

    /// How many sessions of each realm are open and not ended at `now`, in the order of [`Realm::ALL`]. Reads every
    /// such session.
    async fn count_open_sessions(&self, now: Timestamp) -> Result<[u64; Realm::ALL.len()], Fault>;

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
}
