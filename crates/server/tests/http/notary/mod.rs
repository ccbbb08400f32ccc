//! The token notary.

use std::net::SocketAddr;

use http::StatusCode;
use keyward_jose::Algorithm;
use serde_json::{Value, json};

use crate::app::{Answer, NOTARY_KEY, Options, START, TestApp};

const HEADER: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzUxMiJ9";

async fn mint(app: &TestApp, data: &str) -> String {
    let answer = app
        .post("/generateToken")
        .json(&json!({ "user_data": data }))
        .send()
        .await;
    let answer = answer.expect(StatusCode::OK);
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.text_at("/JWT Token")
}

async fn verify(app: &TestApp, token: &str, key: &str) -> Value {
    let body = json!({"Token": token, "Signing_key": key});
    app.get("/verifyToken")
        .json(&body)
        .send()
        .await
        .expect(StatusCode::OK)
        .json()
}

fn sign(header: &str, claims: &str, key: &[u8], algorithm: Algorithm) -> String {
    use keyward_jose::base64url::encode;
    let input = format!("{}.{}", encode(header), encode(claims));
    let key = keyward_jose::HmacKey::of_any_length(algorithm, key).expect("key");
    format!("{input}.{}", encode(key.sign(input.as_bytes()).as_ref()))
}

#[tokio::test]
async fn a_minted_token_has_the_exact_header_and_claims() {
    let app = TestApp::start().await;
    let token = mint(&app, "this is test").await;
    assert!(token.starts_with(&format!("{HEADER}.")), "{token}");
    let claims = token.split('.').nth(1).expect("claims");
    let claims = keyward_jose::base64url::decode(claims).expect("base64url");
    let claims = String::from_utf8(claims).expect("UTF-8");
    let parsed: Value = serde_json::from_str(&claims).expect("JSON");
    let jti = parsed["jti"].as_str().expect("jti");
    assert!(
        jti.len() == 32 && jti.bytes().all(|b| b"0123456789abcdef".contains(&b)),
        "{jti}"
    );
    let expected = format!(
        r#"{{"iat":{START},"jti":"{jti}","payload":{{"data":"this is test","date":"2026-01-01"}}}}"#
    );
    assert_eq!(claims, expected);
    let other = mint(&app, "this is test").await;
    assert_ne!(token, other, "the id is random");
    let verdict = verify(&app, &token, NOTARY_KEY).await;
    assert_eq!(verdict["Signature Verification"], true);
    assert_eq!(verdict["Header"], json!({"typ": "JWT", "alg": "HS512"}));
    assert_eq!(verdict["Claims"], parsed);
}

#[tokio::test]
async fn the_golden_tokens_verify_and_a_changed_one_is_shown_but_false() {
    let Some(shared) = crate::app::shared() else {
        return;
    };
    let vectors = std::fs::read_to_string(shared.join("contracts/vectors.json")).expect("vectors");
    let vectors: Value = serde_json::from_str(&vectors).expect("JSON");
    let key = vectors["notary"]["signing_key"].as_str().expect("key");
    let app = TestApp::start().await;
    for vector in vectors["notary"]["valid"].as_array().expect("tokens") {
        let token = vector["token"].as_str().expect("token");
        let verdict = verify(&app, token, key).await;
        assert_eq!(verdict["Signature Verification"], true);
        assert_eq!(verdict["Claims"], vector["claims"]);
        let verdict = verify(&app, token, &key[1..]).await;
        assert_eq!(verdict["Signature Verification"], false);
        assert_eq!(verdict["Claims"], vector["claims"]);
    }
}

