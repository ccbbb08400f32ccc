//! Verifying tokens: the signature, the claims, and that the session is open. The database is read only if the list of
//! closed sessions is older than its bound.

use std::time::Duration;

use keyward_jose::claims::Expected;
use keyward_jose::jws::{self, Limits};

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
        let reading = self.0.sessions.reading();
        let checked = match self.check(token) {
            Ok(principal) => self.stands(principal, reading).await,
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
        let reading = sessions.reading();
        let leeway = self.0.policy.leeway;
        let expired = principal.expires_at.plus(leeway) <= self.0.clock.now();
        let closed = sessions.closed();
        let ended =
            closed.refuses(principal.session) || !closed.issued(principal.session, principal.tag);
        if expired || ended {
            return Err(Error::Invalid);
        }
        self.stands(principal, reading).await
    }

    async fn stands(&self, principal: Principal, reading: Reading) -> Result<Principal, Error> {
        let owner = match principal.subject {
            Subject::Account(id) => Some(id),
            Subject::Operator(_) | Subject::Client(_) => None,
        };
        let session = (principal.session, owner);
        let stands =
            self.0
                .sessions
                .stands(session, principal.issued_at, principal.expires_at, reading);
        match stands.await? {
            true => Ok(principal),
            false => Err(Error::Invalid),
        }
    }

    /// Checks an access token, and its session against this process's list of closed sessions.
    pub(super) fn check(&self, token: &str) -> Result<Principal, Error> {
        let inner = &*self.0;
        let key = inner.keys.access_token_key();
        let verified = jws::verify(token, key, &inner.access_header, &LIMITS)?;
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
        let (session, expires_at) = self.standing(&claims, &expected)?;
        let sub = claims.registered.sub.as_deref();
        let subject = sub.and_then(|sub| Subject::parse(realm, sub));
        Ok(Principal {
            subject: subject.ok_or(Error::Invalid)?,
            session,
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
        let verified = jws::verify(token, inner.keys.refresh(), &inner.refresh_header, &LIMITS)?;
        let claims = claims::read(&verified).ok_or(Error::Invalid)?;
        let expected = Expected {
            issuer: None,
            audience: None,
            now: inner.clock.now().seconds(),
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
