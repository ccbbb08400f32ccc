//! The customers API.

mod authentication;
mod input;
mod paging;
mod preconditions;
mod refresh;
mod sessions;
mod table;

use serde_json::{Value, json};

use crate::app::{Answer, TestApp};

const LOGIN: &str = "/api/v1/authentication/login";
const REFRESH: &str = "/api/v1/authentication/refresh";
const LOGOUT: &str = "/api/v1/authentication/logout";
const CUSTOMERS: &str = "/api/v1/customers/customers";
const YOUNGEST: &str = "/api/v1/customers/nyoungest";

/// Presents a refresh token.
async fn refresh(app: &TestApp, token: &str) -> Answer {
    app.post(REFRESH).bearer(token).send().await
}

/// Whether an access token is good.
async fn is_good(app: &TestApp, token: &str) -> bool {
    app.get(CUSTOMERS).bearer(token).send().await.status == http::StatusCode::OK
}

/// Adds a customer born on that day.
async fn add(app: &TestApp, token: &str, name: &str, dob: &str) -> Value {
    let body = json!({"name": name, "dob": dob});
    let answer = app.post(CUSTOMERS).bearer(token).json(&body).send().await;
    answer.expect(http::StatusCode::CREATED).json()
}

/// The claims of a token, unverified.
fn claims(token: &str) -> Value {
    let claims = token.split('.').nth(1).expect("claims");
    let claims = keyward_jose::base64url::decode(claims).expect("base64url");
    serde_json::from_slice(&claims).expect("JSON")
}
