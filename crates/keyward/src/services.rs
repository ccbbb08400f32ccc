//! The capabilities of core on the data of one server, as commands and the server use them.

use std::sync::Arc;
use std::time::Duration;

use keyward_core::accounts::Accounts;
use keyward_core::accounts::passwords::{self, Passwords};
use keyward_core::clock::{Clock, SystemClock};
use keyward_core::keys::{self, Keys};
use keyward_core::random::{Random, SystemRandom};
use keyward_core::secret::SecretText;
use keyward_core::sessions::Sessions;
use keyward_core::tokens::{self, Tokens};

use crate::data::{Data, Servers};
use crate::settings::Settings;

/// The notary's key of a demo: that of the contract's golden vectors, which everyone knows.
const DEMO_NOTARY_KEY: &str = "a9ddbcaba8c0ac1a0a812dc0c2f08514b23f2db0a68343cb8199ebb38a6d91e4ebfb378e22ad39c2d01d0b4ec9c34aa91056862ddace3fbbd6852ee60c36acbf";

/// Accounts and their sessions, with the clock and the randomness of this process.
pub(crate) struct Services {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) accounts: Accounts,
    pub(crate) sessions: Sessions,
}

impl Services {
    /// Starts the hashing threads and loads the closed sessions, which count for `max_revocation_lag` where other servers
    /// close some too.
    ///
    /// # Errors
    /// When a thread cannot be started, or the store fails.
    pub(crate) async fn start(
        data: &Data,
        hashing: passwords::Policy,
        max_revocation_lag: Duration,
    ) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        let passwords =
            Passwords::start(hashing, random.clone()).map_err(anyhow::Error::from_boxed)?;
        let accounts = Accounts::new(data.rows.clone(), passwords, clock.clone());
        let sessions = Sessions::load(
            data.rows.clone(),
            accounts.clone(),
            clock.clone(),
            random.clone(),
        )
        .await?;
        let sessions = match data.servers() {
            Servers::Any => sessions.with_max_revocation_lag(max_revocation_lag),
            Servers::None | Servers::One => sessions,
        };
        Ok(Self {
            clock,
            random,
            accounts,
            sessions,
        })
    }

    /// The keys of this data: those that the settings give, else those that were made for it.
    ///
    /// # Errors
    /// When a key is unfit or cannot be read or made.
    pub(crate) async fn keys(&self, data: &Data, settings: &Settings) -> anyhow::Result<Arc<Keys>> {
        let mut policy: keys::Policy = settings.keys.clone();
        if data.is_demo && policy.notary.is_none() {
            policy.notary = Some(SecretText::new(DEMO_NOTARY_KEY.to_owned()));
        }
        let keys = Keys::load(policy, &*data.keys, &*self.random).await?;
        Ok(Arc::new(keys))
    }

    /// Tokens signed by `keys`.
    ///
    /// # Errors
    /// A defect.
    pub(crate) fn tokens(&self, keys: Arc<Keys>, policy: tokens::Policy) -> anyhow::Result<Tokens> {
        let (accounts, sessions) = (self.accounts.clone(), self.sessions.clone());
        let (clock, random) = (self.clock.clone(), self.random.clone());
        Ok(Tokens::new(
            keys, policy, accounts, sessions, clock, random,
        )?)
    }
}
