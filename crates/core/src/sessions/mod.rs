//! Sessions: a session is one login and all tokens that descend from it.
//!
//! Invariants: a session is in the set of closed sessions before the request that closed it is answered, so its tokens
//! are refused from then on. The set is loaded before the first request is served.

mod closed;
mod closing;
mod epoch;
mod feed;
mod follow;
mod forget;
mod freshness;
mod ids;
mod login;
mod measured;
mod password;
mod pending;
mod reason;
mod store;
mod tag;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;

pub use self::closed::ClosedSessions;
pub use self::epoch::epoch_at;
pub use self::feed::{Closures, Feed, Forgotten, Identity, Place};
use self::follow::Follower;
use self::freshness::Freshness;
pub(crate) use self::freshness::Reading;
use self::ids::Ids;
pub use self::login::{Lifetime, LogIn};
pub(crate) use self::measured::METRICS;
use self::measured::Measured;
pub use self::password::{Confirmed, PasswordChange};
use self::pending::Pending;
pub use self::reason::Reason;
pub use self::store::{Rotate, Rotation, Store};
pub use self::tag::Tag;
use crate::accounts::{self, Accounts, Realm};
use crate::clock::{Clock, Timestamp};
use crate::error::{Code, Fault, Kind};
use crate::id::{AccountId, SessionId};
use crate::keys::Ring;
use crate::page::{Listed, Page};
use crate::random::Random;
use crate::secret::SecretText;

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id, the `sid` of its tokens.
    pub id: SessionId,
    /// The account.
    pub account: AccountId,
    /// The time of the login.
    pub created_at: Timestamp,
    /// When its last token expires.
    pub expires_at: Timestamp,
    /// When it ends, however often it is refreshed.
    pub ends_at: Timestamp,
    /// How often its refresh token was rotated. The current refresh token carries this counter.
    pub refresh_counter: i64,
    /// When the current refresh token was issued.
    pub refreshed_at: Timestamp,
    /// When it was closed; `None` if it is open.
    pub closed_at: Option<Timestamp>,
    /// The client's `User-Agent` at login.
    pub user_agent: Option<String>,
}

/// A session about to be opened.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// Its id.
    pub id: SessionId,
    /// The account.
    pub account: AccountId,
    /// The hash that the password was checked against, which must still be the account's; `None` if no password was
    /// checked.
    pub password_hash: Option<SecretText>,
    /// The time of the login.
    pub created_at: Timestamp,
    /// When the first tokens expire.
    pub expires_at: Timestamp,
    /// When it ends, however often it is refreshed.
    pub ends_at: Timestamp,
    /// The client's `User-Agent`.
    pub user_agent: Option<String>,
}

/// An error of an operation on sessions.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The account is gone or disabled.
    #[error("the account cannot log in")]
    AccountUnavailable,
    /// There is no such open session, or it belongs to another account.
    #[error("there is no such session")]
    Unknown,
    /// The session was closed while it was in use.
    #[error("the session has ended")]
    Ended,
    /// An error of the operations on accounts.
    #[error(transparent)]
    Account(#[from] accounts::Error),
    /// The store could not close the session. This server refuses it nevertheless.
    #[error(
        "the database cannot be written: this server refuses the session from now on, and the others will when it can"
    )]
    ClosedHere(#[source] Fault),
    /// The store could not change an account. This server refuses the sessions that the change should have closed.
    #[error(
        "the database cannot be written: nothing was changed, but this server refuses the sessions that the change \
         closes from now on, and the others will when it can"
    )]
    NotChanged(#[source] Fault),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Fault),
}

impl Error {
    /// The code an edge answers with.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            // The caller cannot tell this from a wrong password.
            Self::AccountUnavailable => Code::BadCredentials,
            Self::Unknown => Code::UnknownSession,
            Self::Ended => Code::InvalidToken,
            Self::Account(error) => error.code(),
            Self::ClosedHere(fault) | Self::NotChanged(fault) | Self::Store(fault) => fault.code(),
        }
    }

    /// The kind of that code.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.code().kind()
    }
}

/// How many closures are read in one query.
const BATCH: u32 = 10_000;

/// The operations on sessions.
#[derive(Clone)]
pub struct Sessions {
    store: Arc<dyn Store>,
    accounts: Accounts,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    closed: Arc<ClosedSessions>,
    pending: Arc<Pending>,
    follower: Arc<Mutex<Follower>>,
    freshness: Arc<Freshness>,
    ids: Arc<Ids>,
    /// The last session that this process opened, whose absence from the database shows that the database went back; 0
    /// if there is none.
    opened: Arc<AtomicI64>,
    measured: Arc<Measured>,
    /// The signing keys, if this process uses them.
    ring: Option<Arc<Ring>>,
}

