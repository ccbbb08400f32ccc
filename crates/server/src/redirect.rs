//! The listener for clear text of a server that speaks TLS. It redirects every request to the same path on https.
//!
//! Invariant: it redirects only to hosts that the server answers for. Its connections are counted apart from those of the
//! server, so no flood of clear text keeps clients from TLS.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::LOCATION;
use keyward_core::memory::Budget;
use keyward_core::random::Random;

use crate::address::TrustedProxies;
use crate::error::{Failure, Problem, Shaped};
use crate::hosts::{Hosts, host};
use crate::middleware::{Edge, Site, Templates};
use crate::serve;

/// The port of https that a URL does not name.
const HTTPS: u16 = 443;

/// The share of the server's connections that the listener may have: clients need it for one request and then leave it.
const SHARE: usize = 10;

/// The limits of the listener's connections, for a server with the limits `server`.
#[must_use]
pub fn connections(server: &serve::Settings) -> serve::Settings {
    let most = (server.max_connections / SHARE).max(1);
    serve::Settings {
        listener: "redirect",
        max_connections: most,
        max_connections_per_address: server.max_connections_per_address.min(most),
        tls: None,
        ..server.clone()
    }
}

/// What the listener works with.
pub struct Settings {
    /// Where request ids come from.
    pub random: Arc<dyn Random>,
    /// Whose forwarded addresses are believed.
    pub proxies: Arc<TrustedProxies>,
    /// What waits for clients, in bytes.
    pub memory: Arc<Budget>,
    /// The hosts that the server answers for.
    pub hosts: Hosts,
    /// The port on which clients reach it by https.
    pub port: u16,
    /// Whether each request is logged.
    pub access_log: bool,
}

/// A site that answers every request with 308 and its address by https.
pub fn site(settings: Settings) -> Site {
    let Settings {
        random,
        proxies,
        memory,
        hosts,
        port,
        access_log,
    } = settings;
    let known = hosts.clone();
    let router = Router::new().fallback(move |request: Request| {
        let response = redirect(&request, &known, port);
        async move { response }
    });
    let edge = Edge {
        random,
        proxies,
        memory,
        hosts,
        templates: Templates::unmeasured(),
        access_log,
        traced: false,
        strict_transport: None,
    };
    Site::new(router, edge)
}

fn redirect(request: &Request, hosts: &Hosts, port: u16) -> Response {
    let uri = request.uri();
    let named = host(uri, request.headers());
    let (Some(host), Hosts::Only(_)) = (named, hosts) else {
        return refuse(StatusCode::BAD_REQUEST, "name the host in the header Host");
    };
    // The edge lets probes of any host pass.
    if !hosts.include(uri, request.headers(), false) {
        let message = "this server does not answer for the host that the request names";
        return refuse(StatusCode::MISDIRECTED_REQUEST, message);
    }
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let location = match port {
        HTTPS => format!("https://{host}{path}"),
        port => format!("https://{host}:{port}{path}"),
    };
    (StatusCode::PERMANENT_REDIRECT, [(LOCATION, location)]).into_response()
}

fn refuse(status: StatusCode, message: &'static str) -> Response {
    Shaped::<Problem>::from(Failure::new(status, message)).into_response()
}
