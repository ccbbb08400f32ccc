//! Signing up and logging in.

use futures_util::future::join_all;
use http::{Method, StatusCode};
use keyward_jose::Algorithm;
use keyward_server::limits;
use serde_json::{Value, json};

use super::{BOUNDARY, content_type, field, form};
use crate::app::{Options, START, TestApp};

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn either_role_signs_up_and_logs_in_by_either_form_or_json() {
    let app = TestApp::start().await;
    for role in ["ops", "client"] {
        for (index, (content_type, body)) in [
            (
                FORM.to_owned(),
                b"username=NAME&password=p%20w%26%C3%A9".to_vec(),
            ),
            (
                content_type(),
                form(&[
                    field("username", b"NAME"),
                    field("password", "p w&é".as_bytes()),
                ]),
            ),
            (
                "application/json".into(),
                r#"{"username":"NAME","password":"p w&é"}"#.into(),
            ),
        ]
        .into_iter()
        .enumerate()
        {
            let name = format!("user{index}");
            let body = String::from_utf8(body)
                .expect("UTF-8")
                .replace("NAME", &name);
            let path = format!("/{role}/signup");
            let answer = app
                .post(&path)
                .body(&content_type, body.clone())
                .send()
                .await;
            let answer = answer.expect(StatusCode::CREATED);
            let json = answer.json();
            assert_eq!(json.as_object().expect("object").len(), 2, "{json}");
            assert_eq!(json["username"], name);
            assert!(
                json["message"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty())
            );
            let path = format!("/{role}/login");
            let answer = app.post(&path).body(&content_type, body).send().await;
            answer.expect(StatusCode::OK);
            let same = json!({"username": name, "password": "p w&é", "other": [1]});
            app.post(&path)
                .json(&same)
                .send()
                .await
                .expect(StatusCode::OK);
        }
    }
}

#[tokio::test]
async fn a_username_is_unique_within_its_role_alone_and_in_its_case() {
    let app = TestApp::start().await;
    for (role, username, expected) in [
        ("ops", "sbeve72", StatusCode::CREATED),
        ("ops", "sbeve72", StatusCode::CONFLICT),
        ("client", "sbeve72", StatusCode::CREATED),
        ("client", "sbeve72", StatusCode::CONFLICT),
        ("ops", "Sbeve72", StatusCode::CREATED),
    ] {
        let body = json!({"username": username, "password": "a"});
        let answer = app
            .post(&format!("/{role}/signup"))
            .json(&body)
            .send()
            .await;
        if expected == StatusCode::CONFLICT {
            answer.expect_problem(expected, "username is taken");
        } else {
            answer.expect(expected);
        }
    }
}

#[tokio::test]
async fn of_many_sign_ups_for_one_name_at_once_one_succeeds() {
    let app = TestApp::start().await;
    let body = json!({"username": "sbeve72", "password": "a"});
    let all = (0..16).map(|_| app.post("/ops/signup").json(&body).send());
    let statuses: Vec<_> = join_all(all)
        .await
        .into_iter()
        .map(|answer| answer.status)
        .collect();
    let created = statuses
        .iter()
        .filter(|&&status| status == StatusCode::CREATED)
        .count();
    let conflicts = statuses
        .iter()
        .filter(|&&status| status == StatusCode::CONFLICT)
        .count();
    assert_eq!((created, conflicts), (1, 15), "{statuses:?}");
}

#[tokio::test]
async fn bad_usernames_and_passwords_are_400_and_say_why() {
    let app = TestApp::start().await;
    let long = "a".repeat(65);
    for username in ["", ".a", "-a", "_a", "a/b", "a b", "é", "a\0", "..", &long] {
        let body = json!({"username": username, "password": "a"});
        let answer = app.post("/ops/signup").json(&body).send().await;
        answer.expect_problem(StatusCode::BAD_REQUEST, "username");
    }
    for (body, part) in [
        (json!({"password": "a"}), "username is missing"),
        (
            json!({"username": null, "password": "a"}),
            "username is missing",
        ),
        (
            json!({"username": 5, "password": "a"}),
            "username must be a string",
        ),
        (json!({"username": "a"}), "password is missing"),
        (
            json!({"username": "a", "password": ""}),
            "password must not be empty",
        ),
        (
            json!({"username": "a", "password": "a".repeat(1_025)}),
            "password must be at most",
        ),
        (
            json!({"username": "a", "password": ["a"]}),
            "password must be a string",
        ),
    ] {
        for path in ["/client/signup", "/client/login"] {
            let answer = app.post(path).json(&body).send().await;
            answer.expect_problem(StatusCode::BAD_REQUEST, part);
        }
    }
    let body = json!({"username": "a".repeat(64), "password": "a".repeat(1_024)});
    app.post("/ops/signup")
        .json(&body)
        .send()
        .await
        .expect(StatusCode::CREATED);
}

