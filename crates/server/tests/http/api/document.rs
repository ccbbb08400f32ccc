//! The OpenAPI document, held against the router it came from.

use std::collections::{BTreeMap, BTreeSet};

use http::{Method, StatusCode};
use keyward_server::Contracts;
use serde_json::Value;

use crate::app::{Options, TestApp};

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "DELETE", "PATCH"];

/// What anyone may call; everything else must declare who may.
const OPEN: [&str; 15] = [
    "GET /",
    "GET /health",
    "GET /health/live",
    "GET /health/ready",
    "GET /verifyToken",
    "POST /api/v1/authentication/login",
    "POST /client/login",
    "POST /client/signup",
    "POST /generateToken",
    "POST /login",
    "POST /ops/login",
    "POST /ops/signup",
    "POST /register",
    "POST /signup",
    "POST /verifyToken",
];

async fn document(app: &TestApp) -> Value {
    let answer = app
        .get("/api-docs/openapi.json")
        .send()
        .await
        .expect(StatusCode::OK);
    answer.json()
}

/// The operations of each path: method and operation.
fn operations(document: &Value) -> BTreeMap<String, BTreeMap<String, Value>> {
    let paths = document["paths"].as_object().expect("paths");
    let methods = |item: &Value| {
        let item = item.as_object().expect("path item").iter();
        let operations = item.map(|(method, operation)| (method.to_uppercase(), operation.clone()));
        operations
            .filter(|(method, _)| METHODS.contains(&method.as_str()))
            .collect()
    };
    paths
        .iter()
        .map(|(path, item)| (path.clone(), methods(item)))
        .collect()
}

/// A path of that template.
fn example(template: &str) -> String {
    let part = |part| {
        if str::starts_with(part, '{') {
            "1"
        } else {
            part
        }
    };
    template.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn every_guarded_operation_refuses_an_anonymous_caller() {
    let app = TestApp::start().await;
    let (mut open, mut guarded) = (BTreeSet::new(), 0);
    for (template, operations) in operations(&document(&app).await) {
        for (method, operation) in operations {
            if operation["security"].as_array().is_none_or(Vec::is_empty) {
                open.insert(format!("{method} {template}"));
                continue;
            }
            let parsed = Method::from_bytes(method.as_bytes()).expect("method");
            for garbage in [false, true] {
                let request = app.request(parsed.clone(), &example(&template));
                let request = if garbage {
                    request.bearer("x.y.z")
                } else {
                    request
                };
                let answer = request.send().await;
                assert_eq!(
                    answer.status,
                    StatusCode::UNAUTHORIZED,
                    "{method} {template}"
                );
            }
            let documented = operation["responses"].as_object().expect("responses");
            assert!(documented.contains_key("401"), "{method} {template}");
            guarded += 1;
        }
    }
    let expected: BTreeSet<_> = OPEN.map(str::to_owned).into();
    assert_eq!(open, expected, "what needs no token");
    assert!(guarded >= 12, "{guarded}");
}

#[tokio::test]
async fn the_router_takes_exactly_the_methods_that_the_document_names() {
    let app = TestApp::start().await;
    for (template, operations) in operations(&document(&app).await) {
        let mut expected: BTreeSet<_> = operations.into_keys().collect();
        if expected.contains("GET") {
            expected.insert("HEAD".into());
        }
        let answer = app.request(Method::TRACE, &example(&template)).send().await;
        let answer = answer.expect(StatusCode::METHOD_NOT_ALLOWED);
        let allow = answer
            .header("allow")
            .split(',')
            .map(|method| method.trim().to_owned());
        assert_eq!(allow.collect::<BTreeSet<_>>(), expected, "{template}");
    }
}

#[tokio::test]
async fn the_document_has_the_paths_of_contract_5_and_the_native_api() {
    let app = TestApp::start().await;
    let operations = operations(&document(&app).await);
    let calls: BTreeSet<_> = operations
        .iter()
        .flat_map(|(path, methods)| methods.keys().map(move |method| format!("{method} {path}")))
        .filter(|call| call.contains("/api/v1/"))
        .collect();
    let expected = [
        "DELETE /api/v1/customers/customers/{id}",
        "DELETE /api/v1/sessions/{id}",
        "GET /api/v1/account",
        "GET /api/v1/customers/customers",
        "GET /api/v1/customers/customers/{id}",
        "GET /api/v1/customers/nyoungest",
        "GET /api/v1/sessions",
        "POST /api/v1/authentication/login",
        "POST /api/v1/authentication/logout",
        "POST /api/v1/authentication/refresh",
        "POST /api/v1/customers/customers",
        "PUT /api/v1/account/password",
        "PUT /api/v1/customers/customers/{id}",
    ];
    assert_eq!(calls, expected.map(str::to_owned).into());
}

#[tokio::test]
async fn the_document_is_openapi_3_1_and_every_reference_in_it_resolves() {
    let app = TestApp::start().await;
    let document = document(&app).await;
    let version = document["openapi"].as_str().expect("version");
    assert!(version.starts_with("3.1."), "{version}");
    let schemes = document["components"]["securitySchemes"]
        .as_object()
        .expect("schemes");
    let mut names = BTreeSet::new();
    for (template, operations) in operations(&document) {
        for (method, operation) in operations {
            let id = operation["operationId"]
                .as_str()
                .expect("operation id")
                .to_owned();
            assert!(
                names.insert(id.clone()),
                "{method} {template}: {id} is another's too"
            );
            let answers = operation["responses"].as_object().expect("responses");
            assert!(
                answers.keys().any(|status| status.starts_with('2')),
                "{method} {template}"
            );
            for requirement in operation["security"].as_array().into_iter().flatten() {
                let mut named = requirement.as_object().expect("requirement").keys();
                assert!(
                    named.all(|name| schemes.contains_key(name)),
                    "{method} {template}"
                );
            }
        }
    }
    let mut waiting = vec![&document];
    while let Some(value) = waiting.pop() {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    let pointer = reference
                        .strip_prefix('#')
                        .expect("a reference into itself");
                    assert!(document.pointer(pointer).is_some(), "{reference}");
                }
                waiting.extend(members.values());
            }
            Value::Array(items) => waiting.extend(items),
            _ => {}
        }
    }
}

#[tokio::test]
async fn without_contract_5_its_paths_are_gone_and_the_native_api_stays() {
    let contracts = Contracts {
        customers: false,
        ..Contracts::ALL
    };
    let app = TestApp::with(Options {
        contracts,
        ..Options::default()
    })
    .await;
    let operations = operations(&document(&app).await);
    assert!(
        !operations
            .keys()
            .any(|path| path.contains("customers") || path.contains("authent"))
    );
    let token = app.user("test").await;
    app.get("/api/v1/account")
        .bearer(&token)
        .send()
        .await
        .expect(StatusCode::OK);
    for path in [
        "/api/v1/customers/customers",
        "/api/v1/authentication/login",
    ] {
        let answer = app.get(path).bearer(&token).send().await;
        answer.expect_problem(StatusCode::NOT_FOUND, "nothing at this path");
    }
}
