//! `keyward keys`: lists, rotates and retires the signing keys, and seals them by another master key.

use anyhow::{Context, bail};
use clap::{Subcommand, ValueEnum};
use keyward_core::clock::Timestamp;
use keyward_core::keys::{Kid, Purpose, Ring, State, StoredKey};
use serde_json::{Value, json};

use super::{Access, Opened, on_data};
use crate::settings::Flags;
use crate::{output, services};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the keys and what each one does
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Show one key
    Show {
        /// ID of the key
        #[arg(value_parser = kid)]
        key: Kid,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
        /// Print nothing but the secret, with which anybody can sign
        #[arg(long, conflicts_with = "json")]
        secret: bool,
    },
    /// Announce a new key, which takes over after keys.announce; tokens of the present key stay valid until they expire
    Rotate {
        /// What the key is for
        #[arg(value_enum)]
        purpose: PurposeArgument,
    },
    /// End a key at once, because it leaked: all tokens that it signed are refused
    Retire {
        /// ID of the key
        #[arg(value_parser = kid)]
        key: Kid,
    },
    /// Seal the keys by the first master key of the master key file
    Reseal,
    /// End every key and make new ones, because the master key is lost: all tokens are refused
    Replace {
        /// Confirm that every token is to be refused
        #[arg(long)]
        all: bool,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum PurposeArgument {
    /// Access tokens
    Access,
    /// Refresh tokens
    Refresh,
    /// Tokens of the notary; clients that verify them need the new key
    Notary,
    /// Names of clients in the Redis of the shared limits
    Limits,
}

impl From<PurposeArgument> for Purpose {
    fn from(purpose: PurposeArgument) -> Self {
        match purpose {
            PurposeArgument::Access => Self::Access,
            PurposeArgument::Refresh => Self::Refresh,
            PurposeArgument::Notary => Self::Notary,
            PurposeArgument::Limits => Self::Limits,
        }
    }
}

impl Command {
    pub(crate) fn run(self, flags: &Flags) -> anyhow::Result<()> {
        on_data(flags, Access::Existing, async |opened| {
            if let Self::Replace { all } = self {
                return replace(opened, all).await;
            }
            let ring = services::ring(&opened.data, &opened.settings).await?;
            match self {
                Self::List { json } => list(&ring, json),
                Self::Show {
                    key, secret: true, ..
                } => show_secret(&ring, key).await,
                Self::Show { key, json, .. } => show(&ring, key, json),
                Self::Rotate { purpose } => rotate(opened, &ring, purpose.into()).await,
                Self::Retire { key } => retire(opened, &ring, key).await,
                Self::Reseal => reseal(&ring).await,
                Self::Replace { .. } => Ok(()),
            }
        })
    }
}

fn kid(text: &str) -> Result<Kid, String> {
    Kid::parse(text)
        .ok_or_else(|| "must be 16 hexadecimal digits, see `keyward keys list`".to_owned())
}

fn list(ring: &Ring, json: bool) -> anyhow::Result<()> {
    let keys = ring.list();
    if json {
        return output::json(&keys.iter().map(as_json).collect::<Vec<_>>());
    }
    let rows: Vec<_> = keys.iter().map(as_row).collect();
    let head = [
        "ID",
        "PURPOSE",
        "ALGORITHM",
        "STATE",
        "SIGNS FROM",
        "SIGNS UNTIL",
        "VERIFIES UNTIL",
    ];
    Ok(output::table(head, &rows)?)
}

fn show(ring: &Ring, kid: Kid, json: bool) -> anyhow::Result<()> {
    let found = ring.list().into_iter().find(|(key, _)| key.kid == kid);
    let Some(found) = found else {
        bail!("there is no key {kid}: see `keyward keys list`");
    };
    let shown = as_json(&found);
    if json {
        return output::json(&shown);
    }
    for (name, value) in shown.as_object().into_iter().flatten() {
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        output::line(&format!("{name}: {text}"))?;
    }
    Ok(())
}

async fn show_secret(ring: &Ring, kid: Kid) -> anyhow::Result<()> {
    let secret = ring.reveal(kid).await?;
    let text = std::str::from_utf8(&secret)
        .ok()
        .filter(|text| !text.contains('\0'));
    let text = text
        .context("the secret is no text: an earlier version derived it, and nobody else uses it")?;
    Ok(output::line(text)?)
}

async fn rotate(opened: &Opened, ring: &Ring, purpose: Purpose) -> anyhow::Result<()> {
    ring.rotate(purpose).await?;
    let keys = ring.list();
    let next = keys.iter().find(|(key, state)| {
        key.purpose == purpose && matches!(state, State::Announced | State::Active)
    });
    let Some((key, _)) = next else {
        bail!("another process ended the new key: see `keyward keys list`");
    };
    let (kid, from) = (key.kid, key.signs_from.rfc3339_millis());
    Ok(output::line(&format!(
        "the {} key {kid} signs from {from} on{}",
        purpose.name(),
        opened.when_it_counts()
    ))?)
}

async fn retire(opened: &Opened, ring: &Ring, kid: Kid) -> anyhow::Result<()> {
    ring.retire(kid).await?;
    let counts = opened.when_it_counts();
    Ok(output::line(&format!(
        "ended the key {kid}; what it signed is refused{counts}"
    ))?)
}

async fn reseal(ring: &Ring) -> anyhow::Result<()> {
    let resealed = ring.reseal().await?;
    Ok(output::line(&format!(
        "sealed {resealed} keys by the first master key; the other master keys can be removed from the file once every \
         server has it"
    ))?)
}

async fn replace(opened: &Opened, all: bool) -> anyhow::Result<()> {
    if !all {
        bail!(
            "every token would be refused, and everybody would have to log in again: confirm it with --all"
        );
    }
    Ring::replace_all(services::parts(&opened.data, &opened.settings)).await?;
    let counts = opened.when_it_counts();
    Ok(output::line(&format!(
        "ended every key and made new ones; everybody has to log in again{counts}"
    ))?)
}

fn as_row((key, state): &(StoredKey, State)) -> [String; 7] {
    let until = |until: Option<Timestamp>| until.map_or(String::new(), Timestamp::rfc3339_millis);
    [
        key.kid.to_string(),
        key.purpose.name().to_owned(),
        key.algorithm.name().to_owned(),
        state.name().to_owned(),
        key.signs_from.rfc3339_millis(),
        until(key.signs_until),
        until(key.verifies_until),
    ]
}

fn as_json((key, state): &(StoredKey, State)) -> Value {
    json!({
        "id": key.kid.to_string(),
        "purpose": key.purpose.name(),
        "algorithm": key.algorithm.name(),
        "state": state.name(),
        "created_at": key.created_at.rfc3339_millis(),
        "signs_from": key.signs_from.rfc3339_millis(),
        "signs_until": key.signs_until.map(Timestamp::rfc3339_millis),
        "verifies_until": key.verifies_until.map(Timestamp::rfc3339_millis),
        "longest_lifetime_seconds": key.lifetime.as_secs(),
        "sealed_by": key.sealed.master.to_string(),
    })
}
