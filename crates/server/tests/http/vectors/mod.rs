//! The vectors contract, and health.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::app::{Options, TestApp};

#[tokio::test]
async fn health_needs_no_token() {
    let app = TestApp::start().await;
    for path in ["/health", "/health/live", "/health/ready"] {
        assert_eq!(
            app.get(path).send().await.expect(StatusCode::OK).json()["status"],
            "ok"
        );
    }
    app.store.close().await;
    let answer = app
        .get("/health/ready")
        .send()
        .await
        .expect(StatusCode::SERVICE_UNAVAILABLE);
    assert!(!answer.text_at("/reason").is_empty());
    app.get("/health/live").send().await.expect(StatusCode::OK);
    let wrong = app
        .post("/health")
        .send()
        .await
        .expect(StatusCode::METHOD_NOT_ALLOWED);
    assert!(!wrong.text_at("/message").is_empty());
}

#[tokio::test]
async fn register_and_login_answer_the_exact_messages() {
    let app = TestApp::start().await;
    let body = json!({"username": "new_user", "password": "new_password"});
    let answer = app
        .post("/register")
        .json(&body)
        .send()
        .await
        .expect(StatusCode::OK);
    assert_eq!(
        answer.json(),
        json!({"message": "User registered successfully"})
    );
    for username in ["new_user", "NEW_USER", "ｎｅｗ_user"] {
        let body = json!({"username": username, "password": "x"});
        let answer = app
            .post("/register")
            .json(&body)
            .send()
            .await
            .expect(StatusCode::CONFLICT);
        assert_eq!(
            answer.json(),
            json!({"message": "User registered already, Please login"})
        );
    }
    let answer = app
        .post("/login")
        .json(&body)
        .send()
        .await
        .expect(StatusCode::OK);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.json().as_object().map(serde_json::Map::len), Some(1));
    assert_eq!(answer.text_at("/token").split('.').count(), 3);
    for body in [
        json!({"username": "new_user", "password": "wrong"}),
        json!({"username": "nobody", "password": "new_password"}),
        json!({"username": "no body", "password": "new_password"}),
    ] {
        let answer = app
            .post("/login")
            .json(&body)
            .send()
            .await
            .expect(StatusCode::UNAUTHORIZED);
        assert_eq!(answer.json(), json!({"message": "Authentication failed"}));
    }
}

