//! `--demo`: everything a first try needs, and nowhere that its public keys could do harm.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::{Server, keyward, keyward_with};

#[tokio::test]
async fn a_demo_has_its_accounts_its_customers_and_the_golden_notary_key() {
    let folder = TempDir::new().unwrap();
    let server = Server::start_with(folder.path(), "--demo", &[]);
    let token = server.log_in("test", "test").await;
    let customers = server
        .get("/api/v1/customers/customers")
        .bearer_auth(&token);
    let customers: Value = customers.send().await.unwrap().json().await.unwrap();
    assert_eq!(customers.as_array().unwrap().len(), 12);
    for email in ["user1@gmail.com", "user2@gmail.com"] {
        let body = json!({"email": email, "password": "password"});
        let answer = server.post("/login").json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 201, "{email}");
    }
    let users = server
        .get("/users")
        .bearer_auth(&token)
        .send()
        .await
        .unwrap();
    let users: Value = users.json().await.unwrap();
    assert_eq!(
        users,
        json!({"users": [{"email": "user1@gmail.com", "id": 1}, {"email": "user2@gmail.com", "id": 2}]})
    );
    let log = server.log();
    assert!(
        log.contains("WARN") && log.contains("this is a DEMO"),
        "{log}"
    );
    assert!(server.stop().0.success());

    // A second start adds nothing.
    let server = Server::start_with(folder.path(), "--demo", &[]);
    let listed = keyward(folder.path(), "account list --json").json();
    assert_eq!(listed.as_array().unwrap().len(), 3);
    assert_eq!(server.status_for(&token).await, 200);
}

#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "where the shared vectors are is told by a variable"
)]
async fn a_golden_token_of_the_notary_verifies_with_the_key_of_a_demo() {
    let Ok(shared) = std::env::var("KEYWARD_SHARED") else {
        eprintln!("skipped: the golden vectors, as KEYWARD_SHARED is not set");
        return;
    };
    let vectors = std::fs::read_to_string(format!("{shared}/contracts/vectors.json")).unwrap();
    let vectors: Value = serde_json::from_str(&vectors).unwrap();
    let folder = TempDir::new().unwrap();
    let server = Server::start_with(folder.path(), "--demo", &[]);
    let mint = server
        .post("/generateToken")
        .json(&json!({"user_data": "this is test"}));
    let minted: Value = mint.send().await.unwrap().json().await.unwrap();
    let body = json!({
        "Token": minted["JWT Token"],
        "Signing_key": vectors["notary"]["signing_key"],
    });
    let verdict: Value = server
        .get("/verifyToken")
        .json(&body)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(verdict["Signature Verification"], true, "{verdict}");
}

#[test]
fn a_demo_is_not_reachable_from_elsewhere() {
    let folder = TempDir::new().unwrap();
    for listen in ["0.0.0.0:0", "[::]:0", "192.0.2.1:5000"] {
        let refusal = keyward(folder.path(), &format!("serve --demo --listen {listen}")).failed(1);
        assert!(refusal.contains("loopback"), "{refusal}");
    }
    let metrics = [("KEYWARD_METRICS__LISTEN", "0.0.0.0:0")];
    let serve = "serve --demo --listen 127.0.0.1:0";
    let refusal = keyward_with(folder.path(), serve, &metrics, "").failed(1);
    assert!(refusal.contains("metrics.listen"), "{refusal}");
    assert!(!folder.path().join("keyward-data").exists());
    Server::start_exactly(folder.path(), "serve --demo --listen [::1]:0", &[]).stop();
}

#[test]
fn a_folder_with_real_data_never_becomes_a_demo() {
    let folder = TempDir::new().unwrap();
    Server::start(folder.path()).stop();
    let refusal = keyward(folder.path(), "serve --demo --listen 127.0.0.1:0").failed(1);
    assert!(refusal.contains("was not made by --demo"), "{refusal}");
    for elsewhere in ["sqlite:real.db", "postgres://u:p@127.0.0.1:1/d"] {
        let args = format!("serve --demo --data-dir new --database {elsewhere}");
        let refusal = keyward(folder.path(), &args).failed(1);
        assert!(refusal.contains("in the data folder"), "{refusal}");
    }
    assert!(!folder.path().join("keyward-data/demo").exists());
}

#[test]
fn a_demo_folder_is_never_served_for_real() {
    let folder = TempDir::new().unwrap();
    std::fs::create_dir(folder.path().join("keyward-data")).unwrap();
    Server::start_with(folder.path(), "--demo", &[]).stop();
    let refusal = keyward(folder.path(), "serve --listen 127.0.0.1:0").failed(1);
    assert!(refusal.contains("was made by --demo"), "{refusal}");
}
