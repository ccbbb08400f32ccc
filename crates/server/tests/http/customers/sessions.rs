//! What ends a session's refresh token besides a logout and a replay.

use http::StatusCode;
use keyward_core::accounts::{Account, Realm, names};
use keyward_core::secret::Password;
use serde_json::json;

use super::{LOGIN, is_good, refresh};
use crate::app::TestApp;

async fn account(app: &TestApp, username: &str) -> Account {
    let name = names::username(username).expect("name");
    let found = app
        .app
        .accounts
        .find_by_name(Realm::Default, &name)
        .await
        .expect("store");
    found.expect("account")
}

#[tokio::test]
async fn no_token_of_a_disabled_account_is_good() {
    let app = TestApp::start().await;
    let (access, renewing) = app.pair("test").await;
    let account = account(&app, "test").await;
    app.app
        .sessions
        .disable_account(&account)
        .await
        .expect("disabled");
    assert!(!is_good(&app, &access).await);
    refresh(&app, &renewing)
        .await
        .expect_problem(StatusCode::UNAUTHORIZED, "not valid");
    app.app.accounts.enable(account.id).await.expect("enabled");
    assert!(
        !is_good(&app, &access).await,
        "what was closed stays closed"
    );
    refresh(&app, &renewing)
        .await
        .expect(StatusCode::UNAUTHORIZED);
    let body = json!({"username": "test", "password": "pw"});
    app.post(LOGIN)
        .json(&body)
        .send()
        .await
        .expect(StatusCode::OK);
}

#[tokio::test]
async fn a_new_password_set_by_an_operator_ends_every_session() {
    let app = TestApp::start().await;
    let (access, renewing) = app.pair("test").await;
    let password = Password::new("new".to_owned()).expect("password");
    let account = account(&app, "test").await;
    app.app
        .sessions
        .set_password(account.id, password)
        .await
        .expect("set");
    assert!(!is_good(&app, &access).await);
    refresh(&app, &renewing)
        .await
        .expect(StatusCode::UNAUTHORIZED);
    for (password, status) in [("pw", StatusCode::UNAUTHORIZED), ("new", StatusCode::OK)] {
        let body = json!({"username": "test", "password": password});
        app.post(LOGIN).json(&body).send().await.expect(status);
    }
}
