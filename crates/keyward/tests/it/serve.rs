//! `keyward serve`: from an empty folder to a clean stop, and what it is told by the environment.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use keyward_jose::jws::{Compact, Limits};
use keyward_jose::{Algorithm, HmacKey};
use serde_json::Value;
use tempfile::TempDir;

use crate::server::{Server, keyward, keyward_with};

const SECRET: &str = "the old service's secret, of forty-eight bytes!!";

fn is_signed_with(token: &str, algorithm: Algorithm, secret: &str) -> bool {
    let token = Compact::parse(token, &Limits::default()).unwrap();
    let key = HmacKey::new(algorithm, secret.as_bytes()).unwrap();
    token.acceptable_algorithm() == Some(algorithm)
        && key.verifies(token.signing_input().as_bytes(), token.signature())
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn in_an_empty_folder_it_starts_says_so_once_and_stops_cleanly() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path());
    let port = server
        .url
        .strip_prefix("http://127.0.0.1:")
        .expect("an address")
        .to_owned();
    assert_ne!(port, "0");
    let health = server.get("/health").send().await.unwrap();
    assert_eq!(health.status(), 200);
    assert_eq!(health.json::<Value>().await.unwrap()["status"], "ok");
    assert_eq!(
        server.get("/health/ready").send().await.unwrap().status(),
        200
    );

    let data = folder.path().join("keyward-data");
    assert_eq!(mode(&data), 0o700);
    for file in ["keyward.db", "keys/master.key"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
    assert!(server.log().contains("millis="), "{}", server.log());
    let (status, rest) = server.stop();
    assert_eq!((status.code(), rest.as_str()), (Some(0), ""));
    assert!(
        !data.join("keyward.db-wal").exists(),
        "the database was not closed"
    );
}

#[test]
fn an_interrupt_stops_it_as_cleanly() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path());
    server.signal("INT");
    assert_eq!(server.end().0.code(), Some(0));
}

#[test]
fn a_second_server_on_the_folder_is_refused_until_the_first_has_gone() {
    let folder = TempDir::new().unwrap();
    let first = Server::start(folder.path());
    let again = "serve --listen 127.0.0.1:0";
    let refusal = keyward(folder.path(), again).failed(1);
    assert!(
        refusal.contains("another server runs") && refusal.contains("--data-dir"),
        "{refusal}"
    );
    first.kill();
    Server::start(folder.path()).stop();
}

#[test]
fn a_port_that_is_taken_is_named_with_what_to_do() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path());
    let listen = server.url.strip_prefix("http://").unwrap();
    let args = format!("serve --listen {listen} --data-dir other");
    let refusal = keyward(folder.path(), &args).failed(1);
    assert!(
        refusal.contains("cannot listen on") && refusal.contains("--listen"),
        "{refusal}"
    );
}

#[tokio::test]
async fn a_logout_holds_through_a_restart() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path());
    server.register("alice", "secret").await;
    let (out, stays) = (
        server.log_in("alice", "secret").await,
        server.log_in("alice", "secret").await,
    );
    let logout = server
        .post("/api/v1/authentication/logout")
        .bearer_auth(&out);
    assert_eq!(logout.send().await.unwrap().status(), 204);
    assert_eq!(server.status_for(&out).await, 401);
    // Without notice: what was answered for is on disk.
    server.kill();

    let server = Server::start(folder.path());
    assert_eq!(
        (
            server.status_for(&out).await,
            server.status_for(&stays).await
        ),
        (401, 200)
    );
}

#[tokio::test]
async fn a_new_folder_under_the_same_secret_takes_no_token_of_the_old_one() {
    let folder = TempDir::new().unwrap();
    let env = [("JWT_SECRET", SECRET)];
    let old = Server::start_with(folder.path(), "--data-dir old", &env);
    old.register("alice", "secret").await;
    let token = old.log_in("alice", "secret").await;
    assert_eq!(old.status_for(&token).await, 200);
    old.stop();
    for _ in 0..2 {
        let new = Server::start_with(folder.path(), "--data-dir new", &env);
        assert_eq!(new.status_for(&token).await, 401);
        new.stop();
    }
    let old = Server::start_with(folder.path(), "--data-dir old", &env);
    assert_eq!(old.status_for(&token).await, 200);
}

#[tokio::test]
async fn the_variables_of_the_old_services_are_honoured() {
    let folder = TempDir::new().unwrap();
    let env = [("PORT", "0"), ("JWT_SECRET", SECRET), ("JWT_ALGO", "HS384")];
    let server = Server::start_exactly(folder.path(), "serve", &env);
    server.register("alice", "secret").await;
    let token = server.log_in("alice", "secret").await;
    assert!(is_signed_with(&token, Algorithm::HS384, SECRET));
    let keys = keyward_with(folder.path(), "keys list --json", &env, "").json();
    let purposes: Vec<_> = keys
        .as_array()
        .unwrap()
        .iter()
        .map(|key| &key["purpose"])
        .collect();
    assert_eq!(purposes, ["refresh", "notary", "limits"]);
}

