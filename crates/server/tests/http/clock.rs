//! A clock that jumps: no closed session revives, and no token outlives its `exp` and the leeway.

use std::time::Duration;

use http::StatusCode;
use keyward_core::clock::Timestamp;

use crate::app::{START, TestApp};

const DAY: Duration = Duration::from_secs(86_400);

/// A path that is guarded by a token of that kind.
const ACCESS: &str = "/api/v1/customers/customers";
const REFRESH: &str = "/api/v1/authentication/refresh";
const FILES: &str = "/client/files/sbeve72";

async fn status(app: &TestApp, path: &str, token: &str) -> StatusCode {
    let request = if path == REFRESH {
        app.post(path)
    } else {
        app.get(path)
    };
    request.bearer(token).send().await.status
}

/// Every kind of token that belongs to a session, with where it is good and how long it lives.
async fn tokens(app: &TestApp) -> [(&'static str, String, Duration); 4] {
    let (access, refresh) = app.pair("pair").await;
    app.exchange_user("ops", "sbeve72").await;
    [
        (ACCESS, app.user("single").await, DAY),
        (ACCESS, access, Duration::from_secs(600)),
        (REFRESH, refresh, 30 * DAY),
        (
            FILES,
            app.exchange_user("client", "reader").await,
            365 * DAY,
        ),
    ]
}

fn set(app: &TestApp, after_start: Duration) {
    app.clock
        .set(Timestamp::from_seconds(START).plus(after_start));
}

/// The last closure is not forgotten: readers of the feed go on from it.
async fn log_out_another(app: &TestApp) {
    let token = app.user("another").await;
    let logout = app.post("/logout").bearer(&token).send().await;
    assert!(logout.status.is_success());
}

#[tokio::test]
async fn a_closed_session_that_was_forgotten_stays_dead_when_the_clock_is_set_back() {
    let app = TestApp::start().await;
    let tokens = tokens(&app).await;
    for (_, token, _) in &tokens {
        let session = match app.app.tokens.verify(token).await {
            Ok(principal) => principal.session,
            // The refresh token's session is that of its access token.
            Err(_) => continue,
        };
        let reason = keyward_core::sessions::Reason::Logout;
        app.app
            .sessions
            .close(session, reason)
            .await
            .expect("closed");
    }
    log_out_another(&app).await;
    set(&app, 400 * DAY);
    let forgotten = app.app.sessions.forget_ended(DAY).await;
    assert_eq!(forgotten.expect("the store"), 4);
    assert_eq!(app.app.sessions.closed().len(), 1, "they are forgotten");
    set(&app, Duration::from_secs(1));
    for (path, token, _) in &tokens {
        assert_eq!(
            status(&app, path, token).await,
            StatusCode::UNAUTHORIZED,
            "{path}"
        );
    }
    let app = app.restart().await;
    for (path, token, _) in &tokens {
        let after = status(&app, path, token).await;
        assert_eq!(after, StatusCode::UNAUTHORIZED, "{path} after a restart");
    }
}

#[tokio::test]
async fn nobody_else_is_refused_after_the_clock_was_far_ahead() {
    let app = TestApp::start().await;
    let (_, survivor) = app.pair("survivor").await;
    let lasting = app.exchange_user("client", "lasting").await;
    let closed = app.user("closed").await;
    app.post("/logout").bearer(&closed).send().await;
    log_out_another(&app).await;
    app.exchange_user("ops", "sbeve72").await;
    set(&app, 20 * DAY);
    let forgotten = app.app.sessions.forget_ended(DAY).await;
    assert_eq!(forgotten.expect("the store"), 1);
    set(&app, Duration::from_secs(60));
    let renewed = app.post(REFRESH).bearer(&survivor).send().await;
    let renewed = renewed.json()["access_token"]
        .as_str()
        .expect("a token")
        .to_owned();
    let newcomer = app.user("newcomer").await;
    let gone = app.user("gone").await;
    app.post("/logout").bearer(&gone).send().await;
    let mut app = app;
    for _ in 0..2 {
        for (path, token, expected) in [
            (ACCESS, &closed, StatusCode::UNAUTHORIZED),
            (ACCESS, &gone, StatusCode::UNAUTHORIZED),
            (ACCESS, &renewed, StatusCode::OK),
            (ACCESS, &newcomer, StatusCode::OK),
            (FILES, &lasting, StatusCode::OK),
        ] {
            assert_eq!(status(&app, path, token).await, expected, "{token}");
        }
        app = app.restart().await;
    }
    app.post("/logout").bearer(&renewed).send().await;
    assert_eq!(
        status(&app, ACCESS, &renewed).await,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn no_token_is_good_after_its_end_and_the_leeway_however_the_clock_came_there() {
    let app = TestApp::start().await;
    let leeway = Duration::from_secs(5);
    for (path, token, life) in tokens(&app).await {
        set(&app, life + leeway - Duration::from_secs(1));
        // A refresh token that is traded in is dead for that alone, so this one is kept.
        if path != REFRESH {
            assert_eq!(
                status(&app, path, &token).await,
                StatusCode::OK,
                "{path} {life:?}"
            );
        }
        for late in [leeway, DAY, 10_000 * DAY] {
            set(&app, life + late);
            let after = status(&app, path, &token).await;
            assert_eq!(
                after,
                StatusCode::UNAUTHORIZED,
                "{path} {life:?} and {late:?}"
            );
        }
        set(&app, Duration::ZERO);
    }
}
