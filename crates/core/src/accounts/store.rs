//! The store of accounts. Each method is atomic, and its effect is on disk when it returns.

use std::fmt;

use async_trait::async_trait;

use super::names::Name;
use super::{Account, CodeHash, Invitation, NewInvitation, Realm};
use crate::clock::Timestamp;
use crate::error::Fault;
use crate::id::AccountId;
use crate::page::Page;
use crate::secret::SecretText;

/// An account about to be stored.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its realm.
    pub realm: Realm,
    /// Its username, both as typed and in the prepared form, which is unique.
    pub username: Option<Name>,
    /// Its e-mail address, likewise.
    pub email: Option<Name>,
    /// The display name.
    pub display_name: Option<String>,
    /// The hash of its password, in a format that [`passwords`](super::passwords) reads.
    pub password_hash: SecretText,
    /// When the account was created.
    pub created_at: Timestamp,
    /// The invitation that it uses up, if sign-up needs one.
    pub invitation: Option<CodeHash>,
}

/// An account with the hash of its password.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The account.
    pub account: Account,
    /// The hash of its password.
    pub password_hash: SecretText,
}

/// Which name is already in use in the realm, whether as a username or as an e-mail address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The username.
    UsernameTaken,
    /// The e-mail address.
    EmailTaken,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UsernameTaken => "the username is taken",
            Self::EmailTaken => "the e-mail address is taken",
        })
    }
}

/// Why an account was not stored.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// A name is in use. Nothing was stored.
    #[error("{0}")]
    Conflict(Conflict),
    /// No valid invitation has that code. Nothing was stored.
    #[error("there is no such invitation")]
    NotInvited,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Fault),
}

/// Stored accounts.
#[async_trait]
pub trait Store: Send + Sync {
    /// Stores an account under all its names atomically. Of two concurrent calls with one name, one succeeds.
    ///
    /// A name is in use when any account of the realm has it as username *or* e-mail address. An invitation is valid
    /// until it expires, in its realm, for its name or for any name. The same commit deletes it.
    async fn create_account(&self, account: NewAccount) -> Result<Account, CreateError>;

    /// The account of that id.
    async fn find_account(&self, id: AccountId) -> Result<Option<Account>, Fault>;

    /// The account whose prepared username or e-mail address is `key`.
    async fn find_account_by_name(&self, realm: Realm, key: &str)
    -> Result<Option<Account>, Fault>;

    /// As [`find_account_by_name`](Store::find_account_by_name), with the password hash.
    async fn find_credentials(&self, realm: Realm, key: &str)
    -> Result<Option<Credentials>, Fault>;

    /// The first 48 characters of password hashes, which hold the costs in every format, by account id.
    async fn list_hash_beginnings(&self, page: Page) -> Result<Vec<(AccountId, String)>, Fault>;

    /// The password hash of that account.
    async fn find_password_hash(&self, id: AccountId) -> Result<Option<SecretText>, Fault>;

    /// The accounts of a realm, or of all, by id.
    async fn list_accounts(&self, realm: Option<Realm>, page: Page) -> Result<Vec<Account>, Fault>;

    /// The accounts of realm `default` that have an e-mail address, by id.
    async fn list_accounts_with_email(&self, page: Page) -> Result<Vec<Account>, Fault>;

    /// Replaces the hash `old` by `new`, a new hash of the same password, if the stored hash is still `old`. Returns
    /// the hash that is stored afterwards, or `None` if there is no such account.
    async fn renew_password_hash(
        &self,
        id: AccountId,
        old: SecretText,
        new: SecretText,
    ) -> Result<Option<SecretText>, Fault>;

    /// Stores an invitation, and deletes those that have expired at its creation.
    async fn create_invitation(&self, invitation: NewInvitation) -> Result<(), Fault>;

    /// The unused invitations, by id.
    async fn list_invitations(&self, page: Page) -> Result<Vec<Invitation>, Fault>;

    /// Deletes an invitation. Returns `false` if none has that id.
    async fn revoke_invitation(&self, id: i64) -> Result<bool, Fault>;

    /// Enables a disabled account. Returns `false` if there is no such account.
    async fn enable_account(&self, id: AccountId) -> Result<bool, Fault>;
}
