//! Who may sign up: everybody, whoever is invited, or nobody; in every contract's shape.

use std::time::Duration;

use http::StatusCode;
use keyward_core::accounts::{Realm, SignUpPolicy, SignUps, names};
use keyward_core::random::SystemRandom;
use serde_json::{Value, json};

use crate::app::{Answer, Options, TestApp};

const DAY: Duration = Duration::from_secs(86_400);

/// Every path that signs up: its realm, a body for `name`, and where the answer has its message.
fn paths(name: &str) -> [(&'static str, Realm, Value, &'static str); 4] {
    let username = json!({"username": name, "password": "pw"});
    let email = format!("{name}@example.org");
    let email = json!({"name": name, "email": email, "password": "pw"});
    [
        ("/ops/signup", Realm::Ops, username.clone(), "/detail"),
        ("/client/signup", Realm::Client, username.clone(), "/detail"),
        ("/register", Realm::Default, username, "/message"),
        ("/signup", Realm::Default, email, "/message"),
    ]
}

async fn start(sign_ups: SignUps) -> TestApp {
    let options = Options {
        sign_ups: SignUpPolicy {
            default: sign_ups,
            ops: sign_ups,
            client: sign_ups,
        },
        ..Options::default()
    };
    TestApp::with(options).await
}

async fn sign_up(app: &TestApp, path: &str, body: &Value, code: Option<&str>) -> Answer {
    let request = app.post(path).json(body);
    let request = match code {
        Some(code) => request.header("x-invitation", code),
        None => request,
    };
    request.send().await
}

async fn count(app: &TestApp) -> usize {
    let page = keyward_core::page::Page {
        after: 0,
        limit: 100,
    };
    let listed = app.app.accounts.list(None, page).await.expect("a store");
    listed.items.len()
}

#[tokio::test]
async fn where_sign_up_is_closed_it_is_403_in_the_shape_of_each_contract() {
    let app = start(SignUps::Closed).await;
    for (path, _, body, message) in paths("ada") {
        for code in [None, Some("code")] {
            let answer = sign_up(&app, path, &body, code).await;
            let answer = answer.expect(StatusCode::FORBIDDEN);
            let text = answer.text_at(message);
            assert!(text.contains("sign-up is closed"), "{path}: {text}");
        }
    }
    assert_eq!(count(&app).await, 0);
}

#[tokio::test]
async fn one_realm_may_be_closed_and_the_others_open() {
    let options = Options {
        sign_ups: SignUpPolicy {
            ops: SignUps::Closed,
            ..SignUpPolicy::default()
        },
        ..Options::default()
    };
    let app = TestApp::with(options).await;
    for (path, realm, body, _) in paths("ada") {
        let answer = sign_up(&app, path, &body, None).await;
        assert_eq!(answer.status == 403, realm == Realm::Ops, "{path}");
    }
    assert_eq!(count(&app).await, 3);
}

#[tokio::test]
async fn an_invitation_signs_up_once_in_its_realm_and_under_its_name() {
    let app = start(SignUps::Invited).await;
    let invite = async |realm, name: Option<&str>| {
        let name = name.map(|name| names::username(name).expect("a name"));
        let invited = app.app.accounts.invite(realm, name, DAY, &SystemRandom);
        invited.await.expect("a store")
    };
    for (index, (path, realm, body, message)) in paths("ada").into_iter().enumerate() {
        let other = if realm == Realm::Ops {
            Realm::Client
        } else {
            Realm::Ops
        };
        let (elsewhere, for_eve) = (invite(other, None).await, invite(realm, Some("eve")).await);
        let long = "x".repeat(200);
        for code in [
            None,
            Some(""),
            Some("code"),
            Some(&*long),
            Some(&*elsewhere),
            Some(&*for_eve),
        ] {
            let answer = sign_up(&app, path, &body, code).await;
            let text = answer.expect(StatusCode::FORBIDDEN).text_at(message);
            assert!(text.contains("needs an invitation"), "{path}: {text}");
        }
        let code = invite(realm, None).await;
        let twice = app.post(path).json(&body).header("x-invitation", &code);
        let twice = twice.header("x-invitation", &code).send().await;
        twice.expect(StatusCode::FORBIDDEN);
        let answer = sign_up(&app, path, &body, Some(&code)).await;
        assert!(answer.status.is_success(), "{path}: {answer:?}");
        let (_, _, again, _) = paths("bob").into_iter().nth(index).expect("a path");
        let again = sign_up(&app, path, &again, Some(&code)).await;
        again.expect(StatusCode::FORBIDDEN);
        app.clock.advance(DAY);
        let (_, _, eve, _) = paths("eve").into_iter().nth(index).expect("a path");
        let late = sign_up(&app, path, &eve, Some(&for_eve)).await;
        late.expect(StatusCode::FORBIDDEN);
    }
    assert_eq!(count(&app).await, 4);
}
