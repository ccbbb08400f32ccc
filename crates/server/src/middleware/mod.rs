//! What every request passes: an id, the client's address, one line in the access log, headers that
//! keep browsers safe, and an answer also where a handler panicked or the request must reach none.
//!
//! It is one layer rather than five, as each costs every request an allocation or more.

mod edge;
mod id;
mod log;

use std::sync::Arc;

use axum::Router;
use keyward_core::random::Random;

use self::edge::EdgeLayer;
pub use self::id::RequestId;
use crate::address::TrustedProxies;
use crate::state::App;

/// Puts the layer around all routes and fallbacks that `router` has by now.
///
/// Requests then carry [`RequestId`] and [`ClientAddress`](crate::address::ClientAddress) as
/// extensions, and answers `X-Request-Id`; with `access_log` each is one event of target `access`.
pub(crate) fn apply(router: Router, app: &App, access_log: bool) -> Router {
    let (random, proxies) = (Arc::clone(&app.random), Arc::clone(&app.proxies));
    around(
        router,
        Edge {
            random,
            proxies,
            access_log,
        },
    )
}

/// What the layer works with.
pub(crate) struct Edge {
    /// Where request ids come from.
    pub(crate) random: Arc<dyn Random>,
    /// Whose `X-Forwarded-For`, `Forwarded` and `X-Request-Id` are believed.
    pub(crate) proxies: Arc<TrustedProxies>,
    /// Whether requests are logged.
    pub(crate) access_log: bool,
}

pub(crate) fn around(router: Router, edge: Edge) -> Router {
    router.layer(EdgeLayer(Arc::new(edge)))
}

#[cfg(test)]
mod tests;