#[tokio::test]
async fn a_username_cannot_take_anothers_address() {
    let app = TestApp::start().await;
    let user = json!({"name": "n", "email": "a@b.c", "password": "p"});
    app.post("/signup")
        .json(&user)
        .send()
        .await
        .expect(StatusCode::CREATED);
    let thief = json!({"username": "A@b.c", "password": "x"});
    app.post("/register")
        .json(&thief)
        .send()
        .await
        .expect(StatusCode::CONFLICT);
    let by_address = json!({"username": "a@b.c", "password": "p"});
    app.post("/login")
        .json(&by_address)
        .send()
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn bad_input_is_400_and_says_which_field_and_why() {
    let app = TestApp::start().await;
    let long = "a".repeat(255);
    for (body, field) in [
        (json!({}), "username"),
        (json!({"username": "", "password": "p"}), "username"),
        (json!({"username": " a", "password": "p"}), "username"),
        (json!({"username": "a\u{0}", "password": "p"}), "username"),
        (json!({"username": long, "password": "p"}), "username"),
        (json!({"username": 1, "password": "p"}), "username"),
        (json!({"username": "a"}), "password"),
        (json!({"username": "a", "password": ""}), "password"),
        (
            json!({"username": "a", "password": "p".repeat(1025)}),
            "password",
        ),
        (json!({"username": "a", "password": false}), "password"),
    ] {
        let answer = app
            .post("/register")
            .json(&body)
            .send()
            .await
            .expect(StatusCode::BAD_REQUEST);
        assert!(
            answer.text_at("/message").starts_with(field),
            "{body}: {}",
            answer.text()
        );
        assert_eq!(answer.json().as_object().map(serde_json::Map::len), Some(1));
    }
    for body in [
        "",
        "[1]",
        "{\"username\":\"a\",\"username\":\"b\"}",
        "{\"x\":{\"y\":1,\"y\":1}}",
    ] {
        let answer = app
            .post("/register")
            .body("application/json", body)
            .send()
            .await;
        assert!(
            !answer
                .expect(StatusCode::BAD_REQUEST)
                .text_at("/message")
                .is_empty()
        );
    }
    let other = app.post("/register").body("text/json", "{}").send().await;
    assert!(
        !other
            .expect(StatusCode::UNSUPPORTED_MEDIA_TYPE)
            .text_at("/message")
            .is_empty()
    );
}

#[tokio::test]
async fn an_array_is_500_floats_in_the_unit_interval_and_never_the_same() {
    let app = TestApp::start().await;
    let token = app.user("user").await;
    let array = async |query: &str| -> Vec<f64> {
        let path = format!("/generate_array{query}");
        let body = json!({"sentence": "This is a sample sentence"});
        let answer = app.post(&path).bearer(&token).json(&body).send().await;
        let answer = answer.expect(StatusCode::OK);
        assert_eq!(answer.header("content-type"), "application/json");
        serde_json::from_slice(&answer.body).expect("an array of numbers")
    };
    let first = array("").await;
    assert_eq!(first.len(), 500);
    assert!(first.iter().all(|number| (0.0..1.0).contains(number)));
    assert_ne!(first, array("").await);
    assert_eq!(
        array("?dimensions=3&seed=7").await,
        array("?dimensions=3&seed=7").await
    );
    assert_eq!(array("?dimensions=10000").await.len(), 10_000);
}

#[tokio::test]
async fn bad_arrays_are_refused_with_a_message() {
    let app = TestApp::start().await;
    let token = app.user("user").await;
    let send = |query: &str, body: Value| {
        app.post(&format!("/generate_array{query}"))
            .bearer(&token)
            .json(&body)
            .send()
    };
    for body in [
        json!({}),
        json!({"sentence": ""}),
        json!({"sentence": null}),
        json!({"sentence": 5}),
        json!({"sentence": ["a"]}),
    ] {
        let answer = send("", body).await.expect(StatusCode::BAD_REQUEST);
        assert!(answer.text_at("/message").contains("sentence"));
    }
    for query in [
        "dimensions=0",
        "dimensions=10001",
        "dimensions=-1",
        "dimensions=5.0",
        "seed=x",
        "seed=-1",
        "seed=",
    ] {
        let answer = send(&format!("?{query}"), json!({"sentence": "a"})).await;
        assert!(
            !answer
                .expect(StatusCode::BAD_REQUEST)
                .text_at("/message")
                .is_empty(),
            "{query}"
        );
    }
    let long = json!({"sentence": "a".repeat(64 * 1024 + 1)});
    send("", long).await.expect(StatusCode::PAYLOAD_TOO_LARGE);
    send("", json!({"sentence": "a".repeat(64 * 1024)}))
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn an_array_without_a_good_token_is_401_with_the_two_messages() {
    let app = TestApp::start().await;
    let token = app.user("user").await;
    let body = json!({"sentence": "a"});
    let missing = app.post("/generate_array").json(&body).send().await;
    let missing = missing.expect(StatusCode::UNAUTHORIZED);
    assert_eq!(missing.json(), json!({"message": "Token is missing"}));
    let forged = format!("{token}A");
    for token in ["x", forged.as_str()] {
        let answer = app
            .post("/generate_array")
            .bearer(token)
            .json(&body)
            .send()
            .await;
        let answer = answer.expect(StatusCode::UNAUTHORIZED);
        assert_eq!(answer.json(), json!({"message": "Token is invalid"}));
    }
    app.get("/logout")
        .bearer(&token)
        .send()
        .await
        .expect(StatusCode::OK);
    let closed = app
        .post("/generate_array")
        .bearer(&token)
        .json(&body)
        .send()
        .await;
    let closed = closed.expect(StatusCode::UNAUTHORIZED);
    assert_eq!(closed.json(), json!({"message": "Token is invalid"}));
}

#[tokio::test]
async fn arrays_and_logins_are_limited_for_each_account() {
    let limits = keyward_server::limits::Policy::default();
    let app = TestApp::with(Options {
        limits,
        ..Options::default()
    })
    .await;
    let (one, other) = (app.user("one").await, app.user("other").await);
    let body = json!({"sentence": "a"});
    for _ in 0..120 {
        app.post("/generate_array")
            .bearer(&one)
            .json(&body)
            .send()
            .await
            .expect(StatusCode::OK);
    }
    let answer = app
        .post("/generate_array")
        .bearer(&one)
        .json(&body)
        .send()
        .await;
    let answer = answer.expect(StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer.header("retry-after"), "1");
    assert!(!answer.text_at("/message").is_empty());
    app.post("/generate_array")
        .bearer(&other)
        .json(&body)
        .send()
        .await
        .expect(StatusCode::OK);
    app.clock.advance(Duration::from_secs(1));
    app.post("/generate_array")
        .bearer(&one)
        .json(&body)
        .send()
        .await
        .expect(StatusCode::OK);
}
