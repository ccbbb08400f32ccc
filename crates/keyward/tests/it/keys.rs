//! Signing keys that are rotated, retired and sealed anew while servers run.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::nodes::Node;
use crate::postgres::Database;
use crate::server::{Server, keyward_with, secret_of};

/// Within what every server knows of a change.
const BOUND: Duration = Duration::from_secs(1);
/// How long a new key is announced.
const ANNOUNCE: (&str, &str) = ("KEYWARD_KEYS__ANNOUNCE", "1s");

/// How often the keys are rotated under load; `KEYWARD_ROTATIONS` names more.
fn rotations() -> usize {
    #[expect(clippy::disallowed_methods, reason = "how long a test runs")]
    let given = std::env::var("KEYWARD_ROTATIONS").ok();
    given.map_or(2, |given| given.parse().expect("a number"))
}

/// The ids of the keys of a purpose in this state.
fn keys_in(folder: &Path, env: &[(&str, &str)], purpose: &str, state: &str) -> Vec<String> {
    let keys = keyward_with(folder, "keys list --json", env, "").json();
    let keys = keys.as_array().expect("a list").iter();
    keys.filter(|key| key["purpose"] == purpose && key["state"] == state)
        .map(|key| key["id"].as_str().expect("an id").to_owned())
        .collect()
}

