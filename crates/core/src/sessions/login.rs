//! Logging in: from credentials and a password to an open session.
//!
//! Invariant: a session is opened only while its account stands and still has the password hash that the password was
//! checked against. The store decides that in the statement that opens the session, so a login under way gets nothing
//! once the password was changed or the account disabled.

use std::time::Duration;

use super::{Error, NewSession, Session, Sessions};
use crate::accounts::{self, Account, Credentials};
use crate::id::AccountId;
use crate::secret::{Password, SecretText};

/// How often a password is checked for one login, where its hash is replaced meanwhile.
const TRIES: usize = 3;

/// How long a session lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// Until its first tokens have expired.
    pub first: Duration,
    /// However often it is refreshed.
    pub max: Duration,
}

impl Lifetime {
    /// The life of a session that is never refreshed.
    #[must_use]
    pub const fn fixed(lifetime: Duration) -> Self {
        Self {
            first: lifetime,
            max: lifetime,
        }
    }
}

/// An attempt to log in.
#[derive(Clone, Debug)]
pub struct LogIn {
    /// What was found under the name; `None` for an unknown name, which costs a hash all the same.
    pub found: Option<Credentials>,
    /// The password.
    pub password: Password,
    /// How long the session is to live.
    pub lifetime: Lifetime,
    /// What the client calls itself.
    pub user_agent: Option<String>,
}

impl Sessions {
    /// Checks a password and opens a session of the account it belongs to.
    ///
    /// # Errors
    /// [`Error::Account`] with bad credentials, for an unknown name, a wrong password and a disabled account alike, or
    /// when busy; [`Error::Store`].
    pub async fn log_in(&self, attempt: LogIn) -> Result<(Account, Session), Error> {
        let LogIn {
            found,
            password,
            lifetime,
            user_agent,
        } = attempt;
        let mut found = found;
        for _ in 0..TRIES {
            let credentials = self.accounts.authenticate(found, password.clone()).await?;
            let Credentials {
                account,
                password_hash,
            } = credentials;
            let hash = Some(password_hash.clone());
            let new = self.new_session(account.id, hash, lifetime, user_agent.clone());
            if let Some(session) = self.open_new(new).await? {
                self.measured.opened(account.realm);
                return Ok((account, session));
            }
            // The account was disabled, or its hash is another one now: the same password's, where another login
            // renewed it.
            let current = self.accounts.find_password_hash(account.id).await?;
            found = current
                .filter(|current| *current != password_hash)
                .map(|password_hash| Credentials {
                    account,
                    password_hash,
                });
            if found.is_none() {
                break;
            }
        }
        Err(accounts::Error::BadCredentials.into())
    }

    /// Opens a session without a password, as an operator's `token mint` does.
    ///
    /// # Errors
    /// [`Error::AccountUnavailable`], [`Error::Store`].
    pub async fn open(
        &self,
        account: AccountId,
        lifetime: Lifetime,
        user_agent: Option<String>,
    ) -> Result<Session, Error> {
        let new = self.new_session(account, None, lifetime, user_agent);
        let opened = self.open_new(new).await?;
        opened.ok_or(Error::AccountUnavailable)
    }

    fn new_session(
        &self,
        account: AccountId,
        password_hash: Option<SecretText>,
        lifetime: Lifetime,
        user_agent: Option<String>,
    ) -> NewSession {
        let created_at = self.clock.now();
        NewSession {
            id: self.ids.next(&*self.random),
            account,
            password_hash,
            created_at,
            expires_at: created_at.plus(lifetime.first),
            ends_at: created_at.plus(lifetime.max.max(lifetime.first)),
            user_agent,
        }
    }
}
