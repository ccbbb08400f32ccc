//! Issuing tokens for a session, however it was opened.

use std::time::Duration;

use super::claims::{self, AccessClaims, ExchangeClaims, RefreshClaims};
use super::{Error, Issued, TokenSet, Tokens};
use crate::accounts::{Account, Realm};
use crate::clock::Timestamp;
use crate::hex;
use crate::sessions::{Lifetime, Session};

impl Tokens {
    /// The lifetime of a session in `realm` that is issued these tokens.
    #[must_use]
    pub fn lifetime(&self, realm: Realm, tokens: TokenSet) -> Lifetime {
        let policy = &self.0.policy;
        match tokens {
            TokenSet::AccessAndRefresh => Lifetime {
                first: policy.refresh_ttl.min(policy.session_max_lifetime),
                max: policy.session_max_lifetime,
            },
            TokenSet::Access => Lifetime::fixed(self.standalone_ttl(realm)),
        }
    }

    /// Issues the tokens of an open session of `account`.
    ///
    /// # Errors
    /// If the claims cannot be serialized, which is a defect.
    pub fn issue(
        &self,
        account: Account,
        session: &Session,
        tokens: TokenSet,
    ) -> Result<Issued, Error> {
        let inner = &*self.0;
        let now = inner.clock.now();
        let ttl = match tokens {
            TokenSet::Access => self.standalone_ttl(account.realm),
            TokenSet::AccessAndRefresh => inner.policy.access_ttl,
        };
        let exp = now.plus(ttl).min(session.expires_at).seconds();
        let jti = inner.sessions.closed().tag().begin_jti(&*inner.random);
        let (iat, sid, jti) = (now.seconds(), session.id.0, hex::encode(&jti));
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
        let refresh_token = match tokens {
            TokenSet::Access => None,
            TokenSet::AccessAndRefresh => Some(self.issue_refresh(session, now)?),
        };
        Ok(Issued {
            access_token: inner.ring.keys().access().signing(now).sign(&claims),
            expires_in: Duration::from_secs(u64::try_from(exp - iat).unwrap_or_default()),
            refresh_token,
            account,
        })
    }

    /// The current refresh token of a session. It depends only on the session's row, so a retry gets the same token.
    fn issue_refresh(&self, session: &Session, now: Timestamp) -> Result<String, Error> {
        let claims = claims::write(&RefreshClaims {
            jti: self.0.sessions.closed().tag(),
            sid: session.id.0,
            ctr: session.refresh_counter,
            iat: session.refreshed_at.seconds(),
            exp: session.expires_at.seconds(),
        })?;
        let keys = self.0.ring.keys();
        let key = keys.refresh().signing_again(session.refreshed_at, now);
        Ok(key.sign(&claims))
    }

    fn standalone_ttl(&self, realm: Realm) -> Duration {
        match realm {
            Realm::Default => self.0.policy.standalone_access_ttl,
            Realm::Ops | Realm::Client => self.0.policy.exchange_access_ttl,
        }
    }
}
