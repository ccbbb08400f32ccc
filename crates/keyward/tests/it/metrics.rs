//! The metrics of a running server: where they are served, what they say, and that nothing waits for them.

use std::net::TcpListener;
use std::time::Duration;

use reqwest::Client;
use tempfile::TempDir;

use crate::server::{Server, keyward_with};

/// Serve metrics on a free port, which the log names.
pub(crate) const ON: (&str, &str) = ("KEYWARD_METRICS__LISTEN", "127.0.0.1:0");

/// Where the server serves its metrics, as its log says it.
pub(crate) fn address(server: &Server) -> String {
    let log = server.log();
    let mut lines = log.lines().filter(|line| line.contains("serving metrics"));
    let line = lines.next_back().expect("a line of the log");
    let (_, address) = line.split_once("address=").expect("an address");
    address.split_whitespace().next().unwrap().to_owned()
}

/// The metrics of a server as text.
pub(crate) async fn scrape(server: &Server) -> String {
    let url = format!("http://{}/metrics", address(server));
    let answer = Client::new().get(url).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    assert_eq!(
        answer.headers()["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    answer.text().await.expect("text")
}

/// The value of the one series that begins so.
#[track_caller]
pub(crate) fn value(text: &str, series: &str) -> f64 {
    let mut found = text.lines().filter(|line| line.starts_with(series));
    let (Some(line), None) = (found.next(), found.next()) else {
        panic!("not one series begins with {series}:\n{text}");
    };
    line.rsplit_once(' ').unwrap().1.parse().expect("a number")
}

#[tokio::test]
async fn requests_are_counted_by_route_method_and_class_of_status() {
    let folder = TempDir::new().unwrap();
    let server = Server::start_with(folder.path(), "", &[ON]);
    server.register("alice", "secret").await;
    for _ in 0..3 {
        server.status_for("no token").await;
    }
    server.get("/nowhere/at/all").send().await.unwrap();
    let text = scrape(&server).await;
    for (series, expected) in [
        (r#"{route="/register",method="POST",status="2xx"} "#, 1.0),
        (
            r#"{route="/api/v1/customers/customers",method="GET",status="4xx"} "#,
            3.0,
        ),
        // From the first request of a route on, a rate of its errors begins at zero.
        (
            r#"{route="/api/v1/customers/customers",method="GET",status="5xx"} "#,
            0.0,
        ),
        (r#"{route="other",method="GET",status="4xx"} "#, 1.0),
    ] {
        let series = format!("keyward_http_request_duration_seconds_count{series}");
        assert_eq!(value(&text, &series), expected, "{series}");
    }
    let buckets = text.lines().filter(|line| {
        line.starts_with(r#"keyward_http_request_duration_seconds_bucket{route="/register",method="POST",status="2xx""#)
    });
    let counts: Vec<f64> = buckets
        .map(|line| line.rsplit_once(' ').unwrap().1.parse().unwrap())
        .collect();
    assert!(
        counts.is_sorted() && counts.last() == Some(&1.0),
        "{counts:?}"
    );
    assert_eq!(value(&text, "keyward_ready "), 1.0);
    assert_eq!(value(&text, "keyward_build_info{"), 1.0);
    assert!(value(&text, "process_resident_memory_bytes ") > 1e6);
    assert!(value(&text, "process_open_fds ") > 5.0);
}

#[tokio::test]
async fn the_listener_answers_nothing_else_and_nothing_is_served_on_the_other() {
    let folder = TempDir::new().unwrap();
    let server = Server::start_with(folder.path(), "", &[ON]);
    let of_metrics = |path: &str| Client::new().get(format!("http://{}{path}", address(&server)));
    for path in ["/", "/health", "/metrics/x"] {
        assert_eq!(
            of_metrics(path).send().await.unwrap().status(),
            404,
            "{path}"
        );
    }
    let posted = Client::new().post(format!("http://{}/metrics", address(&server)));
    assert_eq!(posted.send().await.unwrap().status(), 405);
    assert_eq!(server.get("/metrics").send().await.unwrap().status(), 404);
    // A head that is too large, and asking for metrics, are no requests of the server's.
    let large = of_metrics("/metrics").header("x-large", "x".repeat(20_000));
    assert_eq!(large.send().await.unwrap().status(), 431);
    let text = scrape(&server).await;
    assert!(!text.contains(r#"route="/metrics""#), "{text}");
}

#[tokio::test]
async fn a_connection_of_the_monitoring_does_not_hold_up_a_stop() {
    let folder = TempDir::new().unwrap();
    let server = Server::start_with(folder.path(), "", &[ON]);
    let client = Client::new();
    let url = format!("http://{}/metrics", address(&server));
    assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
    let started = std::time::Instant::now();
    let (status, _) = server.stop();
    assert!(status.success(), "{status}");
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
    assert!(client.get(&url).send().await.is_err(), "the port is open");
}

#[tokio::test]
async fn a_taken_port_keeps_a_server_from_starting_only_if_it_was_chosen() {
    let folder = TempDir::new().unwrap();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap().to_string();
    let env = [("KEYWARD_METRICS__LISTEN", taken.as_str())];
    let refused = keyward_with(folder.path(), "serve --listen 127.0.0.1:0", &env, "");
    let errors = refused.failed(1);
    assert!(
        errors.contains("metrics.listen") && errors.contains(&taken),
        "{errors}"
    );
    // The usual port is one for the machine: whoever has it, both servers start, and at most one serves metrics there.
    let auto = [("KEYWARD_METRICS__LISTEN", "auto")];
    let other = TempDir::new().unwrap();
    let servers = [folder, other].map(|folder| {
        let server = Server::start_with(folder.path(), "", &auto);
        (server, folder)
    });
    let served = servers
        .iter()
        .filter(|(server, _)| server.log().contains("serving metrics"));
    assert!(served.count() <= 1);
    let (second, _) = &servers[1];
    assert!(
        second.log().contains("no metrics are served"),
        "{}",
        second.log()
    );
    assert_eq!(
        second.get("/health/ready").send().await.unwrap().status(),
        200
    );
}
