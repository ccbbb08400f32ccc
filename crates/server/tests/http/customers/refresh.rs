//! Refreshing: a token works once, and a replay ends its family.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use keyward_core::tokens;
use keyward_server::limits;

use super::{REFRESH, claims, is_good, refresh};
use crate::app::{Answer, Options, TestApp};

const DAY: Duration = Duration::from_secs(86_400);

/// The pair of a refresh that worked.
async fn renew(app: &TestApp, token: &str) -> (String, String) {
    let answer = refresh(app, token).await.expect(StatusCode::OK);
    (
        answer.text_at("/access_token"),
        answer.text_at("/refresh_token"),
    )
}

async fn expect_dead(app: &TestApp, access: &[&str], renewing: &[&str]) {
    for token in access {
        assert!(
            !is_good(app, token).await,
            "an access token of a dead family is good"
        );
    }
    for token in renewing {
        let answer = refresh(app, token).await;
        answer.expect_problem(StatusCode::UNAUTHORIZED, "the token is not valid");
    }
}

async fn with_policy(change: impl FnOnce(&mut tokens::Policy)) -> TestApp {
    let mut options = Options::default();
    change(&mut options.tokens);
    TestApp::with(options).await
}

/// All at once, each on a task of its own.
async fn at_once(app: &Arc<TestApp>, token: &str, count: usize) -> Vec<Answer> {
    let tasks: Vec<_> = (0..count)
        .map(|_| {
            let (app, token) = (Arc::clone(app), token.to_owned());
            tokio::spawn(async move { refresh(&app, &token).await })
        })
        .collect();
    let mut answers = Vec::new();
    for task in tasks {
        answers.push(task.await.expect("task"));
    }
    answers
}

#[tokio::test]
async fn a_refresh_yields_a_new_pair_of_the_same_session() {
    let app = TestApp::start().await;
    let (access, renewing) = app.pair("test").await;
    app.clock.advance(Duration::from_secs(60));
    let answer = refresh(&app, &renewing).await.expect(StatusCode::OK);
    assert_eq!(answer.header("cache-control"), "no-store");
    let body = answer.json();
    assert_eq!(
        (&body["token_type"], &body["expires_in"]),
        (&"Bearer".into(), &600.into())
    );
    let (next_access, next_renewing) = (
        answer.text_at("/access_token"),
        answer.text_at("/refresh_token"),
    );
    assert_ne!(access, next_access);
    assert_ne!(renewing, next_renewing);
    assert_eq!(claims(&access)["sid"], claims(&next_access)["sid"]);
    assert_eq!(claims(&access)["sub"], claims(&next_access)["sub"]);
    assert!(is_good(&app, &access).await && is_good(&app, &next_access).await);
    renew(&app, &next_renewing).await;
}

#[tokio::test]
async fn a_replay_ends_every_token_of_its_family_and_no_other() {
    let app = TestApp::start().await;
    let (access_1, renewing_1) = app.pair("test").await;
    let (bystander, bystander_renewing) = app.pair("bystander").await;
    let (access_2, renewing_2) = renew(&app, &renewing_1).await;
    let (access_3, renewing_3) = renew(&app, &renewing_2).await;
    let replay = refresh(&app, &renewing_1).await;
    let replay = replay.expect_problem(StatusCode::UNAUTHORIZED, "the token is not valid");
    assert_eq!(replay.header("cache-control"), "no-store");
    let access = [&*access_1, &access_2, &access_3];
    let renewing = [&*renewing_1, &renewing_2, &renewing_3];
    expect_dead(&app, &access, &renewing).await;
    let app = app.restart().await;
    expect_dead(&app, &access, &renewing).await;
    assert!(is_good(&app, &bystander).await);
    renew(&app, &bystander_renewing).await;
}