#[tokio::test]
async fn header_and_claims_pass_through_as_they_stand() {
    let app = TestApp::start().await;
    let header = r#"{ "alg":"HS256","x":1e400, "typ":"JWT" }"#;
    let claims = r#"{"n":123456789012345678901234567890.10,"z":1,"a":-0,"exp":1}"#;
    let token = sign(header, claims, b"k", Algorithm::HS256);
    let body = json!({"Token": token, "Signing_key": "k"});
    for method in [http::Method::GET, http::Method::POST] {
        let answer = app.request(method, "/verifyToken").json(&body).send().await;
        let text = answer.expect(StatusCode::OK).text();
        assert_eq!(
            text,
            format!(r#"{{"Header":{header},"Claims":{claims},"Signature Verification":true}}"#)
        );
    }
}

#[tokio::test]
async fn the_errors_in_the_2xx_range_are_exact() {
    let app = TestApp::start().await;
    for (method, path) in [
        ("POST", "/generateToken"),
        ("GET", "/verifyToken"),
        ("POST", "/verifyToken"),
    ] {
        let method: http::Method = method.parse().expect("method");
        for content_type in [None, Some("text/plain"), Some("application/jsonx")] {
            let mut request = app.request(method.clone(), path);
            if let Some(content_type) = content_type {
                request = request.body(content_type, "{}");
            }
            let answer = request.send().await.expect(StatusCode::ACCEPTED);
            assert_eq!(
                answer.json(),
                json!({"status": 202, "description": "Invalid content type"})
            );
        }
    }
    let token = mint(&app, "x").await;
    for body in [
        json!({}),
        json!({"Token": ""}),
        json!({"Token": null, "Signing_key": "k"}),
        json!({"Token": "", "Signing_key": ""}),
    ] {
        let answer = app.get("/verifyToken").json(&body).send().await;
        let answer = answer.expect(StatusCode::NON_AUTHORITATIVE_INFORMATION);
        let expected = json!({"status": 203, "description": "Missing token in GET request body"});
        assert_eq!(answer.json(), expected);
    }
    let empty = app
        .get("/verifyToken")
        .body("Application/JSON; charset=utf-8", "")
        .send()
        .await;
    assert_eq!(empty.status, StatusCode::NON_AUTHORITATIVE_INFORMATION);
    for body in [
        json!({"Token": token}),
        json!({"Token": token, "Signing_key": null}),
    ] {
        let answer = app.get("/verifyToken").json(&body).send().await;
        let answer = answer.expect(StatusCode::NO_CONTENT);
        assert!(answer.body.is_empty());
        let description = "Missing signing key in GET request body";
        assert_eq!(answer.header("x-error-description"), description);
    }
}

#[track_caller]
fn bad(status: StatusCode, answer: Answer) {
    let answer = answer.expect(status);
    assert_eq!(answer.json()["status"], status.as_u16());
    assert!(!answer.text_at("/description").is_empty());
}

#[tokio::test]
async fn bad_input_is_400_in_the_contracts_shape() {
    let app = TestApp::start().await;
    for body in [
        "",
        "{}",
        "[]",
        "null",
        "{",
        "{\"user_data\":1}",
        "{\"user_data\":null}",
        "{\"user_data\":[\"a\"]}",
        "{\"user_data\":\"a\",\"user_data\":\"b\"}",
        "{\"user_data\":\"a\",\"user\\u005fdata\":\"b\"}",
        "{\"user_data\":\"a\",\"x\":{\"y\":1,\"y\":2}}",
        "{\"user_data\":\"\\ud800\"}",
        "{\"user_data\":\"\u{0}\"}",
    ] {
        let request = app.post("/generateToken").body("application/json", body);
        bad(StatusCode::BAD_REQUEST, request.send().await);
    }
    let long = json!({"user_data": "a".repeat(64 * 1024 + 1)});
    let long = app.post("/generateToken").json(&long).send().await;
    bad(StatusCode::PAYLOAD_TOO_LARGE, long);
    let huge = json!({"user_data": "a".repeat(2 * 1024 * 1024)});
    let huge = app.post("/generateToken").json(&huge).send().await;
    bad(StatusCode::PAYLOAD_TOO_LARGE, huge);
    let wrong_method = app.get("/generateToken").send().await;
    assert_eq!(wrong_method.header("allow"), "POST");
    bad(StatusCode::METHOD_NOT_ALLOWED, wrong_method);
}

#[tokio::test]
async fn tokens_and_keys_that_cannot_be_judged_are_400() {
    let app = TestApp::start().await;
    let token = mint(&app, "x").await;
    let (head, rest) = token.split_once('.').expect("token");
    let twice = keyward_jose::base64url::encode(r#"{"a":1,"a":2}"#);
    let malformed = [
        "a".to_owned(),
        "a.b".to_owned(),
        "..".to_owned(),
        format!("{token}.x"),
        format!("{token}="),
        format!("{head}.W10.AA"),
        format!("{head} .{rest}"),
        token.replace('.', ".\n"),
        format!("{twice}.e30."),
        format!("e30.{twice}."),
    ];
    let bodies = malformed.map(|token| json!({"Token": token, "Signing_key": "k"}));
    let private = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----";
    let private_jwk = r#"{"kty":"OKP","crv":"Ed25519","x":"AA","d":"AA"}"#;
    let others = [
        json!({"Token": 1, "Signing_key": "k"}),
        json!({"Token": token, "Signing_key": 1}),
        json!({"Token": token, "Signing_key": private}),
        json!({"Token": token, "Signing_key": private_jwk}),
    ];
    for body in bodies.into_iter().chain(others) {
        bad(
            StatusCode::BAD_REQUEST,
            app.get("/verifyToken").json(&body).send().await,
        );
    }
}

#[tokio::test]
async fn the_longest_text_fully_escaped_is_minted_and_verified() {
    let app = TestApp::start().await;
    assert!(!mint(&app, "").await.is_empty());
    let longest = "\u{1}".repeat(64 * 1024);
    let token = mint(&app, &longest).await;
    let verdict = verify(&app, &token, NOTARY_KEY).await;
    assert_eq!(verdict["Signature Verification"], true);
    assert_eq!(verdict["Claims"]["payload"]["data"], longest);
}

#[tokio::test]
async fn no_algorithm_but_the_keys_own_verifies() {
    let app = TestApp::start().await;
    let key = "secret";
    for (header, expected) in [
        (r#"{"alg":"HS256"}"#, true),
        (r#"{"alg":"none"}"#, false),
        (r#"{"alg":"hs256"}"#, false),
        (r#"{"alg":"RS256"}"#, false),
        (r#"{"typ":"JWT"}"#, false),
        (r#"{"alg":256}"#, false),
        (r#"{"alg":"HS256","crit":["exp"]}"#, false),
        (r#"{"alg":"HS256","crit":[]}"#, false),
        (r#"{"alg":"HS256","b64":false}"#, false),
        (r#"{"alg":"HS256","jku":"http://127.0.0.1/keys"}"#, true),
    ] {
        let token = sign(header, "{}", key.as_bytes(), Algorithm::HS256);
        let verdict = verify(&app, &token, key).await;
        assert_eq!(verdict["Signature Verification"], expected, "{header}");
    }
    let stripped = format!(
        "{}.e30.",
        keyward_jose::base64url::encode(r#"{"alg":"none"}"#)
    );
    assert_eq!(
        verify(&app, &stripped, key).await["Signature Verification"],
        false
    );
    let oct = r#"{"kty":"oct","k":"c2VjcmV0"}"#;
    let token = sign(r#"{"alg":"HS384"}"#, "{}", b"secret", Algorithm::HS384);
    assert_eq!(
        verify(&app, &token, oct).await["Signature Verification"],
        true
    );
    let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----";
    let confused = sign(
        r#"{"alg":"HS256"}"#,
        "{}",
        public.as_bytes(),
        Algorithm::HS256,
    );
    assert_eq!(
        verify(&app, &confused, public).await["Signature Verification"],
        false
    );
    // RFC 8037 appendix A.4, by its key as PEM.
    let eddsa = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let body = json!({"Token": format!("{eddsa}.AA"), "Signing_key": public});
    let answer = app.get("/verifyToken").json(&body).send().await;
    assert_eq!(
        answer.status,
        StatusCode::BAD_REQUEST,
        "its payload is no JSON object"
    );
}

#[tokio::test]
async fn the_contract_can_be_switched_off() {
    let contracts = keyward_server::Contracts {
        notary: false,
        ..keyward_server::Contracts::ALL
    };
    let app = TestApp::with(Options {
        contracts,
        ..Options::default()
    })
    .await;
    let answer = app
        .post("/generateToken")
        .json(&json!({"user_data": "x"}))
        .send()
        .await;
    answer.expect_problem(StatusCode::NOT_FOUND, "nothing at this path");
}

#[tokio::test]
async fn the_notary_is_limited_by_address_on_both_paths_in_its_own_shape() {
    let mut options = Options::default();
    options.limits.enabled = true;
    options.limits.notary_per_address = 3;
    let app = TestApp::with(options).await;
    let body = json!({"user_data": "this is test"});
    let address = |last| SocketAddr::from(([203, 0, 113, last], 1));
    let mint = async |last| {
        let request = app.post("/generateToken").json(&body).from(address(last));
        request.send().await
    };
    for _ in 0..3 {
        mint(1).await.expect(StatusCode::OK);
    }
    let refused = mint(1).await.expect(StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.header("retry-after"), "20");
    assert_eq!(refused.json()["status"], 429);
    for request in [app.get("/verifyToken"), app.post("/verifyToken")] {
        let refused = request.json(&body).from(address(1)).send().await;
        refused.expect(StatusCode::TOO_MANY_REQUESTS);
    }
    mint(2).await.expect(StatusCode::OK);
}
