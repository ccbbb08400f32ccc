//! The state of the router. A handler names in `State` the capabilities that it uses.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRef;
use keyward_core::accounts::Accounts;
use keyward_core::customers::Customers;
use keyward_core::files::Files;
use keyward_core::health;
use keyward_core::memory::{Account, Budget};
use keyward_core::notary::Notary;
use keyward_core::random::Random;
use keyward_core::sessions::Sessions;
use keyward_core::tokens::Tokens;

use crate::address::TrustedProxies;
use crate::contract::Contracts;
use crate::hosts::Hosts;
use crate::limits::Limits;
use crate::logins::Logins;
use crate::memory::account;

/// The services behind the router, shared: axum clones its state for every request, and one clone is
/// cheaper than one of each service.
#[derive(Clone)]
pub struct App(Arc<Assembled>);

struct Assembled {
    services: Services,
    logins: Logins,
}

/// The services behind the router.
pub struct Services {
    /// Who may log in.
    pub accounts: Accounts,
    /// Their sessions.
    pub sessions: Sessions,
    /// Their tokens.
    pub tokens: Tokens,
    /// The token notary.
    pub notary: Arc<Notary>,
    /// The files of the exchange.
    pub files: Files,
    /// The customers.
    pub customers: Customers,
    /// Randomness for the vectors and for request ids.
    pub random: Arc<dyn Random>,
    /// What `/health/ready` checks.
    pub health: Arc<dyn health::Store>,
    /// Rate limits.
    pub limits: Arc<Limits>,
    /// The proxies whose forwarded addresses are trusted.
    pub proxies: Arc<TrustedProxies>,
    /// The budget of bytes that wait for clients.
    pub memory: Arc<Budget>,
}

impl App {
    /// The account in the memory budget of the client with this address.
    pub(crate) fn account(&self, address: IpAddr) -> Account {
        account(&self.memory, &self.proxies, address)
    }
}

impl From<Services> for App {
    fn from(services: Services) -> Self {
        Self(Arc::new(Assembled {
            services,
            logins: Logins::new(),
        }))
    }
}

impl Deref for App {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.0.services
    }
}

impl App {
    /// The counters of logins.
    pub(crate) fn logins(&self) -> &Logins {
        &self.0.logins
    }
}

macro_rules! from_app {
    ($($name:ident: $service:ty),+ $(,)?) => {$(
        impl FromRef<App> for $service {
            fn from_ref(app: &App) -> Self {
                app.$name.clone()
            }
        }
    )+};
}

from_app! {
    accounts: Accounts,
    sessions: Sessions,
    tokens: Tokens,
    notary: Arc<Notary>,
    files: Files,
    customers: Customers,
    health: Arc<dyn health::Store>,
    limits: Arc<Limits>,
    proxies: Arc<TrustedProxies>,
}

/// What the router is made of besides the services.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which contracts are served.
    pub contracts: Contracts,
    /// Whether Swagger UI and the OpenAPI document are served.
    pub documentation: bool,
    /// Whether each request is logged.
    pub access_log: bool,
    /// Whether each request has a span, for the traces that the program exports.
    pub traced: bool,
    /// How long browsers use only https (HSTS); `None` if the header is not sent.
    pub strict_transport: Option<Duration>,
    /// Which hosts are answered for.
    pub hosts: Hosts,
    /// The largest body of an upload, in bytes, with room for the other parts of its form.
    pub largest_upload: u64,
}
