//! Accounts, their realms and their login names.
//!
//! Invariant: within a realm every login name, username or e-mail address, belongs to one account at
//! most, compared in its prepared form ([`names`]).

mod invitations;
pub mod names;
pub mod passwords;
mod store;

use std::sync::Arc;

pub use self::invitations::{CodeHash, Invitation, NewInvitation, SignUpPolicy, SignUps};
pub use self::store::{Conflict, CreateError, Credentials, NewAccount, Store};
use crate::clock::{Clock, Timestamp};
use crate::error::{Code, Fault, Kind};
use crate::id::AccountId;
use crate::page::{Listed, Page};
use crate::secret::{Password, SecretText};
use names::Name;
use passwords::{Passwords, Verdict};

/// An isolated name space of accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Realm {
    /// The directory, vectors and customers contracts, and the native API.
    Default,
    /// Operators of the file exchange.
    Ops,
    /// Clients of the file exchange.
    Client,
}

impl Realm {
    /// Every realm.
    pub const ALL: [Self; 3] = [Self::Default, Self::Ops, Self::Client];

    /// The name stored, shown and typed: `default`, `ops`, `client`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Ops => "ops",
            Self::Client => "client",
        }
    }

    /// The realm of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|realm| realm.name() == name)
    }
}

/// A person or a machine that can log in, without the password hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// The realm within which its names are unique.
    pub realm: Realm,
    /// The username as typed.
    pub username: Option<String>,
    /// The e-mail address as typed.
    pub email: Option<String>,
    /// The display name.
    pub display_name: Option<String>,
    /// When the account was created.
    pub created_at: Timestamp,
    /// When the account was disabled; `None` if it is enabled.
    pub disabled_at: Option<Timestamp>,
}

/// A request for a new account.
#[derive(Clone, Debug)]
pub struct SignUp {
    /// The realm of the account.
    pub realm: Realm,
    /// Its username, prepared.
    pub username: Option<Name>,
    /// Its e-mail address, prepared.
    pub email: Option<Name>,
    /// The display name.
    pub display_name: Option<String>,
    /// Its password.
    pub password: Password,
}

/// An error of an operation on accounts.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name already belongs to an account of the realm.
    #[error("{0}")]
    Taken(Conflict),
    /// Nobody may sign up in the realm.
    #[error("sign-up is closed: ask the operator of this server for an account")]
    SignUpClosed,
    /// Sign-up in the realm needs an invitation, and the request has no valid one.
    #[error("sign-up needs an invitation: send its code in the header X-Invitation")]
    NotInvited,
    /// The name is unknown, the password is wrong or the account is disabled. The caller cannot tell which.
    #[error("the name or the password is wrong")]
    BadCredentials,
    /// The queue of passwords to hash is full.
    #[error("too many logins are waiting")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Fault),
}

impl Error {
    /// The stable code of the error.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Taken(_) => Code::NameTaken,
            Self::SignUpClosed => Code::SignUpClosed,
            Self::NotInvited => Code::InvitationRequired,
            Self::BadCredentials => Code::BadCredentials,
            Self::Busy => Code::TemporarilyUnavailable,
            Self::Store(fault) => fault.code(),
        }
    }

    /// The kind of that code.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.code().kind()
    }
}

impl From<passwords::Busy> for Error {
    fn from(_: passwords::Busy) -> Self {
        Self::Busy
    }
}

impl From<CreateError> for Error {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Conflict(conflict) => Self::Taken(conflict),
            CreateError::NotInvited => Self::NotInvited,
            CreateError::Store(fault) => Self::Store(fault),
        }
    }
}

/// How many hashes one query to the store reads.
const BEGINNINGS: u32 = 10_000;

/// The operations on accounts.
#[derive(Clone)]
pub struct Accounts {
    store: Arc<dyn Store>,
    passwords: Passwords,
    clock: Arc<dyn Clock>,
    sign_ups: SignUpPolicy,
}

