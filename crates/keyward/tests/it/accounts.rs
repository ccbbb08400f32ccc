//! `keyward account` and `keyward session`, alone on a folder and beside a running server.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::server::{Server, keyward, keyward_with};

fn add(folder: &Path, username: &str, password: &str) -> String {
    let args = format!("account add --username {username} --password-stdin");
    keyward_with(folder, &args, &[], &format!("{password}\n")).fine()
}

fn accounts(folder: &Path) -> Vec<Value> {
    let listed = keyward(folder, "account list --json").json();
    listed.as_array().unwrap().clone()
}

#[test]
fn accounts_are_added_listed_disabled_and_enabled_without_a_server() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    assert!(add(folder, "alice", "a password").contains("added account 1 (alice, realm default)"));
    let generate = "account add --email Bob@Example.org --generate-password";
    let added = keyward(folder, generate).fine();
    let password = added
        .lines()
        .find_map(|line| line.strip_prefix("password: "))
        .unwrap();
    assert_eq!(password.len(), 32);
    let ops = "account add --realm ops --username alice --generate-password";
    keyward(folder, ops).fine();

    let disabled = keyward(folder, "account disable bob@example.org").fine();
    assert!(disabled.contains("disabled account 2"), "{disabled}");
    let listed = accounts(folder);
    let column = |name: &str| {
        listed
            .iter()
            .map(|account| account[name].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(column("realm"), ["default", "default", "ops"]);
    assert_eq!(
        column("username"),
        ["alice".into(), Value::Null, "alice".into()]
    );
    assert_eq!(
        column("email"),
        [Value::Null, "Bob@Example.org".into(), Value::Null]
    );
    assert!(listed[0]["disabled_at"].is_null() && listed[1]["disabled_at"].is_string());

    assert!(
        keyward(folder, "account enable 2")
            .fine()
            .contains("enabled account 2")
    );
    assert!(accounts(folder)[1]["disabled_at"].is_null());
    let realm = "account list --realm ops";
    let table = keyward(folder, realm).fine();
    assert_eq!(table.lines().count(), 2, "{table}");
}

#[test]
fn names_that_are_taken_malformed_or_unknown_are_refused() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    add(folder, "alice", "a password");
    let taken = "account add --username ALICE --generate-password";
    assert!(keyward(folder, taken).failed(1).contains("taken"));
    let mail = "account add --username x --email x --generate-password";
    assert!(keyward(folder, mail).failed(2).contains("e-mail address"));

    assert!(
        keyward(folder, "account disable nobody")
            .failed(1)
            .contains("account list")
    );
}

#[test]
fn a_password_is_never_taken_from_argv_and_needs_a_source() {
    let folder = TempDir::new().unwrap();
    let add = "account add --username alice";
    let refusal = keyward(folder.path(), add).failed(2);
    assert!(refusal.contains("--password-stdin") && refusal.contains("--generate-password"));
    let stdin = "account add --username alice --password-stdin";
    assert!(
        keyward(folder.path(), stdin)
            .failed(2)
            .contains("must not be empty")
    );
    let long = "x".repeat(2_000);
    assert!(
        keyward_with(folder.path(), stdin, &[], &long)
            .failed(2)
            .contains("1024 bytes")
    );
}

#[tokio::test]
async fn what_a_command_stores_counts_in_the_running_server() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path());
    add(folder.path(), "alice", " a password with spaces ");
    let token = server.log_in("alice", " a password with spaces ").await;
    assert_eq!(server.status_for(&token).await, 200);

    let args = "account set-password alice --password-stdin";
    let set = keyward_with(folder.path(), args, &[], "another").fine();
    assert!(set.contains("within half a second"), "{set}");
    server.time_until_refused(&token).await;
    assert_eq!(
        server
            .try_log_in("alice", " a password with spaces ")
            .await
            .status(),
        401
    );
    server.log_in("alice", "another").await;
}

