//! My sessions: listing and closing them.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{ACCOUNT, SESSIONS};
use crate::app::TestApp;

const LOGIN: &str = "/api/v1/authentication/login";
const REFRESH: &str = "/api/v1/authentication/refresh";

/// Logs in once more and yields the access token.
async fn log_in(app: &TestApp, username: &str, user_agent: &str) -> String {
    let body = json!({"username": username, "password": "pw"});
    let request = app.post(LOGIN).header("user-agent", user_agent).json(&body);
    request
        .send()
        .await
        .expect(StatusCode::OK)
        .text_at("/access_token")
}

async fn list(app: &TestApp, token: &str) -> Vec<Value> {
    let answer = app
        .get(SESSIONS)
        .bearer(token)
        .send()
        .await
        .expect(StatusCode::OK);
    answer.json().as_array().expect("array").clone()
}

async fn session_of(app: &TestApp, token: &str) -> Value {
    let answer = app
        .get(ACCOUNT)
        .bearer(token)
        .send()
        .await
        .expect(StatusCode::OK);
    answer.json()["session_id"].take()
}

#[tokio::test]
async fn only_my_open_sessions_are_listed_and_mine_is_marked() {
    let app = TestApp::start().await;
    let (token, renewing) = app.pair("test").await;
    app.user("stranger").await;
    app.clock.advance(Duration::from_secs(60));
    let other = log_in(&app, "test", "curl/8.0 \u{e9}").await;
    let third = log_in(&app, "test", &"x".repeat(300)).await;
    app.clock.advance(Duration::from_millis(60_500));
    app.post(REFRESH)
        .bearer(&renewing)
        .send()
        .await
        .expect(StatusCode::OK);
    let expected = json!([
        {
            "id": session_of(&app, &token).await, "created_at": "2026-01-01T00:00:00.000Z",
            "refreshed_at": "2026-01-01T00:02:00.500Z", "expires_at": "2026-01-31T00:02:00.500Z",
            "user_agent": null, "current": true,
        },
        {
            "id": session_of(&app, &other).await, "created_at": "2026-01-01T00:01:00.000Z",
            "refreshed_at": "2026-01-01T00:01:00.000Z", "expires_at": "2026-01-31T00:01:00.000Z",
            "user_agent": null, "current": false,
        },
        {
            "id": session_of(&app, &third).await, "created_at": "2026-01-01T00:01:00.000Z",
            "refreshed_at": "2026-01-01T00:01:00.000Z", "expires_at": "2026-01-31T00:01:00.000Z",
            "user_agent": "x".repeat(200), "current": false,
        },
    ]);
    assert_eq!(Value::from(list(&app, &token).await), expected);
    app.post("/api/v1/authentication/logout")
        .bearer(&other)
        .send()
        .await;
    assert_eq!(list(&app, &token).await.len(), 2, "a closed one is gone");
}

#[tokio::test]
async fn a_session_that_has_ended_is_not_listed() {
    let app = TestApp::start().await;
    let token = app.user("test").await;
    log_in(&app, "test", "x").await;
    assert_eq!(list(&app, &token).await.len(), 2);
    app.clock.advance(Duration::from_secs(30 * 86_400));
    let token = log_in(&app, "test", "x").await;
    assert_eq!(list(&app, &token).await.len(), 1);
}

#[tokio::test]
async fn sessions_are_listed_in_pages() {
    let app = TestApp::start().await;
    let token = app.user("test").await;
    for _ in 0..4 {
        log_in(&app, "test", "x").await;
    }
    // `user` has logged in once itself.
    let all = list(&app, &token).await;
    assert_eq!(all.len(), 5);
    let answer = app
        .get(&format!("{SESSIONS}?limit=3"))
        .bearer(&token)
        .send()
        .await;
    let link = format!("<{SESSIONS}?limit=3&after={}>; rel=\"next\"", all[2]["id"]);
    assert_eq!(
        (answer.header("link"), answer.json()),
        (&*link, json!(all[..3]))
    );
    let path = format!("{SESSIONS}?limit=3&after={}", all[2]["id"]);
    let answer = app.get(&path).bearer(&token).send().await;
    assert_eq!(
        (answer.header("link"), answer.json()),
        ("", json!(all[3..]))
    );
    for query in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "after=-1",
        "after=1&after=2",
    ] {
        let answer = app
            .get(&format!("{SESSIONS}?{query}"))
            .bearer(&token)
            .send()
            .await;
        answer.expect_problem(
            StatusCode::BAD_REQUEST,
            query.split_once('=').expect("name").0,
        );
    }
}

#[tokio::test]
async fn a_closed_session_is_refused_at_once_and_after_a_restart() {
    let app = TestApp::start().await;
    let mine = app.user("test").await;
    let other = log_in(&app, "test", "x").await;
    let path = format!("{SESSIONS}/{}", session_of(&app, &other).await);
    let answer = app
        .delete(&path)
        .bearer(&mine)
        .send()
        .await
        .expect(StatusCode::NO_CONTENT);
    assert!(answer.body.is_empty());
    let refused = |app: TestApp| async {
        app.get(ACCOUNT)
            .bearer(&other)
            .send()
            .await
            .expect(StatusCode::UNAUTHORIZED);
        app.get(ACCOUNT)
            .bearer(&mine)
            .send()
            .await
            .expect(StatusCode::OK);
        app
    };
    let app = refused(app).await;
    let app = refused(app.restart().await).await;
    let answer = app.delete(&path).bearer(&mine).send().await;
    answer.expect_problem(StatusCode::NOT_FOUND, "no such session");
    let path = format!("{SESSIONS}/{}", session_of(&app, &mine).await);
    app.delete(&path)
        .bearer(&mine)
        .send()
        .await
        .expect(StatusCode::NO_CONTENT);
    app.get(ACCOUNT)
        .bearer(&mine)
        .send()
        .await
        .expect(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn anothers_session_is_as_if_it_were_not_there() {
    let app = TestApp::start().await;
    let (mine, victim) = (app.user("test").await, app.user("victim").await);
    let namesake = app.exchange_user("ops", "test").await;
    let theirs = session_of(&app, &victim).await;
    let unknown = app
        .delete(&format!("{SESSIONS}/99999"))
        .bearer(&mine)
        .send()
        .await;
    let unknown = unknown.expect_problem(StatusCode::NOT_FOUND, "no such session");
    for token in [&mine, &namesake] {
        let answer = app
            .delete(&format!("{SESSIONS}/{theirs}"))
            .bearer(token)
            .send()
            .await;
        assert_eq!(
            (answer.status, &answer.body),
            (StatusCode::NOT_FOUND, &unknown.body)
        );
    }
    for id in ["0", "-1", "x", "%ff", "9223372036854775808", "01"] {
        let answer = app
            .delete(&format!("{SESSIONS}/{id}"))
            .bearer(&mine)
            .send()
            .await;
        answer.expect_problem(StatusCode::NOT_FOUND, "there is no");
    }
    app.get(ACCOUNT)
        .bearer(&victim)
        .send()
        .await
        .expect(StatusCode::OK);
    for method in [Method::GET, Method::PUT] {
        let answer = app
            .request(method, &format!("{SESSIONS}/{theirs}"))
            .bearer(&mine)
            .send()
            .await;
        let answer = answer.expect_problem(StatusCode::METHOD_NOT_ALLOWED, "method");
        assert_eq!(answer.header("allow"), "DELETE");
    }
}
