//! What every request passes: an id, the client's address, one line in the access log, headers that
//! keep browsers safe, and an answer also where a handler panicked or the request must reach none.
//!
//! It is one service around the router rather than five layers in it, as each layer costs every request some
//! allocations; the price is that it finds the route's template for the log itself.

mod edge;
mod id;
mod log;
mod templates;

use std::sync::Arc;

use axum::Router;
use keyward_core::memory::{Account, Budget};
use keyward_core::random::Random;

pub use self::edge::Passing;
use self::templates::Templates;
use crate::address::{Peer, TrustedProxies};
use crate::memory::account;

/// The router behind its edge: what connections hand their requests to.
///
/// Requests reach the router with what [`ClientAddress`](crate::address::ClientAddress) needs, answers leave with
/// `X-Request-Id`, and where the access log is on each is one event of target `access`.
#[derive(Clone)]
pub struct Site {
    router: Router,
    edge: Arc<Edge>,
}

impl Site {
    pub(crate) fn new(router: Router, edge: Edge) -> Self {
        let edge = Arc::new(edge);
        Self { router, edge }
    }

    /// Who pays for the buffers of a connection.
    pub(crate) fn account(&self, peer: Peer) -> Account {
        let Edge {
            memory, proxies, ..
        } = &*self.edge;
        account(memory, proxies, peer.0.ip())
    }
}

/// What the edge works with.
pub(crate) struct Edge {
    /// Where request ids come from.
    pub(crate) random: Arc<dyn Random>,
    /// Whose `X-Forwarded-For`, `Forwarded` and `X-Request-Id` are believed.
    pub(crate) proxies: Arc<TrustedProxies>,
    /// What waits for clients, in bytes.
    pub(crate) memory: Arc<Budget>,
    /// What the access log calls the routes; none where requests are not logged.
    pub(crate) access_log: Option<Templates>,
}

#[cfg(test)]
mod tests;
