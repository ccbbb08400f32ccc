//! `keyward account`: manages accounts.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use keyward_core::accounts::{Account, NewAccount, Realm, SignUp, names};
use keyward_core::clock::Timestamp;
use keyward_core::page::Page;
use serde_json::{Value, json};

use super::account_argument::{AccountArgument, RealmArgument, label, prepare};
use super::invitation::{self, Invite};
use super::{Access, Opened, on_data};
use crate::exit::UsageError;
use crate::output;
use crate::password::{self, PasswordSource};
use crate::settings::Flags;

/// How many accounts are read at once.
const PAGE: u32 = 1_000;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Create an account
    Add(Add),
    /// List accounts
    List {
        /// Only accounts of this realm
        #[arg(long, value_enum)]
        realm: Option<RealmArgument>,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Disable an account and close its sessions
    Disable(AccountArgument),
    /// Enable a disabled account; its closed sessions stay closed
    Enable(AccountArgument),
    /// Make an invitation to sign up, and print its code, which works once
    Invite(Invite),
    /// List the invitations that were not used
    Invitations {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Revoke an invitation
    RevokeInvitation {
        /// Its id, as `keyward account invitations` shows it
        id: i64,
    },
    /// Set the password of an account, and close its sessions
    SetPassword {
        #[command(flatten)]
        account: AccountArgument,
        #[command(flatten)]
        password: PasswordSource,
    },
}

#[derive(Args)]
pub(crate) struct Add {
    /// Username
    #[arg(long, value_name = "NAME", required_unless_present = "email")]
    username: Option<String>,
    /// E-mail address, which can be used to log in too
    #[arg(long)]
    email: Option<String>,
    /// Display name
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// Realm of the account
    #[arg(long, value_enum, default_value = "default")]
    realm: RealmArgument,
    #[command(flatten)]
    password: PasswordSource,
    /// Read a password hash of another service from standard input; the next login replaces it by Argon2id
    #[arg(long, conflicts_with_all = ["password_stdin", "generate_password"])]
    password_hash_stdin: bool,
}

impl Command {
    pub(crate) fn run(self, flags: &Flags) -> anyhow::Result<()> {
        match self {
            Self::Add(add) => on_data(flags, Access::Create, async |opened| add.run(opened).await),
            Self::List { realm, json } => on_data(flags, Access::Existing, async |opened| {
                list(opened, realm, json).await
            }),
            Self::Disable(account) => on_data(flags, Access::Existing, async |opened| {
                disable(opened, &account).await
            }),
            Self::Enable(account) => on_data(flags, Access::Existing, async |opened| {
                enable(opened, &account).await
            }),
            Self::Invite(invite) => on_data(flags, Access::Create, async |opened| {
                invite.run(opened).await
            }),
            Self::Invitations { json } => on_data(flags, Access::Existing, async |opened| {
                invitation::list(opened, json).await
            }),
            Self::RevokeInvitation { id } => on_data(flags, Access::Existing, async |opened| {
                invitation::revoke(opened, id).await
            }),
            Self::SetPassword { account, password } => {
                on_data(flags, Access::Existing, async |opened| {
                    set_password(opened, &account, &password).await
                })
            }
        }
    }
}

impl Add {
    async fn run(self, opened: &Opened) -> anyhow::Result<()> {
        let realm = Realm::from(self.realm);
        let misuse = |what: &str, bad| UsageError(format!("the {what} {bad}"));
        let username = self
            .username
            .map(|typed| prepare(realm, &typed))
            .transpose();
        let username = username.map_err(|bad| misuse("username", bad))?;
        let email = self.email.map(|typed| names::email(&typed)).transpose();
        let email = email.map_err(|bad| misuse("e-mail address", bad))?;
        if realm != Realm::Default && (username.is_none() || email.is_some()) {
            let rule = "accounts of the file exchange have a username and no e-mail address";
            return Err(UsageError(rule.to_owned()).into());
        }
        if self.password_hash_stdin {
            let account = NewAccount {
                realm,
                username,
                email,
                display_name: self.display_name,
                password_hash: password::hash_from_stdin()?,
                created_at: opened.base.clock.now(),
                invitation: None,
            };
            let account = opened.base.accounts.create(account).await?;
            return Ok(output::line(&format!("added {}", label(&account)))?);
        }
        let given = self.password.take(&*opened.base.random)?;
        let request = SignUp {
            realm,
            username,
            email,
            display_name: self.display_name,
            password: given.password,
        };
        let account = opened.base.accounts.add(request).await?;
        output::line(&format!("added {}", label(&account)))?;
        tell(given.generated)
    }
}

async fn list(opened: &Opened, realm: Option<RealmArgument>, json: bool) -> anyhow::Result<()> {
    let mut accounts = Vec::new();
    let mut next = Some(0);
    while let Some(after) = next {
        let page = Page { after, limit: PAGE };
        let listed = opened
            .base
            .accounts
            .list(realm.map(Realm::from), page)
            .await?;
        accounts.extend(listed.items);
        next = listed.next;
    }
    if json {
        return output::json(&accounts.iter().map(as_json).collect::<Vec<_>>());
    }
    let rows: Vec<_> = accounts.iter().map(as_row).collect();
    let head = [
        "ID", "REALM", "USERNAME", "E-MAIL", "CREATED", "STATE", "NAME",
    ];
    Ok(output::table(head, &rows)?)
}

fn as_row(account: &Account) -> [String; 7] {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    [
        account.id.to_string(),
        account.realm.name().to_owned(),
        text(&account.username),
        text(&account.email),
        account.created_at.rfc3339_millis(),
        if account.disabled_at.is_some() {
            "disabled"
        } else {
            "active"
        }
        .to_owned(),
        text(&account.display_name),
    ]
}

fn as_json(account: &Account) -> Value {
    json!({
        "id": account.id.0,
        "realm": account.realm.name(),
        "username": account.username,
        "email": account.email,
        "display_name": account.display_name,
        "created_at": account.created_at.rfc3339_millis(),
        "disabled_at": account.disabled_at.map(Timestamp::rfc3339_millis),
    })
}

async fn disable(opened: &Opened, account: &AccountArgument) -> anyhow::Result<()> {
    let account = account.find(&opened.base.accounts).await?;
    let closed = opened.base.sessions.disable_account(&account).await;
    let closed = closed.with_context(|| {
        let who = label(&account);
        format!("{who} was not disabled: run this again once the database can be written")
    })?;
    let (who, counts) = (label(&account), opened.when_it_counts());
    Ok(output::line(&format!(
        "disabled {who}, closed {closed} of its sessions{counts}"
    ))?)
}

async fn enable(opened: &Opened, account: &AccountArgument) -> anyhow::Result<()> {
    let account = account.find(&opened.base.accounts).await?;
    opened.base.accounts.enable(account.id).await?;
    Ok(output::line(&format!("enabled {}", label(&account)))?)
}

async fn set_password(
    opened: &Opened,
    account: &AccountArgument,
    source: &PasswordSource,
) -> anyhow::Result<()> {
    let account = account.find(&opened.base.accounts).await?;
    let given = source.take(&*opened.base.random)?;
    let set = opened
        .base
        .sessions
        .set_password(account.id, given.password);
    set.await.with_context(|| {
        let who = label(&account);
        format!(
            "the password of {who} was not set: run this again once the database can be written"
        )
    })?;
    let (who, counts) = (label(&account), opened.when_it_counts());
    output::line(&format!(
        "set the password of {who}, closed its sessions{counts}"
    ))?;
    tell(given.generated)
}

fn tell(generated: Option<String>) -> anyhow::Result<()> {
    match generated {
        Some(password) => Ok(output::line(&format!("password: {password}"))?),
        None => Ok(()),
    }
}
