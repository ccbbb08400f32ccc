//! Contract 2, the user directory.

use http::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;

use crate::app::{Answer, Options, TestApp};
use keyward_jose::{Algorithm, base64url};

fn failure(code: u16, message: &str) -> Value {
    json!({"code": code, "data": null, "message": message, "status": false})
}

async fn sign_up(app: &TestApp, email: &str) -> Answer {
    let body = json!({"name": "Test User", "email": email, "password": "test123"});
    app.post("/signup").json(&body).send().await
}

async fn log_in(app: &TestApp, email: &str, password: &str) -> Answer {
    app.post("/login")
        .json(&json!({"email": email, "password": password}))
        .send()
        .await
}

async fn token(app: &TestApp, email: &str) -> String {
    sign_up(app, email).await.expect(StatusCode::CREATED);
    log_in(app, email, "test123")
        .await
        .expect(StatusCode::CREATED)
        .text_at("/token")
}

#[tokio::test]
async fn the_root_tells_a_client_from_a_browser() {
    let app = TestApp::start().await;
    let answer = app.get("/").send().await.expect(StatusCode::OK);
    assert_eq!(answer.text(), "flask rest connected");
    assert!(answer.header("content-type").starts_with("text/plain"));
    let browser = app
        .get("/")
        .header("accept", "text/html,application/xhtml+xml;q=0.9")
        .send()
        .await;
    let page = browser.expect(StatusCode::OK);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(
        page.header("content-security-policy")
            .contains("default-src 'none'")
    );
    let text = page.text();
    assert!(
        text.contains("/swagger-ui/") && text.contains(env!("CARGO_PKG_VERSION")),
        "{text}"
    );
}

#[tokio::test]
async fn sign_up_answers_the_exact_envelope_and_never_a_hash() {
    let app = TestApp::start().await;
    let answer = sign_up(&app, "test@gmail.com")
        .await
        .expect(StatusCode::CREATED);
    let data = json!({"email": "test@gmail.com", "name": "Test User", "password": "********"});
    assert_eq!(
        answer.json(),
        json!({"code": 201, "data": data, "message": "successfully registered", "status": true})
    );
    for email in ["test@gmail.com", "TEST@Gmail.com"] {
        let taken = sign_up(&app, email).await.expect(StatusCode::CONFLICT);
        assert_eq!(taken.json(), failure(409, "user already registered"));
    }
}

