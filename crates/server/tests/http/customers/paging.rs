//! Lists: pages by id, and the youngest.

use http::StatusCode;
use serde_json::{Value, json};

use super::{CUSTOMERS, YOUNGEST, add};
use crate::app::TestApp;

async fn list(app: &TestApp, token: &str, path: &str) -> (Vec<Value>, Option<String>) {
    let answer = app
        .get(path)
        .bearer(token)
        .send()
        .await
        .expect(StatusCode::OK);
    let link = answer
        .headers
        .get("link")
        .map(|link| link.to_str().expect("link").to_owned());
    let next = link.map(|link| {
        let target = link
            .strip_prefix('<')
            .and_then(|link| link.split_once(">; rel=\"next\""));
        let (target, rest) = target.expect("a link to the next page");
        assert_eq!(rest, "");
        target.to_owned()
    });
    (answer.json().as_array().expect("array").clone(), next)
}

fn ids(customers: &[Value]) -> Vec<i64> {
    customers
        .iter()
        .map(|customer| customer["id"].as_i64().expect("id"))
        .collect()
}

#[tokio::test]
async fn pages_follow_one_another_by_their_links() {
    let app = TestApp::start().await;
    let token = app.user("test").await;
    assert_eq!(list(&app, &token, CUSTOMERS).await, (vec![], None));
    let mut added = Vec::new();
    for number in 0..205 {
        added.push(add(&app, &token, &format!("{number}"), "2000-01-01").await);
    }
    let (first, next) = list(&app, &token, CUSTOMERS).await;
    assert_eq!(first, added[..100], "100 where no limit is given");
    let (second, next) = list(&app, &token, &next.expect("next")).await;
    assert_eq!(second, added[100..200]);
    let (third, next) = list(&app, &token, &next.expect("next")).await;
    assert_eq!((third.as_slice(), next), (&added[200..], None));

    let all = ids(&added);
    let (page, next) = list(&app, &token, &format!("{CUSTOMERS}?limit=205")).await;
    assert_eq!(
        (ids(&page), next),
        (all.clone(), None),
        "a full last page has no next"
    );
    let (page, next) = list(&app, &token, &format!("{CUSTOMERS}?limit=204")).await;
    assert_eq!((ids(&page), next.is_some()), (all[..204].to_vec(), true));
    let (page, _) = list(
        &app,
        &token,
        &format!("{CUSTOMERS}?after={}&limit=1", all[3]),
    )
    .await;
    assert_eq!(ids(&page), [all[4]]);
    let past = format!("{CUSTOMERS}?limit=1000&after={}", i64::MAX);
    assert_eq!(list(&app, &token, &past).await, (vec![], None));
    let gone = format!("{CUSTOMERS}/{}", all[0]);
    app.delete(&gone)
        .bearer(&token)
        .send()
        .await
        .expect(StatusCode::NO_CONTENT);
    let (page, _) = list(
        &app,
        &token,
        &format!("{CUSTOMERS}?after={}&limit=1", all[0]),
    )
    .await;
    assert_eq!(
        ids(&page),
        [all[1]],
        "one may go on after an id that is gone"
    );
}

#[tokio::test]
async fn numbers_out_of_bounds_are_refused() {
    let app = TestApp::start().await;
    let token = app.user("test").await;
    let bad = [
        "",
        "-1",
        "1e3",
        "1.0",
        "NaN",
        "+1",
        "0x10",
        "%201",
        "99999999999999999999",
        "1;2",
    ];
    for (path, name, further) in [
        (CUSTOMERS, "limit", ["0", "1001"].as_slice()),
        (CUSTOMERS, "after", &["9223372036854775808"]),
        (YOUNGEST, "n", &["10001", "4294967296"]),
    ] {
        for value in bad.iter().chain(further) {
            let answer = app
                .get(&format!("{path}?{name}={value}"))
                .bearer(&token)
                .send()
                .await;
            answer.expect_problem(StatusCode::BAD_REQUEST, name);
        }
        let answer = app
            .get(&format!("{path}?{name}=1&{name}=2"))
            .bearer(&token)
            .send()
            .await;
        answer.expect_problem(StatusCode::BAD_REQUEST, name);
    }
    let answer = app.get(YOUNGEST).bearer(&token).send().await;
    answer.expect_problem(StatusCode::BAD_REQUEST, "n is missing");
}

#[tokio::test]
async fn the_youngest_come_first_and_equal_ones_by_id() {
    let app = TestApp::start().await;
    let token = app.user("test").await;
    let mut added = Vec::new();
    for dob in [
        "1990-05-05",
        "2001-02-03",
        "0001-01-01",
        "2001-02-03",
        "2026-01-01",
        "2001-02-02",
    ] {
        added.push(add(&app, &token, "x", dob).await);
    }
    let order = [4, 1, 3, 5, 0, 2].map(|at: usize| added[at].clone());
    for n in [0, 1, 2, 3, 6, 10_000] {
        let answer = app
            .get(&format!("{YOUNGEST}?n={n}"))
            .bearer(&token)
            .send()
            .await;
        let answer = answer.expect(StatusCode::OK);
        assert_eq!(answer.json(), json!(order[..n.min(6)]), "{n}");
    }
}
