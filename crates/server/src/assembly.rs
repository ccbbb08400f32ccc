//! Assembles the services of a server, for the program, its commands and the tests.

use std::sync::Arc;

use crate::address::TrustedProxies;
use crate::limits::Limits;
use crate::state::{App, Services};
use keyward_core::accounts::passwords::Passwords;
use keyward_core::accounts::{Accounts, SignUpPolicy};
use keyward_core::clock::Clock;
use keyward_core::customers::Customers;
use keyward_core::error::Fault;
use keyward_core::files::{self, Blobs, Files};
use keyward_core::health;
use keyward_core::keys::Ring;
use keyward_core::memory::Budget;
use keyward_core::notary::Notary;
use keyward_core::random::Random;
use keyward_core::rows::Rows;
use keyward_core::sessions::Sessions;
use keyward_core::tokens::{self, Tokens};

/// Accounts and their sessions in a database, which is all that commands need.
pub struct Base {
    /// The database.
    pub rows: Arc<dyn Rows>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for keys, tokens and ids.
    pub random: Arc<dyn Random>,
    /// Who may log in.
    pub accounts: Accounts,
    /// Their sessions.
    pub sessions: Sessions,
}

/// The settings of the services.
pub struct Policies {
    /// Lifetimes of tokens, and their issuer.
    pub tokens: tokens::Policy,
    /// Sizes and numbers of files.
    pub files: files::Policy,
    /// Who may sign up.
    pub sign_ups: SignUpPolicy,
    /// The trusted proxies, whose forwarding headers are used.
    pub proxies: Arc<TrustedProxies>,
    /// The memory budget for slow clients, in bytes.
    pub memory_budget: u64,
}

impl Base {
    /// Loads the closed sessions of the database.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn load(
        rows: Arc<dyn Rows>,
        passwords: Passwords,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, Fault> {
        let accounts = Accounts::new(rows.clone(), passwords, clock.clone());
        let (by, at, with) = (accounts.clone(), clock.clone(), random.clone());
        let sessions = Sessions::load(rows.clone(), by, at, with).await?;
        Ok(Self {
            rows,
            clock,
            random,
            accounts,
            sessions,
        })
    }

    /// The same with sessions that follow the changes of `ring`.
    #[must_use]
    pub fn with_ring(self, ring: &Arc<Ring>) -> Self {
        Self {
            sessions: self.sessions.with_ring(ring.clone()),
            ..self
        }
    }

    /// Tokens that the keys of `ring` sign.
    #[must_use]
    pub fn tokens(&self, ring: Arc<Ring>, policy: tokens::Policy) -> Tokens {
        let (accounts, sessions) = (self.accounts.clone(), self.sessions.clone());
        let (clock, random) = (self.clock.clone(), self.random.clone());
        Tokens::new(ring, policy, accounts, sessions, clock, random)
    }

    /// All services of a server, with files in `blobs`.
    #[must_use]
    pub fn app(
        &self,
        ring: &Arc<Ring>,
        blobs: Arc<dyn Blobs>,
        limits: Limits,
        policies: Policies,
    ) -> App {
        let (rows, clock, random) = (&self.rows, &self.clock, &self.random);
        let notary = Notary::new(ring.clone(), clock.clone(), random.clone());
        let of_files = policies.files;
        App::from(Services {
            accounts: self.accounts.clone().with_sign_ups(policies.sign_ups),
            sessions: self.sessions.clone(),
            tokens: self.tokens(ring.clone(), policies.tokens),
            notary: Arc::new(notary),
            files: Files::new(rows.clone(), blobs, clock.clone(), random.clone(), of_files),
            customers: Customers::new(rows.clone(), clock.clone()),
            random: random.clone(),
            health: Arc::new(health::Reported::new(rows.clone())),
            limits: Arc::new(limits),
            proxies: policies.proxies,
            memory: Budget::new(policies.memory_budget),
        })
    }
}
