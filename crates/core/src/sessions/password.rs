//! Changing passwords and disabling accounts, which closes sessions.
//!
//! Invariant: the commit of an owner's change checks that the hash is still the one that the current password was
//! checked against, that the account is enabled, and that the session that is kept is open. So of two concurrent
//! changes one succeeds, and a change under way never undoes an operator's.

use super::{Error, Reason, Sessions};
use crate::accounts::{self, Account};
use crate::id::{AccountId, SessionId};
use crate::secret::{Password, SecretText};

/// How often one change checks the current password if its hash is replaced meanwhile.
const TRIES: usize = 3;

/// A new password hash of an account, whose sessions are to be closed.
#[derive(Clone, Debug)]
pub struct PasswordChange {
    /// The account.
    pub account: AccountId,
    /// The new hash.
    pub hash: SecretText,
    /// The conditions that the commit checks; `None` for an operator's change, which is unconditional.
    pub by_owner: Option<Confirmed>,
}

/// The conditions of an owner's change.
#[derive(Clone, Debug)]
pub struct Confirmed {
    /// The hash that the current password was checked against.
    pub old_hash: SecretText,
    /// The session that requests the change. It must be an open session of the account, and is kept.
    pub session: SessionId,
}

impl Sessions {
    /// Changes a password after checking the current one, and closes every other session of the account.
    ///
    /// # Errors
    /// [`Error::Account`] with bad credentials or when busy, [`Error::Ended`] if the session `keep` was closed
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
            // The hash was replaced: by one of another password, or of the same password if a login renewed it.
            old_hash = self.accounts.confirm(account, current.clone()).await?;
        }
        Err(accounts::Error::BadCredentials.into())
    }

    /// Sets a password without checking the current one, and closes every session of the account.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such account, [`Error::Account`] when busy, [`Error::Store`].
    pub async fn set_password(&self, account: AccountId, new: Password) -> Result<(), Error> {
        let change = PasswordChange {
            account,
            hash: self.accounts.hash(new).await?,
            by_owner: None,
        };
        let closed = self.store.change_password(change, self.clock.now()).await?;
        self.ended(closed, Reason::PasswordChanged).map(drop)
    }

    /// Disables an account and closes its sessions. Returns how many were open.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such account, [`Error::Store`].
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