#[tokio::test]
async fn a_session_that_a_command_closes_is_refused_by_the_running_server() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path());
    server.register("alice", "secret").await;
    let (first, second) = (
        server.log_in("alice", "secret").await,
        server.log_in("alice", "secret").await,
    );

    let sessions = keyward(folder.path(), "session list --json").json();
    let ids: Vec<_> = sessions
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["id"].to_string())
        .collect();
    assert_eq!(
        (ids.len(), sessions[0]["name"].as_str()),
        (2, Some("alice"))
    );
    let closed = keyward(folder.path(), &format!("session close {}", ids[0])).fine();
    assert!(closed.contains("within half a second"), "{closed}");
    let waited = server.time_until_refused(&first).await;
    assert!(waited < Duration::from_secs(2), "{waited:?}");
    assert_eq!(server.status_for(&second).await, 200);

    let again = keyward(folder.path(), &format!("session close {}", ids[0])).failed(1);
    assert!(again.contains("not open"), "{again}");
    keyward(folder.path(), "session close --account alice").fine();
    server.time_until_refused(&second).await;
    assert_eq!(
        keyward(folder.path(), "session list --json").json(),
        Value::Array(vec![])
    );
}

#[tokio::test]
async fn closing_every_session_ends_those_that_a_copy_put_back_does_not_know() {
    let folder = TempDir::new().unwrap();
    let (database, copy) = (
        folder.path().join("keyward-data/keyward.db"),
        folder.path().join("copy.db"),
    );
    let server = Server::start(folder.path());
    server.register("alice", "secret").await;
    let known = server.log_in("alice", "secret").await;
    server.stop();
    std::fs::copy(&database, &copy).unwrap();
    let server = Server::start(folder.path());
    let unknown = server.log_in("alice", "secret").await;
    server.stop();
    std::fs::copy(&copy, &database).unwrap();
    let closed = keyward(folder.path(), "session close --all").fine();
    assert!(closed.contains("closed every session"), "{closed}");
    let server = Server::start(folder.path());
    for token in [&known, &unknown] {
        assert_eq!(server.status_for(token).await, 401);
    }

    // And beside a server that runs.
    let (first, second) = (
        server.log_in("alice", "secret").await,
        server.log_in("alice", "secret").await,
    );
    let closed = keyward(folder.path(), "session close --all").fine();
    assert!(closed.contains("within half a second"), "{closed}");
    server.time_until_refused(&first).await;
    assert_eq!(server.status_for(&second).await, 401);
    let fresh = server.log_in("alice", "secret").await;
    assert_eq!(server.status_for(&fresh).await, 200);
    keyward(folder.path(), "session close --all 1").failed(2);
}

#[tokio::test]
async fn an_account_that_a_command_disables_is_out_of_the_running_server() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path());
    server.register("alice", "secret").await;
    let token = server.log_in("alice", "secret").await;
    let disabled = keyward(folder.path(), "account disable alice").fine();
    assert!(disabled.contains("closed 1 of its sessions"), "{disabled}");
    server.time_until_refused(&token).await;
    assert_eq!(server.try_log_in("alice", "secret").await.status(), 401);
    keyward(folder.path(), "account enable alice").fine();
    let fresh = server.log_in("alice", "secret").await;
    assert_eq!(
        (
            server.status_for(&fresh).await,
            server.status_for(&token).await
        ),
        (200, 401)
    );
}

/// `secret` as Werkzeug's PBKDF2 keeps it: salt `saltsaltsaltsalt`, one round, made with `hashlib`.
const WERKZEUG: &str = "pbkdf2:sha256:1$saltsaltsaltsalt$95ca9bbfc7982e80683121220485cd4d081122cfd78a9fb792eb819b78c7cb47";

#[tokio::test]
async fn an_imported_hash_is_replaced_at_the_next_login() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let add = "account add --username bob --password-hash-stdin";
    for bad in ["", "secret", "plain$$secret", "scrypt:1073741824:8:1$a$b"] {
        let error = keyward_with(folder, add, &[], bad).failed(2);
        assert!(error.contains("no password hash"), "{error}");
    }
    keyward_with(folder, add, &[], &format!("{WERKZEUG}\n")).fine();
    let server = Server::start(folder);
    assert_eq!(server.try_log_in("bob", "wrong").await.status(), 401);
    server.log_in("bob", "secret").await;
    server.log_in("bob", "secret").await;
    let database = std::fs::read(folder.join("keyward-data/keyward.db-wal")).unwrap();
    let renewed = database.windows(10).any(|bytes| bytes == b"$argon2id$");
    assert!(renewed, "the hash was not replaced");
}
