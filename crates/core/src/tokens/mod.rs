//! Tokens: logging in, checking, refreshing and logging out.
//!
//! Invariant: a token is good only for the realm and purpose it was issued for, while its session
//! stands; checking an access token touches no database while the closed sessions are known.

mod check;
mod claims;
mod login;
mod refresh;

use std::sync::Arc;
use std::time::Duration;

use keyward_jose::jws::{self, EncodedHeader};

use crate::accounts::names::Name;
use crate::accounts::{self, Account, Accounts, Realm};
use crate::clock::Clock;
use crate::error::{Code, Fault, Kind};
use crate::id::{AccountId, SessionId};
use crate::keys::Keys;
use crate::random::Random;
use crate::secret::Password;
use crate::sessions::{self, Sessions};

/// How long tokens live and whom they name.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The life of an access token that a refresh token accompanies (contract 5).
    pub access_ttl: Duration,
    /// The life of a refresh token, renewed at each rotation.
    pub refresh_ttl: Duration,
    /// The life of a session however often it is refreshed.
    pub session_span: Duration,
    /// The life of the single access token of contracts 2 and 4.
    pub single_ttl: Duration,
    /// The life of a file exchange token (contract 3).
    pub exchange_ttl: Duration,
    /// How long a refresh token's successor is handed out again; zero is never.
    pub refresh_grace: Duration,
    /// How far clocks may be apart.
    pub leeway: Duration,
    /// The `iss` of file exchange tokens.
    pub issuer: String,
}

/// What a login is to yield.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// One access token that lives as long as its session.
    Single,
    /// A short access token and a refresh token.
    Pair,
}

/// An attempt to log in.
#[derive(Clone, Debug)]
pub struct LogIn {
    /// Where the account lives.
    pub realm: Realm,
    /// The prepared name; `None` for what cannot be a name, which costs a hash all the same.
    pub name: Option<Name>,
    /// The password.
    pub password: Password,
    /// What to issue.
    pub grant: Grant,
    /// What the client calls itself.
    pub user_agent: Option<String>,
}

/// What was issued.
#[derive(Clone)]
pub struct Issued {
    /// The access token.
    pub access_token: String,
    /// How long it lives.
    pub expires_in: Duration,
    /// The refresh token, with [`Grant::Pair`].
    pub refresh_token: Option<String>,
    /// Whose they are.
    pub account: Account,
}

/// Who presents a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The realm it was issued for.
    pub realm: Realm,
    /// The account's id in realm `default`, its username in the others.
    pub subject: String,
    /// The session it belongs to.
    pub session: SessionId,
}

/// Why a token is refused or not issued.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Malformed, forged, expired, closed, replayed or meant for something else: never told apart.
    #[error("the token is not valid")]
    Invalid,
    /// A good token of another realm.
    #[error("the token is for the realm {}", .0.name())]
    OtherRealm(Realm),
    /// The login failed.
    #[error(transparent)]
    Account(#[from] accounts::Error),
    /// The session could not be opened, refreshed or closed.
    #[error(transparent)]
    Session(#[from] sessions::Error),
}

impl Error {
    /// The code an edge answers with.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            // Where it is forbidden rather than unauthenticated, the contract says so.
            Self::Invalid | Self::OtherRealm(_) => Code::InvalidToken,
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

/// The `typ` of login tokens, as the services had it.
const ACCESS_TYPE: &str = "JWT";
/// The `typ` of refresh tokens, so that neither passes for the other (RFC 8725 §3.11).
const REFRESH_TYPE: &str = "rt+jwt";

/// Issues, checks, refreshes and ends tokens.
#[derive(Clone)]
pub struct Tokens(Arc<Inner>);

struct Inner {
    keys: Arc<Keys>,
    policy: Policy,
    accounts: Accounts,
    sessions: Sessions,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    access_header: EncodedHeader,
    refresh_header: EncodedHeader,
}

impl Tokens {
    /// Tokens signed by `keys` under `policy`.
    ///
    /// # Errors
    /// When a header of ours could not be prepared, which is a defect.
    pub fn new(
        keys: Arc<Keys>,
        policy: Policy,
        accounts: Accounts,
        sessions: Sessions,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, jws::Error> {
        let header = |algorithm: &str, typ: &str| {
            EncodedHeader::new(&format!(r#"{{"alg":"{algorithm}","typ":"{typ}"}}"#))
        };
        Ok(Self(Arc::new(Inner {
            access_header: header(keys.login().algorithm().name(), ACCESS_TYPE)?,
            refresh_header: header(keys.refresh().algorithm().name(), REFRESH_TYPE)?,
            keys,
            policy,
            accounts,
            sessions,
            clock,
            random,
        })))
    }
}

impl Principal {
    /// The account's id, which only tokens of realm `default` carry.
    #[must_use]
    pub fn account_id(&self) -> Option<AccountId> {
        match self.realm {
            Realm::Default => self.subject.parse().ok().map(AccountId),
            Realm::Ops | Realm::Client => None,
        }
    }
}
