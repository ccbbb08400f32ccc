//! The span of a request, for the traces that the program exports.
//!
//! Invariant: its attributes are texts of the program and the status, by OpenTelemetry's semantic conventions. Of what the
//! client sent it has the ids of the client's span, and nothing else.

use http::{Method, StatusCode, Version};
use keyward_core::span;
use opentelemetry::Context;
use opentelemetry::trace::{Status, TraceContextExt as _};
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use super::log::version_text;
use super::measured::{Route, method_name};
use super::trace::{Parent, TraceId};

/// Begins the span of a request, within that of its client, and gives the id of its trace.
pub(super) fn begin(
    method: &Method,
    version: Version,
    route: &Route,
    parent: Option<Parent>,
) -> (Span, Option<TraceId>) {
    let method = match method_name(method) {
        "other" => "_OTHER",
        method => method,
    };
    let template = route.template();
    let name = match template {
        Some(template) => format!("{method} {template}"),
        None => method.to_owned(),
    };
    let span = info_span!(
        target: span::TARGET,
        parent: None,
        "request",
        otel.name = name,
        otel.kind = "server",
        http.request.method = method,
        http.route = template,
        network.protocol.version = version_text(version),
    );
    if let Some(parent) = parent {
        let context = Context::new().with_remote_span_context(parent.context());
        // It fails where nothing exports the span, which then has no parent either.
        let _ = span.set_parent(context);
    }
    let context = span.context();
    let own = context.span().span_context().clone();
    let trace = own.is_valid().then(|| own.trace_id().into());
    (span, trace.or(parent.map(|parent| parent.trace)))
}

/// Adds how the request ended. `status` is `None` if it was abandoned before its response.
pub(super) fn end(span: &Span, status: Option<StatusCode>) {
    let Some(status) = status else {
        return span.set_attribute("error.type", "abandoned");
    };
    span.set_attribute("http.response.status_code", i64::from(status.as_u16()));
    if status.is_server_error() {
        span.set_attribute("error.type", status.as_str().to_owned());
        span.set_status(Status::error(""));
    }
}
