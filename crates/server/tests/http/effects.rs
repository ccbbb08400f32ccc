//! The moment of effect: what a caller had begun before its session ended has no effect after it.

use std::convert::Infallible;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use http::{Method, StatusCode};
use keyward_core::clock::Timestamp;
use keyward_core::id::{AccountId, SessionId};
use keyward_core::secret::Password;
use keyward_core::sessions::Reason;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::app::{Answer, START, TestApp};
use crate::exchange::{content_type, file, form};

/// Everything that reads a body for a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Create,
    Replace,
    ChangePassword,
    Array,
    Upload,
    Overwrite,
}

const EFFECTS: [Effect; 6] = [
    Effect::Create,
    Effect::Replace,
    Effect::ChangePassword,
    Effect::Array,
    Effect::Upload,
    Effect::Overwrite,
];

/// What ends a session while the body is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Logout,
    Operator,
    SetPassword,
    Disable,
    Epoch,
    Expiry,
}

const ENDS: [End; 6] = [
    End::Logout,
    End::Operator,
    End::SetPassword,
    End::Disable,
    End::Epoch,
    End::Expiry,
];

const CUSTOMERS: &str = "/api/v1/customers/customers";

impl Effect {
    fn is_upload(self) -> bool {
        matches!(self, Self::Upload | Self::Overwrite)
    }

    fn request(self) -> (Method, &'static str, String, Vec<u8>) {
        let json = |body: Value| ("application/json".to_owned(), body.to_string().into_bytes());
        let ada = json!({"name": "changed", "dob": "2001-02-03"});
        let passwords = json!({"current_password": "pw", "new_password": "new"});
        let upload = |name| (content_type(), form(&[file(name, b"changed")]));
        let (method, path, (declared, body)) = match self {
            Self::Create => (Method::POST, CUSTOMERS, json(ada)),
            Self::Replace => (Method::PUT, "/api/v1/customers/customers/1", json(ada)),
            Self::ChangePassword => (Method::PUT, "/api/v1/account/password", json(passwords)),
            Self::Array => (
                Method::POST,
                "/generate_array",
                json(json!({"sentence": "a"})),
            ),
            Self::Upload => (Method::POST, "/ops/upload", upload("new.txt")),
            Self::Overwrite => (
                Method::POST,
                "/ops/upload?overwrite=true",
                upload("old.txt"),
            ),
        };
        (method, path, declared, body)
    }
}

/// A caller with a session to be ended: its token, session and account.
struct Caller {
    token: String,
    session: SessionId,
    account: AccountId,
}

/// A server with a customer, a file, and another user and client who see both.
struct World {
    app: TestApp,
    caller: Caller,
    witness: String,
    reader: String,
}

impl World {
    async fn start(effect: Effect) -> Self {
        let app = TestApp::start().await;
        let witness = app.user("witness").await;
        let reader = app.exchange_user("client", "reader").await;
        let token = match effect.is_upload() {
            true => app.exchange_user("ops", "caller").await,
            false => app.user("caller").await,
        };
        let ada = json!({"name": "ada", "dob": "2001-02-03"});
        let customer = app.post(CUSTOMERS).bearer(&witness).json(&ada).send();
        customer.await.expect(StatusCode::CREATED);
        if effect.is_upload() {
            let body = form(&[file("old.txt", b"as it was")]);
            let request = app.post("/ops/upload").bearer(&token);
            let uploaded = request.body(&content_type(), body).send().await;
            uploaded.expect(StatusCode::CREATED);
        }
        let principal = app.app.tokens.verify(&token).await.expect("a good token");
        let account = app.app.tokens.account(&principal).await;
        let caller = Caller {
            token,
            session: principal.session,
            account: account.expect("an account").id,
        };
        Self {
            app,
            caller,
            witness,
            reader,
        }
    }

