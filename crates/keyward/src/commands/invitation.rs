//! `keyward account invite`, `invitations` and `revoke-invitation`: who may sign up where not everybody may.

use std::time::Duration;

use anyhow::bail;
use clap::Args;
use keyward_core::accounts::{Invitation, Realm, names};
use keyward_core::page::Page;
use serde_json::{Value, json};

use super::Opened;
use super::account_argument::{RealmArgument, prepare};
use crate::exit::UsageError;
use crate::output;
use crate::settings::Span;

/// How many invitations are read at once.
const PAGE: u32 = 1_000;

#[derive(Args)]
pub(crate) struct Invite {
    /// The realm in which it makes an account
    #[arg(long, value_enum, default_value = "default")]
    realm: RealmArgument,
    /// The username that the account must have; anybody may use it where no name is given
    #[arg(long, value_name = "NAME", conflicts_with = "email")]
    username: Option<String>,
    /// The e-mail address that the account must have
    #[arg(long)]
    email: Option<String>,
    /// How long it is good
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = span)]
    expires: Duration,
}

fn span(text: &str) -> Result<Duration, String> {
    let span = Span::<1>::parse(text).map(|span| span.0);
    span.ok_or_else(|| "give a time such as 12h or 7d".to_owned())
}

impl Invite {
    pub(super) async fn run(self, opened: &Opened) -> anyhow::Result<()> {
        let realm = Realm::from(self.realm);
        let name = match (self.username, self.email) {
            (Some(typed), _) => Some(prepare(realm, &typed).map_err(|bad| bad.to_string())),
            (None, Some(_)) if realm != Realm::Default => {
                let rule = "accounts of the file exchange have no e-mail address";
                return Err(UsageError(rule.to_owned()).into());
            }
            (None, Some(typed)) => Some(names::email(&typed).map_err(|bad| bad.to_string())),
            (None, None) => None,
        };
        let name = name
            .transpose()
            .map_err(|bad| UsageError(format!("the name {bad}")))?;
        let base = &opened.base;
        let code = base
            .accounts
            .invite(realm, name, self.expires, &*base.random)
            .await?;
        output::line(&format!(
            "invited to the realm {}; the code works once, in the header X-Invitation of a sign-up",
            realm.name()
        ))?;
        Ok(output::line(&format!("code: {code}"))?)
    }
}

pub(super) async fn list(opened: &Opened, json: bool) -> anyhow::Result<()> {
    let mut invitations = Vec::new();
    let mut next = Some(0);
    while let Some(after) = next {
        let page = Page { after, limit: PAGE };
        let listed = opened.base.accounts.list_invitations(page).await?;
        invitations.extend(listed.items);
        next = listed.next;
    }
    if json {
        return output::json(&invitations.iter().map(as_json).collect::<Vec<_>>());
    }
    let rows: Vec<_> = invitations.iter().map(as_row).collect();
    Ok(output::table(
        ["ID", "REALM", "NAME", "CREATED", "EXPIRES"],
        &rows,
    )?)
}

fn as_row(invitation: &Invitation) -> [String; 5] {
    [
        invitation.id.to_string(),
        invitation.realm.name().to_owned(),
        invitation.name.clone().unwrap_or_default(),
        invitation.created_at.rfc3339_millis(),
        invitation.expires_at.rfc3339_millis(),
    ]
}

fn as_json(invitation: &Invitation) -> Value {
    json!({
        "id": invitation.id,
        "realm": invitation.realm.name(),
        "name": invitation.name,
        "created_at": invitation.created_at.rfc3339_millis(),
        "expires_at": invitation.expires_at.rfc3339_millis(),
    })
}

pub(super) async fn revoke(opened: &Opened, id: i64) -> anyhow::Result<()> {
    if !opened.base.accounts.revoke_invitation(id).await? {
        bail!("there is no invitation {id}, or it was used: see `keyward account invitations`");
    }
    Ok(output::line(&format!("revoked invitation {id}"))?)
}