/// Rotates the key of a purpose, and waits until the new one signs.
fn rotate(folder: &Path, env: &[(&str, &str)], purpose: &str) {
    let said = keyward_with(folder, &format!("keys rotate {purpose}"), env, "").fine();
    assert!(
        said.contains(purpose) && said.contains("signs from"),
        "{said}"
    );
    let start = Instant::now();
    while !keys_in(folder, env, purpose, "announced").is_empty() {
        assert!(start.elapsed() < 20 * BOUND, "the new key never signs");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_rotated_and_the_old_one_retired_beside_a_running_server() {
    let folder = TempDir::new().unwrap();
    let (path, env) = (folder.path(), [ANNOUNCE]);
    let server = Server::start_with(path, "", &env);
    server.register("alice", "pw").await;
    let old_token = server.log_in("alice", "pw").await;
    let [old] = &keys_in(path, &env, "access", "active")[..] else {
        panic!("one key signs");
    };
    rotate(path, &env, "access");
    assert_eq!(keys_in(path, &env, "access", "retired"), [old.as_str()]);
    let new_token = server.log_in("alice", "pw").await;
    for token in [&old_token, &new_token] {
        assert_eq!(server.status_for(token).await, 200);
        keyward_with(path, &format!("token verify {token}"), &env, "").fine();
    }
    let said = keyward_with(path, &format!("keys retire {old}"), &env, "").fine();
    assert!(said.contains("within half a second"), "{said}");
    let waited = server.time_until_refused(&old_token).await;
    assert!(waited < BOUND, "{waited:?}");
    assert_eq!(server.status_for(&new_token).await, 200);
    let refusal = keyward_with(path, &format!("token verify {old_token}"), &env, "").failed(1);
    assert!(
        refusal.contains("no key") || refusal.contains("a key of this server"),
        "{refusal}"
    );

    let shown = keyward_with(path, &format!("keys show --json {old}"), &env, "").json();
    assert_eq!(
        (&shown["state"], &shown["algorithm"]),
        (&json!("ended"), &json!("HS256"))
    );
    for (command, why) in [
        ("keys show 0123456789abcdef", "keys list"),
        ("keys retire 0123456789abcdef", "keys list"),
        ("keys replace", "--all"),
    ] {
        let refusal = keyward_with(path, command, &env, "").failed(1);
        assert!(refusal.contains(why), "{refusal}");
    }
    // A key of the settings is changed there.
    let secret = "k".repeat(64);
    let given = [("KEYWARD_TOKENS__ACCESS_TOKEN_SECRET", secret.as_str())];
    let refusal = keyward_with(path, "keys rotate access", &given, "").failed(1);
    assert!(
        refusal.contains("the settings give the access key"),
        "{refusal}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_the_master_key_of_its_database_does_not_start_and_a_lost_one_is_replaced()
{
    let folder = TempDir::new().unwrap();
    let path = folder.path();
    let server = Server::start(path);
    server.register("alice", "pw").await;
    let token = server.log_in("alice", "pw").await;
    let secret = secret_of(path, "access", &[]);
    assert_eq!(secret.len(), 128);
    let database = path.join("keyward-data/keyward.db");
    server.kill();
    for file in [database.clone(), database.with_extension("db-wal")] {
        let bytes = std::fs::read(file).unwrap_or_default();
        let plain = bytes
            .windows(secret.len())
            .any(|part| part == secret.as_bytes());
        assert!(!plain, "the database has the key in the clear");
    }

    std::fs::remove_file(path.join("keyward-data/keys/master.key")).unwrap();
    let refusal = keyward_with(path, "serve --listen 127.0.0.1:0", &[], "").failed(1);
    for part in [
        "master.key",
        "is sealed by the master key",
        "docs/operations.md",
    ] {
        assert!(refusal.contains(part), "{refusal}");
    }
    assert!(!path.join("keyward-data/keys/master.key").exists());
    let findings = keyward_with(path, "doctor", &[], "");
    assert!(
        findings.code == 1 && findings.stdout.contains("fail  signing keys"),
        "{findings:?}"
    );
    keyward_with(path, "keys replace --all", &[], "").fine();
    let server = Server::start(path);
    assert_eq!(server.status_for(&token).await, 401);
    assert_eq!(
        server.status_for(&server.log_in("alice", "pw").await).await,
        200
    );
}

/// What runs beside the changes, until it is stopped.
#[derive(Default)]
struct Load {
    stop: AtomicBool,
    used: AtomicU64,
}

/// Logs in on one node after another and uses the tokens on the others. Counts the tokens, all of which must be good.
async fn use_tokens(urls: [String; 3], first: usize, load: Arc<Load>) {
    let client = Client::new();
    let at = |step: usize, path: &str| format!("{}{path}", urls[(first + step) % urls.len()]);
    let mut step = 0;
    while !load.stop.load(Ordering::Relaxed) {
        let login = client.post(at(step, "/api/v1/authentication/login"));
        let body = json!({"username": "ada", "password": "pw"});
        let pair: Value = login
            .json(&body)
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let access = pair["access_token"].as_str().expect("an access token");
        for other in [1, 2] {
            let guarded = client.get(at(step + other, "/api/v1/customers/customers"));
            let answer = guarded.bearer_auth(access).send().await.unwrap();
            assert_eq!(answer.status(), 200, "an access token is refused");
        }
        let refresh = client.post(at(step + 1, "/api/v1/authentication/refresh"));
        let refresh = refresh.bearer_auth(pair["refresh_token"].as_str().expect("a token"));
        let refreshed = refresh.send().await.unwrap();
        assert_eq!(refreshed.status(), 200, "a refresh token is refused");
        load.used.fetch_add(3, Ordering::Relaxed);
        step += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_the_master_key_change_under_load_and_no_good_token_is_refused() {
    let Some(database) = Database::create().await else {
        return;
    };
    let (folder, url) = (TempDir::new().unwrap(), database.url());
    let path = folder.path();
    let master = path.join("master.key");
    let masters = |lines: &[&str]| std::fs::write(&master, lines.join("\n")).unwrap();
    let (first, second) = ("1".repeat(64), "2".repeat(64));
    masters(&[&first]);
    let shown = master.to_str().expect("UTF-8");
    let env = [
        ANNOUNCE,
        ("KEYWARD_DATABASE", url.as_str()),
        ("KEYWARD_KEYS__MASTER_KEY_FILE", shown),
    ];
    let nodes = [(); 3].map(|()| Node::start_with(&env));
    let urls = nodes.each_ref().map(|node| node.server.url.clone());
    nodes[0].server.register("ada", "pw").await;

    let load = Arc::<Load>::default();
    let using = (0..3).map(|first| use_tokens(urls.clone(), first, load.clone()));
    let using: Vec<_> = using.map(tokio::spawn).collect();
    let mut old_tokens = Vec::new();
    for round in 0..rotations() {
        old_tokens.push(nodes[0].server.log_in("ada", "pw").await);
        tokio::task::block_in_place(|| {
            if round == 0 {
                masters(&[&second, &first]);
                let said = keyward_with(path, "keys reseal", &env, "").fine();
                assert!(said.contains("sealed 4 keys"), "{said}");
                masters(&[&second]);
            }
            rotate(path, &env, "access");
            rotate(path, &env, "refresh");
        });
    }
    load.stop.store(true, Ordering::Relaxed);
    for user in join_all(using).await {
        user.expect("every token is accepted");
    }
    let used = load.used.load(Ordering::Relaxed);
    println!(
        "{} rotations of two keys and a new master key: {used} tokens used, none refused",
        rotations()
    );
    assert!(used > 0);

    // Retired one by one, each refuses what it signed, and nothing else.
    let current = nodes[1].server.log_in("ada", "pw").await;
    for old in keys_in(path, &env, "access", "retired") {
        keyward_with(path, &format!("keys retire {old}"), &env, "").fine();
    }
    for node in &nodes {
        for token in &old_tokens {
            let waited = node.server.time_until_refused(token).await;
            assert!(waited < BOUND, "{waited:?}");
        }
        assert_eq!(node.server.status_for(&current).await, 200);
    }
}
