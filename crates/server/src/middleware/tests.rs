//! Ids, headers, panics and the log, on a router without a server.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Mutex;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request};
use axum::response::Response;
use axum::routing::get;
use futures_util::FutureExt as _;
use http::{HeaderValue, Method, StatusCode};
use keyward_core::memory::Budget;
use keyward_core::random::SeededRandom;
use tower::ServiceExt;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::*;
use crate::address::{ClientAddress, Peer};
use crate::hosts::Hosts;

fn site(access_log: bool) -> Site {
    let routes = Router::new()
        .route(
            "/",
            get(|ClientAddress(address): ClientAddress| async move { address.to_string() }),
        )
        .route(
            "/customers/{id}",
            get(|Path(id): Path<String>| async move { id }),
        )
        .route(
            "/page",
            get(|| async { ([("content-security-policy", "default-src 'self'")], "") }),
        )
        .route("/panic", get(panics))
        .route("/tagged", get(|| async { ([("etag", "\"1\"")], "") }))
        .route(
            "/public",
            get(|| async { ([("cache-control", "max-age=600")], "") }),
        )
        .route("/held", get(std::future::pending::<()>))
        .fallback(|| async { StatusCode::NOT_FOUND });
    let proxies = Arc::new(TrustedProxies::parse(["10.0.0.1"]).unwrap());
    let edge = Edge {
        random: Arc::new(SeededRandom::new(7)),
        proxies,
        memory: Budget::new(64 << 20),
        hosts: Hosts::Any,
        templates: ["/", "/customers/{id}", "/panic", "/held"]
            .into_iter()
            .collect(),
        access_log,
        traced: false,
        strict_transport: None,
    };
    Site::new(routes, edge)
}

async fn panics() {
    panic!("a secret of the handler");
}

/// Sends `GET path` from `peer` with headers `name: value`.
async fn send(site: &Site, peer: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    let request = request(peer, path, headers);
    site.clone().oneshot(request).await.unwrap()
}

