//! The metrics of this crate, and the site that serves them to Prometheus.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use http::header::CONTENT_TYPE;
use keyward_core::memory::Budget;
use keyward_core::metrics::Metric;
use keyward_core::random::Random;

use crate::error::{Problem, method_not_allowed, not_found};
use crate::hosts::Hosts;
use crate::limits::EXCEEDED;
use crate::logins::LOGINS;
use crate::middleware::{Edge, REQUESTS, Site, Templates};
use crate::serve::{self, CONNECTIONS, REFUSED, STREAMS, STREAMS_REFUSED};

/// All metrics of this crate.
pub const METRICS: &[&Metric] = &[
    &REQUESTS,
    &CONNECTIONS,
    &REFUSED,
    &STREAMS,
    &STREAMS_REFUSED,
    &LOGINS,
    &EXCEEDED,
];

/// The media type of Prometheus's text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
/// A separate memory budget, so that metrics are served even if clients use up the server's budget.
const MEMORY: u64 = 16 << 20;
/// How long a shutdown waits for unfinished responses.
const DRAIN: Duration = Duration::from_secs(5);

/// A site that answers only `GET /metrics`, with the text that `render` returns. Its own requests are not measured.
pub fn site<F, R>(random: Arc<dyn Random>, render: F) -> Site
where
    F: Fn() -> R + Clone + Send + Sync + 'static,
    R: Future<Output = String> + Send,
{
    let metrics = move || {
        let text = render();
        async { ([(CONTENT_TYPE, TEXT)], text.await) }
    };
    let router = Router::new()
        .route("/metrics", get(metrics))
        .method_not_allowed_fallback(method_not_allowed::<Problem>)
        .fallback(not_found);
    let edge = Edge {
        random,
        proxies: Arc::default(),
        memory: Budget::new(MEMORY),
        hosts: Hosts::Any,
        templates: Templates::unmeasured(),
        access_log: false,
        traced: false,
        strict_transport: None,
    };
    Site::new(router, edge)
}

/// The limits on connections. A monitoring system needs few.
#[must_use]
pub fn connections() -> serve::Settings {
    serve::Settings {
        listener: "metrics",
        max_connections: 32,
        max_connections_per_address: 16,
        max_header_bytes: 8 << 10,
        drain: DRAIN,
        ..serve::Settings::default()
    }
}
