//! Bad input: each kind is refused by name, and nothing is stored.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::json;

use super::{CUSTOMERS, add};
use crate::app::TestApp;

/// What is no customer at all, or has a member too many, missing or twice.
const MALFORMED: &[(&str, &str)] = &[
    ("{}", "name is missing"),
    (r#"{"dob":"2000-01-01"}"#, "name is missing"),
    (r#"{"name":"A"}"#, "dob is missing"),
    (r#"{"name":null,"dob":"2000-01-01"}"#, "name is missing"),
    (r#"{"name":"A","dob":"2000-01-01","admin":true}"#, "admin"),
    (r#"{"name":"A","dob":"2000-01-01","version":1}"#, "version"),
    (r#"{"name":"A","dob":"2000-01-01","Name":"B"}"#, "Name"),
    (
        r#"{"name":"A","dob":"2000-01-01","name":"B"}"#,
        "duplicate member name",
    ),
    (
        r#"{"name":"A","dob":"2000-01-01","n\u0061me":"B"}"#,
        "duplicate member name",
    ),
    (r#"{"name":"\ud800","dob":"2000-01-01"}"#, "lone surrogate"),
    (
        r#"{"name":"\udc00\ud800","dob":"2000-01-01"}"#,
        "lone surrogate",
    ),
    (
        r#"{"name":"A\u0000","dob":"2000-01-01"}"#,
        "name must not contain the NUL",
    ),
    (r#"{"name":"","dob":"2000-01-01"}"#, "name must be 1 to 255"),
    (r#"{"name":"A","dob":"2000-01-01",}"#, "not valid JSON"),
    (r#"{"name":"A","dob":"2000-01-01"} {}"#, "not valid JSON"),
    (r#"{"name":"A" "dob":"2000-01-01"}"#, "not valid JSON"),
    (
        r#"{"name":"A","dob":"2000-01-01","updated_at":NaN}"#,
        "not valid JSON",
    ),
    ("\u{feff}{}", "name is missing"),
    ("", "not valid JSON"),
    ("name=A&dob=2000-01-01", "not valid JSON"),
    ("null", "must be a JSON object"),
    ("[]", "must be a JSON object"),
    (
        r#"[{"name":"A","dob":"2000-01-01"}]"#,
        "must be a JSON object",
    ),
    (r#""{}""#, "must be a JSON object"),
];

/// What is no string.
const OTHER_TYPES: &[&str] = &[
    "5",
    "9007199254740993",
    "-0",
    "1.5",
    "true",
    "[]",
    "{}",
    r#"["A"]"#,
    r#"{"a":1}"#,
];

/// What is no day.
const NO_DAYS: &[&str] = &[
    "",
    "2021-02-29",
    "2020-13-01",
    "2020-00-10",
    "2020-01-32",
    "20200708",
    "2020-7-8",
    "08/07/2020",
    "2020-07-08T00:00:00Z",
    " 2020-07-08",
    "2020-07-08\n",
    "-001-01-01",
    "2020-07-0é",
    "２０２０-07-08",
];

/// What is no RFC 3339 time, or one that UTC puts outside the years 0 to 9999.
const NO_TIMES: &[&str] = &[
    "",
    "now",
    "2020-07-08",
    "2020-07-08 12:00:00Z",
    "2020-07-08T12:00:00",
    "2020-07-08T25:00:00Z",
    "2020-02-30T00:00:00Z",
    "2020-07-08T12:00:00+0200",
    "0000-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-01:00",
    "1594212949930",
    "2020-07-08T12:00:00Z[UTC]",
];

/// Bodies that are wrong for a new customer and for a replaced one alike, and what the answer says.
fn wrong_bodies() -> Vec<(String, &'static str)> {
    let customer = |member: &str, value: serde_json::Value| {
        let mut body = json!({"name": "A", "dob": "2000-01-01"});
        body[member] = value;
        body.to_string()
    };
    let mut bodies = vec![
        (r#"{"name":1e400,"dob":"2000-01-01"}"#.to_owned(), "name"),
        (
            format!(r#"{{"name":{}1{}}}"#, "[".repeat(9_000), "]".repeat(9_000)),
            "nested too deep",
        ),
    ];
    bodies.extend(
        MALFORMED
            .iter()
            .map(|(body, part)| ((*body).to_owned(), *part)),
    );
    for (member, part) in [
        ("name", "name must be a string"),
        ("dob", "dob must be a string"),
        ("updated_at", "updated_at must be a string"),
    ] {
        let wrong = |value: &&str| (customer(member, json!("?")).replace("\"?\"", value), part);
        bodies.extend(OTHER_TYPES.iter().map(wrong));
    }
    for name in ["é", "x", "👩"] {
        bodies.push((
            customer("name", name.repeat(256).into()),
            "name must be 1 to 255",
        ));
    }
    for &day in NO_DAYS {
        bodies.push((customer("dob", day.into()), "dob must be a day"));
    }
    for day in ["2026-01-02", "2027-01-01", "9999-12-31"] {
        bodies.push((
            customer("dob", day.into()),
            "dob must not lie in the future",
        ));
    }
    for &time in NO_TIMES {
        bodies.push((
            customer("updated_at", time.into()),
            "updated_at must be an RFC 3339 time",
        ));
    }
    bodies
}

#[tokio::test]
async fn a_wrong_body_is_refused_by_name_and_nothing_is_stored() {
    let app = TestApp::start().await;
    let token = app.user("test").await;
    let added = add(&app, &token, "Ada", "1815-12-10").await;
    let one = format!("{CUSTOMERS}/{}", added["id"]);
    for (body, part) in wrong_bodies() {
        for (method, path) in [(Method::POST, CUSTOMERS), (Method::PUT, &one)] {
            let request = app.request(method, path).bearer(&token);
            let answer = request.body("application/json", body.clone()).send().await;
            let detail = answer.text();
            assert!(answer.status == StatusCode::BAD_REQUEST, "{body}: {detail}");
            answer.expect_problem(StatusCode::BAD_REQUEST, part);
        }
    }
    let answer = app.get(CUSTOMERS).bearer(&token).send().await;
    assert_eq!(answer.json(), json!([added]));
}

#[tokio::test]
async fn bytes_that_are_no_utf_8_are_refused() {
    let app = TestApp::start().await;
    let token = app.user("test").await;
    let body = b"{\"name\":\"\xff\",\"dob\":\"2000-01-01\"}".to_vec();
    let answer = app
        .post(CUSTOMERS)
        .bearer(&token)
        .body("application/json", body)
        .send()
        .await;
    answer.expect_problem(StatusCode::BAD_REQUEST, "UTF-8");
}

#[tokio::test]
async fn another_type_or_too_large_a_body_is_refused() {
    let app = TestApp::start().await;
    let token = app.user("test").await;
    let one = format!("{CUSTOMERS}/1");
    let body = json!({"name": "A", "dob": "2000-01-01"}).to_string();
    let large = json!({"name": "A".repeat(70_000), "dob": "2000-01-01"});
    for (method, path) in [(Method::POST, CUSTOMERS), (Method::PUT, &one)] {
        for content_type in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "application/jsonp",
            "",
        ] {
            let request = app.request(method.clone(), path).bearer(&token);
            let answer = request.body(content_type, body.clone()).send().await;
            answer.expect_problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "application/json");
        }
        let answer = app
            .request(method.clone(), path)
            .bearer(&token)
            .send()
            .await;
        answer.expect_problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "application/json");
        let answer = app
            .request(method, path)
            .bearer(&token)
            .json(&large)
            .send()
            .await;
        answer.expect_problem(StatusCode::PAYLOAD_TOO_LARGE, "larger");
    }
    let request = app.post(CUSTOMERS).bearer(&token);
    let answer = request
        .body("Application/JSON; charset=utf-8", body)
        .send()
        .await;
    answer.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn an_id_is_taken_by_a_put_alone_and_only_that_of_the_path() {
    let app = TestApp::start().await;
    let token = app.user("test").await;
    let added = add(&app, &token, "Ada", "1815-12-10").await;
    let id = added["id"].as_i64().expect("id");
    let path = format!("{CUSTOMERS}/{id}");
    let answer = app.post(CUSTOMERS).bearer(&token).json(&added).send().await;
    answer.expect_problem(StatusCode::BAD_REQUEST, "id");
    for other in [
        "0",
        "99",
        "9007199254740993",
        "1e400",
        "1.0",
        "\"1\"",
        "true",
        "[1]",
        "-0",
    ] {
        let body = format!(r#"{{"id":{other},"name":"B","dob":"2000-01-01"}}"#);
        let answer = app
            .put(&path)
            .bearer(&token)
            .body("application/json", body)
            .send()
            .await;
        answer.expect_problem(StatusCode::BAD_REQUEST, "id");
    }
    let answer = app.get(&path).bearer(&token).send().await;
    assert_eq!(answer.json(), added);
    let answer = app.put(&path).bearer(&token).json(&added).send().await;
    assert_eq!(
        answer.expect(StatusCode::OK).json(),
        added,
        "what was read may be sent back"
    );
}

#[tokio::test]
async fn a_name_is_up_to_255_characters_of_any_kind_and_kept_as_sent() {
    let app = TestApp::start().await;
    let token = app.user("test").await;
    for name in [
        "é".repeat(255),
        "👩".repeat(255),
        " ".to_owned(),
        "Robert'); DROP TABLE customers;--".to_owned(),
        "<script>alert(1)</script>".to_owned(),
        "e\u{301} \u{202e}\r\n\u{1b}[31m\"\\%_".to_owned(),
    ] {
        let added = add(&app, &token, &name, "2000-01-01").await;
        let path = format!("{CUSTOMERS}/{}", added["id"]);
        let answer = app
            .get(&path)
            .bearer(&token)
            .send()
            .await
            .expect(StatusCode::OK);
        assert_eq!(answer.text_at("/name"), name);
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
}

#[tokio::test]
async fn a_birth_is_in_the_future_by_the_utc_day_of_the_servers_clock() {
    let app = TestApp::start().await;
    let token = app.user("test").await;
    for dob in ["0000-01-01", "2020-02-29", "2026-01-01"] {
        assert_eq!(add(&app, &token, "A", dob).await["dob"], dob);
    }
    let body = json!({"name": "A", "dob": "2026-01-02"});
    app.clock.advance(Duration::from_secs(86_399));
    let answer = app.post(CUSTOMERS).bearer(&token).json(&body).send().await;
    answer.expect_problem(StatusCode::BAD_REQUEST, "dob must not lie in the future");
    app.clock.advance(Duration::from_secs(1));
    let answer = app.post(CUSTOMERS).bearer(&token).json(&body).send().await;
    answer.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn any_rfc_3339_time_is_stored_in_utc_to_the_millisecond() {
    let app = TestApp::start().await;
    let token = app.user("test").await;
    for (sent, stored) in [
        (
            json!("2020-07-08T12:55:49.930Z"),
            "2020-07-08T12:55:49.930Z",
        ),
        (json!("2020-07-08t12:55:49z"), "2020-07-08T12:55:49.000Z"),
        (
            json!("2020-07-08T12:55:49.9309999Z"),
            "2020-07-08T12:55:49.930Z",
        ),
        (
            json!("2020-07-08T01:25:49.5+05:30"),
            "2020-07-07T19:55:49.500Z",
        ),
        (
            json!("1969-12-31T23:59:59.9999-00:00"),
            "1969-12-31T23:59:59.999Z",
        ),
        (json!("0000-01-01T00:00:00Z"), "0000-01-01T00:00:00.000Z"),
        (json!("9999-12-30T00:00:00Z"), "9999-12-30T00:00:00.000Z"),
        (json!(null), "2026-01-01T00:00:00.000Z"),
    ] {
        let body = json!({"name": "A", "dob": "2000-01-01", "updated_at": sent});
        let answer = app.post(CUSTOMERS).bearer(&token).json(&body).send().await;
        let answer = answer.expect(StatusCode::CREATED);
        assert_eq!(answer.text_at("/updated_at"), stored, "{sent}");
    }
}
