//! Preconditions: no update is lost, and what is known is not sent again.

use std::sync::Arc;

use http::{Method, StatusCode};
use serde_json::json;

use super::{CUSTOMERS, add};
use crate::app::{Answer, TestApp};

/// Changes what is at `path`, on the condition that each line of `If-Match` states.
async fn change_if(
    app: &TestApp,
    token: &str,
    method: Method,
    path: &str,
    tags: &[&str],
) -> Answer {
    let fields: Vec<_> = tags.iter().map(|tag| ("if-match", *tag)).collect();
    change_under(app, token, method, path, &fields).await
}

/// Changes what is at `path` under these conditions.
async fn change_under(
    app: &TestApp,
    token: &str,
    method: Method,
    path: &str,
    fields: &[(&'static str, &str)],
) -> Answer {
    let body = json!({"name": "Eve", "dob": "2000-01-01"});
    let mut request = app.request(method, path).bearer(token).json(&body);
    for (name, value) in fields {
        request = request.header(name, value);
    }
    request.send().await
}

#[tokio::test]
async fn nothing_is_changed_when_if_match_does_not_hold() {
    let app = TestApp::start().await;
    let token = app.user("test").await;
    let added = add(&app, &token, "Ada", "1815-12-10").await;
    let path = format!("{CUSTOMERS}/{}", added["id"]);
    // The version is 1: none of these names it strongly.
    for tag in [
        r#""0""#,
        r#""2""#,
        r#"W/"1""#,
        r#""01""#,
        r#""+1""#,
        r#""""#,
        r#""x", W/"1""#,
        "1",
        r#""1"#,
        "*, *",
        r#""1" "2""#,
    ] {
        for method in [Method::PUT, Method::DELETE] {
            let answer = change_if(&app, &token, method, &path, &[tag]).await;
            answer.expect_problem(StatusCode::PRECONDITION_FAILED, "has been changed");
        }
    }
    let answer = app.get(&path).bearer(&token).send().await;
    assert_eq!((answer.header("etag"), answer.json()), ("\"1\"", added));
}

#[tokio::test]
async fn a_change_is_made_when_if_match_holds() {
    let app = TestApp::start().await;
    let token = app.user("test").await;
    let added = add(&app, &token, "Ada", "1815-12-10").await;
    let path = format!("{CUSTOMERS}/{}", added["id"]);
    for (version, tags) in [
        (2, [r#""1""#].as_slice()),
        (3, &["*"]),
        (4, &[r#""9", "3""#]),
        (5, &[r#"W/"4", "4""#]),
        (6, &[r#""1""#, r#""5""#]),
    ] {
        let answer = change_if(&app, &token, Method::PUT, &path, tags).await;
        let answer = answer.expect(StatusCode::OK);
        assert_eq!(answer.header("etag"), format!("\"{version}\""));
    }
    let answer = change_if(&app, &token, Method::DELETE, &path, &[r#""6""#]).await;
    answer.expect(StatusCode::NO_CONTENT);
    for tag in ["*", r#""6""#] {
        let answer = change_if(&app, &token, Method::DELETE, &path, &[tag]).await;
        answer.expect_problem(StatusCode::NOT_FOUND, "no such customer");
    }
}

#[tokio::test]
async fn nothing_is_changed_when_if_none_match_does_not_hold() {
    let app = TestApp::start().await;
    let token = app.user("test").await;
    let added = add(&app, &token, "Ada", "1815-12-10").await;
    let path = format!("{CUSTOMERS}/{}", added["id"]);
    let own = r#""1""#;
    for fields in [
        &[("if-none-match", "*")][..],
        &[("if-none-match", own)],
        &[("if-none-match", r#"W/"1""#)],
        &[("if-none-match", r#""7" ,, W/"1""#)],
        &[("if-none-match", r#""7""#), ("if-none-match", own)],
        &[("if-none-match", "*"), ("if-match", own)],
        &[("if-none-match", own), ("if-match", "*")],
        &[("if-none-match", own), ("if-match", own)],
        &[("if-none-match", r#""2""#), ("if-match", r#""2""#)],
        &[("if-none-match", "1")],
        &[("if-none-match", r#"*, "7""#)],
    ] {
        for method in [Method::PUT, Method::DELETE] {
            let answer = change_under(&app, &token, method, &path, fields).await;
            answer.expect_problem(StatusCode::PRECONDITION_FAILED, "");
        }
    }
    let answer = app.get(&path).bearer(&token).send().await;
    assert_eq!((answer.header("etag"), answer.json()), (own, added));
    for (version, fields) in [
        (2, &[("if-none-match", r#""2""#)][..]),
        (3, &[("if-none-match", r#""1", W/"x""#), ("if-match", "*")]),
        (
            4,
            &[("if-none-match", r#""4""#), ("if-match", r#""4", "3""#)],
        ),
        (5, &[("if-none-match", "")]),
    ] {
        let answer = change_under(&app, &token, Method::PUT, &path, fields).await;
        let answer = answer.expect(StatusCode::OK);
        assert_eq!(answer.header("etag"), format!("\"{version}\""));
    }
    let gone = format!("{CUSTOMERS}/4711");
    for method in [Method::PUT, Method::DELETE] {
        let any = [("if-none-match", "*")];
        let answer = change_under(&app, &token, method, &gone, &any).await;
        answer.expect_problem(StatusCode::NOT_FOUND, "no such customer");
    }
}

#[tokio::test]
async fn a_known_customer_is_not_sent_again() {
    let app = TestApp::start().await;
    let token = app.user("test").await;
    let added = add(&app, &token, "Ada", "1815-12-10").await;
    let path = format!("{CUSTOMERS}/{}", added["id"]);
    for tag in ["\"1\"", "W/\"1\"", "\"0\", \"1\"", "*"] {
        let answer = app
            .get(&path)
            .bearer(&token)
            .header("if-none-match", tag)
            .send()
            .await;
        let answer = answer.expect(StatusCode::NOT_MODIFIED);
        assert_eq!(answer.header("etag"), "\"1\"");
        assert_eq!(answer.header("cache-control"), "private, no-cache");
        assert!(answer.body.is_empty());
    }
    for tag in ["\"2\"", "1", "\"01\""] {
        let answer = app
            .get(&path)
            .bearer(&token)
            .header("if-none-match", tag)
            .send()
            .await;
        assert_eq!(answer.expect(StatusCode::OK).json(), added);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_20_changes_of_one_version_at_once_one_is_made() {
    let app = Arc::new(TestApp::start().await);
    let token = app.user("test").await;
    let path = format!(
        "{CUSTOMERS}/{}",
        add(&app, &token, "Ada", "1815-12-10").await["id"]
    );
    let tasks: Vec<_> = (0..20)
        .map(|number| {
            let (app, token, path) = (Arc::clone(&app), token.clone(), path.clone());
            let body = json!({"name": format!("{number}"), "dob": "2000-01-01"});
            tokio::spawn(async move {
                let put = app.put(&path).bearer(&token).header("if-match", "\"1\"");
                put.json(&body).send().await
            })
        })
        .collect();
    let mut made = Vec::new();
    for task in tasks {
        let answer = task.await.expect("task");
        match answer.status {
            StatusCode::OK => made.push(answer.json()),
            _ => drop(answer.expect(StatusCode::PRECONDITION_FAILED)),
        }
    }
    let answer = app.get(&path).bearer(&token).send().await;
    assert_eq!(
        (answer.header("etag"), made),
        ("\"2\"", vec![answer.json()])
    );
}
