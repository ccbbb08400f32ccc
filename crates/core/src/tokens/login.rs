//! Logging in: a session is opened, its tokens are issued.

use std::time::Duration;

use keyward_jose::jws;

use super::claims::{self, AccessClaims, ExchangeClaims, RefreshClaims};
use super::{Error, Grant, Issued, LogIn, Tokens};
use crate::accounts::{self, Account, Credentials, Realm};
use crate::random;
use crate::sessions::{self, Reason, Session};

impl Tokens {
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
        let Credentials {
            account,
            password_hash,
        } = self
            .0
            .accounts
            .authenticate(realm, name.as_ref(), password)
            .await?;
        let session = self.open(&account, grant, user_agent).await?;
        // A change of the password since it was checked has closed the sessions of then, not this one.
        if !self
            .0
            .accounts
            .is_current(account.id, &password_hash)
            .await?
        {
            self.0
                .sessions
                .close(session.id, Reason::PasswordChanged)
                .await?;
            return Err(accounts::Error::BadCredentials.into());
        }
        self.issue(account, &session, grant)
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
        let session = self.open(&account, grant, user_agent).await?;
        self.issue(account, &session, grant)
    }

    async fn open(
        &self,
        account: &Account,
        grant: Grant,
        user_agent: Option<String>,
    ) -> Result<Session, Error> {
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
        opened.map_err(|error| match error {
            sessions::Error::AccountUnavailable => accounts::Error::BadCredentials.into(),
            other => Error::from(other),
        })
    }

    pub(super) fn issue(
        &self,
        account: Account,
        session: &Session,
        grant: Grant,
    ) -> Result<Issued, Error> {
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
