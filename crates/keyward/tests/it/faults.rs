//! A disk that is full, and one that fails a sync, under the real server.
//!
//! They fail on a build that goes on after the sync of a commit or of a file has failed, and on one that begins
//! by writing on to the log that such a sync left.

use std::path::Path;

use reqwest::multipart::{Form, Part};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::crash::leftovers;
use crate::disk::Disk;
use crate::load::{Load, check};
use crate::server::{Server, keyward};

const CUSTOMERS: &str = "/api/v1/customers/customers";

struct Home {
    folder: TempDir,
    disk: Disk,
}

impl Home {
    /// `None`, with a word about it, where no such disk can be mounted.
    fn new() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let [live, mount] = ["live", "mount"].map(|name| folder.path().join(name));
        let disk = Disk::mount(&live, &mount, "ordered", 1)?;
        Some(Self { folder, disk })
    }

    fn start(&self) -> Server {
        self.start_on(&self.folder.path().join("mount"))
    }

    fn start_on(&self, disk: &Path) -> Server {
        let data = disk.join("data");
        Server::start_with(
            self.folder.path(),
            &format!("--data-dir {}", data.display()),
            &[],
        )
    }

    /// Cuts the power, and starts the server on what was durable.
    fn cut_power(&self, server: Server) -> Server {
        let after = self.folder.path().join("after");
        self.disk.command(&format!("cut {}", after.display()));
        server.kill();
        self.start_on(&after)
    }
}

fn customer(server: &Server, token: &str) -> RequestBuilder {
    let body = json!({"name": "n", "dob": "2020-07-08", "updated_at": "2020-07-08T00:00:00.000Z"});
    server.post(CUSTOMERS).bearer_auth(token).json(&body)
}

fn upload(server: &Server, token: &str, name: &str) -> RequestBuilder {
    let part = Part::bytes(vec![7; 300_000]).file_name(name.to_owned());
    let form = Form::new().part("request_file", part);
    server
        .post("/ops/upload")
        .bearer_auth(token)
        .multipart(form)
}

async fn exchange_user(server: &Server, role: &str) -> String {
    let body = json!({"username": role, "password": "pw"});
    let signup = server.post(&format!("/{role}/signup")).json(&body);
    assert_eq!(signup.send().await.unwrap().status(), 201);
    let login = server.post(&format!("/{role}/login")).json(&body);
    login.send().await.unwrap().text().await.unwrap()
}

async fn send(request: RequestBuilder) -> Response {
    request.send().await.unwrap()
}

/// Asserts that there was no room, told as problem documents tell it.
async fn expect_full(answer: Response) {
    assert_eq!(answer.status(), 507);
    let kind = answer.headers()["content-type"].clone();
    assert_eq!(kind, "application/problem+json");
    let problem = answer.json::<Value>().await.unwrap();
    assert_eq!(problem["status"], 507, "{problem}");
    assert!(problem["detail"].is_string(), "{problem}");
}

#[tokio::test]
async fn a_full_disk_refuses_writes_goes_on_reading_and_heals_without_a_restart() {
    let Some(home) = Home::new() else {
        return;
    };
    let server = home.start();
    server.register("reader", "pw").await;
    let token = server.log_in("reader", "pw").await;
    let (ops, client) = (
        exchange_user(&server, "ops").await,
        exchange_user(&server, "client").await,
    );
    let body = json!({"username": "reader", "password": "pw"});
    let login = server.post("/api/v1/authentication/login").json(&body);
    let pair: Value = send(login).await.json().await.unwrap();
    assert_eq!(send(customer(&server, &token)).await.status(), 201);
    assert_eq!(
        send(upload(&server, &ops, "before")).await.status(),
        201,
        "{}",
        server.log()
    );

    home.disk.command("full");
    for _ in 0..3 {
        expect_full(send(customer(&server, &token)).await).await;
        expect_full(send(upload(&server, &ops, "during")).await).await;
        let refused = server.try_log_in("reader", "pw").await;
        assert_eq!(refused.status(), 507);
        assert!(refused.json::<Value>().await.unwrap()["message"].is_string());
        let list = send(server.get(CUSTOMERS).bearer_auth(&token)).await;
        let list = list.json::<Value>().await.unwrap();
        assert_eq!(list.as_array().map(Vec::len), Some(1), "{list}");
        let file = server.get("/client/files/ops/before").bearer_auth(&client);
        assert_eq!(send(file).await.bytes().await.unwrap().len(), 300_000);
        for path in ["/health/live", "/health/ready"] {
            assert_eq!(send(server.get(path)).await.status(), 200, "{path}");
        }
    }

    expect_every_write_full(&server, &token, &pair).await;
    home.disk.command("heal");
    // Its session was closed, though that could not be written.
    assert_eq!(send(customer(&server, &token)).await.status(), 401);
    let token = server.log_in("reader", "pw").await;
    assert_eq!(send(customer(&server, &token)).await.status(), 201);
    assert_eq!(send(upload(&server, &ops, "after")).await.status(), 201);
    let data = home.folder.path().join("mount/data");
    assert_eq!(leftovers(&data), 0, "what found no room is left");
    let server = home.cut_power(server);
    let token = server.log_in("reader", "pw").await;
    let list = send(server.get(CUSTOMERS).bearer_auth(&token)).await;
    let list = list.json::<Value>().await.unwrap();
    assert_eq!(list.as_array().map(Vec::len), Some(2), "{list}");
}

