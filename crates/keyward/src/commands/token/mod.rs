//! `keyward token`: issues, verifies and inspects tokens.

mod inspect;
mod key_set;
mod keyed;

use std::io::Read;

use anyhow::{Context, anyhow, bail};
use clap::Subcommand;
use keyward_core::clock::Timestamp;
use keyward_core::id::SessionId;
use keyward_core::keys::{Chain, Purpose, Ring};
use keyward_core::tokens::{Principal, TokenSet};
use keyward_jose::jws::{Compact, Limits};
use serde::Deserialize;
use serde_json::json;

use super::account_argument::{self, RealmArgument};
use super::{Access, Opened, on_data};
use crate::exit::UsageError;
use crate::settings::{Flags, Span};
use crate::{output, services};

/// The bounds of a token that is looked at.
const LIMITS: Limits = Limits {
    token: 1024 * 1024,
    depth: 64,
};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Open a session for an account and print its access token, or sign any claims with a given key
    Mint {
        /// Account, given by ID, username or e-mail address
        #[arg(long, required_unless_present = "claims")]
        account: Option<String>,
        /// Realm of the account [default: default]
        #[arg(long, value_enum)]
        realm: Option<RealmArgument>,
        /// Lifetime of the token, such as 10m or 30d [default: as after a login]
        #[arg(long, value_parser = span)]
        ttl: Option<Span<1>>,
        #[command(flatten)]
        given: keyed::GivenClaims,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Verify an access token of this server with its session, or any token with given keys; exits with 1 if it is invalid
    Verify {
        /// Token, or - to read it from standard input
        #[arg(default_value = "-")]
        token: String,
        #[command(flatten)]
        given: keyed::GivenKeys,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Print every part of any JWT, and what is wrong with it, without verifying it
    Inspect {
        /// Token, or - to read it from standard input
        #[arg(default_value = "-")]
        token: String,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
}

impl Command {
    pub(crate) fn run(self, flags: &Flags) -> anyhow::Result<()> {
        match self {
            Self::Mint {
                account,
                realm,
                ttl,
                given,
                json,
            } => match given.token()? {
                Some(token) if json => output::json(&json!({"token": token})),
                Some(token) => Ok(output::line(&token)?),
                None => on_data(flags, Access::Existing, async |opened| {
                    let account = account.as_deref().unwrap_or_default();
                    mint(opened, account, realm, ttl, json).await
                }),
            },
            Self::Verify {
                token,
                given: keys,
                json,
            } => {
                let token = given(token)?;
                if keys.is_keyed() {
                    return keys.run(&token, json);
                }
                on_data(flags, Access::Existing, async |opened| {
                    verify(opened, &token, json).await
                })
            }
            Self::Inspect { token, json } => inspect::inspect(&given(token)?, json),
        }
    }
}

fn span(text: &str) -> Result<Span<1>, String> {
    Span::parse(text).ok_or_else(|| "must be a time such as 30s, 10m, 12h or 30d".to_owned())
}

/// The token of the command line, or of standard input, where other processes cannot see it.
fn given(token: String) -> anyhow::Result<String> {
    if token != "-" {
        return Ok(token);
    }
    match standard_input()?.trim() {
        "" => Err(UsageError("there is no token on standard input".to_owned()).into()),
        token => Ok(token.to_owned()),
    }
}

/// The text of standard input, or its beginning, if it is longer than any token.
fn standard_input() -> anyhow::Result<String> {
    let mut text = String::new();
    let most = u64::try_from(LIMITS.token + 3)?;
    let read = std::io::stdin().lock().take(most).read_to_string(&mut text);
    read.context("standard input is not a text")?;
    Ok(text)
}

async fn mint(
    opened: &Opened,
    account: &str,
    realm: Option<RealmArgument>,
    ttl: Option<Span<1>>,
    json: bool,
) -> anyhow::Result<()> {
    let base = &opened.base;
    let account = account_argument::find(&base.accounts, account, realm).await?;
    if account.disabled_at.is_some() {
        bail!(
            "{} is disabled: see `keyward account enable`",
            account_argument::label(&account)
        );
    }
    let mut policy = opened.settings.tokens.clone();
    if let Some(Span(ttl)) = ttl {
        (policy.standalone_access_ttl, policy.exchange_access_ttl) = (ttl, ttl);
    }
    let ring = services::ring(&opened.data, &opened.settings).await?;
    if let Some(Span(ttl)) = ttl {
        ring.allow_lifetime(Purpose::Access, ttl).await?;
    }
    let tokens = base.tokens(ring, policy);
    let agent = Some("keyward token mint".to_owned());
    let lifetime = tokens.lifetime(account.realm, TokenSet::Access);
    let session = base.sessions.open(account.id, lifetime, agent).await?;
    let issued = tokens.issue(account, &session, TokenSet::Access)?;
    if !json {
        return Ok(output::line(&issued.access_token)?);
    }
    output::json(&json!({
        "access_token": issued.access_token,
        "expires_in": issued.expires_in.as_secs(),
        "account": issued.account.id.0,
    }))
}

async fn verify(opened: &Opened, token: &str, json: bool) -> anyhow::Result<()> {
    let ring = services::ring(&opened.data, &opened.settings).await?;
    let tokens = opened
        .base
        .tokens(ring.clone(), opened.settings.tokens.clone());
    let verdict = match tokens.verify(token).await {
        Ok(principal) => Ok(principal),
        Err(_) => Err(why_not(opened, &ring, token).await?),
    };
    match (verdict, json) {
        (
            Ok(Principal {
                subject, session, ..
            }),
            false,
        ) => {
            let realm = subject.realm().name();
            Ok(output::line(&format!(
                "valid: realm {realm}, subject {subject}, session {session}"
            ))?)
        }
        (
            Ok(Principal {
                subject, session, ..
            }),
            true,
        ) => output::json(&json!({
            "valid": true, "realm": subject.realm().name(), "subject": subject.to_string(),
            "session": session.0,
        })),
        (Err(why), false) => Err(anyhow!("the token is not valid: {why}")),
        (Err(why), true) => {
            output::json(&json!({"valid": false, "why": why}))?;
            Err(anyhow!("the token is not valid: {why}"))
        }
    }
}

/// The claims that a refusal is explained by.
#[derive(Deserialize)]
struct Claims {
    exp: Option<i64>,
    sid: Option<i64>,
}

/// Why a token is refused: told to an operator only, who has the keys anyway.
async fn why_not(opened: &Opened, ring: &Ring, token: &str) -> anyhow::Result<String> {
    let compact = match Compact::parse(token, &LIMITS) {
        Ok(compact) => compact,
        Err(error) => return Ok(format!("{error}")),
    };
    let signed_by = |chain: &Chain| {
        let (signed, signature) = (compact.signing_input().as_bytes(), compact.signature());
        chain
            .iter()
            .any(|key| key.hmac().verifies(signed, signature))
    };
    let keys = ring.keys();
    if signed_by(keys.refresh()) {
        return Ok("it is a refresh token, not an access token".to_owned());
    }
    if signed_by(keys.notary()) {
        return Ok("it is a token of the notary, not a login".to_owned());
    }
    if !signed_by(keys.access()) {
        return Ok(
            "it was not signed by a key of this server that is still good, or was changed since"
                .to_owned(),
        );
    }
    let Ok(claims) = serde_json::from_str::<Claims>(compact.payload_json()) else {
        return Ok("its claims are not those of an access token".to_owned());
    };
    let exp = claims.exp.map(Timestamp::from_seconds);
    if let Some(exp) = exp.filter(|exp| *exp <= opened.base.clock.now()) {
        return Ok(format!("it expired at {}", exp.rfc3339_millis()));
    }
    let session = match claims.sid {
        Some(id) => opened.data.rows.find_session(SessionId(id)).await?,
        None => None,
    };
    Ok(
        match session.map(|session| (session.id, session.closed_at)) {
            Some((id, Some(at))) => {
                format!("its session {id} was closed at {}", at.rfc3339_millis())
            }
            Some((_, None)) => "its claims are not those of an access token".to_owned(),
            None => "there is no such session".to_owned(),
        },
    )
}
