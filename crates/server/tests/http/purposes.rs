//! A token for one purpose or realm is refused at every other: all pairs of token and guarded path.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::app::{TestApp, TestRequest};

/// What a token was issued for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Directory,
    Vectors,
    Customers,
    Ops,
    Client,
    Refresh,
    Notary,
}

const KINDS: [Kind; 7] = [
    Kind::Directory,
    Kind::Vectors,
    Kind::Customers,
    Kind::Ops,
    Kind::Client,
    Kind::Refresh,
    Kind::Notary,
];

/// Where tokens are presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Users,
    UsersByHeader,
    Array,
    Customers,
    Youngest,
    Upload,
    OwnFiles,
    Files,
    Account,
    Sessions,
    Refresh,
    Logout,
    CustomersLogout,
}

const PLACES: [Place; 13] = [
    Place::Users,
    Place::UsersByHeader,
    Place::Array,
    Place::Customers,
    Place::Youngest,
    Place::Upload,
    Place::OwnFiles,
    Place::Files,
    Place::Account,
    Place::Sessions,
    Place::Refresh,
    Place::Logout,
    Place::CustomersLogout,
];

/// The rule of the contracts, written once more.
fn expected(kind: Kind, place: Place) -> u16 {
    use Kind as K;
    use Place as P;
    let default_realm = matches!(kind, K::Directory | K::Vectors | K::Customers);
    let access = default_realm || matches!(kind, K::Ops | K::Client);
    match place {
        P::Users | P::UsersByHeader | P::Array | P::Customers | P::Youngest if default_realm => 200,
        P::Upload if kind == K::Ops => 400,
        P::Upload if kind == K::Client => 403,
        P::OwnFiles if matches!(kind, K::Ops | K::Client) => 200,
        P::Files if kind == K::Client => 200,
        P::Files if kind == K::Ops => 403,
        P::Account | P::Sessions | P::Logout if access => 200,
        P::Refresh if kind == K::Refresh => 200,
        P::CustomersLogout if access || kind == K::Refresh => 204,
        _ => 401,
    }
}

async fn login(app: &TestApp, path: &str, body: Value, pointer: &str) -> String {
    let answer = app.post(path).json(&body).send().await;
    assert!(answer.status.is_success(), "{path}: {}", answer.text());
    answer.text_at(pointer)
}

async fn token(app: &TestApp, kind: Kind) -> String {
    let pair = "/api/v1/authentication/login";
    let by_name = json!({"username": "name", "password": "pw"});
    let by_email = json!({"email": "a@b.c", "password": "pw"});
    match kind {
        Kind::Directory => login(app, "/login", by_email, "/token").await,
        Kind::Vectors => login(app, "/login", by_name, "/token").await,
        Kind::Customers => login(app, pair, by_name, "/access_token").await,
        Kind::Refresh => login(app, pair, by_name, "/refresh_token").await,
        Kind::Notary => {
            login(
                app,
                "/generateToken",
                json!({"user_data": "1"}),
                "/JWT Token",
            )
            .await
        }
        Kind::Ops => app.post("/ops/login").json(&by_name).send().await.text(),
        Kind::Client => app.post("/client/login").json(&by_name).send().await.text(),
    }
}

fn at<'a>(app: &'a TestApp, place: Place, token: &str) -> TestRequest<'a> {
    let (method, path) = match place {
        Place::Users => (Method::GET, "/users"),
        Place::UsersByHeader => return app.get("/users").header("x-access-token", token),
        Place::Array => {
            let sentence = json!({"sentence": "a"});
            return app.post("/generate_array").json(&sentence).bearer(token);
        }
        Place::Customers => (Method::GET, "/api/v1/customers/customers"),
        Place::Youngest => (Method::GET, "/api/v1/customers/nyoungest?n=1"),
        Place::Upload => {
            let empty_form = "--b--\r\n";
            let form = app
                .post("/ops/upload")
                .body("multipart/form-data; boundary=b", empty_form);
            return form.bearer(token);
        }
        Place::OwnFiles => (Method::GET, "/client/files/name"),
        Place::Files => (Method::GET, "/client/files/other"),
        Place::Account => (Method::GET, "/api/v1/account"),
        Place::Sessions => (Method::GET, "/api/v1/sessions"),
        Place::Refresh => (Method::POST, "/api/v1/authentication/refresh"),
        Place::Logout => (Method::POST, "/logout"),
        Place::CustomersLogout => (Method::POST, "/api/v1/authentication/logout"),
    };
    app.request(method, path).bearer(token)
}

#[tokio::test]
async fn a_token_is_good_only_where_it_was_issued_for() {
    let app = TestApp::start().await;
    let user = json!({"name": "n", "email": "a@b.c", "password": "pw"});
    app.post("/signup")
        .json(&user)
        .send()
        .await
        .expect(StatusCode::CREATED);
    app.user("name").await;
    app.exchange_user("ops", "name").await;
    app.exchange_user("ops", "other").await;
    app.exchange_user("client", "name").await;
    for kind in KINDS {
        for place in PLACES {
            let token = token(&app, kind).await;
            let answer = at(&app, place, &token).send().await;
            let status = answer.status.as_u16();
            assert_eq!(
                status,
                expected(kind, place),
                "{kind:?} at {place:?}: {}",
                answer.text()
            );
        }
    }
}

#[tokio::test]
async fn a_closed_session_is_refused_at_every_place() {
    let app = TestApp::start().await;
    let user = json!({"name": "n", "email": "a@b.c", "password": "pw"});
    app.post("/signup")
        .json(&user)
        .send()
        .await
        .expect(StatusCode::CREATED);
    app.user("name").await;
    app.exchange_user("ops", "name").await;
    app.exchange_user("client", "name").await;
    let mut closed = Vec::new();
    for kind in KINDS.into_iter().filter(|kind| *kind != Kind::Notary) {
        let token = token(&app, kind).await;
        let out = at(&app, Place::CustomersLogout, &token).send().await;
        out.expect(StatusCode::NO_CONTENT);
        closed.push((kind, token));
    }
    let app = app.restart().await;
    for (kind, token) in closed {
        for place in PLACES {
            let status = at(&app, place, &token).send().await.status;
            assert_eq!(status, StatusCode::UNAUTHORIZED, "{kind:?} at {place:?}");
        }
    }
}