/// How much of what follows an operation of this path fails for want of a session.
fn ends_sessions(template: &str) -> u8 {
    match template {
        path if path.ends_with("logout") => 3,
        path if path.contains("password") => 2,
        path if path.contains("sessions") => 1,
        _ => 0,
    }
}

/// Asserts that every operation that the document lists 507 for answers it.
async fn expect_every_write_full(server: &Server, token: &str, pair: &Value) {
    let document = send(server.get("/api-docs/openapi.json")).await;
    let document: Value = document.json().await.unwrap();
    let (access, renewing) = (&pair["access_token"], &pair["refresh_token"]);
    let sessions = send(server.get("/api/v1/sessions").bearer_auth(token)).await;
    let session = sessions.json::<Value>().await.unwrap()[0]["id"].to_string();
    let mut tried = 0;
    let mut paths: Vec<_> = document["paths"].as_object().unwrap().iter().collect();
    // A session that is closed on this server alone is good for nothing after that.
    paths.sort_by_key(|(template, _)| ends_sessions(template));
    let mut logged_out = false;
    for (template, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            if operation["responses"]["507"].is_null() || template == "/ops/upload" {
                continue;
            }
            if template.ends_with("logout") && std::mem::replace(&mut logged_out, true) {
                continue;
            }
            let (name, known) = match template.as_str() {
                path if path.starts_with("/ops/") => ("ops", path == "/ops/login"),
                path if path.starts_with("/client/") => ("client", path == "/client/login"),
                path => ("reader", path.contains("login")),
            };
            let name = if known { name } else { "newcomer" };
            let id = if template.contains("sessions") {
                &session
            } else {
                "1"
            };
            let path = template.replace("{id}", id);
            let parsed = reqwest::Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let bearer = match template.as_str() {
                "/api/v1/authentication/refresh" => renewing,
                _ => access,
            };
            let mut body = json!({"password": "pw", "name": name});
            match template.as_str() {
                "/signup" => body["email"] = "newcomer@x.org".into(),
                "/api/v1/account/password" => {
                    body = json!({"current_password": "pw", "new_password": "new"});
                }
                path if path.contains("customers") => {
                    body = json!({"name": "n", "dob": "2020-07-08", "updated_at": "2020-07-08T00:00:00.000Z"});
                }
                _ => body = json!({"username": name, "password": "pw"}),
            }
            let request = reqwest::Client::new().request(parsed, format!("{}{path}", server.url));
            let request = request.bearer_auth(bearer.as_str().unwrap()).json(&body);
            let answer = send(request).await;
            assert_eq!(answer.status(), 507, "{method} {path}");
            tried += 1;
        }
    }
    assert!(tried > 12, "{tried}");
}

