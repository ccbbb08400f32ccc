//! The metrics of a running server: where they are served, what they say, and that nothing waits for them.

use std::net::TcpListener;
use std::time::Duration;

use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::postgres::{Cable, Database, State};
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
    let text = scrape(&server).await;
    let open = |listener| {
        value(
            &text,
            &format!(r#"keyward_http_connections{{listener="{listener}"}} "#),
        )
    };
    assert_eq!(open("http"), 1.0, "{text}");
    assert!(open("metrics") >= 1.0, "{text}");
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
    // The usual port is one for the machine. While it is taken, by this test or by another program, a server starts.
    let usual = TcpListener::bind("127.0.0.1:9464");
    let server = Server::start_with(folder.path(), "", &[("KEYWARD_METRICS__LISTEN", "auto")]);
    let ready = server.get("/health/ready").send().await.unwrap();
    assert_eq!(ready.status(), 200);
    let (log, unserved) = (server.log(), "no metrics are served");
    // Where another program had it, that may have let it go since.
    let has_other = usual.is_err() && log.contains("serving metrics");
    assert!(log.contains(unserved) || has_other, "{log}");
}

/// Asserts the values of these series, each of which is there.
#[track_caller]
fn assert_values(text: &str, expected: &[(&str, f64)]) {
    for (series, expected) in expected {
        assert_eq!(
            value(text, &format!("{series} ")),
            *expected,
            "{series}\n{text}"
        );
    }
}

/// Logs in, rightly and wrongly, refreshes a token twice, and logs out.
async fn use_accounts(server: &Server) {
    server.register("alice", "secret").await;
    server.log_in("alice", "secret").await;
    for (name, password) in [("alice", "wrong"), ("nobody", "secret"), ("alice", "wrong")] {
        assert_eq!(server.try_log_in(name, password).await.status(), 401);
    }
    let pair = json!({"username": "alice", "password": "secret"});
    let login = server.post("/api/v1/authentication/login").json(&pair);
    let login: Value = login.send().await.unwrap().json().await.unwrap();
    let refresh = login["refresh_token"].as_str().unwrap();
    for (token, status) in [(refresh, 200), (refresh, 401), ("none", 401)] {
        let request = server
            .post("/api/v1/authentication/refresh")
            .bearer_auth(token);
        assert_eq!(request.send().await.unwrap().status(), status);
    }
    let token = server.log_in("alice", "secret").await;
    assert_eq!(server.status_for(&token).await, 200);
    let log_out = server
        .post("/api/v1/authentication/logout")
        .bearer_auth(&token);
    assert_eq!(log_out.send().await.unwrap().status(), 204);
    assert_eq!(server.status_for(&token).await, 401);
    assert_eq!(server.try_log_in("alice", "secret").await.status(), 200);
    assert_eq!(server.try_log_in("alice", "secret").await.status(), 429);
}

