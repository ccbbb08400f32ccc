//! Metrics under a fuzzer: no request adds a text of its own to them, so their number has a bound.

use std::collections::BTreeSet;

use axum::body::Body;
use http::{HeaderValue, Method, Request};
use keyward_core::random::{Random, SeededRandom, hex};
use keyward_server::address::Peer;
use metrics_exporter_prometheus::PrometheusBuilder;
use tower::ServiceExt;

use crate::app::TestApp;

/// What every random text begins with.
const MARK: &str = "zq";
const METHODS: [&str; 12] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND",
    "zqzq", "get",
];
const STATUSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

/// Random choices, the same in every run.
struct Fuzz(SeededRandom);

impl Fuzz {
    fn below(&self, end: usize) -> usize {
        let mut bytes = [0; 2];
        self.0.fill(&mut bytes);
        usize::from(u16::from_le_bytes(bytes)) % end
    }

    fn one<'a>(&self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len())]
    }

    fn text(&self) -> String {
        format!("{MARK}{}", hex::<6>(&self.0))
    }

    /// A path of a route with random texts in the place of parameters, or any path.
    fn path(&self, templates: &[&str]) -> String {
        let segment = |segment: &str| match segment.starts_with('{') {
            true if self.below(2) == 0 => self.below(9).to_string(),
            true => self.text(),
            false => segment.to_owned(),
        };
        let path = match self.below(8) {
            0 => format!("/{}/{}", self.text(), self.text()),
            1 => format!("{}/{}", self.one(templates), self.text()).replace(['{', '}'], ""),
            _ => {
                let segments = self.one(templates).split('/').map(segment);
                segments.collect::<Vec<_>>().join("/")
            }
        };
        match self.below(3) {
            0 => format!("{path}?{}={}", self.text(), self.text()),
            _ => path,
        }
    }

    fn request(&self, templates: &[&str], tokens: &[&str]) -> Request<Body> {
        let mut request = Request::new(Body::from(self.body()));
        let method = self.one(&METHODS).as_bytes();
        *request.method_mut() = Method::from_bytes(method).expect("a method");
        *request.uri_mut() = self.path(templates).parse().expect("a path");
        let texts = [
            "host",
            "user-agent",
            "x-request-id",
            "accept",
            "x-invitation",
            "if-match",
        ];
        let headers = request.headers_mut();
        for _ in 0..self.below(3) {
            headers.insert(self.one(&texts), value(&self.text()));
        }
        let types = [
            "application/json",
            "application/x-www-form-urlencoded",
            "zqzq",
        ];
        headers.insert("content-type", value(self.one(&types)));
        match self.below(3) {
            0 => {}
            1 => drop(headers.insert("authorization", value(&format!("Bearer {}", self.text())))),
            _ => drop(headers.insert(
                "authorization",
                value(&format!("Bearer {}", self.one(tokens))),
            )),
        }
        let mut host = [127; 4];
        self.0.fill(&mut host[1..]);
        request.extensions_mut().insert(Peer((host, 4711).into()));
        request
    }

    fn body(&self) -> String {
        let (name, password) = (self.text(), self.text());
        match self.below(4) {
            0 => format!(r#"{{"username": "{name}", "password": "{password}"}}"#),
            1 => format!(
                r#"{{"email": "{name}@example.org", "password": "{password}", "name": "{name}"}}"#
            ),
            2 => format!("username={name}&password={password}"),
            _ => self.text(),
        }
    }
}

fn value(text: &str) -> HeaderValue {
    text.parse().expect("a header")
}

/// The value of a label in a line of the metrics.
fn label<'l>(line: &'l str, name: &str) -> &'l str {
    let (_, rest) = line.split_once(&format!("{name}=\"")).expect(name);
    rest.split_once('"').expect("an end").0
}

#[tokio::test]
async fn no_request_makes_a_series_that_the_program_does_not_name() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _here = metrics::set_default_local_recorder(&recorder);
    let app = TestApp::start().await;
    let paths = app.document["paths"].as_object().expect("paths");
    let templates: Vec<_> = paths.keys().map(String::as_str).collect();
    let (access, refresh) = app.pair("somebody").await;
    let operator = app.exchange_user("ops", "operator").await;
    let tokens = [&*access, &*refresh, &*operator];
    let fuzz = Fuzz(SeededRandom::new(9));
    for number in 0..6_000 {
        let sent = app.site.clone().oneshot(fuzz.request(&templates, &tokens));
        // Some are given up before their answer.
        match number % 10 {
            0 => drop(sent),
            _ => drop(sent.await),
        }
    }
    let text = recorder.handle().render();
    let counts = text
        .lines()
        .filter(|line| line.starts_with("keyward_http_request_duration_seconds_count"));
    let counts: Vec<_> = counts.collect();
    let (mut routes, mut methods, mut statuses) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for line in &counts {
        let route = label(line, "route");
        let known = route == "other"
            || route.starts_with("/swagger-ui")
            || route == "/api-docs/openapi.json"
            || templates.contains(&route);
        assert!(known, "{line}");
        routes.insert(route);
        methods.insert(label(line, "method"));
        statuses.insert(label(line, "status"));
    }
    // Each way that a series can be named is one that the requests have taken.
    assert!(routes.len() > templates.len(), "{routes:?}");
    let folded = [
        "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "other",
    ];
    assert_eq!(methods, BTreeSet::from(folded));
    assert!(
        statuses.is_subset(&BTreeSet::from(STATUSES)),
        "{statuses:?}"
    );
    assert!(
        statuses.is_superset(&BTreeSet::from(["2xx", "4xx", "5xx"])),
        "{statuses:?}"
    );
    let most = (routes.len() + 1) * folded.len() * STATUSES.len();
    assert!((1..=most).contains(&counts.len()), "{}", counts.len());
    assert!(!text.contains(MARK), "{text}");
}
