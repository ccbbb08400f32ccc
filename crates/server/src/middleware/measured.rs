//! How long requests take, by route, method and class of status.
//!
//! Invariant: while a request is answered, its histogram is found by an index. It is registered by name once, with the first
//! request of its kind, so that a server has only the series of requests that occur.

use std::array;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{Method, StatusCode};
use keyward_core::metrics::{Metric, WAITS, histogram};
use metrics::{Histogram, SharedString};

/// The metric of requests.
pub(crate) const REQUESTS: Metric = histogram(
    "keyward_http_request_duration_seconds",
    WAITS,
    &["route", "method", "status"],
    "Time from the head of a request to the head of its response.",
);

/// The route of a request that no route matches.
const NO_ROUTE: &str = "other";
const METHODS: [&str; 8] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other",
];
/// Classes of status. A request that was abandoned before its response has none.
const STATUSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];
const SERVER_ERROR: usize = 4;

/// A route: its template, and the histograms of its requests.
pub(super) struct Route {
    template: Option<Arc<str>>,
    histograms: [[OnceLock<Histogram>; STATUSES.len()]; METHODS.len()],
}

impl Route {
    /// The route with this template; `None` stands for requests that no route matches.
    pub(super) fn new(template: Option<&str>) -> Self {
        Self {
            template: template.map(Arc::from),
            histograms: Default::default(),
        }
    }

    /// A route without a template whose requests are not measured.
    pub(super) fn unmeasured() -> Self {
        let nothing = || OnceLock::from(Histogram::noop());
        Self {
            template: None,
            histograms: array::from_fn(|_| array::from_fn(|_| nothing())),
        }
    }

    pub(super) fn template(&self) -> Option<&str> {
        self.template.as_deref()
    }

    /// Counts a request and its duration. `status` is `None` if the request was abandoned before its response.
    pub(super) fn record(&self, method: &Method, status: Option<StatusCode>, took: Duration) {
        let method = index_of_method(method);
        let status = index_of_status(status);
        let register = |status: usize| self.register(method, status);
        let histograms = &self.histograms[method];
        let histogram = histograms[status].get_or_init(|| {
            // With the first request of any kind, so that the number of errors begins at zero and a rate shows the first.
            if status != SERVER_ERROR {
                histograms[SERVER_ERROR].get_or_init(|| register(SERVER_ERROR));
            }
            register(status)
        });
        histogram.record(took);
    }

    fn register(&self, method: usize, status: usize) -> Histogram {
        let route = match &self.template {
            Some(template) => SharedString::from_shared(Arc::clone(template)),
            None => SharedString::const_str(NO_ROUTE),
        };
        REQUESTS.histogram([route, METHODS[method].into(), STATUSES[status].into()])
    }
}

/// The method, if it is one of the usual ones.
pub(super) fn method_name(method: &Method) -> &'static str {
    METHODS[index_of_method(method)]
}

fn index_of_method(method: &Method) -> usize {
    match *method {
        Method::GET => 0,
        Method::HEAD => 1,
        Method::POST => 2,
        Method::PUT => 3,
        Method::PATCH => 4,
        Method::DELETE => 5,
        Method::OPTIONS => 6,
        _ => 7,
    }
}

fn index_of_status(status: Option<StatusCode>) -> usize {
    match status.map(|status| status.as_u16() / 100) {
        Some(class @ 1..=5) => usize::from(class) - 1,
        _ => 5,
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("Route")
            .field(&self.template)
            .finish()
    }
}
