//! `keyward token`: what it mints is good here and elsewhere, and what it says of others is true.

use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::{Server, keyward, keyward_with};

const SECRET: &str = "the old service's secret, of forty-eight bytes!!";

fn folder_with_alice() -> TempDir {
    let folder = TempDir::new().unwrap();
    let add = "account add --username alice --generate-password";
    keyward(folder.path(), add).fine();
    folder
}

/// The id of the one open session.
fn session(folder: &TempDir) -> Value {
    keyward(folder.path(), "session list --json").json()[0]["id"].clone()
}

fn mint(folder: &TempDir, more: &str) -> String {
    let args = format!("token mint --account alice {more}");
    keyward(folder.path(), &args).fine().trim().to_owned()
}

#[tokio::test]
async fn a_minted_token_is_good_in_the_running_server_until_its_session_is_closed() {
    let folder = folder_with_alice();
    let server = Server::start(folder.path());
    let token = mint(&folder, "");
    assert_eq!(server.status_for(&token).await, 200);
    let id = session(&folder);
    let verify = format!("token verify {token} --json");
    let verdict = keyward(folder.path(), &verify).json();
    assert_eq!(
        verdict,
        json!({"valid": true, "realm": "default", "subject": "1", "session": id})
    );

    let logout = server
        .post("/api/v1/authentication/logout")
        .bearer_auth(&token);
    assert_eq!(logout.send().await.unwrap().status(), 204);
    let refusal = keyward(folder.path(), &format!("token verify {token}")).failed(1);
    let closed = format!("session {id} was closed at");
    assert!(refusal.contains(&closed), "{refusal}");
    let verdict = keyward(folder.path(), &verify);
    assert_eq!(verdict.code, 1);
    assert_eq!(
        serde_json::from_str::<Value>(&verdict.stdout).unwrap()["valid"],
        false
    );
}

#[test]
fn a_minted_token_lives_as_long_as_it_is_told_and_is_read_from_standard_input() {
    let folder = folder_with_alice();
    let minted = "token mint --account 1 --ttl 90s --json";
    let minted = keyward(folder.path(), minted).json();
    assert_eq!(
        (&minted["expires_in"], &minted["account"]),
        (&json!(90), &json!(1))
    );
    let token = minted["access_token"].as_str().unwrap();
    let input = format!("{token}\n");
    let verify = keyward_with(folder.path(), "token verify -", &[], &input).fine();
    let valid = format!(
        "valid: realm default, subject 1, session {}",
        session(&folder)
    );
    assert_eq!(verify.trim(), valid);

    keyward(folder.path(), "account disable alice").fine();
    let refusal = keyward(folder.path(), "token mint --account alice").failed(1);
    assert!(refusal.contains("is disabled"), "{refusal}");
}

#[tokio::test]
async fn a_refusal_says_why_to_the_operator() {
    let folder = TempDir::new().unwrap();
    let server = Server::start_with(folder.path(), "--demo", &[]);
    let body = json!({"username": "test", "password": "test"});
    let login = server
        .post("/api/v1/authentication/login")
        .json(&body)
        .send()
        .await
        .unwrap();
    let pair: Value = login.json().await.unwrap();
    let refresh = pair["refresh_token"].as_str().unwrap();
    let notary = server
        .post("/generateToken")
        .json(&json!({"user_data": "x"}))
        .send()
        .await
        .unwrap();
    let notary: Value = notary.json().await.unwrap();
    let notary = notary["JWT Token"].as_str().unwrap();
    let access = pair["access_token"].as_str().unwrap();
    let (claims, _) = access.rsplit_once('.').unwrap();
    let forged = format!("{claims}.{}", refresh.rsplit_once('.').unwrap().1);
    for (token, why) in [
        (refresh, "refresh token"),
        (notary, "token of the notary"),
        (&forged, "not signed by a key of this server"),
        ("a.b", "three segments"),
    ] {
        let refusal = keyward(folder.path(), &format!("token verify {token}")).failed(1);
        assert!(refusal.contains(why), "{why} is not in {refusal}");
    }
}

#[test]
fn inspecting_shows_any_jwt_as_it_stands_and_says_that_nothing_is_verified() {
    let folder = TempDir::new().unwrap();
    // {"typ":"JWT","alg":"none"} . {"z":1e999,"a":"\u009b[2J"} with a raw control character.
    let token = "eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0.eyJ6IjoxZTk5OSwiYSI6IsKbWzJKIn0.";
    let shown = keyward(folder.path(), &format!("token inspect {token}"));
    assert!(shown.stderr.contains("NOT VERIFIED"), "{shown:?}");
    let text = shown.fine();
    assert!(text.contains(r#"{"typ":"JWT","alg":"none"}"#), "{text}");
    assert!(text.contains(r#"{"z":1e999,"a":"\u009b[2J"}"#), "{text}");
    let json = keyward(folder.path(), &format!("token inspect --json {token}")).fine();
    assert!(
        json.contains(r#""verified": false"#) && json.contains("1e999"),
        "{json}"
    );
    assert!(
        keyward(folder.path(), "token inspect a.b.c")
            .failed(1)
            .contains("JWT")
    );
    assert!(!folder.path().join("keyward-data").exists());
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "where PyJWT is, is told by a variable"
)]
fn a_minted_token_verifies_in_pyjwt() {
    let Ok(python) = std::env::var("KEYWARD_PYTHON") else {
        eprintln!("skipped: PyJWT, as KEYWARD_PYTHON is not set");
        return;
    };
    let folder = folder_with_alice();
    for algorithm in ["HS256", "HS384"] {
        let env = [("JWT_SECRET", SECRET), ("JWT_ALGO", algorithm)];
        let args = "token mint --account alice";
        let token = keyward_with(folder.path(), args, &env, "").fine();
        let script = "import jwt, sys\n\
            claims = jwt.decode(sys.argv[1], sys.argv[2], algorithms=[sys.argv[3]])\n\
            print(claims['sub'])";
        let arguments = ["-c", script, token.trim(), SECRET, algorithm];
        let output = Command::new(&python)
            .args(arguments)
            .output()
            .expect("python");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.stdout.as_slice(), &*errors), (&b"1\n"[..], ""));
    }
}
