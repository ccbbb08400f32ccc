//! The customers table: its calls and who may make them.

use std::time::Duration;

use http::{Method, StatusCode};
use keyward_server::limits;
use serde_json::json;

use super::{CUSTOMERS, YOUNGEST, add, claims};
use crate::app::{Options, TestApp};

#[tokio::test]
async fn a_customer_is_added_shown_replaced_and_deleted() {
    let app = TestApp::start().await;
    let token = app.user("test").await;
    app.clock.advance(Duration::from_micros(123_456));
    let body = json!({"name": "Ada Lovelace", "dob": "1815-12-10"});
    let answer = app.post(CUSTOMERS).bearer(&token).json(&body).send().await;
    let answer = answer.expect(StatusCode::CREATED);
    let id = answer.json()["id"].as_i64().expect("id");
    let path = format!("{CUSTOMERS}/{id}");
    assert_eq!(answer.header("location"), path);
    assert_eq!(answer.header("etag"), "\"1\"");
    let created = json!({
        "id": id, "name": "Ada Lovelace", "dob": "1815-12-10", "updated_at": "2026-01-01T00:00:00.123Z",
    });
    assert_eq!(answer.json(), created);

    let answer = app
        .get(&path)
        .bearer(&token)
        .send()
        .await
        .expect(StatusCode::OK);
    assert_eq!((answer.header("etag"), answer.json()), ("\"1\"", created));

    let body =
        json!({"name": "Ada", "dob": "1815-12-11", "updated_at": "2020-07-08T14:55:49.93+02:00"});
    let answer = app
        .put(&path)
        .bearer(&token)
        .json(&body)
        .send()
        .await
        .expect(StatusCode::OK);
    let replaced = json!({
        "id": id, "name": "Ada", "dob": "1815-12-11", "updated_at": "2020-07-08T12:55:49.930Z",
    });
    assert_eq!(
        (answer.header("etag"), answer.json()),
        ("\"2\"", replaced.clone())
    );
    let answer = app
        .get(&path)
        .bearer(&token)
        .send()
        .await
        .expect(StatusCode::OK);
    assert_eq!((answer.header("etag"), answer.json()), ("\"2\"", replaced));

    let answer = app
        .delete(&path)
        .bearer(&token)
        .send()
        .await
        .expect(StatusCode::NO_CONTENT);
    assert!(answer.body.is_empty());
    for method in [Method::GET, Method::DELETE] {
        let answer = app.request(method, &path).bearer(&token).send().await;
        answer.expect_problem(StatusCode::NOT_FOUND, "no such customer");
    }
    let answer = app.put(&path).bearer(&token).json(&body).send().await;
    answer.expect_problem(StatusCode::NOT_FOUND, "no such customer");
    let next = add(&app, &token, "Bob", "2000-01-01").await;
    assert_ne!(next["id"], id, "an id is never used again");
}

#[tokio::test]
async fn customers_outlive_a_restart() {
    let app = TestApp::start().await;
    let token = app.user("test").await;
    let added = add(&app, &token, "Ada", "1815-12-10").await;
    let app = app.restart().await;
    let answer = app
        .get(CUSTOMERS)
        .bearer(&token)
        .send()
        .await
        .expect(StatusCode::OK);
    assert_eq!(answer.json(), json!([added]));
}

#[tokio::test]
async fn every_call_wants_an_access_token_of_realm_default() {
    let app = TestApp::start().await;
    let token = app.user("test").await;
    let (_, renewing) = app.pair("other").await;
    let added = add(&app, &token, "Ada", "1815-12-10").await;
    let path = format!("{CUSTOMERS}/{}", added["id"]);
    let minted = app
        .post("/generateToken")
        .json(&json!({"user_data": "x"}))
        .send()
        .await;
    let mut refused = vec![
        None,
        Some("x".to_owned()),
        Some(renewing),
        Some(minted.text_at("/JWT Token")),
        Some(format!("{token}=")),
    ];
    for role in ["ops", "client"] {
        refused.push(Some(app.exchange_user(role, "someone").await));
    }
    let body = json!({"name": "Eve", "dob": "2000-01-01"});
    for token in &refused {
        for (method, path) in [
            (Method::GET, CUSTOMERS),
            (Method::POST, CUSTOMERS),
            (Method::GET, &path),
            (Method::PUT, &path),
            (Method::DELETE, &path),
            (Method::GET, YOUNGEST),
        ] {
            let request = app.request(method, path).json(&body);
            let request = match token {
                Some(token) => request.bearer(token),
                None => request,
            };
            let part = if token.is_some() {
                "the token is not valid"
            } else {
                "send a token"
            };
            let answer = request
                .send()
                .await
                .expect_problem(StatusCode::UNAUTHORIZED, part);
            let challenge = match token {
                Some(_) => r#"Bearer error="invalid_token""#,
                None => "Bearer",
            };
            assert_eq!(answer.header("www-authenticate"), challenge);
        }
    }
    let answer = app.get(CUSTOMERS).bearer(&token).send().await;
    assert_eq!(answer.json(), json!([added]), "nothing was changed");
}

