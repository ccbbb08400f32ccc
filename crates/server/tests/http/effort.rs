//! What an attempt to log in costs tells nobody whether an account is there: hashes are counted, not time.

use http::StatusCode;
use keyward_core::page::Page;
use serde_json::{Value, json};

use crate::app::TestApp;

const ALL: Page = Page {
    after: 0,
    limit: 10,
};

/// How many hashes a request costs that must be answered with `expected`.
async fn cost(app: &TestApp, path: &str, body: Value, expected: StatusCode) -> u64 {
    let before = app.passwords.computed();
    let answer = app.post(path).json(&body).send().await;
    answer.expect(expected);
    app.passwords.computed() - before
}

#[tokio::test]
async fn an_unknown_name_costs_the_one_hash_that_a_wrong_password_does() {
    let app = TestApp::start().await;
    app.user("ada").await;
    app.user("gone").await;
    let email = json!({"email": "ada@x.org", "name": "Ada", "password": "pw"});
    app.post("/signup").json(&email).send().await;
    let gone = app.app.accounts.list(None, ALL).await.expect("accounts");
    let gone = gone.items.into_iter().nth(1).expect("the second");
    let disabled = app.app.sessions.disable_account(&gone).await;
    disabled.expect("disabled");
    for (path, member, names, refused) in [
        (
            "/api/v1/authentication/login",
            "username",
            ["ada", "gone", "nobody", "no name at all"],
            StatusCode::UNAUTHORIZED,
        ),
        (
            "/login",
            "username",
            ["ada", "gone", "nobody", "no name at all"],
            StatusCode::UNAUTHORIZED,
        ),
        (
            "/login",
            "email",
            ["ada@x.org", "gone@x.org", "nobody@x.org", "no address"],
            StatusCode::FORBIDDEN,
        ),
    ] {
        for name in names {
            let body = json!({member: name, "password": "wrong"});
            assert_eq!(cost(&app, path, body, refused).await, 1, "{path} {name}");
        }
    }
    // Where the contract tells the two apart, a wrong password costs as much, and only a name that is there does.
    app.exchange_user("ops", "ada").await;
    for (name, hashes, status) in [
        ("ada", 1, StatusCode::UNAUTHORIZED),
        ("nobody", 0, StatusCode::NOT_FOUND),
    ] {
        let body = json!({"username": name, "password": "wrong"});
        assert_eq!(cost(&app, "/ops/login", body, status).await, hashes);
    }
}
