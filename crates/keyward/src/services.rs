//! The services of one server on its data, with the system's clock and randomness.

use std::sync::Arc;
use std::time::Duration;

use keyward_core::accounts::passwords::{self, Passwords};
use keyward_core::clock::SystemClock;
use keyward_core::keys::{self, Parts, Ring};
use keyward_core::random::{Random, SystemRandom};
use keyward_core::secret::SecretText;
use keyward_server::Base;
use keyward_store::folder::DataFolder;
use keyward_store::key_files::MasterKeyFile;

use crate::data::{Data, Servers};
use crate::settings::Settings;

/// The notary's key of a demo: that of the contract's golden vectors, which everyone knows.
const DEMO_NOTARY_KEY: &str = "a9ddbcaba8c0ac1a0a812dc0c2f08514b23f2db0a68343cb8199ebb38a6d91e4ebfb378e22ad39c2d01d0b4ec9c34aa91056862ddace3fbbd6852ee60c36acbf";

/// Accounts and sessions. The closed sessions count for `max_revocation_lag` where other servers close some too.
///
/// # Errors
/// When a hashing thread cannot be started, or the store fails.
pub(crate) async fn start(
    data: &Data,
    hashing: passwords::Policy,
    max_revocation_lag: Duration,
) -> anyhow::Result<Base> {
    let random: Arc<dyn Random> = Arc::new(SystemRandom);
    let passwords = Passwords::start(hashing, random.clone()).map_err(anyhow::Error::from_boxed)?;
    let clock = Arc::new(SystemClock::new());
    let base = Base::load(data.rows.clone(), passwords, clock, random).await?;
    Ok(match data.servers() {
        Servers::Any => Base {
            sessions: base.sessions.with_max_revocation_lag(max_revocation_lag),
            ..base
        },
        Servers::None | Servers::One => base,
    })
}

/// The keys of this data: those that the settings give, and those that were made for it.
///
/// # Errors
/// When a key is unfit or cannot be opened or made.
pub(crate) async fn ring(data: &Data, settings: &Settings) -> anyhow::Result<Arc<Ring>> {
    let ring = Ring::open(parts(data, settings), data.engine.legacy_keys()).await?;
    Ok(Arc::new(ring))
}

/// What the keys of this data are made with.
pub(crate) fn parts(data: &Data, settings: &Settings) -> Parts {
    let mut policy: keys::Policy = settings.keys.clone();
    if data.is_demo && policy.notary.is_none() {
        policy.notary = Some(SecretText::new(DEMO_NOTARY_KEY.to_owned()));
    }
    Parts {
        store: data.rows.clone(),
        master: Arc::new(master_keys(settings)),
        policy,
        clock: Arc::new(SystemClock::new()),
        random: Arc::new(SystemRandom),
    }
}

/// The file of the master keys.
pub(crate) fn master_keys(settings: &Settings) -> MasterKeyFile {
    match &settings.master_key_file {
        Some(given) => MasterKeyFile::given(given.clone()),
        None => MasterKeyFile::new(DataFolder::master_key_in(&settings.data_dir)),
    }
}
