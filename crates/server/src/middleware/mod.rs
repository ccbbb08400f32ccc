//! The edge that every request passes: an id, the client's address, one spelling of the path, one line in the access
//! log, headers that keep browsers and caches from doing harm, and an answer also where a handler panicked or the
//! request must reach none.
//!
//! It is one service around the router rather than five layers in it, as each layer costs every request some
//! allocations; the price is that it finds the route's template for the log itself.

mod edge;
mod id;
mod log;
mod measured;
mod path;
mod templates;

use std::sync::Arc;

use axum::Router;
use http::HeaderValue;
use keyward_core::memory::{Account, Budget};
use keyward_core::random::Random;

pub use self::edge::Passing;
pub(crate) use self::measured::REQUESTS;
pub(crate) use self::templates::Templates;
use crate::address::{Peer, TrustedProxies};
use crate::hosts::Hosts;
use crate::memory::account;

/// The router behind its edge: what connections hand their requests to.
///
/// Requests reach the router with what [`ClientAddress`](crate::address::ClientAddress) needs, answers leave with
/// `X-Request-Id`, and where the access log is on each request is one event of target `access`.
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
    /// Which hosts are answered for.
    pub(crate) hosts: Hosts,
    /// The routes by their templates.
    pub(crate) templates: Templates,
    /// Whether requests are logged.
    pub(crate) access_log: bool,
    /// The value of `Strict-Transport-Security`, where it is sent.
    pub(crate) strict_transport: Option<HeaderValue>,
}

/// Why a request must not be routed: it is answered with 400, and the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// Without exactly one `Host`, or with one that is no host (RFC 9112 §3.2).
    Host,
    /// With a transfer coding other than `chunked` alone, which would be handed on undecoded (RFC 9112 §6.1).
    Coding,
}

impl Malformed {
    /// What to tell the client.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Host => {
                "a request has exactly one Host header, which is a host with or without a port"
            }
            Self::Coding => "a body's only transfer coding is chunked",
        }
    }
}

#[cfg(test)]
mod tests;