#[tokio::test]
async fn a_dotenv_file_is_honoured_below_the_environment() {
    let folder = TempDir::new().unwrap();
    let text = format!("PORT=1\nJWT_SECRET=\"{SECRET}\"\nKEYWARD_CONTRACTS__CUSTOMERS=false\n");
    std::fs::write(folder.path().join(".env"), text).unwrap();
    let server = Server::start_exactly(folder.path(), "serve", &[("PORT", "0")]);
    server.register("alice", "secret").await;
    let token = server.log_in("alice", "secret").await;
    assert!(is_signed_with(&token, Algorithm::HS256, SECRET));
    assert_eq!(server.status_for(&token).await, 404);
}

#[tokio::test]
async fn pages_outside_the_document_are_logged_by_their_templates_too() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path());
    for path in ["/swagger-ui/index.html", "/api-docs/openapi.json", "/"] {
        let page = server.get(path).send().await.unwrap();
        assert_eq!(page.status(), 200, "{path}");
    }
    let log = server.log_path();
    assert!(server.stop().0.success());
    let log = std::fs::read_to_string(log).unwrap();
    for template in ["/swagger-ui/{*rest}", "/api-docs/openapi.json", "/"] {
        let part = format!(" path={template} status=200 ");
        assert!(log.contains(&part), "{part}: {log}");
    }
}

#[tokio::test]
async fn a_log_in_a_file_has_one_object_a_line_with_the_names_of_the_elastic_common_schema() {
    let folder = TempDir::new().unwrap();
    let server = Server::start_with(folder.path(), "", &[("KEYWARD_LOG__FORMAT", "auto")]);
    let forged = "/%22,%22log.level%22:%22error%0A%7B%22message%22:%22forged%22%7D";
    let answer = server.get(forged).send().await.unwrap();
    assert_eq!(answer.status(), 404);
    let id = answer.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(server.try_log_in("nobody", "pw").await.status(), 401);
    let log = server.log_path();
    assert!(server.stop().0.success());
    let log = std::fs::read_to_string(log).unwrap();
    let events: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for event in &events {
        for name in [
            "@timestamp",
            "log.level",
            "message",
            "ecs.version",
            "event.dataset",
        ] {
            assert!(event[name].is_string(), "{name}: {event}");
        }
    }
    let find = |name: &str, value: &str| {
        let found = events.iter().filter(|event| event[name] == value);
        let found: Vec<_> = found.collect();
        assert_eq!(found.len(), 1, "{name}: {log}");
        found[0]
    };
    assert!(find("message", "ready")["event.duration"].is_u64());
    let access = find("http.request.id", &id);
    assert_eq!(access["event.dataset"], "keyward.access");
    assert_eq!(access["http.response.status_code"], 404);
    assert_eq!(access["http.request.method"], "GET");
    assert_eq!(access["url.path"], forged);
    assert_eq!(access["client.ip"], "127.0.0.1");
    assert!(access["event.duration"].is_u64());
    let failed = find("message", "a login failed: no account has the name");
    assert_eq!(failed["client.ip"], "127.0.0.1");
    find("url.path", "/login");
}

#[test]
fn a_database_elsewhere_is_used_where_it_is_named() {
    let folder = TempDir::new().unwrap();
    let named = [("KEYWARD_DATABASE", "sqlite:rows.db")];
    Server::start_with(folder.path(), "", &named).stop();
    assert!(folder.path().join("rows.db").exists());
    assert!(!folder.path().join("keyward-data/keyward.db").exists());
    keyward_with(folder.path(), "account list", &named, "").fine();
    for (url, why) in [
        ("postgres://u:hunter2@h:port/d", "percent-encoded"),
        ("postgres://u:hunter2@127.0.0.1:1/d", "cannot be opened"),
    ] {
        let refusal = keyward(folder.path(), &format!("serve --database {url}")).failed(1);
        assert!(
            refusal.contains(why) && !refusal.contains("hunter2"),
            "{refusal}"
        );
    }
}

#[test]
fn it_is_ready_fast_in_an_empty_folder() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path());
    let log = server.log();
    let millis = log
        .split("millis=")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .unwrap();
    eprintln!("ready after {millis} ms");
    let ready = Duration::from_millis(millis.parse().unwrap());
    // Ten times what it takes, for machines that do much else.
    assert!(ready < Duration::from_millis(1_500), "{ready:?}");
}
