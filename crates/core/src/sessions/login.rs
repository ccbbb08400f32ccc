//! Logging in: from credentials and a password to an open session.
//!
//! Invariant: a session is opened only if its account is enabled and still has the password hash that the password was
//! checked against. The statement that opens the session checks this, so a login under way fails once the password was
//! changed or the account disabled.

use std::time::Duration;

use super::{Error, NewSession, Session, Sessions};
use crate::accounts::{self, Account, Credentials};
use crate::id::AccountId;
use crate::secret::{Password, SecretText};

/// How often one login checks a password if its hash is replaced meanwhile.
const TRIES: usize = 3;

/// The lifetime of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    /// The lifetime until the first refresh.
    pub first: Duration,
    /// The maximum lifetime, however often it is refreshed.
    pub max: Duration,
}

impl Lifetime {
    /// The lifetime of a session that is never refreshed.
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
    /// The credentials found under the name; `None` for an unknown name, for which the work of a check is done all the
    /// same.
    pub found: Option<Credentials>,
    /// The password.
    pub password: Password,
    /// The lifetime of the session.
    pub lifetime: Lifetime,
    /// The client's `User-Agent`.
    pub user_agent: Option<String>,
}

impl Sessions {
    /// Checks a password and opens a session of its account.
    ///
    /// # Errors
    /// [`Error::Account`] with bad credentials (an unknown name, a wrong password or a disabled account) or when busy;
    /// [`Error::Store`].
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
            // The account was disabled, or its hash was replaced. The new hash is of the same password if another login
            // replaced it.
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

    /// Opens a session without a password, for the command `token mint`.
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
