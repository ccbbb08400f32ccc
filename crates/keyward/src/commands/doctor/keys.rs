//! The signing keys: whether the master key is there and private, and opens all of them.

use anyhow::Context;
use keyward_core::clock::{Clock, SystemClock};
use keyward_core::keys::{MasterKeys, State, StoredRing};
use keyward_core::secret::SecretText;
use keyward_store::sqlite;

use super::data::private;
use super::{Finding, Level};
use crate::engine::Engine;
use crate::settings::{Database, Settings};
use crate::{data, services};

/// Reads the keys of the database and opens them.
pub(super) fn examine(settings: &Settings) -> Vec<Finding> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let looked = runtime
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(look(settings)));
    looked.unwrap_or_else(|error| {
        let advice = "see the message; no server starts until its keys can be opened";
        vec![Finding::fail("signing keys", format!("{error:#}"), advice)]
    })
}

async fn look(settings: &Settings) -> anyhow::Result<Vec<Finding>> {
    let ring = match &settings.database {
        Database::Postgres(url) => of_postgres(url).await?,
        Database::Sqlite(_) | Database::InDataDir => {
            let Ok(path) = data::existing(settings) else {
                return Ok(Vec::new());
            };
            sqlite::list_keys(&path)?.unwrap_or_default()
        }
    };
    let now = SystemClock::new().now();
    let living = || {
        ring.keys
            .iter()
            .filter(|key| key.state(now) != State::Ended)
    };
    if living().next().is_none() {
        return Ok(vec![Finding::ok(
            "signing keys",
            "they are made at the next start",
        )]);
    }
    let master = services::master_keys(settings);
    let masters = master.read().await.map_err(anyhow::Error::from)?;
    for key in living() {
        key.unseal(&masters, || master.place())?;
    }
    let mut findings = vec![Finding::ok(
        "signing keys",
        format!("the master key opens all {} of them", living().count()),
    )];
    let file = private("master key", master.path());
    // The mode of a file that the settings name is the operator's.
    findings.push(match (&settings.master_key_file, file.level) {
        (Some(_), Level::Fail) => Finding {
            level: Level::Warn,
            ..file
        },
        _ => file,
    });
    if let (Database::Postgres(_), None) = (&settings.database, &settings.master_key_file) {
        findings.push(Finding::warn(
            "master key of several servers",
            format!("it is in the data folder of this server alone: {}", master.place()),
            "keep a copy of the file, and give it to every server of the database as keys.master_key_file",
        ));
    }
    let first = masters.first().map(keyward_core::keys::MasterKey::id);
    let old = living()
        .filter(|key| Some(key.sealed.master) != first)
        .count();
    if old > 0 {
        findings.push(Finding::warn(
            "sealing",
            format!("{old} keys are sealed by an older master key"),
            "run `keyward keys reseal`",
        ));
    }
    Ok(findings)
}

async fn of_postgres(url: &SecretText) -> anyhow::Result<StoredRing> {
    let engine = Engine::open_postgres(url, false)
        .await
        .context("the keys were not looked at")?;
    let ring = engine.rows().list_keys().await;
    engine.close().await;
    Ok(ring?)
}
