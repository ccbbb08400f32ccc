//! Checking tokens: signature, claims and whether the session stands; without a database while the feed of
//! closed sessions is read within its bound.

use std::time::Duration;

use keyward_jose::claims::Expected;
use keyward_jose::jws::{self, Limits};

use super::{Error, Principal, Tokens, claims};
use crate::accounts::names::Name;
use crate::accounts::{Account, Realm};
use crate::clock::Timestamp;
use crate::id::SessionId;

/// What a token of ours never exceeds.
const LIMITS: Limits = Limits {
    token: 8192,
    depth: 16,
};

impl Tokens {
    /// Checks an access token for use in `realm`.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::OtherRealm`]; the store's where it had to be asked.
    pub async fn verify(&self, token: &str, realm: Realm) -> Result<Principal, Error> {
        let principal = self.verify_any(token).await?;
        if principal.realm != realm {
            return Err(Error::OtherRealm(principal.realm));
        }
        Ok(principal)
    }

    /// Checks an access token of whichever realm.
    ///
    /// # Errors
    /// [`Error::Invalid`]; the store's where it had to be asked.
    pub async fn verify_any(&self, token: &str) -> Result<Principal, Error> {
        let reading = self.0.sessions.reading();
        let (principal, expires_at) = self.check(token)?;
        let stands = self
            .0
            .sessions
            .stands(principal.session, expires_at, reading);
        match stands.await? {
            true => Ok(principal),
            false => Err(Error::Invalid),
        }
    }

    /// Checks an access token against the closed sessions that this process knows of; tells when it ends, too.
    pub(super) fn check(&self, token: &str) -> Result<(Principal, Timestamp), Error> {
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
        let (session, expires_at) = self.standing(&claims, &expected)?;
        let subject = claims
            .registered
            .sub
            .as_deref()
            .ok_or(Error::Invalid)?
            .to_owned();
        let principal = Principal {
            realm,
            subject,
            session,
        };
        Ok((principal, expires_at))
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
                    other_key: None,
                };
                self.0.accounts.find_by_name(principal.realm, &name).await?
            }
        };
        found.ok_or(Error::Invalid)
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
        Ok((session, claims.private.ctr.ok_or(Error::Invalid)?))
    }

    /// Checks the registered claims and that the session is not known as closed.
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
        if self.0.sessions.closed().refuses(session) {
            return Err(Error::Invalid);
        }
        Ok((session, expires_at))
    }
}

fn leeway_seconds(leeway: Duration) -> i64 {
    i64::try_from(leeway.as_secs()).unwrap_or(i64::MAX)
}