#[tokio::test]
async fn who_calls_is_asked_before_what_is_sent() {
    let app = TestApp::start().await;
    for request in [
        app.get(&format!("{CUSTOMERS}/nonsense")),
        app.get(&format!("{CUSTOMERS}?limit=0")),
        app.get(YOUNGEST),
        app.post(CUSTOMERS).body("text/plain", "x"),
        app.put(&format!("{CUSTOMERS}/%ff"))
            .body("application/json", "{"),
    ] {
        request
            .send()
            .await
            .expect_problem(StatusCode::UNAUTHORIZED, "send a token");
    }
}

#[tokio::test]
async fn a_path_that_ends_in_no_id_is_not_found() {
    let app = TestApp::start().await;
    let token = app.user("test").await;
    for id in [
        "0",
        "-1",
        "99",
        "abc",
        "1.0",
        "1e3",
        "+1",
        "01",
        "%31%00",
        "%ff",
        "9223372036854775808",
        "9223372036854775807",
        "1%20OR%201=1",
        "..%2f1",
    ] {
        for method in [Method::GET, Method::DELETE] {
            let answer = app
                .request(method, &format!("{CUSTOMERS}/{id}"))
                .bearer(&token);
            answer
                .send()
                .await
                .expect_problem(StatusCode::NOT_FOUND, "there is no");
        }
    }
    for path in [
        format!("{CUSTOMERS}/"),
        format!("{CUSTOMERS}/1/2"),
        "/api/v1/customers".into(),
    ] {
        let answer = app.get(&path).bearer(&token).send().await;
        answer.expect_problem(StatusCode::NOT_FOUND, "nothing at this path");
    }
}

#[tokio::test]
async fn other_methods_are_refused_with_those_allowed() {
    let app = TestApp::start().await;
    let one = format!("{CUSTOMERS}/1");
    for (path, allowed) in [
        (CUSTOMERS, ["GET", "HEAD", "POST"].as_slice()),
        (&one, &["DELETE", "GET", "HEAD", "PUT"]),
        (YOUNGEST, &["GET", "HEAD"]),
    ] {
        let answer = app.request(Method::PATCH, path).send().await;
        let answer = answer.expect_problem(StatusCode::METHOD_NOT_ALLOWED, "method");
        let mut allow: Vec<_> = answer.header("allow").split(',').map(str::trim).collect();
        allow.sort_unstable();
        assert_eq!(allow, allowed, "{path}");
    }
}

#[tokio::test]
async fn an_accounts_calls_are_limited() {
    let limits = limits::Policy {
        requests_per_account: 2,
        ..limits::Policy::default()
    };
    let app = TestApp::with(Options {
        limits,
        ..Options::default()
    })
    .await;
    let (token, other) = (app.user("test").await, app.user("other").await);
    assert_ne!(claims(&token)["sub"], claims(&other)["sub"]);
    for _ in 0..2 {
        app.get(CUSTOMERS)
            .bearer(&token)
            .send()
            .await
            .expect(StatusCode::OK);
    }
    let answer = app.get(CUSTOMERS).bearer(&token).send().await;
    let answer = answer.expect_problem(StatusCode::TOO_MANY_REQUESTS, "too many");
    assert_eq!(answer.header("retry-after"), "30");
    app.get(CUSTOMERS)
        .bearer(&other)
        .send()
        .await
        .expect(StatusCode::OK);
}
