//! Logging in with a name and a password, for all paths: the rules of names, the rate limits, and the call of core that
//! opens a session.
//!
//! Invariant: an attempt is counted before a password is hashed, against the address and against the account, whichever
//! of its names was typed. An unknown name has a limit of its own, so that it behaves like that of an account.

use std::net::IpAddr;

use keyward_core::accounts::names::{self, Name, NameError};
use keyward_core::accounts::{self, Credentials, Realm};
use keyward_core::error::Code;
use keyward_core::id::AccountId;
use keyward_core::secret::Password;
use keyward_core::sessions::{self, LogIn};
use keyward_core::tokens::{self, Issued, TokenSet};

use crate::error::Failure;
use crate::extract::client::Client;
use crate::extract::member::Member;
use crate::limits::Limit;
use crate::logins::{Logins, Outcome};
use crate::state::App;

/// The kind of name that a path accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameRule {
    /// An e-mail address.
    Email,
    /// A username or an e-mail address. Their prepared forms share one name space.
    Username,
    /// A username of the file exchange.
    ExchangeUsername,
}

impl NameRule {
    /// The member of the request that holds the name.
    const fn member(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Username | Self::ExchangeUsername => "username",
        }
    }

    fn prepare(self, typed: &str) -> Result<Name, NameError> {
        match self {
            Self::Email => names::email(typed),
            Self::Username => names::username(typed),
            Self::ExchangeUsername => names::exchange_username(typed),
        }
    }
}

/// A name and a password as sent, with the realm.
pub(crate) struct Form {
    pub(crate) realm: Realm,
    pub(crate) rule: NameRule,
    pub(crate) name: Member,
    pub(crate) password: Member,
}

/// A login attempt that was counted and whose account was looked up.
pub(crate) struct Attempt {
    /// The name as sent.
    pub(crate) typed: String,
    address: IpAddr,
    realm: Realm,
    found: Option<Credentials>,
    password: Password,
    user_agent: Option<String>,
}

/// A failed login, for the log. It lacks the name, which may be a password that was typed in the wrong field.
pub(crate) struct FailedLogin {
    address: IpAddr,
    realm: Realm,
    /// The id of the account, and whether it is disabled.
    account: Option<(AccountId, bool)>,
}

impl FailedLogin {
    /// Counts the failed login, and logs it, so that an operator sees against which account passwords are guessed.
    pub(crate) fn report(&self, logins: &Logins) {
        let (address, realm) = (self.address, self.realm.name());
        let outcome = match self.account {
            Some((AccountId(account), is_disabled)) => {
                tracing::info!(%address, realm, account, "a login failed");
                match is_disabled {
                    true => Outcome::Disabled,
                    false => Outcome::WrongPassword,
                }
            }
            None => {
                tracing::info!(%address, realm, "a login failed: no account has the name");
                Outcome::UnknownName
            }
        };
        logins.count(self.realm, outcome);
    }
}

/// The reason why a login failed.
#[derive(Debug)]
pub(crate) enum LoginError {
    /// The name is unknown, the password is wrong, or the account is disabled.
    BadCredentials,
    /// The server could not decide.
    Failed(Failure),
}

impl From<sessions::Error> for LoginError {
    fn from(error: sessions::Error) -> Self {
        match error {
            sessions::Error::Account(accounts::Error::BadCredentials) => Self::BadCredentials,
            other => Self::Failed(other.into()),
        }
    }
}

impl From<tokens::Error> for LoginError {
    fn from(error: tokens::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl LoginError {
    /// The failure for a contract that answers bad credentials with 401 and a message of its own.
    pub(crate) fn in_words(self, bad_credentials: &'static str) -> Failure {
        match self {
            Self::BadCredentials => {
                Failure::from(accounts::Error::BadCredentials).with_message(bad_credentials)
            }
            Self::Failed(failure) => failure,
        }
    }
}

impl Attempt {
    /// Counts an attempt and looks up its account. A name that no account can have counts as unknown.
    pub(crate) async fn begin(app: &App, client: Client, form: Form) -> Result<Self, Failure> {
        let realm = form.realm;
        let begun = Self::look_up(app, client, form).await;
        match &begun {
            Err(failure) if failure.code == Code::RateLimited => {
                app.logins().count(realm, Outcome::Limited);
            }
            Err(failure) if failure.status.is_server_error() => {
                app.logins().count(realm, Outcome::Failed);
            }
            // A request without a name or a password is not a login.
            _ => {}
        }
        begun
    }

    async fn look_up(app: &App, client: Client, form: Form) -> Result<Self, Failure> {
        let (by_address, by_account) = (Limit::LoginsPerAddress, Limit::LoginsPerAccount);
        app.limits.count(by_address, client.address).await?;
        let typed = form.name.required(form.rule.member())?;
        let password = form.password.password()?;
        if typed.is_empty() && form.rule != NameRule::Email {
            return Err(Failure::bad_request("username must not be empty"));
        }
        let name = form.rule.prepare(&typed).ok();
        let found = match &name {
            Some(name) => app.accounts.find_credentials(form.realm, name).await?,
            None => None,
        };
        match &found {
            Some(found) => app.limits.count(by_account, found.account.id).await?,
            None => {
                let key = name.as_ref().map_or(&*typed, |name| &name.key);
                app.limits.count(by_account, (form.realm, key)).await?;
            }
        }
        Ok(Self {
            typed,
            address: client.address,
            realm: form.realm,
            found,
            password,
            user_agent: client.user_agent,
        })
    }

    /// Whether an account has the name, for a contract that reveals it.
    pub(crate) fn is_known(&self) -> bool {
        self.found.is_some()
    }

    /// Checks the password, opens a session and issues its tokens.
    pub(crate) async fn finish(self, app: &App, tokens: TokenSet) -> Result<Issued, LoginError> {
        let failed = self.failed();
        let log_in = LogIn {
            found: self.found,
            password: self.password,
            lifetime: app.tokens.lifetime(self.realm, tokens),
            user_agent: self.user_agent,
        };
        let opened = app.sessions.log_in(log_in).await.map_err(LoginError::from);
        let logins = app.logins();
        match &opened {
            Ok((account, _)) => logins.count(account.realm, Outcome::LoggedIn),
            Err(LoginError::BadCredentials) => failed.report(logins),
            Err(LoginError::Failed(_)) => logins.count(failed.realm, Outcome::Failed),
        }
        let (account, session) = opened?;
        Ok(app.tokens.issue(account, &session, tokens)?)
    }

    /// The entry for the log if the attempt fails.
    pub(crate) fn failed(&self) -> FailedLogin {
        FailedLogin {
            address: self.address,
            realm: self.realm,
            account: self
                .found
                .as_ref()
                .map(|Credentials { account, .. }| (account.id, account.disabled_at.is_some())),
        }
    }
}
