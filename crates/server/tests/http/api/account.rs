//! Who am I, and my password.

use http::StatusCode;
use keyward_server::limits;
use serde_json::{Value, json};

use super::{ACCOUNT, PASSWORD, SESSIONS};
use crate::app::{Answer, Options, TestApp};

const LOGIN: &str = "/api/v1/authentication/login";
const REFRESH: &str = "/api/v1/authentication/refresh";

async fn change(app: &TestApp, token: &str, current: &str, new: &str) -> Answer {
    let body = json!({"current_password": current, "new_password": new});
    app.put(PASSWORD).bearer(token).json(&body).send().await
}

async fn log_in(app: &TestApp, username: &str, password: &str) -> Answer {
    let body = json!({"username": username, "password": password});
    app.post(LOGIN).json(&body).send().await
}

#[tokio::test]
async fn an_account_is_shown_to_its_owner_without_its_password() {
    let app = TestApp::start().await;
    let (access, renewing) = app.pair("Test").await;
    let answer = app
        .get(ACCOUNT)
        .bearer(&access)
        .send()
        .await
        .expect(StatusCode::OK);
    let mut body = answer.json();
    assert!(body["id"].take().is_i64() && body["session_id"].take().is_i64());
    let expected = json!({
        "id": null, "realm": "default", "username": "Test", "email": null, "name": null,
        "created_at": "2026-01-01T00:00:00.000Z", "session_id": null,
    });
    assert_eq!(body, expected);
    let answer = app.get(ACCOUNT).bearer(&renewing).send().await;
    answer.expect_problem(StatusCode::UNAUTHORIZED, "not valid");

    let body = json!({"name": "U", "email": "User1@gmail.com", "password": "password"});
    app.post("/signup")
        .json(&body)
        .send()
        .await
        .expect(StatusCode::CREATED);
    let token = log_in(&app, "user1@gmail.com", "password")
        .await
        .text_at("/access_token");
    let body = app
        .get(ACCOUNT)
        .bearer(&token)
        .send()
        .await
        .expect(StatusCode::OK)
        .json();
    assert_eq!(
        (&body["email"], &body["name"]),
        (&json!("User1@gmail.com"), &json!("U"))
    );
    assert_eq!(body["username"], Value::Null);
}

