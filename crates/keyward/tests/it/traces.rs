//! Traces of a running server: what reaches a collector over OTLP/HTTP, and that nothing waits for one that is away.

use std::convert::Infallible;
use std::net::TcpListener as Port;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::metrics::{ON, scrape, value};
use crate::postgres::Database;
use crate::server::Server;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENT_SPAN: &str = "00f067aa0ba902b7";
const SERVER: i32 = 2;

/// A receiver of OTLP over HTTP, which takes all that it is sent.
struct Collector {
    url: String,
    received: UnboundedReceiver<(http::request::Parts, Bytes)>,
}

/// What a collector has received.
struct Received {
    resources: Vec<Resource>,
    spans: Vec<Span>,
    /// All bodies, as they came.
    bytes: Vec<u8>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (sender, received) = unbounded_channel();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let sender = sender.clone();
                let service = service_fn(move |request| take(request, sender.clone()));
                let connection = hyper::server::conn::http1::Builder::new();
                tokio::spawn(connection.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self {
            url: format!("http://{address}"),
            received,
        }
    }

    /// What a server sent before its end.
    fn finish(mut self, header: Option<(&str, &str)>) -> Received {
        let mut all = Received {
            resources: Vec::new(),
            spans: Vec::new(),
            bytes: Vec::new(),
        };
        while let Ok((head, body)) = self.received.try_recv() {
            assert_eq!(
                (head.method.as_str(), head.uri.path()),
                ("POST", "/v1/traces")
            );
            assert_eq!(head.headers["content-type"], "application/x-protobuf");
            if let Some((name, value)) = header {
                assert_eq!(head.headers[name], value);
            }
            let request = ExportTraceServiceRequest::decode(body.clone()).expect("protobuf");
            for group in request.resource_spans {
                all.resources.extend(group.resource);
                all.spans
                    .extend(group.scope_spans.into_iter().flat_map(|scope| scope.spans));
            }
            all.bytes.extend_from_slice(&body);
        }
        all
    }
}

async fn take(
    request: Request<Incoming>,
    to: UnboundedSender<(http::request::Parts, Bytes)>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    to.send((head, body)).expect("the test");
    Ok(Response::new(Full::default()))
}

impl Received {
    /// The one span of this name.
    #[track_caller]
    fn span(&self, name: &str) -> &Span {
        let found: Vec<_> = self.spans.iter().filter(|span| span.name == name).collect();
        let [span] = found[..] else {
            let names: Vec<_> = self.spans.iter().map(|span| &span.name).collect();
            panic!("not one {name} in {names:?}");
        };
        span
    }

    /// The spans directly below another, by name.
    fn below(&self, parent: &Span) -> Vec<&str> {
        let children = self
            .spans
            .iter()
            .filter(|span| span.parent_span_id == parent.span_id);
        let mut names: Vec<_> = children
            .inspect(|span| assert_eq!(span.trace_id, parent.trace_id))
            .map(|span| span.name.as_str())
            .collect();
        names.sort_unstable();
        names
    }
}

fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Any::StringValue(text) => Some(text.clone()),
        Any::IntValue(number) => Some(number.to_string()),
        other => panic!("{key} is {other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{CLIENT_SPAN}-{flags}")
}

