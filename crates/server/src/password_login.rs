//! Logging in by name and password, for every path that does: the rules of names, the budgets, and the one call of
//! core that opens a session.
//!
//! Invariant: an attempt is counted before a password is hashed, against the address and against the account,
//! whichever of its names was typed. A name that is nobody's has a budget of its own, so that it behaves as an
//! account's does.

use std::net::IpAddr;

use keyward_core::accounts::names::{self, BadName, Name};
use keyward_core::accounts::{self, Credentials, Realm};
use keyward_core::id::AccountId;
use keyward_core::secret::Password;
use keyward_core::sessions::{self, LogIn};
use keyward_core::tokens::{self, Issued, TokenSet};

use crate::error::Failure;
use crate::extract::client::Client;
use crate::extract::member::Member;
use crate::limits::Limit;
use crate::state::App;

/// What a path takes for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameRule {
    /// An e-mail address.
    Email,
    /// A username, or an e-mail address in its place: their prepared forms share one name space.
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

    fn prepare(self, typed: &str) -> Result<Name, BadName> {
        match self {
            Self::Email => names::email(typed),
            Self::Username => names::username(typed),
            Self::ExchangeUsername => names::exchange_username(typed),
        }
    }
}

/// A name and a password as they were sent, and where they are to be good.
pub(crate) struct Form {
    pub(crate) realm: Realm,
    pub(crate) rule: NameRule,
    pub(crate) name: Member,
    pub(crate) password: Member,
}

/// A login that has been counted, and whose account has been looked for.
pub(crate) struct Attempt {
    /// The name as it was sent.
    pub(crate) typed: String,
    address: IpAddr,
    realm: Realm,
    found: Option<Credentials>,
    password: Password,
    user_agent: Option<String>,
}

/// A login that failed, without the name that was typed, which may be a password in the wrong field.
pub(crate) struct FailedLogin {
    address: IpAddr,
    realm: Realm,
    account: Option<AccountId>,
}

impl FailedLogin {
    /// Writes the line by which an operator sees whose password is guessed at.
    pub(crate) fn log(&self) {
        let (address, realm) = (self.address, self.realm.name());
        match self.account {
            Some(AccountId(account)) => tracing::info!(%address, realm, account, "a login failed"),
            None => tracing::info!(%address, realm, "a login failed: no account has the name"),
        }
    }
}

/// Why a login got no tokens.
#[derive(Debug)]
pub(crate) enum LoginError {
    /// The name is unknown, the password is wrong, or the account is disabled.
    BadCredentials,
    /// The server could not tell.
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
    /// The failure, where a contract answers bad credentials with 401 and a message of its own.
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
    /// Counts an attempt and looks for its account. What no account can be called is an unknown name.
    pub(crate) async fn begin(app: &App, client: Client, form: Form) -> Result<Self, Failure> {
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

    /// Whether there is an account of that name, for a contract that tells.
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
        if let Err(LoginError::BadCredentials) = &opened {
            failed.log();
        }
        let (account, session) = opened?;
        Ok(app.tokens.issue(account, &session, tokens)?)
    }

    /// The attempt as the log names it if it fails.
    pub(crate) fn failed(&self) -> FailedLogin {
        FailedLogin {
            address: self.address,
            realm: self.realm,
            account: self.found.as_ref().map(|found| found.account.id),
        }
    }
}
