//! `deploy/prometheus` and `deploy/grafana` against Debian's Prometheus: it scrapes servers under load, evaluates every
//! alert and answers every query of the dashboard.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::multipart::{Form, Part};
use reqwest::{Client, Url};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::metrics::{ON, address};
use crate::postgres::Database;
use crate::server::Server;

/// How long Prometheus may take to have every answer.
const PATIENCE: Duration = Duration::from_secs(120);

/// A file or folder of `deploy`.
fn deploy(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy")).join(path)
}

/// A program of Debian's package `prometheus`; `None`, said visibly, where it is not installed.
fn debian(program: &str) -> Option<Command> {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        writeln!(
            std::io::stderr(),
            "skipped: {program}, for which Debian has prometheus"
        )
        .expect("standard error");
    }
    found.then(|| Command::new(program))
}

/// The texts after `key` at the beginnings of lines of a file.
fn named<'t>(text: &'t str, key: &str) -> Vec<&'t str> {
    let lines = text.lines().map(str::trim_start);
    lines.filter_map(|line| line.strip_prefix(key)).collect()
}

#[test]
fn every_alert_has_a_case_in_which_it_fires_and_a_row_for_the_operator() {
    let read = |path: PathBuf| fs::read_to_string(path).expect("a file");
    let rules = read(deploy("prometheus/alerts.yml"));
    let alerts: BTreeSet<_> = named(&rules, "- alert: ").into_iter().collect();
    assert!(alerts.len() >= 15, "{alerts:?}");
    let tests = read(deploy("prometheus/alerts.test.yml"));
    let fired = tests.split("      - eval_time: ").skip(1);
    let fired: BTreeSet<_> = fired
        .filter(|case| case.contains("exp_alerts:\n          - exp_labels:"))
        .flat_map(|case| named(case, "alertname: "))
        .collect();
    assert_eq!(alerts, fired, "deploy/prometheus/alerts.test.yml");
    let operations = read(deploy("../docs/operations.md"));
    let explained = named(&operations, "| `Keyward");
    let explained: Vec<_> = explained
        .iter()
        .filter_map(|row| row.split_once('`'))
        .map(|(name, _)| format!("Keyward{name}"))
        .collect();
    let explained: BTreeSet<_> = explained.iter().map(String::as_str).collect();
    assert_eq!(alerts, explained, "docs/operations.md");
}

#[test]
fn promtool_accepts_the_rules_and_their_tests() {
    for arguments in [
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts.test.yml"],
        ["check", "config", "prometheus.yml"],
    ] {
        let Some(mut promtool) = debian("promtool") else {
            return;
        };
        let run = promtool.args(arguments).current_dir(deploy("prometheus"));
        let output = run.output().expect("promtool");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }
}

/// A running Prometheus, ended when it is dropped.
struct Prometheus {
    child: Child,
    url: String,
}

impl Prometheus {
    /// Starts one that scrapes `targets`, with the alerts of `deploy`.
    fn start(mut program: Command, folder: &Path, targets: &[String]) -> Self {
        let config = json!({
            "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"},
            "rule_files": [deploy("prometheus/alerts.yml")],
            "scrape_configs": [{"job_name": "keyward", "static_configs": [{"targets": targets}]}],
        });
        // JSON is YAML.
        fs::write(folder.join("prometheus.yml"), config.to_string()).expect("a file");
        program
            .current_dir(folder)
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"])
            .arg("--web.listen-address=127.0.0.1:0")
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = program.spawn().expect("prometheus");
        let mut log = BufReader::new(child.stderr.take().expect("its log")).lines();
        let listening = log.by_ref().map(|line| line.expect("text"));
        let line = listening
            .filter(|line| line.contains("Listening on"))
            .find_map(|line| line.split_once("address=").map(|(_, rest)| rest.to_owned()));
        let address = line.expect("its address");
        // Somebody has to read what it goes on to write.
        let mut rest = File::create(folder.join("prometheus.log")).expect("a file");
        std::thread::spawn(move || {
            for line in log.map_while(Result::ok) {
                let _ = writeln!(rest, "{line}");
            }
        });
        Self {
            child,
            url: format!("http://{}", address.trim()),
        }
    }

    async fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let url = Url::parse_with_params(&format!("{}{path}", self.url), parameters);
        let answer = Client::new().get(url.expect("a URL")).send().await;
        let answer: Value = answer.expect("an answer").json().await.expect("JSON");
        assert_eq!(answer["status"], "success", "{parameters:?}: {answer}");
        answer["data"].clone()
    }

    /// Whether a query has an answer that is a number.
    async fn has_data(&self, query: &str) -> bool {
        let data = self.ask("/api/v1/query", &[("query", query)]).await;
        let series = data["result"].as_array().expect("a result");
        let numbers = series
            .iter()
            .filter_map(|series| series["value"][1].as_str());
        numbers.into_iter().any(|number| number != "NaN")
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The queries of the dashboard, as Grafana sends them for all servers.
fn queries() -> Vec<String> {
    let text = fs::read_to_string(deploy("grafana/keyward.json")).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array());
    let queries = targets.flatten().map(|target| {
        let query = target["expr"].as_str().expect("a query");
        query
            .replace("$__rate_interval", "20s")
            .replace("$job", "keyward")
            .replace("$instance", ".*")
    });
    queries.collect()
}

