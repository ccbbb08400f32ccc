//! Which token opens what, and when it no longer does.

use std::time::Duration;

use http::{Method, StatusCode};
use keyward_core::accounts::{Realm, names};
use keyward_core::secret::Password;
use keyward_core::sessions::LogIn;
use keyward_core::tokens::TokenSet;
use serde_json::json;

use super::{Exchange, content_type, file, form};
use crate::app::{Answer, Options, TestApp};

/// Every guarded path: the method, the path, what a good token gets.
const PATHS: [(&str, &str, u16); 6] = [
    ("POST", "/ops/upload?overwrite=true", 201),
    ("GET", "/client/files/sbeve72", 200),
    ("GET", "/client/files/sbeve72/a.txt", 200),
    ("HEAD", "/client/files/sbeve72/a.txt", 200),
    ("GET", "/logout", 200),
    ("POST", "/logout", 200),
];

async fn call(app: &TestApp, method: &str, path: &str, token: &str) -> Answer {
    let method: Method = method.parse().expect("method");
    let mut request = app.request(method, path).bearer(token);
    if path.starts_with("/ops/upload") {
        request = request.body(&content_type(), form(&[file("a.txt", b"hello")]));
    }
    request.send().await
}

async fn log_in(app: &TestApp, role: &str) -> String {
    let body = json!({"username": "sbeve72", "password": "pw"});
    let answer = app.post(&format!("/{role}/login")).json(&body).send().await;
    answer.expect(StatusCode::OK).text()
}

/// An access and a refresh token of realm `default`.
async fn pair(app: &TestApp) -> (String, String) {
    app.user("someone").await;
    let (accounts, tokens) = (&app.app.accounts, &app.app.tokens);
    let name = names::username("someone").expect("a name");
    let found = accounts.find_credentials(Realm::Default, &name).await;
    let attempt = LogIn {
        found: found.expect("the store"),
        password: Password::new("pw".into()).expect("password"),
        lifetime: tokens.lifetime(Realm::Default, TokenSet::AccessAndRefresh),
        user_agent: None,
    };
    let opened = app.app.sessions.log_in(attempt).await;
    let (account, session) = opened.expect("a login");
    let issued = tokens.issue(account, &session, TokenSet::AccessAndRefresh);
    let issued = issued.expect("tokens");
    (
        issued.access_token,
        issued.refresh_token.expect("refresh token"),
    )
}

#[tokio::test]
async fn a_token_opens_only_what_its_realm_and_purpose_are_for() {
    let exchange = Exchange::start().await;
    let app = &exchange.app;
    exchange.upload("a.txt", b"hello").await;
    let other = app.exchange_user("ops", "other").await;
    let (default, refresh) = pair(app).await;
    let minted = app
        .post("/generateToken")
        .json(&json!({"user_data": "x"}))
        .send()
        .await;
    let notary = minted.expect(StatusCode::OK).text_at("/JWT Token");
    let mut forged = exchange.ops.clone();
    forged.replace_range(forged.len() - 8..forged.len() - 4, "AAAA");
    let unsigned = exchange
        .ops
        .rsplit_once('.')
        .expect("signature")
        .0
        .to_owned()
        + ".";
    for (who, token, expected) in [
        ("ops", exchange.ops.as_str(), [201, 200, 200, 200]),
        ("other ops", &other, [201, 403, 403, 403]),
        ("client", &exchange.client, [403, 200, 200, 200]),
        ("default", &default, [401; 4]),
        ("refresh", &refresh, [401; 4]),
        ("notary", &notary, [401; 4]),
        ("forged", &forged, [401; 4]),
        ("unsigned", &unsigned, [401; 4]),
        ("none", "", [401; 4]),
    ] {
        for ((method, path, _), status) in PATHS.into_iter().zip(expected) {
            let answer = call(app, method, path, token).await;
            assert_eq!(answer.status.as_u16(), status, "{who}: {method} {path}");
            let challenge = match (status, token) {
                (401, "") => "Bearer",
                (401, _) => r#"Bearer error="invalid_token""#,
                (403, _) => r#"Bearer error="insufficient_scope""#,
                _ => "",
            };
            assert_eq!(
                answer.header("www-authenticate"),
                challenge,
                "{who}: {path}"
            );
            if status > 400 && method != "HEAD" {
                answer.expect_problem(StatusCode::from_u16(status).expect("status"), "");
            }
        }
    }
    for token in [&refresh, &notary, &forged, &unsigned, ""] {
        for method in ["GET", "POST"] {
            let answer = call(app, method, "/logout", token).await;
            answer.expect_problem(StatusCode::UNAUTHORIZED, "token");
        }
    }
}

