//! `keyward session`: lists and closes sessions.

use std::collections::HashMap;

use clap::{ArgGroup, Args, Subcommand};
use keyward_core::accounts::Account;
use keyward_core::id::{AccountId, SessionId};
use keyward_core::page::Page;
use keyward_core::sessions::{Error, Reason, Session};
use serde_json::json;

use super::account_argument::{self, RealmArgument, label, name_of};
use super::{Access, Opened, on_data};
use crate::output;
use crate::settings::Flags;

/// How many sessions are read at once.
const PAGE: u32 = 1_000;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the open sessions
    List {
        #[command(flatten)]
        of: Of,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Close sessions, which revokes their tokens
    #[command(group = ArgGroup::new("which").required(true).args(["sessions", "account", "all"]))]
    Close {
        /// Session IDs
        #[arg(value_name = "SESSION")]
        sessions: Vec<i64>,
        #[command(flatten)]
        of: Of,
        /// Close every session, including ones missing from the database (after restoring it with another tool)
        #[arg(long)]
        all: bool,
    },
}

/// Whose sessions.
#[derive(Args)]
pub(crate) struct Of {
    /// Only sessions of this account, given by ID, username or e-mail address
    #[arg(long)]
    account: Option<String>,
    /// Realm of the account [default: default]
    #[arg(long, value_enum, requires = "account")]
    realm: Option<RealmArgument>,
}

impl Command {
    pub(crate) fn run(self, flags: &Flags) -> anyhow::Result<()> {
        on_data(flags, Access::Existing, async |opened| match self {
            Self::List { of, json } => list(opened, &of, json).await,
            Self::Close { all: true, .. } => close_all(opened).await,
            Self::Close { sessions, of, .. } => close(opened, sessions, &of).await,
        })
    }
}

impl Of {
    async fn find(&self, opened: &Opened) -> anyhow::Result<Option<Account>> {
        match &self.account {
            Some(typed) => account_argument::find(&opened.base.accounts, typed, self.realm)
                .await
                .map(Some),
            None => Ok(None),
        }
    }
}

async fn list(opened: &Opened, of: &Of, json: bool) -> anyhow::Result<()> {
    let sessions = open_sessions(opened, of.find(opened).await?.map(|account| account.id)).await?;
    let mut accounts = HashMap::new();
    for session in &sessions {
        let id = session.account;
        if let std::collections::hash_map::Entry::Vacant(entry) = accounts.entry(id)
            && let Some(account) = opened.base.accounts.find(id).await?
        {
            entry.insert(account);
        }
    }
    if json {
        let values = sessions.iter().map(|session| as_json(session, &accounts));
        return output::json(&values.collect::<Vec<_>>());
    }
    let rows: Vec<_> = sessions
        .iter()
        .map(|session| as_row(session, &accounts))
        .collect();
    let head = [
        "ID",
        "ACCOUNT",
        "REALM",
        "NAME",
        "OPENED",
        "EXPIRES",
        "REFRESHES",
        "USER AGENT",
    ];
    Ok(output::table(head, &rows)?)
}

async fn close(opened: &Opened, ids: Vec<i64>, of: &Of) -> anyhow::Result<()> {
    if let Some(account) = of.find(opened).await? {
        let sessions = open_sessions(opened, Some(account.id)).await?;
        for session in &sessions {
            close_one(opened, session.id).await?;
        }
        let (count, who, counts) = (sessions.len(), label(&account), opened.when_it_counts());
        return Ok(output::line(&format!(
            "closed {count} sessions of {who}{counts}"
        ))?);
    }
    let mut unknown = Vec::new();
    for id in ids {
        if close_one(opened, SessionId(id)).await? {
            output::line(&format!("closed session {id}{}", opened.when_it_counts()))?;
        } else {
            unknown.push(id.to_string());
        }
    }
    if !unknown.is_empty() {
        let ids = unknown.join(", ");
        anyhow::bail!("not open: {ids}; see `keyward session list` for those that are");
    }
    Ok(())
}

/// Closes a session in the database. What this process alone would refuse helps nobody.
async fn close_one(opened: &Opened, id: SessionId) -> anyhow::Result<bool> {
    let closed = opened.base.sessions.close(id, Reason::Operator).await;
    closed.map_err(|error| match error {
        Error::ClosedHere(fault) => anyhow::Error::from(fault).context(format!(
            "session {id} was not closed: run this again once the database can be written"
        )),
        other => other.into(),
    })
}

async fn close_all(opened: &Opened) -> anyhow::Result<()> {
    opened.base.sessions.close_all().await?;
    let counts = opened.when_it_counts();
    Ok(output::line(&format!(
        "closed every session; everybody has to log in again{counts}"
    ))?)
}

async fn open_sessions(
    opened: &Opened,
    account: Option<AccountId>,
) -> anyhow::Result<Vec<Session>> {
    let mut sessions = Vec::new();
    let mut next = Some(0);
    while let Some(after) = next {
        let page = Page { after, limit: PAGE };
        let listed = opened.base.sessions.list(account, page).await?;
        sessions.extend(listed.items);
        next = listed.next;
    }
    Ok(sessions)
}

fn as_row(session: &Session, accounts: &HashMap<AccountId, Account>) -> [String; 8] {
    let account = accounts.get(&session.account);
    [
        session.id.to_string(),
        session.account.to_string(),
        account.map_or(String::new(), |account| account.realm.name().to_owned()),
        account.map_or(String::new(), |account| name_of(account).to_owned()),
        session.created_at.rfc3339_millis(),
        session.expires_at.rfc3339_millis(),
        session.refresh_counter.to_string(),
        session.user_agent.clone().unwrap_or_default(),
    ]
}

fn as_json(session: &Session, accounts: &HashMap<AccountId, Account>) -> serde_json::Value {
    let account = accounts.get(&session.account);
    json!({
        "id": session.id.0,
        "account": session.account.0,
        "realm": account.map(|account| account.realm.name()),
        "name": account.map(name_of),
        "created_at": session.created_at.rfc3339_millis(),
        "expires_at": session.expires_at.rfc3339_millis(),
        "ends_at": session.ends_at.rfc3339_millis(),
        "refreshes": session.refresh_counter,
        "user_agent": session.user_agent,
    })
}
