//! Changing passwords, which ends sessions.
//!
//! Invariant: an owner's change is made only while the hash is still the one that the present password was checked
//! against, the account stands, and the session that is kept is open; all of it in the commit. Of two changes of one
//! hash at once, one is made, and an operator's change is never undone by one under way.

use super::{Error, Reason, Sessions};
use crate::accounts::{self, Account};
use crate::id::{AccountId, SessionId};
use crate::secret::{Password, SecretText};

/// How often the present password is checked for one change, where its hash is replaced meanwhile.
const TRIES: usize = 3;

/// A password hash about to replace another, and its account's sessions about to be closed.
#[derive(Clone, Debug)]
pub struct PasswordChange {
    /// The account.
    pub account: AccountId,
    /// The new hash.
    pub hash: SecretText,
    /// What must still hold in the commit; `None` for an operator's change, which is made in any case.
    pub by_owner: Option<Confirmed>,
}

/// What an owner's change rests on.
#[derive(Clone, Debug)]
pub struct Confirmed {
    /// The hash that the present password was checked against.
    pub old_hash: SecretText,
    /// The session that asks for the change. It is kept, and must be an open one of the account.
    pub session: SessionId,
}

impl Sessions {
    /// Changes a password after checking the present one, and closes every other session of the account.
    ///
    /// # Errors
    /// [`Error::Account`] with bad credentials or when busy, [`Error::Ended`] when the session `keep` was closed
    /// meanwhile, [`Error::NotChanged`], [`Error::Store`].
    pub async fn change_password(
        &self,
        account: AccountId,
        current: Password,
        new: Password,
        keep: SessionId,
    ) -> Result<(), Error> {
        let mut old_hash = self.accounts.confirm(account, current.clone()).await?;
        let hash = self.accounts.hash(new).await?;
        for _ in 0..TRIES {
            let change = PasswordChange {
                account,
                hash: hash.clone(),
                by_owner: Some(Confirmed {
                    old_hash,
                    session: keep,
                }),
            };
            let changed = self.store.change_password(change, self.clock.now()).await;
            let reason = Reason::PasswordChanged;
            match changed {
                Ok(Some(closed)) => {
                    self.closed_in_store(&closed, reason);
                    return Ok(());
                }
                Ok(None) => {}
                Err(fault) => {
                    let keep = Some(keep);
                    return Err(self.close_all_here(account, keep, reason, fault).await);
                }
            }
            let session = self.store.find_session(keep).await?;
            if session.is_none_or(|session| session.closed_at.is_some()) {
                return Err(Error::Ended);
            }
            // The hash is another one now: of another password, or of the same one, where a login renewed it.
            old_hash = self.accounts.confirm(account, current.clone()).await?;
        }
        Err(accounts::Error::BadCredentials.into())
    }

    /// Sets a password without asking for the present one, and closes every session of the account.
    ///
    /// # Errors
    /// [`Error::Unknown`] when there is no such account, [`Error::Account`] when busy, [`Error::Store`].
    pub async fn set_password(&self, account: AccountId, new: Password) -> Result<(), Error> {
        let change = PasswordChange {
            account,
            hash: self.accounts.hash(new).await?,
            by_owner: None,
        };
        let closed = self.store.change_password(change, self.clock.now()).await?;
        self.ended(closed, Reason::PasswordChanged).map(drop)
    }

    /// Disables an account and closes its sessions; returns how many were open.
    ///
    /// # Errors
    /// [`Error::Unknown`] when there is no such account, [`Error::Store`].
    pub async fn disable_account(&self, account: &Account) -> Result<usize, Error> {
        let now = self.clock.now();
        let closed = self.store.disable_account(account.id, now).await?;
        self.ended(closed, Reason::AccountDisabled)
    }

    fn ended(&self, closed: Option<Vec<SessionId>>, reason: Reason) -> Result<usize, Error> {
        let closed = closed.ok_or(Error::Unknown)?;
        self.closed_in_store(&closed, reason);
        Ok(closed.len())
    }
}