#[tokio::test]
async fn logins_refreshes_and_sessions_are_counted_by_what_came_of_them() {
    let folder = TempDir::new().unwrap();
    let env = [
        ON,
        ("KEYWARD_LIMITS__ENABLED", "true"),
        ("KEYWARD_LIMITS__LOGINS_PER_ACCOUNT", "6"),
    ];
    let server = Server::start_with(folder.path(), "", &env);
    use_accounts(&server).await;
    let text = scrape(&server).await;
    assert_values(
        &text,
        &[
            (r#"keyward_logins_total{realm="default",result="ok"}"#, 4.0),
            (
                r#"keyward_logins_total{realm="default",result="wrong_password"}"#,
                2.0,
            ),
            (
                r#"keyward_logins_total{realm="default",result="unknown_name"}"#,
                1.0,
            ),
            (
                r#"keyward_logins_total{realm="default",result="limited"}"#,
                1.0,
            ),
            (r#"keyward_logins_total{realm="ops",result="ok"}"#, 0.0),
            (
                r#"keyward_limit_exceeded_total{limit="logins_per_account"}"#,
                1.0,
            ),
            (r#"keyward_token_refreshes_total{result="rotated"}"#, 1.0),
            (r#"keyward_token_refreshes_total{result="reused"}"#, 1.0),
            (r#"keyward_token_refreshes_total{result="refused"}"#, 1.0),
            (r#"keyward_sessions_opened_total{realm="default"}"#, 4.0),
            (r#"keyward_sessions_closed_total{reason="replay"}"#, 1.0),
            (r#"keyward_sessions_closed_total{reason="logout"}"#, 1.0),
            (
                r#"keyward_token_check_duration_seconds_count{result="valid"}"#,
                1.0,
            ),
            (
                r#"keyward_token_check_duration_seconds_count{result="invalid"}"#,
                1.0,
            ),
            (r#"keyward_open_sessions{realm="default"}"#, 2.0),
            (r#"keyward_open_sessions{realm="ops"}"#, 0.0),
            ("keyward_closed_sessions", 2.0),
            ("keyward_unwritten_closures", 0.0),
            ("keyward_database_went_back_total", 0.0),
            // One to register, seven to check.
            ("keyward_password_hash_duration_seconds_count", 8.0),
            ("keyward_password_queue_wait_seconds_count", 8.0),
            ("keyward_password_queue_length", 0.0),
        ],
    );
    // A commit for each write, since none waited for another.
    let commits = value(&text, "keyward_sqlite_commit_duration_seconds_count ");
    let writes = value(&text, "keyward_sqlite_commit_writes_sum ");
    assert!(commits >= 8.0 && writes >= commits, "{commits} {writes}");
    assert!(value(&text, "keyward_revocation_feed_lag_seconds ") < 30.0);
}

#[tokio::test]
async fn bytes_of_files_are_counted_and_the_reserve_of_the_disk_is_shown() {
    let folder = TempDir::new().unwrap();
    let env = [ON, ("KEYWARD_FILES__MIN_FREE", "1MiB")];
    let server = Server::start_with(folder.path(), "", &env);
    let form = json!({"username": "operator", "password": "secret"});
    let sign_up = server.post("/ops/signup").json(&form).send().await.unwrap();
    assert_eq!(sign_up.status(), 201);
    let token = server.post("/ops/login").json(&form).send().await.unwrap();
    let token = token.text().await.unwrap();
    let part = reqwest::multipart::Part::bytes(vec![7; 100_000]).file_name("a.bin");
    let upload = server.post("/ops/upload").bearer_auth(&token);
    let upload = upload.multipart(reqwest::multipart::Form::new().part("request_file", part));
    assert_eq!(upload.send().await.unwrap().status(), 201);
    let text = scrape(&server).await;
    assert_values(
        &text,
        &[
            (
                r#"keyward_file_bytes_total{direction="uploaded"}"#,
                100_000.0,
            ),
            (r#"keyward_file_bytes_total{direction="downloaded"}"#, 0.0),
            ("keyward_files", 1.0),
            ("keyward_stored_file_bytes", 100_000.0),
            ("keyward_unfinished_upload_bytes", 0.0),
            ("keyward_disk_reserve_bytes", f64::from(1 << 20)),
        ],
    );
    assert!(value(&text, "keyward_disk_free_bytes ") > f64::from(1 << 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn on_postgresql_the_pool_is_measured_and_a_server_that_is_cut_off_is_not_ready() {
    let Some(database) = Database::create().await else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let cable = Cable::lay(&database).await;
    let env = [ON, ("KEYWARD_DATABASE", cable.url.as_str())];
    let server = Server::start_with(folder.path(), "", &env);
    server.register("alice", "secret").await;
    server.log_in("alice", "secret").await;
    let text = scrape(&server).await;
    let connections = |state| {
        value(
            &text,
            &format!(r#"keyward_postgres_connections{{state="{state}"}} "#),
        )
    };
    // The scrape itself may be using the only one.
    let all = connections("idle") + connections("busy");
    assert!(all >= 1.0, "{text}");
    assert!(all <= value(&text, "keyward_postgres_max_connections "));
    let works = value(&text, "keyward_postgres_work_duration_seconds_count ");
    assert!(
        works >= 4.0 && value(&text, "keyward_postgres_wait_seconds_count ") >= works,
        "{works}"
    );
    assert_values(
        &text,
        &[("keyward_ready", 1.0), ("keyward_postgres_waiting", 0.0)],
    );
    assert!(
        !text.contains("keyward_sqlite") && !text.contains("keyward_redis"),
        "{text}"
    );
    cable.turn(State::Cut);
    assert_eq!(server.try_log_in("alice", "secret").await.status(), 503);
    let text = scrape(&server).await;
    let failures = text
        .lines()
        .filter(|line| line.starts_with("keyward_postgres_failures_total"));
    let failures = failures.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap());
    assert!(failures.sum::<f64>() >= 1.0, "{text}");
    assert_values(
        &text,
        &[
            ("keyward_ready", 0.0),
            (
                r#"keyward_logins_total{realm="default",result="failed"}"#,
                1.0,
            ),
        ],
    );
}
