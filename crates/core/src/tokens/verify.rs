//! Verifying tokens: the signature, the claims, and that the session is open. The database is read only if the list of
//! closed sessions is older than its bound.

use std::time::Duration;

use keyward_jose::claims::Expected;
use keyward_jose::jws::Limits;

use super::{Error, Principal, Subject, Tokens, claims};
use crate::accounts::{Account, Realm};
use crate::clock::Timestamp;
use crate::id::SessionId;
use crate::metrics::Stopwatch;
use crate::sessions::{Reading, Tag};

/// The limits of the tokens that Keyward issues.
const LIMITS: Limits = Limits {
    token: 8192,
    depth: 16,
};

impl Tokens {
    /// Checks an access token of any realm.
    ///
    /// # Errors
    /// [`Error::Invalid`], and errors of the store if the database was read.
    pub async fn verify(&self, token: &str) -> Result<Principal, Error> {
        let took = Stopwatch::start();
        let known = self.known();
        let checked = match self.check(token) {
            Ok(principal) => self.stands(principal, known).await,
            Err(error) => Err(error),
        };
        self.0.measured.checked(took, &checked);
        checked
    }

    /// Checks a principal again without its token, after a wait for the client: meanwhile the token may have expired
    /// and its session may have been closed.
    ///
    /// # Errors
    /// [`Error::Invalid`], and errors of the store if the database was read.
    pub async fn verify_again(&self, principal: Principal) -> Result<Principal, Error> {
        let sessions = &self.0.sessions;
        let known = self.known();
        let leeway = self.0.policy.leeway;
        let now = self.0.clock.now();
        let expired = principal.expires_at.plus(leeway) <= now;
        let closed = sessions.closed();
        let ended =
            closed.refuses(principal.session) || !closed.issued(principal.session, principal.tag);
        if expired || ended || !self.verifies(&principal) {
            return Err(Error::Invalid);
        }
        self.stands(principal, known).await
    }

    /// The last reading of the closures, and the version of the keys. Take it before a check.
    fn known(&self) -> (Reading, i64) {
        (self.0.sessions.reading(), self.0.ring.version())
    }

    /// Whether session and key of a checked principal stand. The database is asked about both if this process may not
    /// have heard of their end.
    async fn stands(
        &self,
        principal: Principal,
        (reading, version): (Reading, i64),
    ) -> Result<Principal, Error> {
        let owner = match principal.subject {
            Subject::Account(id) => Some(id),
            Subject::Operator(_) | Subject::Client(_) => None,
        };
        let session = (principal.session, owner);
        let stands =
            self.0
                .sessions
                .stands(session, principal.issued_at, principal.expires_at, reading);
        let stands = stands.await?;
        let ring = &self.0.ring;
        let is_good = stands && (ring.version() == version || self.verifies(&principal));
        if is_good {
            Ok(principal)
        } else {
            Err(Error::Invalid)
        }
    }

    /// Whether the key that signed a principal's token is still good.
    fn verifies(&self, principal: &Principal) -> bool {
        let now = self.0.clock.now();
        self.0.ring.keys().access().verifies(principal.key, now)
    }

    /// Checks an access token, and its session against this process's list of closed sessions.
    pub(super) fn check(&self, token: &str) -> Result<Principal, Error> {
        let inner = &*self.0;
        let now = inner.clock.now();
        let (verified, key) = inner.ring.keys().access().verify(token, &LIMITS, now)?;
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
            now: now.seconds(),
            leeway: leeway_seconds(inner.policy.leeway),
        };
        let (session, expires_at) = self.standing(&claims, &expected)?;
        let sub = claims.registered.sub.as_deref();
        let subject = sub.and_then(|sub| Subject::parse(realm, sub));
        Ok(Principal {
            subject: subject.ok_or(Error::Invalid)?,
            session,
            key,
            tag: tag_of(&claims),
            // A token without `iat` counts as the oldest.
            issued_at: Timestamp::from_seconds(claims.registered.iat.unwrap_or(i64::MIN)),
            expires_at,
        })
    }

    /// The account behind a principal.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the account is gone or disabled, and errors of the store.
    pub async fn account(&self, principal: &Principal) -> Result<Account, Error> {
        let accounts = &self.0.accounts;
        let realm = principal.subject.realm();
        enabled(match &principal.subject {
            Subject::Account(id) => accounts.find(*id).await?,
            Subject::Operator(name) | Subject::Client(name) => {
                accounts.find_by_name(realm, name).await?
            }
        })
    }

    pub(super) fn verify_refresh(&self, token: &str) -> Result<(SessionId, i64), Error> {
        let inner = &*self.0;
        let now = inner.clock.now();
        let (verified, _) = inner.ring.keys().refresh().verify(token, &LIMITS, now)?;
        let claims = claims::read(&verified).ok_or(Error::Invalid)?;
        let expected = Expected {
            issuer: None,
            audience: None,
            now: now.seconds(),
            leeway: leeway_seconds(inner.policy.leeway),
        };
        let (session, _) = self.standing(&claims, &expected)?;
        // Keyward's refresh tokens have no `sub`.
        if claims.registered.sub.is_some() {
            return Err(Error::Invalid);
        }
        Ok((session, claims.private.ctr.ok_or(Error::Invalid)?))
    }

    /// Checks the registered claims, that the session is not in the list of closed sessions, and that this database
    /// issued the token.
    fn standing(
        &self,
        claims: &claims::Read<'_>,
        expected: &Expected<'_>,
    ) -> Result<(SessionId, Timestamp), Error> {
        expected
            .check(&claims.registered)
            .map_err(|_| Error::Invalid)?;
        let session = SessionId(claims.private.sid);
        let expires_at = Timestamp::from_seconds(claims.registered.exp.ok_or(Error::Invalid)?);
        let closed = self.0.sessions.closed();
        if closed.refuses(session) || !closed.issued(session, tag_of(claims)) {
            return Err(Error::Invalid);
        }
        Ok((session, expires_at))
    }
}

/// The tag of the database that issued a token.
fn tag_of(claims: &claims::Read<'_>) -> Option<Tag> {
    claims.registered.jti.as_deref().and_then(Tag::of_jti)
}

/// The account, unless it is missing or disabled.
pub(super) fn enabled(found: Option<Account>) -> Result<Account, Error> {
    found
        .filter(|account| account.disabled_at.is_none())
        .ok_or(Error::Invalid)
}

fn leeway_seconds(leeway: Duration) -> i64 {
    i64::try_from(leeway.as_secs()).unwrap_or(i64::MAX)
}
