//! Sessions: one login and everything that descends from it, and which of them are closed.
//!
//! Invariant: a session is in the set of closed ones before whoever closed it is answered, so its
//! tokens are refused from that answer on; and the set is filled before the first request is served.

mod closed;
mod epoch;
mod forget;
mod freshness;
mod login;
mod password;
mod reason;
mod store;

use std::sync::Arc;
use std::time::Duration;

pub use self::closed::ClosedSessions;
pub use self::epoch::epoch_at;
use self::freshness::Freshness;
pub(crate) use self::freshness::Reading;
pub use self::login::{Lifetime, LogIn};
pub use self::password::{Confirmed, PasswordChange};
pub use self::reason::Reason;
pub use self::store::{Closures, Forgotten, Rotate, Rotation, Store};
use crate::accounts::{self, Accounts};
use crate::clock::{Clock, Timestamp};
use crate::error::{Code, Fault, Kind};
use crate::id::{AccountId, SessionId};
use crate::page::{Listed, Page};
use crate::secret::SecretText;

/// A login and what it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id, the `sid` of its tokens.
    pub id: SessionId,
    /// Whose it is.
    pub account: AccountId,
    /// When the login was.
    pub created_at: Timestamp,
    /// When the last token that it issued ends.
    pub expires_at: Timestamp,
    /// When it ends for good, however often it is refreshed.
    pub ends_at: Timestamp,
    /// How often its refresh token was rotated: the counter of the current one.
    pub refresh_counter: i64,
    /// When the current refresh token was issued.
    pub refreshed_at: Timestamp,
    /// When it was closed, if it is.
    pub closed_at: Option<Timestamp>,
    /// What the client called itself at login.
    pub user_agent: Option<String>,
}

/// A session about to be opened.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Whose it is.
    pub account: AccountId,
    /// The hash that the password was checked against, which must still be the account's; `None` where no password
    /// was asked for.
    pub password_hash: Option<SecretText>,
    /// The time of the login.
    pub created_at: Timestamp,
    /// When the first tokens end.
    pub expires_at: Timestamp,
    /// When it ends for good.
    pub ends_at: Timestamp,
    /// What the client called itself.
    pub user_agent: Option<String>,
}

/// Why something about sessions cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The account is gone or disabled.
    #[error("the account cannot log in")]
    AccountUnavailable,
    /// There is no such open session, or it is another account's.
    #[error("there is no such session")]
    Unknown,
    /// The session was closed while it was in use.
    #[error("the session has ended")]
    Ended,
    /// What accounts refuse.
    #[error(transparent)]
    Account(#[from] accounts::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Fault),
}

impl Error {
    /// The code an edge answers with.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            // Never told apart from a wrong password.
            Self::AccountUnavailable => Code::BadCredentials,
            Self::Unknown => Code::UnknownSession,
            Self::Ended => Code::InvalidToken,
            Self::Account(error) => error.code(),
            Self::Store(fault) => fault.code(),
        }
    }

    /// The kind of that code.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.code().kind()
    }
}

/// How many closures are read at once.
const BATCH: u32 = 10_000;

/// The sessions of this server.
#[derive(Clone)]
pub struct Sessions {
    store: Arc<dyn Store>,
    accounts: Accounts,
    clock: Arc<dyn Clock>,
    closed: Arc<ClosedSessions>,
    freshness: Arc<Freshness>,
}

