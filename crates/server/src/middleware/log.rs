//! The end of a request: its measurement and its line in the access log.
//!
//! Invariant: every request has exactly one line, also if its client disconnected. Nothing that the client sent can forge
//! another line.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, Request, StatusCode, Version};
use tracing::Span;

use super::id::RequestId;
use super::measured::Route;
use super::span;
use super::templates::Templates;
use super::trace::{Parent, TraceId};

/// How many characters are logged of a path that no route matches.
const LONGEST_PATH: usize = 128;

/// What is known of a request when it arrives.
#[derive(Debug)]
pub(super) struct Entry {
    started: Instant,
    method: Method,
    version: Version,
    route: Arc<Route>,
    /// The path for the log, if the route has no template.
    path: String,
    pub(super) address: IpAddr,
    /// The trace that it belongs to, if the client named one or traces are exported.
    pub(super) trace: Option<TraceId>,
    /// Its span; disabled where no traces are exported.
    pub(super) span: Span,
}

impl Entry {
    /// `traced` is whether the request gets a span.
    pub(super) fn new<B>(
        request: &Request<B>,
        address: IpAddr,
        templates: &Templates,
        traced: bool,
    ) -> Self {
        let path = request.uri().path();
        let route = templates.find(path);
        let path = match route.template() {
            Some(_) => String::new(),
            None => shown(path),
        };
        let method = request.method();
        let parent = Parent::sent(request.headers());
        let (span, trace) = match traced {
            true => span::begin(method, request.version(), route, parent),
            false => (Span::none(), parent.map(|parent| parent.trace)),
        };
        Self {
            started: Instant::now(),
            method: method.clone(),
            version: request.version(),
            route: Arc::clone(route),
            path,
            address,
            trace,
            span,
        }
    }

    /// Measures the request and, with an `id`, writes its line. `status` is `None` if the request was abandoned before its
    /// response. `has_client` is false if the client disconnected before the response.
    pub(super) fn end(&self, status: Option<StatusCode>, has_client: bool, id: Option<&RequestId>) {
        let took = self.started.elapsed();
        self.route.record(&self.method, status, took);
        if !self.span.is_none() {
            span::end(&self.span, status);
        }
        if let Some(id) = id {
            self.write(status, took, has_client, id);
        }
    }

    fn write(&self, status: Option<StatusCode>, took: Duration, has_client: bool, id: &RequestId) {
        let code = status.map(|status| status.as_u16());
        let status: &dyn tracing::Value = match &code {
            Some(code) => code,
            None => &"-",
        };
        tracing::info!(
            target: "access",
            id = id.as_str(),
            trace = self.trace.as_ref().map(TraceId::as_str),
            address = address_text(self.address).as_str(),
            method = self.method.as_str(),
            path = self.route.template().unwrap_or(&self.path),
            status,
            micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            http = version_text(self.version),
            client = (!has_client).then_some("left"),
        );
    }
}

/// The version of HTTP as a text.
pub(super) fn version_text(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}

/// The address as text. That of IPv4 is written digit by digit, because a formatter takes a hundredth of the time of a
/// fast request.
fn address_text(address: IpAddr) -> String {
    let IpAddr::V4(address) = address else {
        return address.to_string();
    };
    let mut text = String::with_capacity("255.255.255.255".len());
    for octet in address.octets() {
        if !text.is_empty() {
            text.push('.');
        }
        for place in [100, 10, 1] {
            if octet >= place || place == 1 {
                text.push(char::from(b'0' + octet / place % 10));
            }
        }
    }
    text
}

/// A path that no route matches, truncated and escaped, without the query.
fn shown(path: &str) -> String {
    path.chars()
        .take(LONGEST_PATH)
        .flat_map(char::escape_default)
        .collect()
}
