//! The user directory.

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

/// Bodies and the field that each answer must name; `LONG` stands for 1,100 letters.
const BAD_SIGN_UPS: [(&str, &str); 16] = [
    (r#"{"name":"n","password":"p"}"#, "email"),
    (r#"{"name":"n","email":null,"password":"p"}"#, "email"),
    (r#"{"name":"n","email":"","password":"p"}"#, "email"),
    (r#"{"name":"n","email":"nobody","password":"p"}"#, "email"),
    (r#"{"name":"n","email":"a@b\r\nc","password":"p"}"#, "email"),
    (r#"{"name":"n","email":5,"password":"p"}"#, "email"),
    (
        r#"{"name":"n","email":"LONG@a.de","password":"p"}"#,
        "email",
    ),
    (r#"{"email":"a@b.c","password":"p"}"#, "name"),
    (r#"{"name":"","email":"a@b.c","password":"p"}"#, "name"),
    (r#"{"name":"  ","email":"a@b.c","password":"p"}"#, "name"),
    (
        r#"{"name":"a\u0000","email":"a@b.c","password":"p"}"#,
        "name",
    ),
    (r#"{"name":["n"],"email":"a@b.c","password":"p"}"#, "name"),
    (r#"{"name":"n","email":"a@b.c"}"#, "password"),
    (r#"{"name":"n","email":"a@b.c","password":""}"#, "password"),
    (
        r#"{"name":"n","email":"a@b.c","password":"LONG"}"#,
        "password",
    ),
    (
        r#"{"name":"n","email":"a@b.c","password":{"$ne":1}}"#,
        "password",
    ),
];

#[tokio::test]
async fn bad_sign_ups_are_400_and_name_the_field() {
    let app = TestApp::start().await;
    for (body, field) in BAD_SIGN_UPS {
        let body = body.replace("LONG", &"p".repeat(1_100));
        let request = app.post("/signup").body("application/json", body);
        let answer = request.send().await.expect(StatusCode::BAD_REQUEST);
        let message = answer.text_at("/message");
        assert!(message.contains(field), "{message:?} should name {field}");
        assert_eq!(answer.json(), failure(400, &message));
    }
    let token = token(&app, "first@gmail.com").await;
    let users = app.get("/users").bearer(&token).send().await.json();
    let first = json!({"users": [{"email": "first@gmail.com", "id": 1}]});
    assert_eq!(users, first, "nothing was stored");
}

#[tokio::test]
async fn bodies_that_are_no_sign_up_have_the_envelope_too() {
    let app = TestApp::start().await;
    let with_code = |answer: Answer, status: StatusCode| {
        let answer = answer.expect(status);
        assert_eq!(answer.json()["code"], status.as_u16());
        answer
    };
    let json_type = "application/json";
    let large = format!(r#"{{"name":"{}"}}"#, "n".repeat(70_000));
    for (content_type, body, status) in [
        (json_type, "", StatusCode::BAD_REQUEST),
        (json_type, "[]", StatusCode::BAD_REQUEST),
        (json_type, "nonsense", StatusCode::BAD_REQUEST),
        (
            json_type,
            r#"{"name":"a","name":"b"}"#,
            StatusCode::BAD_REQUEST,
        ),
        (json_type, r#"{"name":1e400}"#, StatusCode::BAD_REQUEST),
        (json_type, &large, StatusCode::PAYLOAD_TOO_LARGE),
        ("text/plain", "{}", StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ] {
        let request = app.post("/signup").body(content_type, body.to_owned());
        with_code(request.send().await, status);
    }
    let wrong = app.get("/signup").send().await;
    let wrong = with_code(wrong, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(wrong.header("allow"), "POST");
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
    let anonymous = app.get("/users").send().await;
    assert_eq!(anonymous.expect(StatusCode::UNAUTHORIZED).json(), missing);
    let blank = [
        ("x-access-token", ""),
        ("x-access-token", "  "),
        ("authorization", "Bearer "),
    ];
    for (name, value) in blank {
        let answer = app.get("/users").header(name, value).send().await;
        assert_eq!(answer.expect(StatusCode::UNAUTHORIZED).json(), missing);
    }
    let other = if good.ends_with('A') { 'E' } else { 'A' };
    let forged = format!("{}{other}", &good[..good.len() - 1]);
    for token in ["x", "a.b.c", &forged, &"a".repeat(20_000)] {
        let answer = app
            .get("/users")
            .header("x-access-token", token)
            .send()
            .await;
        assert_eq!(answer.expect(StatusCode::UNAUTHORIZED).json(), invalid);
    }
}

#[tokio::test]
async fn a_token_of_the_directory_lives_a_day() {
    let app = TestApp::start().await;
    let token = token(&app, "user1@gmail.com").await;
    app.clock.advance(Duration::from_secs(86_400 + 4));
    app.get("/users")
        .bearer(&token)
        .send()
        .await
        .expect(StatusCode::OK);
    app.clock.advance(Duration::from_secs(1));
    let expired = app.get("/users").bearer(&token).send().await;
    let expired = expired.expect(StatusCode::UNAUTHORIZED).json();
    assert_eq!(expired, failure(401, "auth failed - token is invalid"));
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
}

#[tokio::test]
async fn sign_ups_are_limited_for_each_address() {
    let limits = keyward_server::limits::Policy::default();
    let app = TestApp::with(Options {
        limits,
        ..Options::default()
    })
    .await;
    for index in 0..20 {
        let email = format!("user{index}@gmail.com");
        sign_up(&app, &email).await.expect(StatusCode::CREATED);
    }
    let answer = sign_up(&app, "late@gmail.com")
        .await
        .expect(StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(
        (answer.header("retry-after"), &answer.json()["code"]),
        ("3", &json!(429))
    );
    let elsewhere = std::net::SocketAddr::from(([127, 0, 0, 2], 40_000));
    let body = json!({"name": "n", "email": "late@gmail.com", "password": "p"});
    let answer = app.post("/signup").json(&body).from(elsewhere).send().await;
    answer.expect(StatusCode::CREATED);
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

#[tokio::test]
async fn the_welcome_page_names_what_is_switched_on() {
    let contracts = keyward_server::Contracts {
        directory: false,
        exchange: false,
        ..keyward_server::Contracts::ALL
    };
    let options = Options {
        contracts,
        ..Options::default()
    };
    let app = TestApp::with(options).await;
    let page = app.get("/").send().await.expect(StatusCode::OK).text();
    assert!(page.contains("/generateToken") && page.contains("/swagger-ui/"));
    assert!(!page.contains("/signup") && !page.contains("/ops/"));
    assert!(!page.contains("{rows}") && !page.contains("{version}"));
}

#[tokio::test]
async fn a_login_that_began_before_a_change_of_the_password_gets_no_session() {
    use futures_util::FutureExt;
    use keyward_core::accounts::passwords;
    use keyward_core::secret::Password;
    let passwords = passwords::Policy {
        memory_kib: 19_456,
        passes: 4,
        threads: 1,
        queue: 8,
    };
    let app = TestApp::with(Options {
        passwords,
        ..Options::default()
    })
    .await;
    sign_up(&app, "a@b.c").await.expect(StatusCode::CREATED);
    let new = || Password::new("new".to_owned()).expect("password");
    let hash = app.app.accounts.hash(new()).await.expect("hash");
    // One thread: the login waits behind a slow hash, with the old hash in its hands.
    let mut slow = Box::pin(app.app.accounts.hash(new()));
    assert!(slow.as_mut().now_or_never().is_none());
    let mut login = Box::pin(log_in(&app, "a@b.c", "test123"));
    assert!(login.as_mut().now_or_never().is_none());
    let id = keyward_core::id::AccountId(1);
    let now = keyward_core::clock::Timestamp::from_seconds(crate::app::START);
    let change = keyward_core::sessions::PasswordChange {
        account: id,
        hash,
        by_owner: None,
    };
    let changed = keyward_core::sessions::Store::change_password(&*app.store, change, now);
    assert!(changed.await.expect("store").is_some());
    login.await.expect(StatusCode::FORBIDDEN);
    drop(slow);
    log_in(&app, "a@b.c", "new")
        .await
        .expect(StatusCode::CREATED);
}