#[tokio::test]
async fn whoever_is_not_let_in_does_not_learn_what_is_there() {
    let exchange = Exchange::start().await;
    let app = &exchange.app;
    let other = app.exchange_user("ops", "other").await;
    let nobody = "/client/files/nobody";
    for (path, token, status) in [
        (nobody, exchange.client.as_str(), StatusCode::NOT_FOUND),
        (nobody, &other, StatusCode::FORBIDDEN),
        ("/client/files/sbeve72/none", &other, StatusCode::FORBIDDEN),
        ("/client/files/other/none", &other, StatusCode::NOT_FOUND),
        (
            "/client/files/%2e%2e",
            &exchange.client,
            StatusCode::NOT_FOUND,
        ),
        ("/client/files/%ff", &exchange.client, StatusCode::NOT_FOUND),
        ("/client/files/%ff", "", StatusCode::UNAUTHORIZED),
        (nobody, "", StatusCode::UNAUTHORIZED),
    ] {
        app.get(path)
            .bearer(token)
            .send()
            .await
            .expect_problem(status, "");
    }
}

#[tokio::test]
async fn one_credential_in_one_place_is_what_counts() {
    let exchange = Exchange::start().await;
    let path = "/client/files/sbeve72";
    let bearer = format!("Bearer {}", exchange.client);
    let get = |path: &str| exchange.app.get(path);
    for request in [
        get(path),
        get(&format!(
            "{path}?token={0}&access_token={0}",
            exchange.client
        )),
        get(path).header("x-access-token", &exchange.client),
        get(path).header("cookie", &format!("token={}", exchange.client)),
        get(path).header("authorization", &exchange.client),
        get(path)
            .header("authorization", &bearer)
            .header("authorization", &bearer),
        get(path).header("x_authorization", &bearer),
    ] {
        request
            .send()
            .await
            .expect_problem(StatusCode::UNAUTHORIZED, "token");
    }
    // A token by another scheme is no bearer token, and no error is named where none was sent (RFC 6750 §3.1).
    for (sent, challenge) in [
        ("Basic YTpi", "Bearer"),
        ("Digest a.b.c", "Bearer"),
        ("Bearer ", "Bearer"),
        ("Bearer a.b.c", r#"Bearer error="invalid_token""#),
        ("a.b.c", r#"Bearer error="invalid_token""#),
    ] {
        let answer = get(path).header("authorization", sent).send().await;
        let answer = answer.expect_problem(StatusCode::UNAUTHORIZED, "token");
        assert_eq!(answer.header("www-authenticate"), challenge, "{sent}");
    }
    let answer = get(path).header("authorization", &bearer).send().await;
    answer.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_token_is_good_for_365_days_and_not_longer() {
    let leeway = Options::default().tokens.leeway;
    let exchange = Exchange::start().await;
    exchange.upload("a.txt", b"hello").await;
    exchange
        .app
        .clock
        .advance(Duration::from_secs(365 * 86_400 - 1));
    for (method, path, status) in &PATHS[..4] {
        let answer = call(&exchange.app, method, path, &exchange.ops).await;
        assert_eq!(answer.status.as_u16(), *status, "{path}");
    }
    exchange.app.clock.advance(leeway + Duration::from_secs(1));
    for (method, path, _) in PATHS {
        let answer = call(&exchange.app, method, path, &exchange.ops).await;
        answer.expect(StatusCode::UNAUTHORIZED);
    }
    let again = log_in(&exchange.app, "ops").await;
    call(&exchange.app, "GET", "/client/files/sbeve72", &again)
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn a_token_is_refused_from_the_answer_to_its_logout_on() {
    for method in ["GET", "POST"] {
        let exchange = Exchange::start().await;
        let Exchange { app, ops, client } = exchange;
        call(&app, PATHS[0].0, PATHS[0].1, &ops)
            .await
            .expect(StatusCode::CREATED);
        let second = log_in(&app, "ops").await;
        let answer = call(&app, method, "/logout", &ops)
            .await
            .expect(StatusCode::OK);
        let json = answer.json();
        assert!(json["message"].is_string() && json.as_object().expect("object").len() == 1);
        for (method, path, _) in PATHS {
            call(&app, method, path, &ops)
                .await
                .expect(StatusCode::UNAUTHORIZED);
        }
        let app = app.restart().await;
        for (method, path, _) in PATHS {
            call(&app, method, path, &ops)
                .await
                .expect(StatusCode::UNAUTHORIZED);
        }
        // The other session of the account and the client of the same name stay.
        for token in [&second, &client] {
            let answer = call(&app, "GET", "/client/files/sbeve72/a.txt", token).await;
            assert_eq!(answer.expect(StatusCode::OK).text(), "hello");
        }
    }
}

#[tokio::test]
async fn a_token_of_any_realm_can_be_logged_out() {
    let exchange = Exchange::start().await;
    let app = &exchange.app;
    let default = app.user("someone").await;
    let other = pair_of(app, "someone").await;
    for token in [&exchange.client, &default, &other] {
        call(app, "POST", "/logout", token)
            .await
            .expect(StatusCode::OK);
        call(app, "GET", "/logout", token)
            .await
            .expect(StatusCode::UNAUTHORIZED);
    }
    let answer = app
        .get("/users")
        .header("x-access-token", &default)
        .send()
        .await;
    answer.expect(StatusCode::UNAUTHORIZED);
    call(app, "GET", "/client/files/sbeve72", &exchange.ops)
        .await
        .expect(StatusCode::OK);
}

async fn pair_of(app: &TestApp, username: &str) -> String {
    let body = json!({"username": username, "password": "pw"});
    app.post("/login")
        .json(&body)
        .send()
        .await
        .expect(StatusCode::OK)
        .text_at("/token")
}

#[tokio::test]
async fn guarded_paths_are_counted_for_each_account_of_each_role() {
    let limits = keyward_server::limits::Policy {
        requests_per_account: 4,
        ..keyward_server::limits::Policy::default()
    };
    let exchange = Exchange::with(Options {
        limits,
        ..Options::default()
    })
    .await;
    let list = "/client/files/sbeve72";
    for (method, path, status) in PATHS[..4].iter().copied() {
        let answer = call(&exchange.app, method, path, &exchange.ops).await;
        assert_eq!(answer.status.as_u16(), status, "{path}");
    }
    for (method, path, _) in PATHS {
        let answer = call(&exchange.app, method, path, &exchange.ops).await;
        let answer = answer.expect(StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.header("retry-after"), "15");
    }
    call(&exchange.app, "GET", list, &exchange.client)
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn the_logout_of_a_switched_off_exchange_is_not_there() {
    let contracts = keyward_server::Contracts {
        exchange: false,
        ..keyward_server::Contracts::ALL
    };
    let app = TestApp::with(Options {
        contracts,
        ..Options::default()
    })
    .await;
    for (method, path, _) in PATHS {
        call(&app, method, path, "a.b.c")
            .await
            .expect(StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn asking_for_the_headers_of_logout_ends_nothing() {
    let app = TestApp::start().await;
    let token = app.user("user").await;
    let head = app.request(Method::HEAD, "/logout").bearer(&token);
    let refused = head.send().await.expect(StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(refused.header("allow"), "GET,POST");
    app.get("/logout")
        .bearer(&token)
        .send()
        .await
        .expect(StatusCode::OK);
}