impl Sessions {
    /// Sessions kept in `store`, with the set of closed ones filled from it. A store in which no session was ever
    /// opened begins its first epoch, so that it does not take the tokens of another under the same key for its own.
    ///
    /// # Errors
    /// The store's.
    pub async fn load(
        store: Arc<dyn Store>,
        accounts: Accounts,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Fault> {
        let closed = Arc::new(ClosedSessions::default());
        if let Some(forgotten) = store.find_forgotten().await? {
            closed.forget(forgotten, &[]);
        }
        if store.find_epoch().await?.is_none() {
            store.begin_first_epoch(epoch_at(clock.now())).await?;
        }
        let sessions = Self {
            store,
            accounts,
            clock,
            closed,
            freshness: Arc::default(),
        };
        sessions.catch_up().await?;
        Ok(sessions)
    }

    /// The same sessions where other servers close some too: what this one knows of them is not relied on once
    /// it is older than `bound`.
    #[must_use]
    pub fn with_max_revocation_lag(self, bound: Duration) -> Self {
        Self {
            freshness: Arc::new(self.freshness.bounded_by(bound)),
            ..self
        }
    }

    /// Takes over what other processes have closed since the last call; cheap when there is nothing.
    ///
    /// # Errors
    /// The store's; then the set is as it was.
    pub async fn catch_up(&self) -> Result<(), Fault> {
        let begun_at = self.clock.monotonic();
        loop {
            let batch = self
                .store
                .list_closures(self.closed.cursor(), BATCH)
                .await?;
            let last = batch.sessions.len() < BATCH as usize;
            self.closed.apply(&batch);
            if last {
                self.learn_epoch().await?;
                // What was closed before this began has been read; what was closed since may not.
                self.freshness.read_at(begun_at);
                return Ok(());
            }
        }
    }

    /// How recent the set of closed ones is: to be asked before the set is.
    pub(crate) fn reading(&self) -> Reading {
        self.freshness.reading()
    }

    /// Whether a session that was not in the set of closed ones, of which `reading` was taken before, stands, for a
    /// token that ends at `expires_at`: by the set alone while that is fresh and cannot have forgotten it, else by
    /// the store, which also compares the `owner` where the token names one by its id.
    ///
    /// # Errors
    /// The store's; then nobody can tell.
    pub(crate) async fn stands(
        &self,
        (id, owner): (SessionId, Option<AccountId>),
        expires_at: Timestamp,
        reading: Reading,
    ) -> Result<bool, Fault> {
        let known = !self.closed.may_have_forgotten(id, expires_at);
        if known && self.freshness.is_fresh(reading, &*self.clock) {
            return Ok(true);
        }
        let session = self.store.find_session(id).await?;
        Ok(session.is_some_and(|session| {
            session.closed_at.is_none() && owner.is_none_or(|owner| session.account == owner)
        }))
    }

    /// The set that every token check consults.
    #[must_use]
    pub fn closed(&self) -> &ClosedSessions {
        &self.closed
    }

    /// Trades a refresh token; a replay has closed its session when this returns.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn rotate(&self, rotate: Rotate) -> Result<Rotation, Error> {
        let rotation = self.store.rotate_refresh_token(rotate).await?;
        if let Rotation::Replayed(account) = rotation {
            self.closed.insert(&[rotate.session]);
            tracing::warn!(
                session = rotate.session.0,
                account = account.0,
                "a refresh token was presented twice: its session is closed"
            );
        }
        Ok(rotation)
    }

    /// Closes a session whoever owns it; tells whether it was open.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn close(&self, id: SessionId, reason: Reason) -> Result<bool, Error> {
        let closed = self
            .store
            .close_session(id, reason, self.clock.now())
            .await?;
        self.closed.insert(&[id]);
        tracing::info!(
            session = id.0,
            reason = reason.name(),
            closed,
            "session closed"
        );
        Ok(closed)
    }

    /// Ends every session there is or may have been, those that the store does not know included: no token that was
    /// issued before is good again.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn close_all(&self) -> Result<(), Error> {
        let floor = epoch_at(self.clock.now());
        let epoch = self.store.begin_epoch(floor).await?;
        self.closed.raise_epoch(epoch);
        tracing::info!(epoch = epoch.0, "all sessions closed");
        Ok(())
    }

    /// Closes a session of `owner`.
    ///
    /// # Errors
    /// [`Error::Unknown`] when it is not an open one of that account, [`Error::Store`].
    pub async fn close_own(&self, owner: AccountId, id: SessionId) -> Result<(), Error> {
        let session = self.store.find_session(id).await?;
        let open_and_own = session.is_some_and(|s| s.account == owner && s.closed_at.is_none());
        if !open_and_own || !self.close(id, Reason::Logout).await? {
            return Err(Error::Unknown);
        }
        Ok(())
    }

    /// The open sessions of an account, or of all, by id.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn list(
        &self,
        account: Option<AccountId>,
        page: Page,
    ) -> Result<Listed<Session>, Error> {
        let surplus = Page {
            limit: page.limit.saturating_add(1),
            ..page
        };
        let items = self
            .store
            .list_sessions(account, self.clock.now(), surplus)
            .await?;
        Ok(Listed::from_surplus(items, page.limit, |session| {
            session.id.0
        }))
    }

    async fn learn_epoch(&self) -> Result<(), Fault> {
        if let Some(epoch) = self.store.find_epoch().await? {
            self.closed.raise_epoch(epoch);
        }
        Ok(())
    }
}
