//! What an attempt to log in costs tells nobody whether an account is there: work is counted, not time.

use http::StatusCode;
use keyward_core::accounts::passwords::Policy;
use keyward_core::accounts::{NewAccount, Realm, Store, names};
use keyward_core::clock::Timestamp;
use keyward_core::page::Page;
use keyward_core::secret::SecretText;
use serde_json::{Value, json};

use crate::app::{Options, START, TestApp};

const ALL: Page = Page {
    after: 0,
    limit: 10,
};

/// The memory that a request fills to hash passwords, in blocks, where it that must be answered with `expected`.
async fn cost(app: &TestApp, path: &str, body: Value, expected: StatusCode) -> u64 {
    let before = app.passwords.work_done();
    let answer = app.post(path).json(&body).send().await;
    answer.expect(expected);
    app.passwords.work_done() - before
}

#[tokio::test]
async fn an_unknown_name_costs_what_a_wrong_password_does() {
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
            let work = cost(&app, path, body, refused).await;
            assert_eq!(work, 8, "{path} {name}");
        }
    }
    // Where the contract tells the two apart, a wrong password costs as much, and only a name that is there does.
    app.exchange_user("ops", "ada").await;
    for (name, work, status) in [
        ("ada", 8, StatusCode::UNAUTHORIZED),
        ("nobody", 0, StatusCode::NOT_FOUND),
    ] {
        let body = json!({"username": name, "password": "wrong"});
        assert_eq!(cost(&app, "/ops/login", body, status).await, work);
    }
}

fn hashing(memory_kib: u32, passes: u32) -> Options {
    Options {
        passwords: Policy {
            memory_kib,
            passes,
            threads: 1,
            queue: 16,
        },
        ..Options::default()
    }
}

/// The same data under another policy.
async fn restart_with(app: TestApp, options: Options) -> TestApp {
    let TestApp {
        folder,
        clock,
        store,
        app,
        site,
        ..
    } = app;
    drop((app, site));
    store.close().await;
    drop(store);
    let options = Options { seed: 2, ..options };
    let app = TestApp::in_folder(folder, clock, options).await;
    app.app.accounts.learn_costs().await.expect("the store");
    app
}

#[tokio::test]
async fn a_change_of_the_hashing_cost_does_not_tell_who_exists() {
    for (before, after) in [
        ((8, 1), (64, 1)),
        ((8, 1), (8, 5)),
        ((64, 1), (8, 1)),
        ((8, 5), (8, 1)),
        ((64, 1), (40, 2)),
    ] {
        let app = TestApp::with(hashing(before.0, before.1)).await;
        app.user("ada").await;
        let digest = NewAccount {
            realm: Realm::Default,
            username: names::username("django").ok(),
            email: None,
            display_name: None,
            invitation: None,
            password_hash: SecretText::new(format!("md5$salt${}", "0".repeat(32))),
            created_at: Timestamp::from_seconds(START),
        };
        app.store.create_account(digest).await.expect("an account");
        let app = restart_with(app, hashing(after.0, after.1)).await;
        app.user("eve").await;
        let mut works = Vec::new();
        for name in ["nobody", "ada", "eve", "django"] {
            let body = json!({"username": name, "password": "wrong"});
            works.push(cost(&app, "/login", body, StatusCode::UNAUTHORIZED).await);
        }
        let dearest = u64::from((before.0 * before.1).max(after.0 * after.1));
        for work in works {
            assert!(work.abs_diff(dearest) < 8, "{before:?}, {after:?}: {work}");
        }
        // The owner's next login brings the hash to the policy, whether it was cheaper or dearer.
        let body = json!({"username": "ada", "password": "pw"});
        app.post("/login").json(&body).send().await;
        let found = app.store.find_credentials(Realm::Default, "ada").await;
        let hash = found.expect("the store").expect("ada").password_hash;
        let (memory, passes) = after;
        let costs = format!("$argon2id$v=19$m={memory},t={passes},p=1$");
        assert!(hash.expose().starts_with(&costs), "{before:?}, {after:?}");
    }
}
