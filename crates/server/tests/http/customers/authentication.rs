//! Logging in and out.

use std::net::SocketAddr;

use futures_util::future::join_all;
use http::StatusCode;
use keyward_core::accounts::{Realm, SignUp, names, passwords};
use keyward_core::clock::Clock;
use keyward_core::secret::Password;
use keyward_server::limits;
use serde_json::{Value, json};

use super::{CUSTOMERS, LOGIN, LOGOUT, claims, is_good, refresh};
use crate::app::{Answer, Options, TestApp};

async fn log_in(app: &TestApp, username: &str, password: &str) -> Answer {
    let body = json!({"username": username, "password": password});
    app.post(LOGIN).json(&body).send().await
}

#[tokio::test]
async fn a_login_yields_an_access_token_of_10_minutes_and_a_refresh_token_of_30_days() {
    let app = TestApp::start().await;
    app.user("test").await;
    let answer = log_in(&app, "test", "pw").await.expect(StatusCode::OK);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("content-type"), "application/json");
    let mut body = answer.json();
    let access = claims(&answer.text_at("/access_token"));
    let renewing = claims(&answer.text_at("/refresh_token"));
    let members = body.as_object_mut().expect("object");
    members.retain(|name, _| !["access_token", "refresh_token"].contains(&name.as_str()));
    assert_eq!(body, json!({"token_type": "Bearer", "expires_in": 600}));
    let now = app.clock.now().seconds();
    assert_eq!(
        (&access["iat"], &access["exp"]),
        (&json!(now), &json!(now + 600))
    );
    assert_eq!(renewing["exp"], now + 30 * 86_400);
    assert_eq!(access["sid"], renewing["sid"]);
    assert!(is_good(&app, &answer.text_at("/access_token")).await);
}

#[tokio::test]
async fn the_username_may_hold_an_e_mail_address_in_any_case() {
    let app = TestApp::start().await;
    let body = json!({"name": "U", "email": "User1@gmail.com", "password": "password"});
    app.post("/signup")
        .json(&body)
        .send()
        .await
        .expect(StatusCode::CREATED);
    for name in ["User1@gmail.com", "user1@GMAIL.com"] {
        log_in(&app, name, "password").await.expect(StatusCode::OK);
    }
}

