//! What an earlier release left still works under this one: passwords, tokens, sessions, files, customers, keys,
//! settings and backups. `tests/fixtures/make.py` made the fixtures with the released program.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::postgres::Database;
use crate::server::{Server, keyward, keyward_with};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/0.1.0")
        .join(name)
}

fn expected(name: &str) -> Value {
    let text = fs::read_to_string(fixture("expected.json")).expect("the fixture");
    let all: Value = serde_json::from_str(&text).expect("JSON");
    all[name].clone()
}

/// A copy of what server `name` left, with the modes that a repository does not keep.
fn folder(name: &str) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    for (from, to) in [
        ("keyward.toml".to_owned(), "keyward.toml"),
        (format!("{name}.env"), ".env"),
    ] {
        copy(&fixture(&from), &folder.path().join(to));
    }
    copy(&fixture(name), &folder.path().join("keyward-data"));
    folder
}

fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        fs::copy(from, to).expect("a copy");
        return fs::set_permissions(to, Permissions::from_mode(0o600)).expect("its mode");
    }
    fs::create_dir(to).expect("a folder");
    fs::set_permissions(to, Permissions::from_mode(0o700)).expect("its mode");
    for entry in fs::read_dir(from).expect("the fixture") {
        let entry = entry.expect("an entry");
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("{name} in {value}"))
}

fn entries(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().expect("a list").iter()
}

async fn status(request: RequestBuilder) -> StatusCode {
    request.send().await.expect("an answer").status()
}

fn login(server: &Server, kind: &str, name: &str, password: &str) -> RequestBuilder {
    let by_username = json!({"username": name, "password": password});
    match kind {
        "directory" => server
            .post("/login")
            .json(&json!({"email": name, "password": password})),
        "vectors" => server.post("/login").json(&by_username),
        "customers" => server
            .post("/api/v1/authentication/login")
            .json(&by_username),
        realm => {
            // Without `form` of the client, which the program's tests do not build.
            let body = format!("username={name}&password={password}");
            server
                .post(&format!("/{realm}/login"))
                .header("content-type", "application/x-www-form-urlencoded")
                .body(body)
        }
    }
}

async fn is_good(server: &Server, access: &str) -> bool {
    let status = status(server.get("/api/v1/account").bearer_auth(access)).await;
    assert!(
        [200, 401].contains(&status.as_u16()),
        "{status}: {}",
        server.log()
    );
    status == 200
}

fn refresh(server: &Server, token: &str) -> RequestBuilder {
    server
        .post("/api/v1/authentication/refresh")
        .bearer_auth(token)
}

async fn everything_works(server: &Server, expected: &Value) {
    sessions_are_as_they_were(server, expected).await;
    accounts_log_in(server, expected).await;
    records_are_there(server, expected).await;
}

async fn accounts_log_in(server: &Server, expected: &Value) {
    for account in entries(&expected["accounts"]) {
        let (kind, name) = (text(account, "kind"), text(account, "name"));
        // The first login replaces an old hash, the second is by the new one.
        for _ in 0..2 {
            let status = status(login(server, kind, name, text(account, "password"))).await;
            assert!(status.is_success(), "{account}: {status}\n{}", server.log());
        }
        let wrong = status(login(server, kind, name, "another")).await;
        assert!([401, 403].contains(&wrong.as_u16()), "{account}: {wrong}");
    }
    let disabled = status(login(
        server,
        "vectors",
        text(expected, "disabled"),
        "test123",
    ))
    .await;
    assert_eq!(disabled, 401);
}

async fn sessions_are_as_they_were(server: &Server, expected: &Value) {
    for session in entries(&expected["sessions"]) {
        let closed = session["state"] == "closed";
        assert_eq!(
            is_good(server, text(session, "access")).await,
            !closed,
            "{session}"
        );
        if session["refresh"].is_null() {
            continue;
        }
        let answer = refresh(server, text(session, "refresh"))
            .send()
            .await
            .expect("an answer");
        assert_eq!(
            answer.status(),
            if closed { 401 } else { 200 },
            "{session}\n{}",
            server.log()
        );
        if session["state"] == "rotated" {
            let pair: Value = answer.json().await.expect("JSON");
            assert!(is_good(server, text(&pair, "access_token")).await);
            assert_eq!(status(refresh(server, text(session, "used"))).await, 401);
            assert!(
                !is_good(server, text(&pair, "access_token")).await,
                "a replay ends the session"
            );
        }
    }
}

async fn records_are_there(server: &Server, expected: &Value) {
    let open = |kind: &str| {
        let found = entries(&expected["sessions"])
            .find(|session| session["kind"] == kind && session["state"] == "open");
        text(found.expect(kind), "access").to_owned()
    };
    for file in entries(&expected["files"]) {
        let path = format!(
            "/client/files/{}/{}",
            text(file, "owner"),
            text(file, "name")
        );
        let answer = server
            .get(&path)
            .bearer_auth(open("client"))
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 200, "{file}\n{}", server.log());
        assert_eq!(
            answer.text().await.expect("its content"),
            text(file, "content")
        );
    }
    for customer in entries(&expected["customers"]) {
        let path = format!("/api/v1/customers/customers/{}", customer["id"]);
        let answer = server
            .get(&path)
            .bearer_auth(open("customers"))
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.json::<Value>().await.expect("JSON"), *customer);
    }
    if let Some(key) = expected["notary_key"].as_str() {
        let body = json!({"Token": expected["notarized"], "Signing_key": key});
        let answer = server
            .post("/verifyToken")
            .json(&body)
            .send()
            .await
            .expect("an answer");
        let judged: Value = answer.json().await.expect("JSON");
        assert_eq!(judged["Signature Verification"], true, "{judged}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_of_0_1_0_with_keys_of_its_own_works_on() {
    let folder = folder("sqlite");
    keyward(folder.path(), "config check").fine();
    let server = Server::start(folder.path());
    everything_works(&server, &expected("sqlite")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_folder_of_0_1_0_with_keys_from_the_environment_works_on() {
    let folder = folder("secret");
    let server = Server::start(folder.path());
    everything_works(&server, &expected("secret")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_database_of_0_1_0_works_on() {
    let Some(database) = Database::create().await else {
        return;
    };
    let dump = fs::read_to_string(fixture("postgres.sql")).expect("the fixture");
    database
        .client()
        .await
        .batch_execute(&dump)
        .await
        .expect("the dump");
    let (folder, url) = (folder("postgres"), database.url());
    let server = Server::start_with(folder.path(), "", &[("KEYWARD_DATABASE", &url)]);
    everything_works(&server, &expected("postgres")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_0_1_0_is_restored() {
    let folder = TempDir::new().expect("a folder");
    let args = format!("restore {}", fixture("backup").display());
    keyward_with(folder.path(), &args, &[], "").fine();
    let server = Server::start(folder.path());
    let expected = expected("sqlite");
    for session in entries(&expected["sessions"]) {
        assert!(
            !is_good(&server, text(session, "access")).await,
            "a restore ends every session: {session}"
        );
    }
    accounts_log_in(&server, &expected).await;
    let answer = login(&server, "client", "olga", "test123")
        .send()
        .await
        .expect("an answer");
    let token = answer.text().await.expect("a token");
    for file in entries(&expected["files"]) {
        let path = format!(
            "/client/files/{}/{}",
            text(file, "owner"),
            text(file, "name")
        );
        let answer = server
            .get(&path)
            .bearer_auth(&token)
            .send()
            .await
            .expect("an answer");
        assert_eq!(
            answer.text().await.expect("its content"),
            text(file, "content")
        );
    }
}
