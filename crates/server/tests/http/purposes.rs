//! A token for one purpose or realm is refused at every other: all pairs of token and guarded path.

use http::{Method, StatusCode};
use keyward_core::clock::{Clock, Timestamp};
use keyward_core::id::AccountId;
use keyward_core::sessions::Store;
use keyward_jose::{HmacKey, base64url};
use serde_json::{Value, json};

use crate::app::{START, TestApp, TestRequest};

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

/// A token with the same header and claims but `sub`, under the same key.
fn with_sub(token: &str, sub: Option<&Value>, key: &HmacKey) -> String {
    let (input, _) = token.rsplit_once('.').expect("a token");
    let (header, claims) = input.split_once('.').expect("a token");
    let claims = base64url::decode(claims).expect("claims");
    let mut claims: Value = serde_json::from_slice(&claims).expect("claims");
    let members = claims.as_object_mut().expect("an object");
    match sub {
        Some(sub) => members.insert("sub".into(), sub.clone()),
        None => members.remove("sub"),
    };
    let input = format!(
        "{header}.{}",
        base64url::encode(claims.to_string().as_bytes())
    );
    let tag = key.sign(input.as_bytes());
    format!("{input}.{}", base64url::encode(tag.as_ref()))
}

#[tokio::test]
async fn a_token_whose_sub_no_account_could_have_is_refused_at_every_place() {
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
    let common = ["", " ", "\0", "-1 ", "+1", " 1", "1 ", "é", "a/b"];
    let ids = [
        "0",
        "01",
        "-1",
        "1.0",
        "1e0",
        "abc",
        "name",
        "9223372036854775808",
    ];
    let long = "a".repeat(65);
    let usernames = [".name", "-name", "name ", "na me", "name\n", &long];
    for kind in KINDS.into_iter().filter(|kind| *kind != Kind::Notary) {
        let token = token(&app, kind).await;
        let keys = app.ring.keys();
        let chain = match kind {
            Kind::Refresh => keys.refresh(),
            _ => keys.access(),
        };
        let key = chain.signing(Clock::now(&*app.clock)).hmac();
        let of_kind: &[&str] = match kind {
            // A refresh token names nobody.
            Kind::Refresh | Kind::Notary => &["1", "name"],
            Kind::Ops | Kind::Client => &usernames,
            Kind::Directory | Kind::Vectors | Kind::Customers => &ids,
        };
        let mut subs: Vec<Option<Value>> = common.iter().map(|sub| Some(json!(sub))).collect();
        subs.extend(of_kind.iter().map(|sub| Some(json!(sub))));
        if kind != Kind::Refresh {
            subs.push(None);
        }
        for sub in subs {
            let forged = with_sub(&token, sub.as_ref(), key);
            for place in PLACES {
                let status = at(&app, place, &forged).send().await.status;
                let unauthorized = StatusCode::UNAUTHORIZED;
                assert_eq!(status, unauthorized, "{sub:?}: {kind:?} at {place:?}");
            }
        }
        // What was signed here is good where its `sub` is, and no attempt has ended its session.
        let good = match kind {
            Kind::Refresh | Kind::Notary => None,
            Kind::Ops | Kind::Client => Some(json!("name")),
            Kind::Directory => Some(json!("1")),
            Kind::Vectors | Kind::Customers => Some(json!("2")),
        };
        let again = with_sub(&token, good.as_ref(), key);
        let out = at(&app, Place::CustomersLogout, &again).send().await;
        out.expect(StatusCode::NO_CONTENT);
    }
}

#[tokio::test]
async fn a_disabled_account_is_refused_where_it_is_read_though_its_session_is_open() {
    let app = TestApp::start().await;
    app.user("name").await;
    app.exchange_user("ops", "name").await;
    app.exchange_user("client", "name").await;
    // In the store alone, as when the news of the closed sessions has not come yet.
    let mut tokens = Vec::new();
    for kind in [
        Kind::Vectors,
        Kind::Customers,
        Kind::Ops,
        Kind::Client,
        Kind::Refresh,
    ] {
        tokens.push((kind, token(&app, kind).await));
    }
    for id in 1..=3 {
        let (id, now) = (AccountId(id), Timestamp::from_seconds(START));
        let disabled = Store::disable_account(&*app.store, id, now).await;
        assert!(disabled.expect("the store").is_some());
    }
    for (kind, token) in tokens {
        for place in [
            Place::Account,
            Place::Sessions,
            Place::Upload,
            Place::OwnFiles,
            Place::Refresh,
        ] {
            // A client reads another's files, and is not itself read.
            let expected = match (kind, place) {
                (Kind::Client, Place::OwnFiles) => StatusCode::OK,
                (Kind::Client, Place::Upload) => StatusCode::FORBIDDEN,
                _ => StatusCode::UNAUTHORIZED,
            };
            let status = at(&app, place, &token).send().await.status;
            assert_eq!(status, expected, "{kind:?} at {place:?}");
        }
    }
}