#[tokio::test]
async fn unknown_wrong_and_disabled_are_answered_alike() {
    let app = TestApp::start().await;
    app.user("test").await;
    app.user("gone").await;
    let name = names::username("gone").expect("name");
    let gone = app
        .app
        .accounts
        .find_by_name(Realm::Default, &name)
        .await
        .expect("store");
    app.app
        .sessions
        .disable_account(&gone.expect("account"))
        .await
        .expect("disabled");
    let mut answers = Vec::new();
    for (name, password) in [
        ("test", "wrong"),
        ("nobody", "pw"),
        ("gone", "pw"),
        ("no name", "pw"),
        ("a\0b", "pw"),
    ] {
        let answer = log_in(&app, name, password).await;
        let mut answer = answer.expect_problem(StatusCode::UNAUTHORIZED, "wrong");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        answer.headers.remove("x-request-id");
        answers.push((answer.headers, answer.body));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[tokio::test]
async fn a_login_that_is_not_well_formed_says_which_member_is_wrong() {
    let app = TestApp::start().await;
    let long = json!({"username": "u", "password": "x".repeat(1_025)}).to_string();
    for (body, part) in [
        ("{}", "username is missing"),
        (r#"{"username":"u"}"#, "password is missing"),
        (
            r#"{"username":"","password":"p"}"#,
            "username must not be empty",
        ),
        (
            r#"{"username":"u","password":""}"#,
            "password must not be empty",
        ),
        (r#"{"username":"u","password":null}"#, "password is missing"),
        (
            r#"{"username":5,"password":"p"}"#,
            "username must be a string",
        ),
        (
            r#"{"username":"u","password":12345}"#,
            "password must be a string",
        ),
        (
            r#"{"username":"u","password":["p"]}"#,
            "password must be a string",
        ),
        (r#"{"username":"u","password":"p","role":"admin"}"#, "role"),
        (
            r#"{"username":"u","username":"v","password":"p"}"#,
            "duplicate",
        ),
        (r#"{"username":"u","password":"\ud800"}"#, "surrogate"),
        (&long, "password must be at most 1024 bytes"),
        ("[]", "object"),
        ("", "JSON"),
        ("username=u", "JSON"),
    ] {
        let answer = app
            .post(LOGIN)
            .body("application/json", body.to_owned())
            .send()
            .await;
        let answer = answer.expect_problem(StatusCode::BAD_REQUEST, part);
        assert!(!answer.text().contains("12345"), "a password is repeated");
    }
    let body = r#"{"username":"u","password":"p"}"#;
    let answer = app.post(LOGIN).body("text/plain", body).send().await;
    answer.expect_problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "application/json");
    let large = json!({"username": "u", "password": "x".repeat(70_000)});
    let answer = app.post(LOGIN).json(&large).send().await;
    answer.expect_problem(StatusCode::PAYLOAD_TOO_LARGE, "larger");
    let answer = app.get(LOGIN).send().await;
    let answer = answer.expect_problem(StatusCode::METHOD_NOT_ALLOWED, "method");
    assert_eq!(answer.header("allow"), "POST");
}

#[tokio::test]
async fn logins_are_limited_by_account_and_by_address() {
    let policy = limits::Policy::default();
    let per_account = limits::Policy {
        logins_per_account: 2,
        ..policy.clone()
    };
    let app = TestApp::with(Options {
        limits: per_account,
        ..Options::default()
    })
    .await;
    for _ in 0..2 {
        log_in(&app, "test", "x")
            .await
            .expect(StatusCode::UNAUTHORIZED);
    }
    let answer = log_in(&app, "TEST", "x").await;
    let answer = answer.expect_problem(StatusCode::TOO_MANY_REQUESTS, "too many");
    assert_eq!(answer.header("retry-after"), "30");
    log_in(&app, "other", "x")
        .await
        .expect(StatusCode::UNAUTHORIZED);

    let per_address = limits::Policy {
        logins_per_address: 2,
        ..policy
    };
    let app = TestApp::with(Options {
        limits: per_address,
        ..Options::default()
    })
    .await;
    for name in ["a", "b"] {
        log_in(&app, name, "x")
            .await
            .expect(StatusCode::UNAUTHORIZED);
    }
    log_in(&app, "c", "x")
        .await
        .expect(StatusCode::TOO_MANY_REQUESTS);
    let elsewhere = SocketAddr::from(([192, 0, 2, 1], 1));
    let body = json!({"username": "d", "password": "x"});
    let answer = app.post(LOGIN).from(elsewhere).json(&body).send().await;
    answer.expect(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_account_has_one_budget_of_logins_whichever_of_its_names_is_typed() {
    let limits = limits::Policy {
        logins_per_account: 4,
        ..limits::Policy::default()
    };
    let app = TestApp::with(Options {
        limits,
        ..Options::default()
    })
    .await;
    let sign_up = SignUp {
        realm: Realm::Default,
        username: Some(names::username("ada").expect("a name")),
        email: Some(names::email("ada@x.org").expect("an address")),
        display_name: None,
        password: Password::new("pw".to_owned()).expect("a password"),
    };
    app.app.accounts.add(sign_up).await.expect("an account");
    log_in(&app, "ADA", "pw").await.expect(StatusCode::OK);
    for (path, member, name, expected) in [
        (LOGIN, "username", "ada@x.org", StatusCode::UNAUTHORIZED),
        ("/login", "email", "Ada@X.org", StatusCode::FORBIDDEN),
        ("/login", "username", "ada", StatusCode::UNAUTHORIZED),
    ] {
        let body = json!({member: name, "password": "x"});
        app.post(path).json(&body).send().await.expect(expected);
    }
    for name in ["ada", "ada@x.org"] {
        let answer = log_in(&app, name, "pw").await;
        answer.expect_problem(StatusCode::TOO_MANY_REQUESTS, "too many");
    }
    // What is nobody's name behaves as the name of an account does.
    for name in ["nobody", "no name at all"] {
        for _ in 0..4 {
            let answer = log_in(&app, name, "x").await;
            answer.expect(StatusCode::UNAUTHORIZED);
        }
        let answer = log_in(&app, name, "x").await;
        let answer = answer.expect_problem(StatusCode::TOO_MANY_REQUESTS, "too many");
        assert_eq!(answer.header("retry-after"), "15");
    }
}

#[tokio::test]
async fn more_logins_than_may_wait_are_told_to_come_back() {
    let passwords = passwords::Policy {
        memory_kib: 19_456,
        passes: 2,
        threads: 1,
        queue: 1,
    };
    let options = Options {
        passwords,
        ..Options::default()
    };
    let app = TestApp::with(options).await;
    let answers = join_all((0..20).map(|_| log_in(&app, "nobody", "x"))).await;
    let busy: Vec<_> = answers
        .into_iter()
        .filter(|answer| answer.status != StatusCode::UNAUTHORIZED)
        .collect();
    assert!(!busy.is_empty());
    for answer in busy {
        let answer = answer.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "try again");
        assert_eq!(answer.header("retry-after"), "1");
    }
}

#[tokio::test]
async fn a_logout_by_either_token_ends_both() {
    let app = TestApp::start().await;
    let other = app.user("other").await;
    for by_refresh in [false, true] {
        let (access, renewing) = app.pair(&format!("user-{by_refresh}")).await;
        let presented = if by_refresh { &renewing } else { &access };
        let answer = app.post(LOGOUT).bearer(presented).send().await;
        let answer = answer.expect(StatusCode::NO_CONTENT);
        assert!(answer.body.is_empty());
        assert!(!is_good(&app, &access).await);
        refresh(&app, &renewing)
            .await
            .expect_problem(StatusCode::UNAUTHORIZED, "not valid");
        for token in [&access, &renewing] {
            let answer = app.post(LOGOUT).bearer(token).send().await;
            answer.expect_problem(StatusCode::UNAUTHORIZED, "not valid");
        }
    }
    assert!(is_good(&app, &other).await, "another's session stands");
}

#[tokio::test]
async fn a_logout_closes_sessions_of_the_other_contracts_too() {
    let app = TestApp::start().await;
    let single = app.user("test").await;
    app.post(LOGOUT)
        .bearer(&single)
        .send()
        .await
        .expect(StatusCode::NO_CONTENT);
    assert!(!is_good(&app, &single).await);
}

#[tokio::test]
async fn a_logout_without_a_good_token_is_refused() {
    let app = TestApp::start().await;
    let (access, _) = app.pair("test").await;
    let answer = app.post(LOGOUT).send().await;
    answer.expect_problem(StatusCode::UNAUTHORIZED, "send a token");
    let notary = app
        .post("/generateToken")
        .json(&json!({"user_data": "x"}))
        .send()
        .await;
    let notary = notary.text_at("/JWT Token");
    let padded = format!("{access}=");
    for token in ["x", "a.b.c", &notary, &padded, &access[1..]] {
        let answer = app.post(LOGOUT).bearer(token).send().await;
        answer.expect_problem(StatusCode::UNAUTHORIZED, "not valid");
    }
    assert!(is_good(&app, &access).await);
}

#[tokio::test]
async fn a_logout_holds_through_a_restart() {
    let app = TestApp::start().await;
    let (access, renewing) = app.pair("test").await;
    app.post(LOGOUT)
        .bearer(&access)
        .send()
        .await
        .expect(StatusCode::NO_CONTENT);
    let app = app.restart().await;
    let answer = app.get(CUSTOMERS).bearer(&access).send().await;
    answer.expect_problem(StatusCode::UNAUTHORIZED, "not valid");
    refresh(&app, &renewing)
        .await
        .expect(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn no_answer_repeats_a_password_or_its_hash() {
    let app = TestApp::start().await;
    let secret = "correct horse battery staple";
    let body = json!({"username": "test", "password": secret});
    app.post("/register")
        .json(&body)
        .send()
        .await
        .expect(StatusCode::OK);
    let answers = [
        log_in(&app, "test", secret).await,
        log_in(&app, "nobody", secret).await,
        app.post(LOGIN)
            .json(&json!({"username": 1, "password": secret}))
            .send()
            .await,
        app.post(LOGIN)
            .json(&json!({"password": secret, "x": Value::Null}))
            .send()
            .await,
    ];
    for answer in answers {
        let text = answer.text();
        assert!(!text.contains(secret) && !text.contains("argon2"), "{text}");
    }
}