impl Accounts {
    /// Accounts stored in `store`, with passwords hashed by `passwords`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, passwords: Passwords, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            passwords,
            clock,
            sign_ups: SignUpPolicy::default(),
        }
    }

    /// Sets who may sign up.
    #[must_use]
    pub fn with_sign_ups(self, sign_ups: SignUpPolicy) -> Self {
        Self { sign_ups, ..self }
    }

    /// Creates an account for a person who signs up. `code` is that of an invitation; only realms by invitation need
    /// it.
    ///
    /// # Errors
    /// [`Error::SignUpClosed`], [`Error::NotInvited`], and those of [`add`](Self::add).
    pub async fn sign_up(&self, request: SignUp, code: Option<&str>) -> Result<Account, Error> {
        let invitation = match (self.sign_ups.of(request.realm), code) {
            (SignUps::Open, _) => None,
            (SignUps::Invited, Some(code)) => Some(CodeHash::of(code)),
            (SignUps::Invited, None) => return Err(Error::NotInvited),
            (SignUps::Closed, _) => return Err(Error::SignUpClosed),
        };
        self.make(request, invitation).await
    }

    /// Creates an account whatever the sign-up policy, for the person who runs the server.
    ///
    /// # Errors
    /// [`Error::Taken`], [`Error::Busy`], [`Error::Store`].
    pub async fn add(&self, request: SignUp) -> Result<Account, Error> {
        self.make(request, None).await
    }

    async fn make(&self, request: SignUp, invitation: Option<CodeHash>) -> Result<Account, Error> {
        let password_hash = self.passwords.hash(request.password).await?;
        self.create(NewAccount {
            realm: request.realm,
            username: request.username,
            email: request.email,
            display_name: request.display_name,
            password_hash,
            created_at: self.clock.now(),
            invitation,
        })
        .await
    }

    /// Creates an account whose password is already hashed, such as one imported from another service.
    ///
    /// # Errors
    /// [`Error::Taken`], [`Error::Store`].
    pub async fn create(&self, account: NewAccount) -> Result<Account, Error> {
        Ok(self.store.create_account(account).await?)
    }

    /// The account whose username or e-mail address is `name`, with its password hash.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn find_credentials(
        &self,
        realm: Realm,
        name: &Name,
    ) -> Result<Option<Credentials>, Error> {
        Ok(self.store.find_credentials(realm, &name.key).await?)
    }

    /// Checks a password against the credentials that were found, and returns them with the hash that is stored now.
    ///
    /// An unknown name takes as much work as a wrong password. A hash whose format or costs differ from the policy's is
    /// replaced after it has matched.
    ///
    /// # Errors
    /// [`Error::BadCredentials`] for an unknown name, a wrong password and a disabled account; [`Error::Busy`],
    /// [`Error::Store`].
    pub(crate) async fn authenticate(
        &self,
        found: Option<Credentials>,
        password: Password,
    ) -> Result<Credentials, Error> {
        let Some(Credentials {
            account,
            password_hash,
        }) = found
        else {
            self.passwords.hash_dummy(password).await?;
            return Err(Error::BadCredentials);
        };
        let verdict = self
            .passwords
            .verify(password.clone(), password_hash.clone())
            .await?;
        if verdict == Verdict::Wrong || account.disabled_at.is_some() {
            return Err(Error::BadCredentials);
        }
        let password_hash = match verdict {
            Verdict::Outdated => self.renew(account.id, password, password_hash).await?,
            Verdict::Right | Verdict::Wrong => password_hash,
        };
        Ok(Credentials {
            account,
            password_hash,
        })
    }

    /// Replaces the hash `old`, which the password has just matched, and returns the hash that is stored afterwards.
    async fn renew(
        &self,
        id: AccountId,
        password: Password,
        old: SecretText,
    ) -> Result<SecretText, Error> {
        let renewed = self.passwords.hash(password.clone()).await?;
        let renewing = self.store.renew_password_hash(id, old, renewed.clone());
        let kept = renewing.await?.ok_or(Error::BadCredentials)?;
        // A concurrent login may have replaced the hash first, or the password may have been changed.
        if kept != renewed && self.passwords.verify(password, kept.clone()).await? == Verdict::Wrong
        {
            return Err(Error::BadCredentials);
        }
        Ok(kept)
    }

    /// Reads the costs of the stored hashes, so that the time of a login does not reveal whether a name exists. The
    /// costs of a hash that another server stores later are learnt when the hash is first checked.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn learn_costs(&self) -> Result<(), Error> {
        let mut page = Page {
            after: 0,
            limit: BEGINNINGS,
        };
        loop {
            let hashes = self.store.list_hash_beginnings(page).await?;
            for (_, beginning) in &hashes {
                self.passwords.learn(beginning);
            }
            match hashes.last() {
                Some((last, _)) if hashes.len() == BEGINNINGS as usize => page.after = last.0,
                _ => return Ok(()),
            }
        }
    }

    /// The hash of an account's password.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn find_password_hash(
        &self,
        id: AccountId,
    ) -> Result<Option<SecretText>, Error> {
        Ok(self.store.find_password_hash(id).await?)
    }

    /// Checks the password of a known account, for example before a password change. Returns the hash that it matched.
    ///
    /// # Errors
    /// [`Error::BadCredentials`], [`Error::Busy`], [`Error::Store`].
    pub(crate) async fn confirm(
        &self,
        id: AccountId,
        password: Password,
    ) -> Result<SecretText, Error> {
        let Some(hash) = self.store.find_password_hash(id).await? else {
            self.passwords.hash_dummy(password).await?;
            return Err(Error::BadCredentials);
        };
        match self.passwords.verify(password, hash.clone()).await? {
            Verdict::Wrong => Err(Error::BadCredentials),
            Verdict::Right | Verdict::Outdated => Ok(hash),
        }
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// [`Error::Busy`].
    pub async fn hash(&self, password: Password) -> Result<SecretText, Error> {
        Ok(self.passwords.hash(password).await?)
    }

    /// The account with that id.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn find(&self, id: AccountId) -> Result<Option<Account>, Error> {
        Ok(self.store.find_account(id).await?)
    }

    /// The account with that login name.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn find_by_name(&self, realm: Realm, name: &Name) -> Result<Option<Account>, Error> {
        Ok(self.store.find_account_by_name(realm, &name.key).await?)
    }

    /// The accounts of `realm`, or of all realms, by id.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn list(&self, realm: Option<Realm>, page: Page) -> Result<Listed<Account>, Error> {
        let items = self.store.list_accounts(realm, page.with_surplus()).await?;
        Ok(Listed::from_surplus(items, page.limit, |account| {
            account.id.0
        }))
    }

    /// The accounts of realm `default` that have an e-mail address, by id.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn list_with_email(&self, page: Page) -> Result<Listed<Account>, Error> {
        let items = self
            .store
            .list_accounts_with_email(page.with_surplus())
            .await?;
        Ok(Listed::from_surplus(items, page.limit, |account| {
            account.id.0
        }))
    }

    /// Enables a disabled account; its old sessions stay closed. Returns whether the account exists.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn enable(&self, id: AccountId) -> Result<bool, Error> {
        Ok(self.store.enable_account(id).await?)
    }
}
