//! Tokens: logging in, checking, refreshing and logging out.
//!
//! Invariant: a token is good only for the realm and purpose it was issued for, while its session
//! stands; checking an access token touches no database.

mod claims;
pub mod notary;

use std::sync::Arc;
use std::time::Duration;

use keyward_jose::claims::Expected;
use keyward_jose::jws::{self, EncodedHeader, Limits};

use self::claims::{AccessClaims, ExchangeClaims, RefreshClaims};
use crate::accounts::names::Name;
use crate::accounts::{self, Account, Accounts, Realm};
use crate::clock::{Clock, Timestamp};
use crate::error::{Fault, Kind};
use crate::id::{AccountId, SessionId};
use crate::keys::Keys;
use crate::random::{self, Random};
use crate::secret::Password;
use crate::sessions::{self, Reason, Rotate, Rotation, Session, Sessions};

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
    /// The meaning an edge answers with.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Invalid | Self::OtherRealm(_) => Kind::Unauthenticated,
            Self::Account(error) => error.kind(),
            Self::Session(error) => error.kind(),
        }
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

/// What a token of ours never exceeds.
const LIMITS: Limits = Limits {
    token: 8192,
    depth: 16,
};
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

    /// Checks a name and password and opens a session.
    ///
    /// # Errors
    /// [`Error::Account`] with bad credentials or busy; the store's.
    pub async fn log_in(&self, attempt: LogIn) -> Result<Issued, Error> {
        let LogIn {
            realm,
            name,
            password,
            grant,
            user_agent,
        } = attempt;
        let account = self
            .0
            .accounts
            .authenticate(realm, name.as_ref(), password)
            .await?;
        self.issue_for(account, grant, user_agent).await
    }

    /// Opens a session for an account that needs no password here, as an operator's `token mint` does.
    ///
    /// # Errors
    /// [`Error::Account`] with bad credentials when the account is disabled; the store's.
    pub async fn issue_for(
        &self,
        account: Account,
        grant: Grant,
        user_agent: Option<String>,
    ) -> Result<Issued, Error> {
        let policy = &self.0.policy;
        let (ttl, span) = match grant {
            Grant::Pair => (
                policy.refresh_ttl.min(policy.session_span),
                policy.session_span,
            ),
            Grant::Single => (self.single_ttl(account.realm), Duration::ZERO),
        };
        let opened = self
            .0
            .sessions
            .open(account.id, ttl, span, user_agent)
            .await;
        let session = opened.map_err(|error| match error {
            sessions::Error::AccountUnavailable => accounts::Error::BadCredentials.into(),
            other => Error::from(other),
        })?;
        self.issue(account, &session, grant)
    }

    /// Checks an access token for use in `realm`.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::OtherRealm`].
    pub fn verify(&self, token: &str, realm: Realm) -> Result<Principal, Error> {
        let principal = self.verify_any(token)?;
        if principal.realm != realm {
            return Err(Error::OtherRealm(principal.realm));
        }
        Ok(principal)
    }

    /// Checks an access token of whichever realm.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn verify_any(&self, token: &str) -> Result<Principal, Error> {
        let inner = &*self.0;
        let verified = jws::verify(token, inner.keys.login(), &inner.access_header, &LIMITS)?;
        let claims = claims::read(&verified).ok_or(Error::Invalid)?;
        let realm = match claims.registered.aud.as_deref() {
            None => Realm::Default,
            Some("ops") => Realm::Ops,
            Some("client") => Realm::Client,
            Some(_) => return Err(Error::Invalid),
        };
        let exchange = realm != Realm::Default;
        let expected = Expected {
            issuer: exchange.then_some(inner.policy.issuer.as_str()),
            audience: exchange.then_some(realm.name()),
            now: inner.clock.now().seconds(),
            leeway: leeway_seconds(inner.policy.leeway),
        };
        let session = self.standing(&claims, &expected)?;
        let subject = claims
            .registered
            .sub
            .as_deref()
            .ok_or(Error::Invalid)?
            .to_owned();
        Ok(Principal {
            realm,
            subject,
            session,
        })
    }

    /// Trades a refresh token for a new pair; presented again, it is a replay and ends its session
    /// (RFC 9700 §4.14.2).
    ///
    /// # Errors
    /// [`Error::Invalid`]; the store's.
    pub async fn refresh(&self, token: &str) -> Result<Issued, Error> {
        let (session, counter) = self.verify_refresh(token)?;
        let policy = &self.0.policy;
        let rotate = Rotate {
            session,
            counter,
            now: self.0.clock.now(),
            ttl: policy.refresh_ttl,
            grace: policy.refresh_grace,
        };
        match self.0.sessions.rotate(rotate).await? {
            Rotation::Rotated(session) | Rotation::Repeated(session) => {
                let account = self
                    .0
                    .accounts
                    .find(session.account)
                    .await?
                    .ok_or(Error::Invalid)?;
                self.issue(account, &session, Grant::Pair)
            }
            Rotation::Replayed(_) | Rotation::Refused => Err(Error::Invalid),
        }
    }

    /// Closes the session of an access token of any realm.
    ///
    /// # Errors
    /// [`Error::Invalid`]; the store's.
    pub async fn log_out(&self, token: &str) -> Result<(), Error> {
        let principal = self.verify_any(token)?;
        self.close(principal.session).await
    }

    /// Closes the session of an access or a refresh token.
    ///
    /// # Errors
    /// [`Error::Invalid`]; the store's.
    pub async fn log_out_by_either(&self, token: &str) -> Result<(), Error> {
        let session = match self.verify_any(token) {
            Ok(principal) => principal.session,
            Err(_) => self.verify_refresh(token)?.0,
        };
        self.close(session).await
    }

    /// The account behind a principal.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is gone; the store's.
    pub async fn account(&self, principal: &Principal) -> Result<Account, Error> {
        let found = match principal.account_id() {
            Some(id) => self.0.accounts.find(id).await?,
            None => {
                let subject = principal.subject.clone();
                let name = Name {
                    shown: subject.clone(),
                    key: subject,
                };
                self.0.accounts.find_by_name(principal.realm, &name).await?
            }
        };
        found.ok_or(Error::Invalid)
    }

    fn verify_refresh(&self, token: &str) -> Result<(SessionId, i64), Error> {
        let inner = &*self.0;
        let verified = jws::verify(token, inner.keys.refresh(), &inner.refresh_header, &LIMITS)?;
        let claims = claims::read(&verified).ok_or(Error::Invalid)?;
        let expected = Expected {
            issuer: None,
            audience: None,
            now: inner.clock.now().seconds(),
            leeway: leeway_seconds(inner.policy.leeway),
        };
        let session = self.standing(&claims, &expected)?;
        Ok((session, claims.private.ctr.ok_or(Error::Invalid)?))
    }

    /// Checks the registered claims and that the session stands.
    fn standing(
        &self,
        claims: &claims::Read<'_>,
        expected: &Expected<'_>,
    ) -> Result<SessionId, Error> {
        expected
            .check(&claims.registered)
            .map_err(|_| Error::Invalid)?;
        let session = SessionId(claims.private.sid);
        let expires_at = Timestamp::from_seconds(claims.registered.exp.ok_or(Error::Invalid)?);
        if self.0.sessions.closed().refuses(session, expires_at) {
            return Err(Error::Invalid);
        }
        Ok(session)
    }

    /// Closes a session that stood when its token was checked; of two at once, the later finds it gone.
    async fn close(&self, session: SessionId) -> Result<(), Error> {
        match self.0.sessions.close(session, Reason::Logout).await? {
            true => Ok(()),
            false => Err(Error::Invalid),
        }
    }

    fn issue(&self, account: Account, session: &Session, grant: Grant) -> Result<Issued, Error> {
        let inner = &*self.0;
        let now = inner.clock.now();
        let ttl = match grant {
            Grant::Single => self.single_ttl(account.realm),
            Grant::Pair => inner.policy.access_ttl,
        };
        let exp = now.plus(ttl).min(session.expires_at).seconds();
        let (iat, sid, jti) = (
            now.seconds(),
            session.id.0,
            random::hex::<16>(&*inner.random),
        );
        let sub = account.id.to_string();
        let claims = match account.realm {
            Realm::Default => claims::write(&AccessClaims {
                sub: &sub,
                email: account.email.as_deref(),
                iat,
                exp,
                jti: &jti,
                sid,
            }),
            Realm::Ops | Realm::Client => claims::write(&ExchangeClaims {
                iss: &inner.policy.issuer,
                sub: account.username.as_deref().unwrap_or_default(),
                aud: account.realm.name(),
                sid,
                exp,
                iat,
                jti: &jti,
            }),
        }?;
        let refresh_token = match grant {
            Grant::Single => None,
            Grant::Pair => Some(self.issue_refresh(session)?),
        };
        Ok(Issued {
            access_token: jws::sign(inner.keys.login(), &inner.access_header, &claims),
            expires_in: Duration::from_secs(u64::try_from(exp - iat).unwrap_or_default()),
            refresh_token,
            account,
        })
    }

    /// The current refresh token of a session: a function of its row, so that a retry gets the same one.
    fn issue_refresh(&self, session: &Session) -> Result<String, Error> {
        let claims = claims::write(&RefreshClaims {
            sid: session.id.0,
            ctr: session.refresh_counter,
            iat: session.refreshed_at.seconds(),
            exp: session.expires_at.seconds(),
        })?;
        Ok(jws::sign(
            self.0.keys.refresh(),
            &self.0.refresh_header,
            &claims,
        ))
    }

    fn single_ttl(&self, realm: Realm) -> Duration {
        match realm {
            Realm::Default => self.0.policy.single_ttl,
            Realm::Ops | Realm::Client => self.0.policy.exchange_ttl,
        }
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

fn leeway_seconds(leeway: Duration) -> i64 {
    i64::try_from(leeway.as_secs()).unwrap_or(i64::MAX)
}