impl Sessions {
    /// Loads the set of closed sessions from `store`. A store without a tag gets one, so that it does not accept the
    /// tokens of another database with the same key.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn load(
        store: Arc<dyn Store>,
        accounts: Accounts,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, Fault> {
        let closed = Arc::new(ClosedSessions::default());
        if let Some(forgotten) = store.find_forgotten().await? {
            closed.forget(forgotten, &[]);
        }
        store.keep_tag(Tag::random(&*random)).await?;
        closed.adopt(&store.list_closures(Place::default(), 0).await?.identity);
        let sessions = Self {
            store,
            accounts,
            clock,
            random,
            closed,
            pending: Arc::default(),
            follower: Arc::default(),
            freshness: Arc::default(),
            ids: Arc::default(),
            opened: Arc::default(),
            measured: Arc::new(Measured::new()),
            ring: None,
        };
        sessions.catch_up().await?;
        Ok(sessions)
    }

    /// Sets how old the set of closed sessions may be, for a store that other servers share: an older set is not relied
    /// on.
    #[must_use]
    pub fn with_max_revocation_lag(self, bound: Duration) -> Self {
        Self {
            freshness: Arc::new(self.freshness.bounded_by(bound)),
            ..self
        }
    }

    /// Follows the signing keys together with the closures: while the set of closed sessions is fresh, so are the keys.
    #[must_use]
    pub fn with_ring(self, ring: Arc<Ring>) -> Self {
        Self {
            ring: Some(ring),
            ..self
        }
    }

    /// The age of the set of closed sessions. It must be read before the set is consulted.
    pub(crate) fn reading(&self) -> Reading {
        self.freshness.reading()
    }

    /// Whether a session that was not in the set of closed ones, of which `reading` was taken before, stands, for a
    /// token that was `issued_at` and ends at `expires_at`: by the set alone while that is fresh and the session is not
    /// in doubt, else by the store, which also compares the `owner` where the token names one by its id.
    ///
    /// # Errors
    /// The store's; then nobody can tell.
    pub(crate) async fn stands(
        &self,
        (id, owner): (SessionId, Option<AccountId>),
        issued_at: Timestamp,
        expires_at: Timestamp,
        reading: Reading,
    ) -> Result<bool, Fault> {
        let known = !self.closed.doubts(id, issued_at, expires_at);
        let is_fresh = self.freshness.is_fresh(reading, &*self.clock);
        if known && is_fresh {
            return Ok(true);
        }
        let until = self.closed.doubtful_until();
        let session = self.store.find_session(id).await?;
        if let Some(ring) = self.ring.as_ref().filter(|_| !is_fresh) {
            ring.ask().await?;
        }
        let stands = session.is_some_and(|session| {
            session.closed_at.is_none() && owner.is_none_or(|owner| session.account == owner)
        });
        if stands && issued_at.micros() <= until {
            self.closed.confirm(id, until);
        }
        Ok(stands)
    }

    /// The set that every token check consults.
    #[must_use]
    pub fn closed(&self) -> &ClosedSessions {
        &self.closed
    }

    /// How old this process's list of closed sessions is: the time since the last complete reading of the feed began.
    #[must_use]
    pub fn feed_lag(&self) -> Duration {
        self.freshness.age(&*self.clock)
    }

    /// How many sessions only this process refuses, because their closures could not be written yet.
    #[must_use]
    pub fn unwritten_closures(&self) -> usize {
        self.pending.unwritten()
    }

    /// Opens a session in the store.
    async fn open_new(&self, session: NewSession) -> Result<Option<Session>, Fault> {
        let opened = self.store.open_session(session).await;
        match &opened {
            Ok(Some(session)) => self.opened.store(session.id.0, Ordering::Release),
            Ok(None) => {}
            // If another process has drawn the same block, which is very unlikely, a new block is drawn.
            Err(_) => self.ids.leave_block(),
        }
        opened
    }

    /// How many sessions of each realm are open, in the order of [`Realm::ALL`]. Reads every one of them.
    ///
    /// # Errors
    /// Errors of the store.
    pub async fn count_open(&self) -> Result<[u64; Realm::ALL.len()], Fault> {
        self.store.count_open_sessions(self.clock.now()).await
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
        let items = self
            .store
            .list_sessions(account, self.clock.now(), page.with_surplus())
            .await?;
        Ok(Listed::from_surplus(items, page.limit, |session| {
            session.id.0
        }))
    }
}
