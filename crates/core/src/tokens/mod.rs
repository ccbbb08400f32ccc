//! Tokens: issued for a session, verified, refreshed and revoked.
//!
//! Invariant: a token is valid only for the realm and purpose it was issued for, and only while its session is open.
//! Checking an access token reads no database while the list of closed sessions is fresh.

mod claims;
mod issue;
mod measured;
mod principal;
mod refresh;
mod revoke;
mod verify;

use std::sync::Arc;
use std::time::Duration;

use keyward_jose::jws;

pub(crate) use self::measured::METRICS;
use self::measured::Measured;
pub use self::principal::{Principal, Subject};
use crate::accounts::{self, Account, Accounts};
use crate::clock::Clock;
use crate::error::{Code, Fault, Kind};
use crate::keys::Ring;
use crate::random::Random;
use crate::sessions::{self, Sessions};

/// The lifetimes of tokens, and their issuer.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The lifetime of an access token that comes with a refresh token (customers).
    pub access_ttl: Duration,
    /// The lifetime of a refresh token, renewed at each rotation.
    pub refresh_ttl: Duration,
    /// The maximum lifetime of a session, however often it is refreshed.
    pub session_max_lifetime: Duration,
    /// The lifetime of an access token without a refresh token (directory, vectors).
    pub standalone_access_ttl: Duration,
    /// The lifetime of an access token of the file exchange.
    pub exchange_access_ttl: Duration,
    /// How long after a rotation the used refresh token still returns its successor; zero turns this off.
    pub refresh_grace: Duration,
    /// The leeway for clock differences.
    pub leeway: Duration,
    /// The `iss` of file exchange tokens.
    pub issuer: String,
}

/// The tokens that a session is issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenSet {
    /// One access token that lives as long as its session.
    Access,
    /// A short access token and a refresh token.
    AccessAndRefresh,
}

/// The tokens that were issued.
#[derive(Clone)]
pub struct Issued {
    /// The access token.
    pub access_token: String,
    /// The lifetime of the access token.
    pub expires_in: Duration,
    /// The refresh token, with [`TokenSet::AccessAndRefresh`].
    pub refresh_token: Option<String>,
    /// The account they belong to.
    pub account: Account,
}

/// An error of checking or issuing a token.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The token is malformed, forged, expired, replayed, meant for another purpose, or its session is closed. The
    /// caller cannot tell which.
    #[error("the token is not valid")]
    Invalid,
    /// The account could not be read.
    #[error(transparent)]
    Account(#[from] accounts::Error),
    /// The session could not be opened, refreshed or closed.
    #[error(transparent)]
    Session(#[from] sessions::Error),
}

impl Error {
    /// The stable code of the error.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Invalid => Code::InvalidToken,
            Self::Account(error) => error.code(),
            Self::Session(error) => error.code(),
        }
    }

    /// The kind of that code.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.code().kind()
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        Self::Session(fault.into())
    }
}

impl From<jws::Error> for Error {
    fn from(_: jws::Error) -> Self {
        Self::Invalid
    }
}

/// Issues, verifies, refreshes and revokes tokens.
#[derive(Clone)]
pub struct Tokens(Arc<Inner>);

struct Inner {
    ring: Arc<Ring>,
    policy: Policy,
    accounts: Accounts,
    sessions: Sessions,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    measured: Measured,
}

impl Tokens {
    /// Tokens signed by the keys of `ring` under `policy`.
    #[must_use]
    pub fn new(
        ring: Arc<Ring>,
        policy: Policy,
        accounts: Accounts,
        sessions: Sessions,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        Self(Arc::new(Inner {
            ring,
            policy,
            accounts,
            sessions,
            clock,
            random,
            measured: Measured::new(),
        }))
    }
}