fn request(peer: &str, path: &str, headers: &[(&str, &str)]) -> Request {
    let mut request = Request::builder().uri(path);
    for (name, value) in headers {
        request = request.header(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let mut request = request.body(Body::empty()).unwrap();
    let address = SocketAddr::new(peer.parse().unwrap(), 4711);
    request.extensions_mut().insert(Peer(address));
    request
}

async fn text(response: Response) -> String {
    String::from_utf8(
        to_bytes(response.into_body(), 10_000)
            .await
            .unwrap()
            .to_vec(),
    )
    .unwrap()
}

fn id(response: &Response) -> String {
    response.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn each_request_has_an_id_of_its_own() {
    let site = site(false);
    let first = send(&site, "203.0.113.9", "/", &[]).await;
    let second = send(&site, "203.0.113.9", "/nowhere", &[]).await;
    assert_ne!(id(&first), id(&second));
    for id in [id(&first), id(&second)] {
        assert!(
            id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{id}"
        );
    }
    assert_eq!(text(first).await, "203.0.113.9");
}

#[tokio::test]
async fn a_trusted_proxy_names_the_request_and_the_client_but_nobody_else_does() {
    let site = site(false);
    let headers = [
        ("x-request-id", "Edge-1_a.b"),
        ("x-forwarded-for", "1.1.1.1"),
    ];
    let vouched = send(&site, "10.0.0.1", "/", &headers).await;
    assert_eq!(id(&vouched), "Edge-1_a.b");
    assert_eq!(text(vouched).await, "1.1.1.1");
    let spoofed = send(&site, "203.0.113.9", "/", &headers).await;
    assert_ne!(id(&spoofed), "Edge-1_a.b");
    assert_eq!(text(spoofed).await, "203.0.113.9");
}

#[tokio::test]
async fn an_id_that_is_none_is_replaced_even_if_a_proxy_sends_it() {
    let site = site(false);
    let long = "x".repeat(65);
    for sent in ["", "a b", "a\"b", "a/b", "ä", &long] {
        let answer = send(&site, "10.0.0.1", "/", &[("x-request-id", sent)]).await;
        assert_eq!(id(&answer).len(), 16, "{sent}");
    }
    let twice = [("x-request-id", "one"), ("x-request-id", "two")];
    assert_eq!(id(&send(&site, "10.0.0.1", "/", &twice).await).len(), 16);
    let longest = send(&site, "10.0.0.1", "/", &[("x-request-id", &long[1..])]).await;
    assert_eq!(id(&longest), long[1..]);
}

#[tokio::test]
async fn every_answer_has_the_headers_that_protect_browsers() {
    let site = site(false);
    for path in ["/", "/nowhere", "/panic"] {
        let answer = send(&site, "203.0.113.9", path, &[]).await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
            ("content-security-policy", "frame-ancestors 'none'"),
        ] {
            assert_eq!(answer.headers()[name], value, "{path}");
        }
    }
    let page = send(&site, "203.0.113.9", "/page", &[]).await;
    let policies: Vec<_> = page
        .headers()
        .get_all("content-security-policy")
        .iter()
        .collect();
    assert_eq!(policies, ["default-src 'self'"]);
}

#[tokio::test]
async fn a_handler_that_panics_is_answered_500_without_a_word_of_it() {
    let site = site(false);
    let answer = send(&site, "203.0.113.9", "/panic", &[]).await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let body = text(answer).await;
    assert!(
        body.contains("\"status\":500") && !body.contains("secret"),
        "{body}"
    );
}

#[tokio::test]
async fn every_line_of_a_request_has_the_trace_that_its_client_named_and_the_answer_has_nothing_of_it()
 {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let site = site(true);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let header = format!("00-{trace}-00f067aa0ba902b7-01");
    let answer = send(&site, "203.0.113.9", "/panic", &[("traceparent", &header)]).await;
    assert!(!answer.headers().contains_key("traceparent"));
    send(
        &site,
        "203.0.113.9",
        "/",
        &[("traceparent", "00-no-trace-00")],
    )
    .await;

    let lines = log.0.lock().unwrap();
    let named = format!("trace={trace}");
    let has_trace: Vec<_> = lines.iter().map(|line| line.contains(&named)).collect();
    assert_eq!(has_trace, [true, true, false], "{lines:#?}");
    assert!(!lines[2].contains("trace="), "{}", lines[2]);
}

#[tokio::test]
async fn the_log_has_a_line_a_request_with_the_route_and_without_query_or_credentials() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let site = site(true);
    let secrets = [("authorization", "Bearer secret"), ("cookie", "secret")];
    send(
        &site,
        "203.0.113.9",
        "/customers/secret?token=secret",
        &secrets,
    )
    .await;
    let long = format!("/nowhere/%0a{}?secret", "x".repeat(1_000));
    send(&site, "203.0.113.9", &long, &secrets).await;
    send(&site, "203.0.113.9", "/panic", &secrets).await;

    let lines = log.0.lock().unwrap();
    let access: Vec<_> = lines
        .iter()
        .filter(|line| line.starts_with("access INFO "))
        .collect();
    assert_eq!(access.len(), 3, "{lines:#?}");
    for expected in [
        "path=/customers/{id} status=200 ",
        "address=203.0.113.9 method=GET ",
    ] {
        assert!(access[0].contains(expected), "{}", access[0]);
    }
    assert!(access[1].contains("path=/nowhere/%0ax"), "{}", access[1]);
    assert!(
        access[1].contains(" status=404 ") && access[1].len() < 400,
        "{}",
        access[1]
    );
    assert!(
        access[2].contains("path=/panic status=500 "),
        "{}",
        access[2]
    );
    assert!(
        access.iter().all(|line| !line.contains("secret")),
        "{access:#?}"
    );
}

#[tokio::test]
async fn a_malformed_request_is_refused_with_an_id_and_a_line_in_the_log_and_reaches_no_handler() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let site = site(true);
    for malformed in [Malformed::Host, Malformed::Coding] {
        let request = request("203.0.113.9", "/panic", &[]);
        let answer = site.clone().pass(request, Some(malformed)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        let id = id(&answer);
        let body = text(answer).await;
        assert!(body.contains(malformed.message()), "{body}");
        let line = log.0.lock().unwrap().pop().unwrap();
        assert!(
            line.contains(&id) && line.contains("/panic") && line.contains("status=400"),
            "{line}"
        );
    }
}

#[tokio::test]
async fn a_request_that_is_given_up_before_its_answer_has_a_line_too() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let held = site(true).pass(request("203.0.113.9", "/held", &[]), None);
    assert!(held.now_or_never().is_none());
    let lines = log.0.lock().unwrap();
    let [line] = &lines[..] else {
        panic!("{lines:?}");
    };
    let parts = [
        "path=/held status=- ",
        "address=203.0.113.9 method=GET ",
        " client=left",
        " id=",
    ];
    assert!(parts.iter().all(|part| line.contains(part)), "{line}");
}