#[tokio::test]
async fn a_token_used_before_a_restart_is_a_replay_after_it() {
    let app = TestApp::start().await;
    let (access, renewing) = app.pair("test").await;
    let (next_access, next_renewing) = renew(&app, &renewing).await;
    let app = app.restart().await;
    refresh(&app, &renewing)
        .await
        .expect(StatusCode::UNAUTHORIZED);
    expect_dead(&app, &[&access, &next_access], &[&next_renewing]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_50_refreshes_of_one_token_at_once_one_wins_and_its_family_is_dead() {
    let app = Arc::new(TestApp::start().await);
    let (access, renewing) = app.pair("test").await;
    let answers = at_once(&app, &renewing, 50).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers
        .into_iter()
        .partition(|answer| answer.status == StatusCode::OK);
    assert_eq!((won.len(), lost.len()), (1, 49));
    for answer in lost {
        answer.expect_problem(StatusCode::UNAUTHORIZED, "the token is not valid");
    }
    let winner = (
        won[0].text_at("/access_token"),
        won[0].text_at("/refresh_token"),
    );
    expect_dead(&app, &[&access, &winner.0], &[&winner.1]).await;
}

#[tokio::test]
async fn within_the_grace_a_retry_gets_the_same_successor() {
    let app = with_policy(|policy| policy.refresh_grace = Duration::from_secs(30)).await;
    let (access_1, renewing_1) = app.pair("test").await;
    let (access_2, renewing_2) = renew(&app, &renewing_1).await;
    app.clock.advance(Duration::from_secs(29));
    let (access_3, repeated) = renew(&app, &renewing_1).await;
    assert_eq!(repeated, renewing_2, "never a sibling");
    for access in [&access_1, &access_2, &access_3] {
        assert!(is_good(&app, access).await);
    }
    let (access_4, renewing_3) = renew(&app, &renewing_2).await;
    let replay = refresh(&app, &renewing_1).await;
    replay.expect_problem(StatusCode::UNAUTHORIZED, "not valid");
    expect_dead(&app, &[&access_1, &access_4], &[&renewing_3]).await;
}

#[tokio::test]
async fn after_the_grace_a_retry_is_a_replay() {
    let app = with_policy(|policy| policy.refresh_grace = Duration::from_secs(30)).await;
    let (access, renewing) = app.pair("test").await;
    let (next_access, next_renewing) = renew(&app, &renewing).await;
    app.clock.advance(Duration::from_secs(31));
    refresh(&app, &renewing)
        .await
        .expect(StatusCode::UNAUTHORIZED);
    expect_dead(&app, &[&access, &next_access], &[&next_renewing]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_the_grace_50_refreshes_at_once_make_one_lineage() {
    let app = with_policy(|policy| policy.refresh_grace = Duration::from_secs(30)).await;
    let app = Arc::new(app);
    let (_, renewing) = app.pair("test").await;
    let answers = at_once(&app, &renewing, 50).await;
    let successors: HashSet<_> = answers
        .into_iter()
        .map(|answer| answer.expect(StatusCode::OK).text_at("/refresh_token"))
        .collect();
    assert_eq!(successors.len(), 1);
    for successor in successors {
        renew(&app, &successor).await;
    }
}

#[tokio::test]
async fn an_access_token_is_good_for_10_minutes_and_the_leeway() {
    let app = TestApp::start().await;
    let (access, renewing) = app.pair("test").await;
    app.clock.advance(Duration::from_secs(604));
    assert!(is_good(&app, &access).await);
    app.clock.advance(Duration::from_secs(1));
    assert!(!is_good(&app, &access).await);
    let (next, _) = renew(&app, &renewing).await;
    assert!(is_good(&app, &next).await);
}

#[tokio::test]
async fn a_refresh_token_is_good_for_30_days_and_renewed_by_each_refresh() {
    let app = TestApp::start().await;
    let (_, renewing) = app.pair("test").await;
    app.clock.advance(30 * DAY - Duration::from_secs(1));
    let (_, renewing) = renew(&app, &renewing).await;
    app.clock.advance(30 * DAY - Duration::from_secs(1));
    let (_, renewing) = renew(&app, &renewing).await;
    app.clock.advance(30 * DAY + Duration::from_secs(5));
    refresh(&app, &renewing)
        .await
        .expect_problem(StatusCode::UNAUTHORIZED, "not valid");
}

#[tokio::test]
async fn a_session_ends_for_good_however_often_it_is_refreshed() {
    let app = with_policy(|policy| policy.session_max_lifetime = 40 * DAY).await;
    let (_, renewing) = app.pair("test").await;
    app.clock.advance(29 * DAY);
    let (_, renewing) = renew(&app, &renewing).await;
    app.clock.advance(11 * DAY - Duration::from_secs(60));
    let answer = refresh(&app, &renewing).await.expect(StatusCode::OK);
    assert_eq!(
        answer.json()["expires_in"],
        60,
        "no token outlives the session"
    );
    app.clock.advance(Duration::from_secs(65));
    assert!(!is_good(&app, &answer.text_at("/access_token")).await);
    let renewing = answer.text_at("/refresh_token");
    refresh(&app, &renewing)
        .await
        .expect(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_clock_set_back_does_not_revive_a_used_token() {
    let app = TestApp::start().await;
    let (_, renewing) = app.pair("test").await;
    app.clock.advance(Duration::from_secs(3_600));
    let (access, next) = renew(&app, &renewing).await;
    app.clock.set(keyward_core::clock::Timestamp::from_seconds(
        crate::app::START,
    ));
    refresh(&app, &renewing)
        .await
        .expect(StatusCode::UNAUTHORIZED);
    expect_dead(&app, &[&access], &[&next]).await;
}

#[tokio::test]
async fn only_a_whole_refresh_token_refreshes_and_a_damaged_one_harms_nothing() {
    let app = TestApp::start().await;
    let (access, renewing) = app.pair("test").await;
    let single = app.user("other").await;
    let operator = app
        .post("/generateToken")
        .json(&serde_json::json!({"user_data": "x"}));
    let notary = operator.send().await.text_at("/JWT Token");
    let [header, payload, signature] = renewing.split('.').collect::<Vec<_>>()[..] else {
        panic!("three parts")
    };
    let forged = |claims: String| {
        let claims = keyward_jose::base64url::encode(claims);
        format!("{header}.{claims}.{signature}")
    };
    let tokens = [
        access.clone(),
        single,
        notary,
        format!("{renewing}="),
        format!("{renewing}A"),
        format!("{renewing}.x"),
        renewing[..renewing.len() - 1].to_owned(),
        format!("{header}.{payload}."),
        forged(format!(
            r#"{{"sid":{},"ctr":0,"iat":0,"exp":9999999999}}"#,
            claims(&renewing)["sid"]
        )),
        "x".repeat(7_000),
        ".".repeat(7_000),
    ];
    for token in &tokens {
        let answer = refresh(&app, token).await;
        answer.expect_problem(StatusCode::UNAUTHORIZED, "the token is not valid");
    }
    let answer = app.post(REFRESH).send().await;
    let answer = answer.expect_problem(StatusCode::UNAUTHORIZED, "send a token");
    assert_eq!(answer.header("www-authenticate"), "Bearer");
    let basic = format!("Basic {renewing}");
    let answer = app
        .post(REFRESH)
        .header("authorization", &basic)
        .send()
        .await;
    answer.expect(StatusCode::UNAUTHORIZED);
    let twice = app
        .post(REFRESH)
        .bearer(&renewing)
        .header("authorization", "Bearer x");
    twice.send().await.expect(StatusCode::UNAUTHORIZED);
    let in_query = format!("{REFRESH}?access_token={renewing}");
    app.post(&in_query)
        .send()
        .await
        .expect(StatusCode::UNAUTHORIZED);
    assert!(is_good(&app, &access).await);
    renew(&app, &renewing).await;
}

#[tokio::test]
async fn refreshes_from_one_address_are_limited() {
    let limits = limits::Policy {
        refreshes_per_address: 2,
        ..limits::Policy::default()
    };
    let app = TestApp::with(Options {
        limits,
        ..Options::default()
    })
    .await;
    for _ in 0..2 {
        refresh(&app, "x").await.expect(StatusCode::UNAUTHORIZED);
    }
    let answer = refresh(&app, "x").await;
    let answer = answer.expect_problem(StatusCode::TOO_MANY_REQUESTS, "too many");
    assert_eq!(answer.header("retry-after"), "30");
}
