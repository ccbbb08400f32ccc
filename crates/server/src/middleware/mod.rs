//! The edge that every request passes. It gives the request an id, finds the client's address, normalizes the path, writes
//! a line in the access log, and sets headers that protect browsers and caches. It answers itself if a handler panicked
//! or if the request must reach no handler.
//!
//! It is one service around the router and not five layers in it, because each layer costs every request some allocations.
//! In return it has to find the template of the route by itself.

mod edge;
mod id;
mod log;
mod measured;
mod path;
mod span;
mod templates;
mod trace;

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

/// The router behind its edge. Connections pass their requests to it.
///
/// Requests reach the router with the extension that [`ClientAddress`](crate::address::ClientAddress) reads. Responses have an
/// `X-Request-Id`. If the access log is on, each request is one event of target `access`.
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

    /// The memory account of the buffers of a connection.
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
    /// The budget of bytes that wait for clients.
    pub(crate) memory: Arc<Budget>,
    /// Which hosts are answered for.
    pub(crate) hosts: Hosts,
    /// The routes by their templates.
    pub(crate) templates: Templates,
    /// Whether requests are logged.
    pub(crate) access_log: bool,
    /// Whether requests have spans.
    pub(crate) traced: bool,
    /// The value of `Strict-Transport-Security`, if it is sent.
    pub(crate) strict_transport: Option<HeaderValue>,
}

/// Why a request is not routed. It is answered with 400, and a connection of HTTP/1.1 is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// It does not have exactly one `Host`, or the `Host` is malformed (RFC 9112 §3.2).
    Host,
    /// It names no host, or two (RFC 9113 §8.3.1).
    Authority,
    /// It has a transfer coding other than `chunked` alone, which would not be decoded (RFC 9112 §6.1).
    Coding,
}

impl Malformed {
    /// The message for the client.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Host => {
                "a request has exactly one Host header, which is a host with or without a port"
            }
            Self::Authority => {
                "a request has one :authority, or one Host header equal to it, which is a host with or without a port"
            }
            Self::Coding => "a body's only transfer coding is chunked",
        }
    }
}

#[cfg(test)]
mod tests;