/// A round of what people do with a server: rightly and wrongly.
async fn use_server(server: &Server, round: usize) {
    let name = format!("user{round}");
    server.register(&name, "secret").await;
    assert_eq!(server.try_log_in(&name, "wrong").await.status(), 401);
    assert_eq!(server.try_log_in("nobody", "wrong").await.status(), 401);
    let token = server.log_in(&name, "secret").await;
    assert_eq!(server.status_for(&token).await, 200);
    let login = json!({"username": name, "password": "secret"});
    let login = server.post("/api/v1/authentication/login").json(&login);
    let pair: Value = login.send().await.unwrap().json().await.unwrap();
    let refresh = pair["refresh_token"].as_str().unwrap();
    for status in [200, 401] {
        let request = server
            .post("/api/v1/authentication/refresh")
            .bearer_auth(refresh);
        assert_eq!(request.send().await.unwrap().status(), status);
    }
    for role in ["ops", "client"] {
        let body = json!({"username": name, "password": "secret"});
        let signed_up = server.post(&format!("/{role}/signup")).json(&body).send();
        assert_eq!(signed_up.await.unwrap().status(), 201);
        let token = server.post(&format!("/{role}/login")).json(&body).send();
        let token = token.await.unwrap().text().await.unwrap();
        let request = match role {
            "ops" => {
                let part = Part::bytes(vec![7; 5_000]).file_name("a.bin");
                let form = Form::new().part("request_file", part);
                server.post("/ops/upload").multipart(form)
            }
            _ => server.get(&format!("/client/files/{name}/a.bin")),
        };
        let answer = request.bearer_auth(&token).send().await.unwrap();
        assert!(answer.status().is_success(), "{answer:?}");
        assert!(!answer.bytes().await.unwrap().is_empty());
    }
    assert_eq!(server.get("/nowhere").send().await.unwrap().status(), 404);
}

/// Where a Redis is, if there is one.
fn redis() -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "where a Redis is, is the environment's to say"
    )]
    let redis = std::env::var("KEYWARD_TEST_REDIS").ok();
    if redis.is_none() {
        let skipped = "skipped: metrics of Redis: KEYWARD_TEST_REDIS is not set";
        writeln!(std::io::stderr(), "{skipped}").expect("standard error");
    }
    redis
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_has_an_answer_to_every_query_of_the_dashboard_and_evaluates_every_alert() {
    let Some(program) = debian("prometheus") else {
        return;
    };
    let (database, redis) = (Database::create().await, redis());
    let (folder, first, second) = (
        TempDir::new().unwrap(),
        TempDir::new().unwrap(),
        TempDir::new().unwrap(),
    );
    let mut servers = vec![Server::start_with(first.path(), "", &[ON])];
    let url = database.as_ref().map(Database::url);
    if let Some(url) = &url {
        let mut env = vec![ON, ("KEYWARD_DATABASE", url.as_str())];
        env.extend(
            redis
                .as_deref()
                .map(|redis| ("KEYWARD_LIMITS__REDIS", redis)),
        );
        servers.push(Server::start_with(second.path(), "", &env));
    }
    let targets: Vec<_> = servers.iter().map(address).collect();
    let prometheus = Prometheus::start(program, folder.path(), &targets);

    let mut open = queries();
    assert!(open.len() > 40, "{open:?}");
    open.retain(|query| {
        let on_postgres = query.contains("keyward_postgres");
        let on_redis = query.contains("keyward_redis");
        !(on_postgres && database.is_none() || on_redis && (database.is_none() || redis.is_none()))
    });
    // One alert has no patience, so that it is seen from the server to its end.
    open.push(r#"ALERTS{alertname="KeywardRefreshTokenReused", alertstate="firing"}"#.to_owned());
    open.push(format!("count(up == 1) == {}", servers.len()));
    let started = Instant::now();
    for round in 0.. {
        for server in &servers {
            use_server(server, round).await;
        }
        let mut still_open = Vec::new();
        for query in open {
            if !prometheus.has_data(&query).await {
                still_open.push(query);
            }
        }
        open = still_open;
        if open.is_empty() {
            break;
        }
        assert!(started.elapsed() < PATIENCE, "no data for {open:#?}");
    }

    let groups = prometheus.ask("/api/v1/rules", &[]).await;
    for rule in groups["groups"][0]["rules"].as_array().expect("rules") {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
}