/// Serves some requests that have secrets in them; the token of one of them, and the log.
async fn serve_secrets(collector: &Collector) -> (String, String) {
    let folder = TempDir::new().unwrap();
    std::fs::write(
        folder.path().join("header"),
        "X-Key: key-of-the-collector\n",
    )
    .unwrap();
    let server = Server::start_with(
        folder.path(),
        "",
        &[
            ("KEYWARD_TRACES__OTLP_ENDPOINT", &collector.url),
            ("KEYWARD_TRACES__HEADER_FILE", "header"),
            ("KEYWARD_TRACES__SERVICE_NAME", "login"),
        ],
    );
    server.register("alice", "secret-password").await;
    let login = server
        .post("/login?token=secret-query")
        .header("traceparent", traceparent("01"))
        .header("content-type", "application/json")
        .header("user-agent", "secret-agent")
        .body(r#"{"username": "alice", "password": "secret-password"}"#);
    let answer = login.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let token: serde_json::Value = answer.json().await.unwrap();
    let token = token["token"].as_str().unwrap().to_owned();
    assert_eq!(server.status_for(&token).await, 200);
    server.get("/secret-path/x").send().await.unwrap();
    let unrecorded = server
        .get("/health/live")
        .header("traceparent", traceparent("00"));
    unrecorded.send().await.unwrap();
    let log = server.log_path();
    let (status, _) = server.stop();
    assert!(status.success());
    (token, std::fs::read_to_string(log).unwrap())
}

#[track_caller]
fn assert_attributes(attributes: &[KeyValue], expected: &[(&str, &str)]) {
    for (key, expected) in expected {
        let found = attribute(attributes, key);
        assert_eq!(found.as_deref(), Some(*expected), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_reach_the_collector_within_the_traces_of_their_clients_and_without_their_content()
{
    let collector = Collector::start().await;
    let (token, log) = serve_secrets(&collector).await;
    let received = collector.finish(Some(("x-key", "key-of-the-collector")));
    assert_attributes(
        &received.resources[0].attributes,
        &[
            ("service.name", "login"),
            ("service.version", env!("CARGO_PKG_VERSION")),
        ],
    );
    let login = received.span("POST /login");
    let ids = (hex(&login.trace_id), hex(&login.parent_span_id));
    assert_eq!(ids, (TRACE.into(), CLIENT_SPAN.into()));
    assert_eq!(login.kind, SERVER);
    assert!(login.end_time_unix_nano > login.start_time_unix_nano);
    assert_attributes(
        &login.attributes,
        &[
            ("http.request.method", "POST"),
            ("http.route", "/login"),
            ("http.response.status_code", "200"),
            ("network.protocol.version", "1.1"),
        ],
    );
    assert_eq!(received.below(login), ["commit", "hash password"]);
    // A request without a trace begins one, which its line in the log names.
    let list = received.span("GET /api/v1/customers/customers");
    assert!(list.parent_span_id.is_empty() && hex(&list.trace_id) != TRACE);
    let unknown = received.span("GET");
    assert_attributes(&unknown.attributes, &[("http.response.status_code", "404")]);
    let names = received.spans.iter().map(|span| &span.name);
    assert!(names.clone().all(|name| name != "GET /health/live"));

    for (span, path) in [(login, "/login"), (list, "/api/v1/customers/customers")] {
        let path = format!(" path={path} ");
        let line = log.lines().find(|line| line.contains(&path)).expect(&path);
        let trace = format!("trace={}", hex(&span.trace_id));
        assert!(line.contains(&trace), "{line}");
    }
    let sent = String::from_utf8_lossy(&received.bytes);
    for secret in ["secret-", "alice", &token, "key-of-the-collector"] {
        assert!(!sent.contains(secret), "{secret}");
    }
    assert!(!log.contains("key-of-the-collector"));
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_on_postgresql_are_parts_of_their_request_and_have_no_values() {
    let Some(database) = Database::create().await else {
        return;
    };
    let collector = Collector::start().await;
    let (folder, url) = (TempDir::new().unwrap(), database.url());
    let server = Server::start_with(
        folder.path(),
        "",
        &[
            ("KEYWARD_DATABASE", &url),
            ("KEYWARD_TRACES__OTLP_ENDPOINT", &collector.url),
        ],
    );
    server.register("alice", "secret-password").await;
    server.log_in("alice", "secret-password").await;
    server.stop();
    let received = collector.finish(None);
    let login = received.span("POST /login");
    let children: Vec<_> = received
        .spans
        .iter()
        .filter(|span| span.parent_span_id == login.span_id)
        .filter_map(|span| attribute(&span.attributes, "db.query.text"))
        .collect();
    assert!(
        children.iter().any(|sql| sql.contains("FROM accounts")),
        "{children:?}"
    );
    let systems: Vec<_> = received
        .spans
        .iter()
        .filter_map(|span| attribute(&span.attributes, "db.system.name"))
        .collect();
    assert!(!systems.is_empty() && systems.iter().all(|system| system == "postgresql"));
    assert!(!String::from_utf8_lossy(&received.bytes).contains("alice"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_or_silent_delays_neither_requests_nor_the_stop() {
    let silent = Port::bind("127.0.0.1:0").unwrap();
    let away = Port::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (address, is_silent) in [(away, false), (silent.local_addr().unwrap(), true)] {
        let folder = TempDir::new().unwrap();
        let endpoint = format!("http://{address}");
        let server = Server::start_with(
            folder.path(),
            "",
            &[("KEYWARD_TRACES__OTLP_ENDPOINT", &endpoint), ON],
        );
        let begun = Instant::now();
        server.register("alice", "secret").await;
        // Several batches, of which only the first failure is reported.
        let mut sent = 1.0;
        if !is_silent {
            while !server.log().contains("spans_not_exported") || sent < 3_000.0 {
                assert_eq!(
                    server.get("/health/live").send().await.unwrap().status(),
                    200
                );
                sent += 1.0;
                assert!(
                    begun.elapsed() < Duration::from_secs(60),
                    "{}",
                    server.log()
                );
            }
            let text = scrape(&server).await;
            let count = |result| {
                value(
                    &text,
                    &format!("keyward_spans_total{{result=\"{result}\"}}"),
                )
            };
            let lost = count("failed") + count("dropped");
            assert!(count("exported") == 0.0 && lost >= 3.0, "{text}");
        }
        let (log, stopping) = (server.log_path(), Instant::now());
        let (status, _) = server.stop();
        let took = stopping.elapsed();
        assert!(
            status.success() && took < Duration::from_secs(8),
            "{took:?}"
        );
        let log = std::fs::read_to_string(log).unwrap();
        let reports = log.matches("spans_not_exported").count();
        assert!(reports == usize::from(!is_silent), "{log}");
        if is_silent {
            assert!(log.contains("the last spans were not exported"), "{log}");
        }
    }
}

#[tokio::test]
async fn without_a_collector_a_request_has_no_trace() {
    let folder = TempDir::new().unwrap();
    // The filter of the log lets every span through.
    let server = Server::start_with(folder.path(), "", &[("KEYWARD_LOG__LEVEL", "trace")]);
    server.get("/health/live").send().await.unwrap();
    let log = server.log_path();
    server.stop();
    let log = std::fs::read_to_string(log).unwrap();
    let line = log
        .lines()
        .find(|line| line.contains(" path=/health/live "))
        .unwrap();
    assert!(!line.contains("trace="), "{line}");
}
