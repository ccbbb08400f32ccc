//! What the log says of clients that do not wait and of logins that fail, and hosts that are not the server's.

use std::io::Write as _;
use std::net::TcpStream;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::Server;

const CUSTOMERS: &str = "/api/v1/customers/customers";

#[tokio::test]
async fn every_effect_has_its_line_although_the_client_did_not_wait() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path());
    server.register("test", "pw").await;
    let token = server.log_in("test", "pw").await;
    let mut ids = Vec::new();
    for _ in 0..40 {
        let body = json!({"name": "Ada", "dob": "2000-01-01"});
        let added = server
            .post(CUSTOMERS)
            .bearer_auth(&token)
            .json(&body)
            .send();
        ids.push(added.await.unwrap().json::<Value>().await.unwrap()["id"].clone());
    }
    let address = server.url.strip_prefix("http://").unwrap();
    for id in &ids {
        let mut client = TcpStream::connect(address).unwrap();
        let head = format!(
            "DELETE {CUSTOMERS}/{id} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        client.write_all(head.as_bytes()).unwrap();
        // It leaves at once.
    }
    let log = server.log_path();
    let (status, _) = server.stop();
    assert!(status.success());
    let log = std::fs::read_to_string(log).unwrap();
    let deletions = log.lines().filter(|line| line.contains("method=DELETE "));
    let made = deletions
        .filter(|line| line.contains(" status=204 "))
        .count();

    let server = Server::start(folder.path());
    let token = server.log_in("test", "pw").await;
    let list = server
        .get(CUSTOMERS)
        .bearer_auth(&token)
        .send()
        .await
        .unwrap();
    let left = list.json::<Vec<Value>>().await.unwrap().len();
    assert_eq!(made, ids.len() - left, "{log}");
    assert!(made > 0, "{log}");
}

#[tokio::test]
async fn a_failed_login_names_the_account_in_the_log_and_nothing_that_was_typed() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path());
    server.register("victim", "pw").await;
    for (name, password) in [("victim", "guessed-secret"), ("typed-secret", "x")] {
        let refused = server.try_log_in(name, password).await;
        assert_eq!(refused.status(), 401);
        let body = json!({"username": name, "password": password});
        let at_exchange = server.post("/ops/login").json(&body).send().await;
        assert_eq!(at_exchange.unwrap().status(), 404);
    }
    let log = server.log_path();
    assert!(server.stop().0.success());
    let log = std::fs::read_to_string(log).unwrap();
    let failed: Vec<_> = log
        .lines()
        .filter(|line| line.contains("a login failed"))
        .collect();
    let named = |part: &str| failed.iter().filter(|line| line.contains(part)).count();
    assert_eq!(failed.len(), 4, "{log}");
    assert_eq!(
        (
            named("realm=default account=1"),
            named("no account has the name")
        ),
        (1, 3),
        "{log}"
    );
    assert_eq!(
        (named("realm=ops"), named("address=127.0.0.1")),
        (2, 4),
        "{log}"
    );
    assert!(!log.contains("-secret"), "{log}");
}

#[tokio::test]
async fn a_demo_answers_for_the_machines_own_names_alone_unless_a_setting_lists_others() {
    let folder = TempDir::new().unwrap();
    let status = async |server: &Server, host: &'static str| {
        let asked = server.get("/").header("host", host).send().await;
        asked.unwrap().status().as_u16()
    };
    let server = Server::start_with(folder.path(), "--demo", &[]);
    assert_eq!(status(&server, "localhost:1").await, 200);
    assert_eq!(status(&server, "evil.example").await, 421);
    assert!(server.stop().0.success());

    // A proxy on the same machine may pass the client's host on.
    let other = TempDir::new().unwrap();
    let server = Server::start(other.path());
    assert_eq!(status(&server, "keyward.example").await, 200);
    assert!(server.stop().0.success());

    let listed = [("KEYWARD_HTTP__HOSTS", "keyward.example, localhost")];
    let server = Server::start_with(folder.path(), "--demo", &listed);
    assert_eq!(status(&server, "keyward.example").await, 200);
    assert_eq!(status(&server, "127.0.0.1").await, 421);
    assert!(server.stop().0.success());

    let trusted = [("KEYWARD_HTTP__TRUSTED_PROXIES", "127.0.0.1")];
    let server = Server::start_with(folder.path(), "--demo", &trusted);
    assert_eq!(status(&server, "keyward.example").await, 200);
    assert!(server.stop().0.success());
}
