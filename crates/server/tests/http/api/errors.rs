//! The codes of errors in problem documents.

use http::StatusCode;
use keyward_core::error::Code;
use serde_json::json;

use crate::app::{Answer, Options, TestApp};

#[track_caller]
fn has(answer: Answer, status: StatusCode, code: Code) {
    let answer = answer.expect_problem(status, "");
    assert_eq!(answer.text_at("/type"), code.urn());
}

#[tokio::test]
async fn a_problem_document_names_the_code_of_its_error() {
    let app = TestApp::start().await;
    let (user, client) = (
        app.user("test").await,
        app.exchange_user("client", "test").await,
    );
    let get = async |path: &str| app.get(path).bearer(&user).send().await;
    has(get("/nowhere").await, StatusCode::NOT_FOUND, Code::NotFound);
    let customer = get("/api/v1/customers/customers/9").await;
    has(customer, StatusCode::NOT_FOUND, Code::UnknownCustomer);
    let list = get("/api/v1/customers/customers?limit=0").await;
    has(list, StatusCode::BAD_REQUEST, Code::InvalidRequest);
    let anonymous = app.get("/api/v1/account").send().await;
    has(anonymous, StatusCode::UNAUTHORIZED, Code::MissingToken);
    let forged = app.get("/api/v1/account").bearer("x.y.z").send().await;
    has(forged, StatusCode::UNAUTHORIZED, Code::InvalidToken);
    let upload = app.post("/ops/upload").bearer(&client).send().await;
    has(upload, StatusCode::FORBIDDEN, Code::WrongRealm);
    let files = app.get("/client/files/nobody").bearer(&client).send().await;
    has(files, StatusCode::NOT_FOUND, Code::UnknownAccount);
    let typed = app.post("/ops/signup").body("text/plain", "").send().await;
    let unsupported = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    has(typed, unsupported, Code::UnsupportedMediaType);
    let method = app.put("/logout").send().await;
    let not_allowed = StatusCode::METHOD_NOT_ALLOWED;
    has(method, not_allowed, Code::MethodNotAllowed);
}

#[tokio::test]
async fn the_codes_of_credentials_are_the_same_at_every_path() {
    let app = TestApp::start().await;
    let user = app.user("test").await;
    let wrong = json!({"username": "test", "password": "wrong"});
    let login = app.post("/api/v1/authentication/login").json(&wrong);
    let login = login.send().await;
    has(login, StatusCode::UNAUTHORIZED, Code::BadCredentials);
    let change = json!({"current_password": "wrong", "new_password": "new"});
    let change = app.put("/api/v1/account/password").json(&change);
    let change = change.bearer(&user).send().await;
    has(change, StatusCode::FORBIDDEN, Code::BadCredentials);
    app.exchange_user("ops", "test").await;
    let login = app.post("/ops/login").json(&wrong).send().await;
    has(login, StatusCode::UNAUTHORIZED, Code::BadCredentials);
    let again = app.post("/ops/signup").json(&wrong).send().await;
    has(again, StatusCode::CONFLICT, Code::NameTaken);
}

#[tokio::test]
async fn a_rate_limit_has_a_code() {
    let mut options = Options::default();
    options.limits.enabled = true;
    let app = TestApp::with(options).await;
    let wrong = json!({"username": "test", "password": "wrong"});
    let mut answers = Vec::new();
    for _ in 0..11 {
        let login = app.post("/api/v1/authentication/login").json(&wrong);
        answers.push(login.send().await);
    }
    let last = answers.pop().expect("an answer");
    has(last, StatusCode::TOO_MANY_REQUESTS, Code::RateLimited);
}
