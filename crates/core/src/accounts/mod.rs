//! Accounts: who may log in, in which realm, under which names.
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

/// Someone who may log in. Carries no password hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Where its names are unique.
    pub realm: Realm,
    /// The username as typed.
    pub username: Option<String>,
    /// The e-mail address as typed.
    pub email: Option<String>,
    /// What the person is called.
    pub display_name: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was disabled, if it is.
    pub disabled_at: Option<Timestamp>,
}

/// A request for a new account.
#[derive(Clone, Debug)]
pub struct SignUp {
    /// The realm it is to live in.
    pub realm: Realm,
    /// Its username, prepared.
    pub username: Option<Name>,
    /// Its e-mail address, prepared.
    pub email: Option<Name>,
    /// What the person is called.
    pub display_name: Option<String>,
    /// Its password.
    pub password: Password,
}

/// Why something about accounts cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The name already belongs to an account of the realm.
    #[error("{0}")]
    Taken(Conflict),
    /// Nobody may sign up in the realm.
    #[error("sign-up is closed: ask the operator of this server for an account")]
    SignUpClosed,
    /// Only an invitation lets one sign up in the realm, and there is none, or none that is good.
    #[error("sign-up is by invitation: send the code of a good one in the header X-Invitation")]
    NotInvited,
    /// Unknown name, wrong password or disabled account: never told apart.
    #[error("the name or the password is wrong")]
    BadCredentials,
    /// More logins are waiting than may wait.
    #[error("too many logins are waiting")]
    Busy,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Fault),
}

impl Error {
    /// The code an edge answers with.
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

/// How many hashes are looked at in one question to the store.
const BEGINNINGS: u32 = 10_000;

/// The accounts of this server.
#[derive(Clone)]
pub struct Accounts {
    store: Arc<dyn Store>,
    passwords: Passwords,
    clock: Arc<dyn Clock>,
    sign_ups: SignUpPolicy,
}

impl Accounts {
    /// Accounts kept in `store`, their passwords hashed by `passwords`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, passwords: Passwords, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            passwords,
            clock,
            sign_ups: SignUpPolicy::default(),
        }
    }

    /// The same, where not everybody may sign up.
    #[must_use]
    pub fn with_sign_ups(self, sign_ups: SignUpPolicy) -> Self {
        Self { sign_ups, ..self }
    }

    /// Makes an account for somebody who asks for it, with the code of an invitation where one is needed.
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

    /// Makes an account, as the operator of the server may whoever may sign up.
    ///
    /// # Errors
    /// [`Error::Taken`] when one of its names is, [`Error::Busy`], [`Error::Store`].
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

    /// Makes an account whose password is already hashed, as when another service's are taken over.
    ///
    /// # Errors
    /// [`Error::Taken`], [`Error::Store`].
    pub async fn create(&self, account: NewAccount) -> Result<Account, Error> {
        Ok(self.store.create_account(account).await?)
    }

    /// What a password is checked against for the account whose username or e-mail address is `name`.
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

    /// Checks a password against the credentials that were found, and returns them with the hash that is kept now.
    ///
    /// An unknown name costs what a wrong password does. A hash of another format or of other costs than the policy's
    /// is replaced once it has been matched.
    ///
    /// # Errors
    /// [`Error::BadCredentials`] for unknown, wrong and disabled alike; [`Error::Busy`], [`Error::Store`].
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

    /// Replaces the hash `old` of a password that it has just matched, and returns the one that is kept then.
    async fn renew(
        &self,
        id: AccountId,
        password: Password,
        old: SecretText,
    ) -> Result<SecretText, Error> {
        let renewed = self.passwords.hash(password.clone()).await?;
        let renewing = self.store.renew_password_hash(id, old, renewed.clone());
        let kept = renewing.await?.ok_or(Error::BadCredentials)?;
        // Another login of the same account may have renewed it first; or the password was changed.
        if kept != renewed && self.passwords.verify(password, kept.clone()).await? == Verdict::Wrong
        {
            return Err(Error::BadCredentials);
        }
        Ok(kept)
    }

    /// Learns what stored hashes cost, so that the time of a login tells no name that is there from one that is not. A
    /// hash that is written later, by another server under another policy, is learnt when it is first checked.
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

    /// Checks the password of an account that is already known, as before it is changed. Returns the hash that it
    /// matched.
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

    /// Hashes a password that is about to replace another.
    ///
    /// # Errors
    /// [`Error::Busy`].
    pub async fn hash(&self, password: Password) -> Result<SecretText, Error> {
        Ok(self.passwords.hash(password).await?)
    }

    /// The account of that id.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn find(&self, id: AccountId) -> Result<Option<Account>, Error> {
        Ok(self.store.find_account(id).await?)
    }

    /// The account of that login name.
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

    /// Lets a disabled account log in again; its old sessions stay closed. Tells whether it exists.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn enable(&self, id: AccountId) -> Result<bool, Error> {
        Ok(self.store.enable_account(id).await?)
    }
}