#[tokio::test]
async fn bad_sign_ups_are_400_and_name_the_field() {
    let app = TestApp::start().await;
    let (long_email, long_password) = (format!("{}@a.de", "a".repeat(300)), "p".repeat(1025));
    let cases = [
        (json!({"name": "n", "password": "p"}), "email"),
        (
            json!({"name": "n", "email": null, "password": "p"}),
            "email",
        ),
        (json!({"name": "n", "email": "", "password": "p"}), "email"),
        (
            json!({"name": "n", "email": "nobody", "password": "p"}),
            "email",
        ),
        (
            json!({"name": "n", "email": "a@b\r\nc", "password": "p"}),
            "email",
        ),
        (json!({"name": "n", "email": 5, "password": "p"}), "email"),
        (
            json!({"name": "n", "email": long_email, "password": "p"}),
            "email",
        ),
        (json!({"email": "a@b.c", "password": "p"}), "name"),
        (
            json!({"name": "", "email": "a@b.c", "password": "p"}),
            "name",
        ),
        (
            json!({"name": "  ", "email": "a@b.c", "password": "p"}),
            "name",
        ),
        (
            json!({"name": "a\u{0}", "email": "a@b.c", "password": "p"}),
            "name",
        ),
        (
            json!({"name": ["n"], "email": "a@b.c", "password": "p"}),
            "name",
        ),
        (json!({"name": "n", "email": "a@b.c"}), "password"),
        (
            json!({"name": "n", "email": "a@b.c", "password": ""}),
            "password",
        ),
        (
            json!({"name": "n", "email": "a@b.c", "password": long_password}),
            "password",
        ),
        (
            json!({"name": "n", "email": "a@b.c", "password": {"$ne": 1}}),
            "password",
        ),
    ];
    for (body, field) in cases {
        let answer = app
            .post("/signup")
            .json(&body)
            .send()
            .await
            .expect(StatusCode::BAD_REQUEST);
        let message = answer.text_at("/message");
        assert!(message.contains(field), "{message:?} should name {field}");
        assert_eq!(answer.json(), failure(400, &message));
    }
    for body in [
        "",
        "[]",
        "nonsense",
        "{\"name\":\"a\",\"name\":\"b\"}",
        "{\"name\":1e400}",
    ] {
        let answer = app
            .post("/signup")
            .body("application/json", body)
            .send()
            .await;
        assert_eq!(
            answer.expect(StatusCode::BAD_REQUEST).json()["code"],
            400,
            "{body}"
        );
    }
    let form = app
        .post("/signup")
        .body("application/x-www-form-urlencoded", "name=a")
        .send()
        .await;
    assert_eq!(
        form.expect(StatusCode::UNSUPPORTED_MEDIA_TYPE).json()["code"],
        415
    );
    let large = json!({"name": "n".repeat(70_000)});
    let large = app
        .post("/signup")
        .json(&large)
        .send()
        .await
        .expect(StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(large.json()["code"], 413);
    let wrong = app
        .get("/signup")
        .send()
        .await
        .expect(StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(
        (wrong.header("allow"), &wrong.json()["code"]),
        ("POST", &json!(405))
    );
    let token = token(&app, "first@gmail.com").await;
    let users = app.get("/users").bearer(&token).send().await.json();
    assert_eq!(
        users,
        json!({"users": [{"email": "first@gmail.com", "id": 1}]}),
        "nothing was stored"
    );
}

#[tokio::test]
async fn unknown_members_are_ignored_and_never_applied() {
    let app = TestApp::start().await;
    let body = json!({
        "name": "n", "email": "a@b.c", "password": "p", "id": 77, "realm": "ops", "disabled_at": 1,
        "username": "root", "is_admin": true,
    });
    app.post("/signup")
        .json(&body)
        .send()
        .await
        .expect(StatusCode::CREATED);
    let token = log_in(&app, "a@b.c", "p")
        .await
        .expect(StatusCode::CREATED)
        .text_at("/token");
    let users = app.get("/users").bearer(&token).send().await.json();
    assert_eq!(users["users"][0]["id"], 1);
}

#[tokio::test]
async fn login_gives_a_token_with_the_named_claims_and_no_password() {
    let app = TestApp::start().await;
    sign_up(&app, "Test@gmail.com")
        .await
        .expect(StatusCode::CREATED);
    let answer = log_in(&app, "Test@gmail.com", "test123")
        .await
        .expect(StatusCode::CREATED);
    assert_eq!(answer.header("cache-control"), "no-store");
    let json = answer.json();
    assert_eq!(json["code"], 201);
    assert_eq!(
        json["data"],
        json!({"email": "Test@gmail.com", "password": "********"})
    );
    assert_eq!(json["message"], "verification success");
    assert_eq!(json["status"], true);
    let token = answer.text_at("/token");
    let mut segments = token
        .split('.')
        .map(|segment| base64url::decode(segment).expect("segment"));
    let header = String::from_utf8(segments.next().expect("header")).expect("UTF-8");
    assert_eq!(header, r#"{"alg":"HS256","typ":"JWT"}"#);
    let claims: Value = serde_json::from_slice(&segments.next().expect("claims")).expect("JSON");
    let names: Vec<_> = claims
        .as_object()
        .expect("object")
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(names, ["email", "exp", "iat", "jti", "sid", "sub"]);
    assert_eq!(claims["sub"], "1");
    assert_eq!(claims["email"], "Test@gmail.com");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_are_one_answer() {
    let app = TestApp::start().await;
    sign_up(&app, "test@gmail.com")
        .await
        .expect(StatusCode::CREATED);
    let message = "verification failed - incorrect user email or password";
    for (email, password) in [
        ("test@gmail.com", "wrong"),
        ("nobody@gmail.com", "test123"),
        ("no address", "test123"),
        ("", "test123"),
    ] {
        let answer = log_in(&app, email, password)
            .await
            .expect(StatusCode::FORBIDDEN);
        let data = json!({"email": email, "password": "********"});
        let expected = json!({"code": 403, "data": data, "message": message, "status": false});
        assert_eq!(answer.json(), expected);
    }
}

#[tokio::test]
async fn login_is_shared_by_two_contracts_and_told_apart_by_its_body() {
    let app = TestApp::start().await;
    for body in [
        json!({"password": "p"}),
        json!({}),
        json!({"email": "a@b.c", "username": "a", "password": "p"}),
        json!({"email": null, "username": null, "password": "p"}),
    ] {
        let answer = app
            .post("/login")
            .json(&body)
            .send()
            .await
            .expect(StatusCode::BAD_REQUEST);
        let expected = failure(400, "send either email or username, with password");
        assert_eq!(answer.json(), expected, "{body}");
    }
    for (body, field) in [
        (json!({"email": "a@b.c"}), "password"),
        (json!({"email": "a@b.c", "password": ""}), "password"),
        (json!({"email": 5, "password": "p"}), "email"),
        (json!({"email": {}, "password": "p"}), "email"),
    ] {
        let answer = app
            .post("/login")
            .json(&body)
            .send()
            .await
            .expect(StatusCode::BAD_REQUEST);
        let message = answer.text_at("/message");
        assert!(
            message.contains(field) && answer.json()["code"] == 400,
            "{message}"
        );
    }
}

#[tokio::test]
async fn users_are_listed_by_id_a_page_at_a_time() {
    let app = TestApp::start().await;
    let token = token(&app, "user1@gmail.com").await;
    app.user("without_email").await;
    for index in 2..=5 {
        sign_up(&app, &format!("user{index}@gmail.com"))
            .await
            .expect(StatusCode::CREATED);
    }
    let all = app
        .get("/users")
        .header("x-access-token", &token)
        .send()
        .await;
    let all = all.expect(StatusCode::OK);
    assert_eq!(all.header("link"), "");
    let user = |id: i64, number: i64| json!({"email": format!("user{number}@gmail.com"), "id": id});
    let expected = json!({"users": [user(1, 1), user(3, 2), user(4, 3), user(5, 4), user(6, 5)]});
    assert_eq!(all.json(), expected);
    let page = app
        .get("/users?limit=2&after=1")
        .bearer(&token)
        .send()
        .await
        .expect(StatusCode::OK);
    assert_eq!(page.json(), json!({"users": [user(3, 2), user(4, 3)]}));
    assert_eq!(
        page.header("link"),
        "</users?limit=2&after=4>; rel=\"next\""
    );
    for query in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "after=-1",
        "limit=1&limit=2",
        "limit=",
    ] {
        let path = format!("/users?{query}");
        let answer = app
            .get(&path)
            .bearer(&token)
            .send()
            .await
            .expect(StatusCode::BAD_REQUEST);
        assert_eq!(answer.json()["code"], 400, "{query}");
    }
}

#[tokio::test]
async fn users_without_a_good_token_is_401_with_the_two_messages() {
    let app = TestApp::start().await;
    let good = token(&app, "user1@gmail.com").await;
    let missing = failure(401, "auth failed - token is missing");
    let invalid = failure(401, "auth failed - token is invalid");
    assert_eq!(
        app.get("/users")
            .send()
            .await
            .expect(StatusCode::UNAUTHORIZED)
            .json(),
        missing
    );
    for (name, value) in [
        ("x-access-token", ""),
        ("x-access-token", "  "),
        ("authorization", "Bearer "),
    ] {
        let answer = app.get("/users").header(name, value).send().await;
        assert_eq!(answer.expect(StatusCode::UNAUTHORIZED).json(), missing);
    }
    let forged = format!("{}A", &good[..good.len() - 1]);
    let notary = app
        .post("/generateToken")
        .json(&json!({"user_data": "x"}))
        .send()
        .await;
    let (_, refresh) = app.pair("pair").await;
    let ops = app.exchange_user("ops", "ops1").await;
    let bad = [
        "x",
        "a.b.c",
        &forged,
        &notary.text_at("/JWT Token"),
        &refresh,
        &ops,
        &"a".repeat(20_000),
    ];
    for token in bad {
        let answer = app
            .get("/users")
            .header("x-access-token", token)
            .send()
            .await;
        assert_eq!(answer.expect(StatusCode::UNAUTHORIZED).json(), invalid);
    }
    app.get("/users")
        .bearer(&good)
        .send()
        .await
        .expect(StatusCode::OK);
    app.clock.advance(Duration::from_secs(86_400 + 4));
    app.get("/users")
        .bearer(&good)
        .send()
        .await
        .expect(StatusCode::OK);
    app.clock.advance(Duration::from_secs(1));
    let expired = app
        .get("/users")
        .bearer(&good)
        .send()
        .await
        .expect(StatusCode::UNAUTHORIZED);
    assert_eq!(expired.json(), invalid);
}

#[tokio::test]
async fn login_limits_count_before_the_work_and_answer_429() {
    let limits = keyward_server::limits::Policy::default();
    let app = TestApp::with(Options {
        limits,
        ..Options::default()
    })
    .await;
    sign_up(&app, "test@gmail.com")
        .await
        .expect(StatusCode::CREATED);
    for _ in 0..10 {
        log_in(&app, "test@gmail.com", "wrong")
            .await
            .expect(StatusCode::FORBIDDEN);
    }
    for email in ["test@gmail.com", "TEST@gmail.com"] {
        let answer = log_in(&app, email, "test123")
            .await
            .expect(StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(
            (answer.header("retry-after"), &answer.json()["code"]),
            ("6", &json!(429))
        );
    }
    app.clock.advance(Duration::from_secs(6));
    log_in(&app, "test@gmail.com", "test123")
        .await
        .expect(StatusCode::CREATED);
    for index in 0..19 {
        sign_up(&app, &format!("u{index}@gmail.com"))
            .await
            .expect(StatusCode::CREATED);
    }
    let answer = sign_up(&app, "late@gmail.com").await;
    app.clock.advance(Duration::from_secs(0));
    assert!(matches!(
        answer.status,
        StatusCode::CREATED | StatusCode::TOO_MANY_REQUESTS
    ));
}

#[tokio::test]
async fn the_algorithm_and_key_of_the_settings_are_used() {
    let key = "k".repeat(64);
    let login_key = Some(keyward_core::secret::SecretText::new(key.clone()));
    let options = Options {
        algorithm: Algorithm::HS512,
        login_key,
        ..Options::default()
    };
    let app = TestApp::with(options).await;
    let token = token(&app, "a@b.c").await;
    let (input, tag) = token.rsplit_once('.').expect("token");
    let hmac = keyward_jose::HmacKey::new(Algorithm::HS512, key.as_bytes()).expect("key");
    assert!(hmac.verifies(input.as_bytes(), &base64url::decode(tag).expect("tag")));
    app.get("/users")
        .bearer(&token)
        .send()
        .await
        .expect(StatusCode::OK);
}