#[tokio::test]
async fn on_a_full_disk_sessions_end_at_once_and_for_good_when_there_is_room() {
    let Some(home) = Home::new() else {
        return;
    };
    let server = home.start();
    server.register("ada", "pw").await;
    let [left, other, own] = [
        server.log_in("ada", "pw").await,
        server.log_in("ada", "pw").await,
        server.log_in("ada", "pw").await,
    ];
    server.register("eve", "pw").await;
    let body = json!({"username": "eve", "password": "pw"});
    let login = server.post("/api/v1/authentication/login").json(&body);
    let stolen: Value = send(login).await.json().await.unwrap();
    let refresh = || {
        let used = stolen["refresh_token"].as_str().unwrap();
        let request = server.post("/api/v1/authentication/refresh");
        send(request.bearer_auth(used))
    };
    let renewed: Value = refresh().await.json().await.unwrap();
    let renewed = renewed["access_token"].as_str().unwrap().to_owned();

    home.disk.command("full");
    let logout = send(server.post("/logout").bearer_auth(&left)).await;
    expect_refused_here(logout).await;
    assert_eq!(server.status_for(&left).await, 401);
    assert_eq!(refresh().await.status(), 401);
    assert_eq!(server.status_for(&renewed).await, 401, "of a replay");
    let body = json!({"current_password": "pw", "new_password": "new"});
    let change = reqwest::Client::new().put(format!("{}/api/v1/account/password", server.url));
    let change = send(change.bearer_auth(&own).json(&body)).await;
    expect_refused_here(change).await;
    assert_eq!(server.status_for(&other).await, 401);
    assert_eq!(server.status_for(&own).await, 200);
    let log = server.log();
    assert!(log.contains("session closed on this server alone"), "{log}");

    home.disk.command("heal");
    let data = format!("--data-dir {}/mount/data", home.folder.path().display());
    let open = || {
        let listed = keyward(home.folder.path(), &format!("session list --json {data}")).json();
        listed.as_array().unwrap().len()
    };
    let since = std::time::Instant::now();
    while open() > 1 {
        assert!(since.elapsed().as_secs() < 20, "{}", server.log());
    }
    server.kill();
    let server = home.start();
    for closed in [&left, &other, &renewed] {
        assert_eq!(server.status_for(closed).await, 401, "after a restart");
    }
    assert_eq!(server.status_for(&own).await, 200);
    assert_eq!(server.try_log_in("ada", "pw").await.status(), 200);
}

/// Asserts that there was no room, and that the answer says what was done all the same.
async fn expect_refused_here(answer: Response) {
    assert_eq!(answer.status(), 507);
    let text = answer.text().await.unwrap();
    assert!(text.contains("this server refuses the session"), "{text}");
}

// The load goes on while a thread waits for the server's end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_sync_stops_the_server_before_it_claims_any_success() {
    let Some(home) = Home::new() else {
        return;
    };
    let server = home.start();
    let mut load = Load::start(&server, 0).await;
    load.reach(20).await;
    load.allow_failures();
    home.disk.command("fail-sync");
    expect_stopped(server);
    // The system still shows what never reached the disk. Nothing that is answered may rest upon it.
    home.disk.command("heal");
    let server = home.start();
    let mut after = Load::start(&server, 1).await;
    after.reach(20).await;
    after.allow_failures();
    let server = home.cut_power(server);
    for mut ledger in load
        .ledgers()
        .await
        .into_iter()
        .chain(after.ledgers().await)
    {
        check(&server, &mut ledger).await;
    }
}

#[tokio::test]
async fn a_failed_sync_of_a_row_stops_the_server() {
    expect_stopped_by(|server, _| {
        let body = json!({"username": "lost", "password": "pw"});
        server.post("/register").json(&body)
    })
    .await;
}

#[tokio::test]
async fn a_failed_sync_of_an_uploaded_file_stops_the_server() {
    expect_stopped_by(|server, ops| upload(server, ops, "lost")).await;
}

/// Asserts that a request whose sync fails is not answered with success and ends the server.
async fn expect_stopped_by(request: impl Fn(&Server, &str) -> RequestBuilder) {
    let Some(home) = Home::new() else {
        return;
    };
    let server = home.start();
    let ops = exchange_user(&server, "ops").await;
    home.disk.command("fail-sync");
    // The server may be gone before the answer is.
    if let Ok(answer) = request(&server, &ops).send().await {
        assert_eq!(answer.status(), 500);
    }
    expect_stopped(server);
}

/// Asserts that the server ends by itself, with the reason on its standard error.
fn expect_stopped(server: Server) {
    let log = server.log_path();
    let (status, _) = server.end();
    let log = std::fs::read_to_string(log).unwrap();
    assert_eq!(status.code(), Some(1), "{log}");
    let reason = "error: the disk failed to make a write durable";
    assert!(log.contains(reason), "{log}");
}