#[tokio::test]
async fn an_answer_whose_client_has_left_says_so_in_its_line() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let site = site(true);
    let mut left = site.clone().pass(request("203.0.113.9", "/", &[]), None);
    left.lose_client();
    left.await.unwrap();
    site.pass(request("203.0.113.9", "/", &[]), None)
        .await
        .unwrap();
    let lines = log.0.lock().unwrap();
    let said: Vec<_> = lines
        .iter()
        .map(|line| line.contains("status=200") && line.contains("client=left"))
        .collect();
    assert_eq!(said, [true, false], "{lines:?}");
}

#[tokio::test]
async fn no_cache_keeps_an_answer_unless_it_is_for_everybody() {
    let site = site(false);
    for (path, expected) in [
        ("/", "no-store"),
        ("/nowhere", "no-store"),
        ("/panic", "no-store"),
        ("/tagged", "private, no-cache"),
        ("/public", "max-age=600"),
    ] {
        let answer = send(&site, "203.0.113.9", path, &[]).await;
        let all: Vec<_> = answer.headers().get_all("cache-control").iter().collect();
        assert_eq!(all, [expected], "{path}");
    }
}

#[tokio::test]
async fn an_escaped_letter_is_the_letter_to_the_routes_and_to_the_log() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let site = site(true);
    for (path, expected) in [
        ("/%63ustomers/%61", "a"),
        ("/customers/%2541", "%41"),
        ("/customers/%25%34%31", "%41"),
        ("/customers/a%2Fb", "a/b"),
        ("/customers/%2e%2E", ".."),
    ] {
        assert_eq!(
            text(send(&site, "203.0.113.9", path, &[]).await).await,
            expected,
            "{path}"
        );
        let line = log.0.lock().unwrap().pop().unwrap();
        assert!(line.contains("path=/customers/{id} "), "{line}");
    }
    let climbing = send(&site, "203.0.113.9", "/customers/%2e%2e/panic", &[]).await;
    assert_eq!(climbing.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_request_for_a_host_that_is_not_this_servers_reaches_no_handler() {
    let mut site = site(false);
    let edge = Arc::get_mut(&mut site.edge).unwrap();
    edge.hosts = Hosts::Loopback;
    let rebound = [("host", "evil.example")];
    let refused = send(&site, "127.0.0.1", "/", &rebound).await;
    assert_eq!(refused.status(), StatusCode::MISDIRECTED_REQUEST);
    let body = text(refused).await;
    for setting in ["http.hosts", "http.trusted_proxies"] {
        assert!(body.contains(setting) && !body.contains("evil"), "{body}");
    }
    // No route has the path here: a probe is let through to the router.
    let probe = send(&site, "127.0.0.1", "/health/live", &rebound).await;
    assert_eq!(probe.status(), StatusCode::NOT_FOUND);
    let vouched = send(&site, "10.0.0.1", "/", &rebound).await;
    assert_eq!(vouched.status(), StatusCode::OK);
    for host in ["localhost:5000", "[::1]"] {
        let here = send(&site, "127.0.0.1", "/", &[("host", host)]).await;
        assert_eq!(here.status(), StatusCode::OK, "{host}");
    }
}

#[tokio::test]
async fn options_for_the_server_itself_is_answered() {
    for (method, expected) in [
        (Method::OPTIONS, StatusCode::NO_CONTENT),
        (Method::GET, StatusCode::NOT_FOUND),
    ] {
        let mut asked = request("203.0.113.9", "*", &[]);
        *asked.method_mut() = method;
        let answer = site(false).pass(asked, None).await.unwrap();
        assert_eq!(answer.status(), expected);
        assert!(answer.headers().contains_key("x-request-id"));
    }
}

#[tokio::test]
async fn the_log_can_be_switched_off() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    send(&site(false), "203.0.113.9", "/", &[]).await;
    assert_eq!(*log.0.lock().unwrap(), Vec::<String>::new());
}

/// Every event as a line: target, level, then its fields.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        write!(self.0, " {field}={value}").unwrap();
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && !metadata.target().starts_with("axum")
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(format!(
            "{} {}",
            event.metadata().target(),
            event.metadata().level()
        ));
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
