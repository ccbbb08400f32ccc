//! How commands name accounts and realms.

use anyhow::{anyhow, bail};
use clap::{Args, ValueEnum};
use keyward_core::accounts::names::{self, Name, NameError};
use keyward_core::accounts::{Account, Accounts, Realm};
use keyward_core::id::AccountId;

use crate::exit::UsageError;

/// A realm, as it is typed.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum RealmArgument {
    /// The user directory, the vector generator, the customers API
    Default,
    /// Operators of the file exchange
    Ops,
    /// Clients of the file exchange
    Client,
}

impl From<RealmArgument> for Realm {
    fn from(realm: RealmArgument) -> Self {
        match realm {
            RealmArgument::Default => Self::Default,
            RealmArgument::Ops => Self::Ops,
            RealmArgument::Client => Self::Client,
        }
    }
}

/// The arguments that name an existing account.
#[derive(Args)]
pub(crate) struct AccountArgument {
    /// ID, username or e-mail address; a number is taken as an ID if an account has it
    #[arg(value_name = "ACCOUNT")]
    account: String,
    /// Realm of the account [default: default]
    #[arg(long, value_enum)]
    realm: Option<RealmArgument>,
}

impl AccountArgument {
    /// The account.
    ///
    /// # Errors
    /// When there is none, or the store fails.
    pub(crate) async fn find(&self, accounts: &Accounts) -> anyhow::Result<Account> {
        find(accounts, &self.account, self.realm).await
    }
}

/// The account of that id, username or e-mail address.
///
/// # Errors
/// When there is none, or the store fails.
pub(crate) async fn find(
    accounts: &Accounts,
    typed: &str,
    realm: Option<RealmArgument>,
) -> anyhow::Result<Account> {
    if let Ok(id) = typed.parse()
        && let Some(account) = accounts.find(AccountId(id)).await?
    {
        if realm.is_some_and(|realm| Realm::from(realm) != account.realm) {
            bail!(
                "account {id} lives in the realm {}: leave out --realm",
                account.realm.name()
            );
        }
        return Ok(account);
    }
    let realm = realm.map_or(Realm::Default, Realm::from);
    let name = prepare(realm, typed).map_err(|bad| UsageError(format!("the account {bad}")))?;
    accounts.find_by_name(realm, &name).await?.ok_or_else(|| {
        let realm = realm.name();
        anyhow!("there is no account {typed:?} in the realm {realm}: see `keyward account list`")
    })
}

/// A username as its realm has it.
pub(crate) fn prepare(realm: Realm, typed: &str) -> Result<Name, NameError> {
    match realm {
        Realm::Default => names::username(typed),
        Realm::Ops | Realm::Client => names::exchange_username(typed),
    }
}

/// An account as it is told of: id, name and realm.
pub(crate) fn label(account: &Account) -> String {
    format!(
        "account {} ({}, realm {})",
        account.id,
        name_of(account),
        account.realm.name()
    )
}

/// The name an account is best known by.
pub(crate) fn name_of(account: &Account) -> &str {
    account
        .username
        .as_deref()
        .or(account.email.as_deref())
        .unwrap_or("without a name")
}