#[tokio::test]
async fn users_of_the_exchange_see_their_own_account_and_sessions() {
    let app = TestApp::start().await;
    for role in ["ops", "client"] {
        let token = app.exchange_user(role, "someone").await;
        let body = app
            .get(ACCOUNT)
            .bearer(&token)
            .send()
            .await
            .expect(StatusCode::OK)
            .json();
        assert_eq!(
            (&body["realm"], &body["username"]),
            (&json!(role), &json!("someone"))
        );
        let sessions = app
            .get(SESSIONS)
            .bearer(&token)
            .send()
            .await
            .expect(StatusCode::OK)
            .json();
        let sessions = sessions.as_array().expect("array");
        assert_eq!(sessions.len(), 1, "not those of the other realm's namesake");
        assert_eq!(sessions[0]["id"], body["session_id"]);
        change(&app, &token, "pw", "new")
            .await
            .expect(StatusCode::NO_CONTENT);
        change(&app, &token, "pw", "newer")
            .await
            .expect(StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn a_change_of_password_closes_all_other_sessions_of_the_account() {
    let app = TestApp::start().await;
    let (mine, renewing) = app.pair("test").await;
    let other = log_in(&app, "test", "pw").await.expect(StatusCode::OK);
    let stranger = app.user("stranger").await;
    let answer = change(&app, &mine, "pw", "a new one")
        .await
        .expect(StatusCode::NO_CONTENT);
    assert!(answer.body.is_empty());
    for (token, status) in [
        (&mine, StatusCode::OK),
        (&other.text_at("/access_token"), StatusCode::UNAUTHORIZED),
        (&stranger, StatusCode::OK),
    ] {
        app.get(ACCOUNT).bearer(token).send().await.expect(status);
    }
    let refused = app
        .post(REFRESH)
        .bearer(&other.text_at("/refresh_token"))
        .send()
        .await;
    refused.expect(StatusCode::UNAUTHORIZED);
    app.post(REFRESH)
        .bearer(&renewing)
        .send()
        .await
        .expect(StatusCode::OK);
    log_in(&app, "test", "pw")
        .await
        .expect(StatusCode::UNAUTHORIZED);
    log_in(&app, "test", "a new one")
        .await
        .expect(StatusCode::OK);
    log_in(&app, "stranger", "pw").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_wrong_current_password_changes_nothing() {
    let app = TestApp::start().await;
    let token = app.user("test").await;
    let other = log_in(&app, "test", "pw").await.text_at("/access_token");
    let answer = change(&app, &token, "PW", "new").await;
    answer.expect_problem(StatusCode::FORBIDDEN, "current_password is wrong");
    app.get(ACCOUNT)
        .bearer(&other)
        .send()
        .await
        .expect(StatusCode::OK);
    log_in(&app, "test", "pw").await.expect(StatusCode::OK);
    log_in(&app, "test", "new")
        .await
        .expect(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn guesses_of_the_current_password_count_as_logins_of_the_account() {
    let limits = limits::Policy {
        logins_per_account: 3,
        ..limits::Policy::default()
    };
    let app = TestApp::with(Options {
        limits,
        ..Options::default()
    })
    .await;
    let token = app.user("Test").await;
    for _ in 0..2 {
        change(&app, &token, "guess", "new")
            .await
            .expect(StatusCode::FORBIDDEN);
    }
    let answer = change(&app, &token, "pw", "new").await;
    let answer = answer.expect_problem(StatusCode::TOO_MANY_REQUESTS, "too many");
    assert_eq!(answer.header("retry-after"), "20");
    log_in(&app, "test", "pw")
        .await
        .expect(StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_change_that_is_not_well_formed_says_which_member_is_wrong() {
    let app = TestApp::start().await;
    let token = app.user("test").await;
    let long = json!({"current_password": "pw", "new_password": "x".repeat(1_025)}).to_string();
    for (body, part) in [
        ("{}", "current_password is missing"),
        (r#"{"current_password":"pw"}"#, "new_password is missing"),
        (
            r#"{"current_password":"pw","new_password":""}"#,
            "new_password must not be empty",
        ),
        (
            r#"{"current_password":"","new_password":"x"}"#,
            "current_password must not be empty",
        ),
        (
            r#"{"current_password":"pw","new_password":1}"#,
            "new_password must be a string",
        ),
        (
            r#"{"current_password":"pw","new_password":"x","id":2}"#,
            "id",
        ),
        (
            r#"{"current_password":"pw","new_password":"x","new_password":"y"}"#,
            "duplicate",
        ),
        (&long, "new_password must be at most 1024 bytes"),
        ("[]", "object"),
        ("", "JSON"),
    ] {
        let request = app.put(PASSWORD).bearer(&token);
        let answer = request
            .body("application/json", body.to_owned())
            .send()
            .await;
        answer.expect_problem(StatusCode::BAD_REQUEST, part);
    }
    let answer = app
        .put(PASSWORD)
        .bearer(&token)
        .body("text/plain", "{}")
        .send()
        .await;
    answer.expect_problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "application/json");
    let large = json!({"current_password": "pw", "new_password": "x".repeat(70_000)});
    let answer = app.put(PASSWORD).bearer(&token).json(&large).send().await;
    answer.expect_problem(StatusCode::PAYLOAD_TOO_LARGE, "larger");
    log_in(&app, "test", "pw").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_password_is_kept_exactly_as_sent() {
    let app = TestApp::start().await;
    let token = app.user("test").await;
    let password = " \u{ff50}w\0\r\n ";
    change(&app, &token, "pw", password)
        .await
        .expect(StatusCode::NO_CONTENT);
    log_in(&app, "test", password).await.expect(StatusCode::OK);
    log_in(&app, "test", password.trim())
        .await
        .expect(StatusCode::UNAUTHORIZED);
}