    /// Sends the request, and does `meanwhile` once all of its body but its end has been taken.
    async fn send(&self, effect: Effect, meanwhile: impl Future<Output = ()>) -> Answer {
        let (method, path, declared, mut body) = effect.request();
        // More than the line break that may follow a form's closing delimiter, which nobody need wait for.
        let last = Bytes::from(body.split_off(body.len() - 8));
        let (taken, is_taken) = oneshot::channel();
        let (release, is_released) = oneshot::channel::<()>();
        let rest = async move {
            taken.send(()).expect("the test waits");
            is_released.await.expect("the test goes on");
            Ok::<_, Infallible>(last)
        };
        let first = stream::iter([Ok(Bytes::from(body))]);
        let body = Body::from_stream(first.chain(rest.into_stream()));
        let request = self.app.request(method, path).bearer(&self.caller.token);
        let sending = request.body(&declared, body).send();
        let ending = async {
            is_taken.await.expect("the body is read");
            meanwhile.await;
            release.send(()).expect("the body is read on");
        };
        tokio::join!(sending, ending).0
    }

    async fn end(&self, end: End) {
        let sessions = &self.app.app.sessions;
        match end {
            End::Logout => {
                let request = self.app.post("/logout").bearer(&self.caller.token);
                request.send().await.expect(StatusCode::OK);
            }
            End::Operator => {
                let closed = sessions.close(self.caller.session, Reason::Operator).await;
                assert!(closed.expect("the store"));
            }
            End::SetPassword => {
                let new = Password::new("set".into()).expect("a password");
                let set = sessions.set_password(self.caller.account, new).await;
                set.expect("set");
            }
            End::Disable => {
                let account = self.app.app.accounts.find(self.caller.account).await;
                let account = account.expect("the store").expect("an account");
                sessions.disable_account(&account).await.expect("disabled");
            }
            End::Epoch => sessions.close_all().await.expect("closed"),
            End::Expiry => {
                let years = std::time::Duration::from_secs(400 * 86_400);
                let later = Timestamp::from_seconds(START).plus(years);
                self.app.clock.set(later);
            }
        }
    }

    /// What others see: the customers, the files, and whether the caller's password is the old one.
    async fn seen(&self, effect: Effect) -> (String, String, bool) {
        let list = self.app.get(CUSTOMERS).bearer(&self.witness).send().await;
        let files = self.app.get("/client/files/caller").bearer(&self.reader);
        let old = self.app.get("/client/files/caller/old.txt");
        let old = old.bearer(&self.reader).send().await.text();
        let path = match effect.is_upload() {
            true => "/ops/login",
            false => "/login",
        };
        let body = json!({"username": "caller", "password": "pw"});
        let login = self.app.post(path).json(&body).send().await;
        (
            list.text(),
            files.send().await.text() + &old,
            login.status == StatusCode::OK,
        )
    }
}

#[tokio::test]
async fn what_was_begun_before_a_session_ended_is_refused_and_has_no_effect() {
    for effect in EFFECTS {
        for end in ENDS {
            let world = World::start(effect).await;
            let before = world.seen(effect).await;
            let answer = world.send(effect, world.end(end)).await;
            assert_eq!(
                answer.status,
                StatusCode::UNAUTHORIZED,
                "{effect:?}, {end:?}: {}",
                answer.text()
            );
            // Where everybody's session has ended, nobody is left to look.
            if matches!(end, End::Epoch | End::Expiry) {
                continue;
            }
            let after = world.seen(effect).await;
            assert_eq!(before.0, after.0, "{effect:?}, {end:?}: customers");
            assert_eq!(before.1, after.1, "{effect:?}, {end:?}: files");
            let kept = matches!(end, End::Logout | End::Operator);
            assert_eq!(after.2, kept, "{effect:?}, {end:?}: the password");
        }
    }
}

#[tokio::test]
async fn what_comes_slowly_in_a_session_that_stays_open_has_its_effect() {
    for effect in EFFECTS {
        let world = World::start(effect).await;
        let before = world.seen(effect).await;
        let answer = world.send(effect, async {}).await;
        assert!(answer.status.is_success(), "{effect:?}: {}", answer.text());
        assert!(effect == Effect::Array || before != world.seen(effect).await);
    }
}