#[tokio::test]
async fn a_body_is_read_strictly_whatever_its_form() {
    let app = TestApp::start().await;
    let twice = form(&[
        field("username", b"a"),
        field("password", b"a"),
        field("username", b"a"),
    ]);
    let many = form(&vec![field("x", b""); 17]);
    let broken = form(&[field("username", b"a"), field("password", b"a")]);
    let broken = broken[..broken.len() - 4].to_vec();
    let large = field("x", &vec![b'a'; 66_000]);
    let bad = StatusCode::BAD_REQUEST;
    for (content_type, body, expected) in [
        (FORM, b"username=a&password=a&password=b".to_vec(), bad),
        (FORM, b"username=a&password=%ff".to_vec(), bad),
        (FORM, b"username=a".to_vec(), bad),
        (&content_type(), twice, bad),
        (&content_type(), many, bad),
        (&content_type(), broken, bad),
        (
            &content_type(),
            form(&[large]),
            StatusCode::PAYLOAD_TOO_LARGE,
        ),
        (&content_type(), b"username=a&password=a".to_vec(), bad),
        ("multipart/form-data", form(&[]), bad),
        (
            &content_type(),
            form(&[field("username", b"a"), field("password", b"\xff")]),
            bad,
        ),
        (
            "application/json",
            br#"{"username":"a","password":"a","usern\u0061me":"b"}"#.to_vec(),
            bad,
        ),
        ("application/json", b"username=a&password=a".to_vec(), bad),
        ("application/json", b"[]".to_vec(), bad),
        ("application/json", b"".to_vec(), bad),
        (FORM, vec![b'a'; 65_537], StatusCode::PAYLOAD_TOO_LARGE),
        (
            "text/plain",
            b"username=a&password=a".to_vec(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
        (
            "multipart/mixed; boundary=a",
            form(&[]),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ),
    ] {
        for path in ["/ops/signup", "/client/login"] {
            let answer = app.post(path).body(content_type, body.clone()).send().await;
            answer.expect_problem(expected, "");
        }
    }
    let answer = app.post("/ops/login").send().await;
    answer.expect_problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type");
    let packed = app.post("/ops/login").body(FORM, "username=a&password=a");
    let answer = packed.header("content-encoding", "gzip").send().await;
    answer.expect_problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Encoding");
}

#[tokio::test]
async fn credentials_do_not_belong_in_an_address() {
    let app = TestApp::start().await;
    for path in [
        "/ops/signup",
        "/client/signup",
        "/ops/login",
        "/client/login",
    ] {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let with_query = format!("{path}?username=a&password=a");
            let answer = app.request(method, &with_query).send().await;
            let answer = answer.expect_problem(StatusCode::METHOD_NOT_ALLOWED, "method");
            assert_eq!(answer.header("allow"), "POST");
        }
    }
}

#[tokio::test]
async fn a_login_answers_the_bare_token_with_the_claims_of_the_contract() {
    for (algorithm, header) in [
        (Algorithm::HS256, r#"{"alg":"HS256","typ":"JWT"}"#),
        (Algorithm::HS384, r#"{"alg":"HS384","typ":"JWT"}"#),
        (Algorithm::HS512, r#"{"alg":"HS512","typ":"JWT"}"#),
    ] {
        let app = TestApp::with(Options {
            algorithm,
            ..Options::default()
        })
        .await;
        for role in ["ops", "client"] {
            app.exchange_user(role, "sbeve72").await;
            let body = "username=sbeve72&password=pw";
            let answer = app
                .post(&format!("/{role}/login"))
                .body(FORM, body)
                .send()
                .await;
            let answer = answer.expect(StatusCode::OK);
            assert_eq!(answer.header("content-type"), "text/plain");
            assert_eq!(answer.header("cache-control"), "no-store");
            let token = answer.text();
            let parts: Vec<_> = token.split('.').map(decoded).collect();
            assert_eq!(parts.len(), 3, "{token}");
            assert_eq!(String::from_utf8_lossy(&parts[0]), header);
            let claims: Value = serde_json::from_slice(&parts[1]).expect("claims");
            assert!(
                claims["sid"].is_i64() && claims["jti"].is_string(),
                "{claims}"
            );
            let expected = json!({
                "iss": "EzWorks", "sub": "sbeve72", "aud": role, "sid": claims["sid"],
                "exp": START + 365 * 86_400, "iat": START, "jti": claims["jti"],
            });
            assert_eq!(claims, expected);
        }
    }
}

fn decoded(part: &str) -> Vec<u8> {
    keyward_jose::base64url::decode(part).expect("base64url")
}

#[tokio::test]
async fn an_unknown_username_is_404_and_a_wrong_password_401() {
    let app = TestApp::start().await;
    app.exchange_user("ops", "sbeve72").await;
    for (role, username, password, status, part) in [
        (
            "client",
            "sbeve72",
            "pw",
            StatusCode::NOT_FOUND,
            "no such username",
        ),
        (
            "ops",
            "Sbeve72",
            "pw",
            StatusCode::NOT_FOUND,
            "no such username",
        ),
        (
            "ops",
            "../etc",
            "pw",
            StatusCode::NOT_FOUND,
            "no such username",
        ),
        ("ops", "", "pw", StatusCode::BAD_REQUEST, "username"),
        (
            "ops",
            "sbeve72",
            "pw ",
            StatusCode::UNAUTHORIZED,
            "password is wrong",
        ),
        (
            "ops",
            "sbeve72",
            "PW",
            StatusCode::UNAUTHORIZED,
            "password is wrong",
        ),
        (
            "ops",
            "sbeve72",
            "ｐｗ",
            StatusCode::UNAUTHORIZED,
            "password is wrong",
        ),
    ] {
        let body = json!({"username": username, "password": password});
        let answer = app.post(&format!("/{role}/login")).json(&body).send().await;
        let answer = answer.expect_problem(status, part);
        assert!(!answer.text().contains("pw"), "{}", answer.text());
        if status == StatusCode::UNAUTHORIZED {
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }
}

fn limited() -> Options {
    Options {
        limits: limits::Policy::default(),
        ..Options::default()
    }
}

#[tokio::test]
async fn logins_are_counted_for_each_account_whether_it_exists_or_not() {
    let app = TestApp::with(limited()).await;
    app.exchange_user("client", "sbeve72").await;
    for (role, username, status) in [
        ("client", "sbeve72", StatusCode::UNAUTHORIZED),
        ("ops", "sbeve72", StatusCode::NOT_FOUND),
    ] {
        let body = json!({"username": username, "password": "wrong"});
        let path = format!("/{role}/login");
        let left = if role == "client" { 9 } else { 10 };
        let all = (0..left + 3).map(|_| app.post(&path).json(&body).send());
        let answers = join_all(all).await;
        let passed = answers
            .iter()
            .filter(|answer| answer.status == status)
            .count();
        assert_eq!(passed, left, "{role}");
        for answer in answers.into_iter().filter(|answer| answer.status != status) {
            let answer = answer.expect_problem(StatusCode::TOO_MANY_REQUESTS, "Retry-After");
            assert_eq!(answer.header("retry-after"), "6");
        }
    }
    app.clock.advance(std::time::Duration::from_secs(6));
    let body = json!({"username": "sbeve72", "password": "pw"});
    app.post("/client/login")
        .json(&body)
        .send()
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn sign_ups_and_logins_are_counted_for_each_address() {
    let app = TestApp::with(limited()).await;
    let mut passed = (0, 0);
    for index in 0..70 {
        let body = json!({"username": format!("u{index}"), "password": "a"});
        let sign_up = app.post("/ops/signup").json(&body).send().await;
        let login = app.post("/client/login").json(&body).send().await;
        passed.0 += usize::from(sign_up.status == StatusCode::CREATED);
        passed.1 += usize::from(login.status == StatusCode::NOT_FOUND);
    }
    assert_eq!(passed, (20, 60));
    let elsewhere = ([192, 0, 2, 1], 1).into();
    let body = json!({"username": "u99", "password": "a"});
    let sign_up = app
        .post("/ops/signup")
        .json(&body)
        .from(elsewhere)
        .send()
        .await;
    sign_up.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn a_boundary_may_be_quoted_and_the_type_be_in_any_case() {
    let app = TestApp::start().await;
    let body = form(&[field("username", b"a"), field("password", b"a")]);
    let content_type = format!("Multipart/Form-Data; charset=utf-8; boundary=\"{BOUNDARY}\"");
    let answer = app
        .post("/ops/signup")
        .body(&content_type, body)
        .send()
        .await;
    answer.expect(StatusCode::CREATED);
}
