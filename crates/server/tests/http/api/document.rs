//! The OpenAPI document, held against the router it came from.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

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

/// The document that is checked in, so that a change of the wire is seen in review.
const CHECKED_IN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

#[tokio::test]
async fn docs_openapi_json_is_the_document_of_the_server() {
    let app = TestApp::start().await;
    let served = serde_json::to_string_pretty(&document(&app).await).expect("JSON") + "\n";
    #[expect(
        clippy::disallowed_methods,
        reason = "whether to write the file is the person's to say"
    )]
    let write = std::env::var_os("KEYWARD_WRITE_OPENAPI").is_some();
    if write {
        std::fs::write(CHECKED_IN, &served).expect(CHECKED_IN);
    }
    let checked_in = std::fs::read_to_string(CHECKED_IN).unwrap_or_default();
    let differs = served.lines().zip(checked_in.lines()).find(|(a, b)| a != b);
    assert!(
        served == checked_in,
        "docs/openapi.json is not what the server says ({differs:?}): look at the change, then write it with \
         KEYWARD_WRITE_OPENAPI=1 cargo test -p keyward-server --test http docs_openapi"
    );
}

/// A pattern that named a year would refuse good dates after it, and one that ended today would be wrong tomorrow.
#[tokio::test]
async fn a_date_of_birth_has_the_same_schema_at_any_time_and_the_clock_decides_what_is_in_the_future()
 {
    let app = TestApp::start().await;
    let token = app.user("test").await;
    let document = document(&app).await;
    let schema = &document["components"]["schemas"]["BirthDate"];
    let pattern = schema["pattern"].as_str().expect("a pattern");
    assert!(!pattern.contains("20"), "{pattern}");
    let send = async |born: &str, status: StatusCode| {
        let body = serde_json::json!({"name": "Ada", "dob": born});
        let request = app.post("/api/v1/customers/customers").bearer(&token);
        request.json(&body).send().await.expect(status);
    };
    send("2026-01-01", StatusCode::CREATED).await;
    send("2027-01-01", StatusCode::BAD_REQUEST).await;
    app.clock.advance(Duration::from_secs(365 * 86_400));
    let token = app.user("later").await;
    let body = serde_json::json!({"name": "Ada", "dob": "2027-01-01"});
    let request = app.post("/api/v1/customers/customers").bearer(&token);
    request.json(&body).send().await.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn every_member_that_a_request_needs_is_required_and_bodies_are_too() {
    let app = TestApp::start().await;
    let document = document(&app).await;
    let schemas = &document["components"]["schemas"];
    for (schema, required) in [
        ("GenerateRequest", vec!["user_data"]),
        ("SignUpRequest", vec!["name", "email", "password"]),
        ("CredentialsRequest", vec!["username", "password"]),
        ("ExchangeCredentials", vec!["username", "password"]),
        ("ExchangeCredentialsForm", vec!["username", "password"]),
        ("ExchangeCredentialsMultipart", vec!["username", "password"]),
        ("ExchangeUploadForm", vec!["request_file"]),
        ("ArrayRequest", vec!["sentence"]),
        ("CustomersLoginRequest", vec!["username", "password"]),
        ("NewCustomerRequest", vec!["name", "dob"]),
        ("CustomerRequest", vec!["name", "dob"]),
        ("PasswordRequest", vec!["current_password", "new_password"]),
    ] {
        assert_eq!(
            schemas[schema]["required"],
            serde_json::json!(required),
            "{schema}"
        );
    }
    for (template, operations) in operations(&document) {
        for (method, operation) in operations {
            let Some(body) = operation.get("requestBody") else {
                continue;
            };
            // Without a body the notary answers 202.
            let needed = !["/generateToken", "/verifyToken"].contains(&template.as_str());
            let required = body["required"] == Value::Bool(true);
            assert_eq!(required, needed, "{method} {template}");
        }
    }
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
                let challenge = match garbage {
                    true => r#"Bearer error="invalid_token""#,
                    false => "Bearer",
                };
                assert_eq!(
                    answer.header("www-authenticate"),
                    challenge,
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

/// What changes nothing in the database whatever its method.
const COMPUTED: [&str; 3] = [
    "POST /generateToken",
    "POST /generate_array",
    "POST /verifyToken",
];

#[tokio::test]
async fn what_writes_may_find_no_room_and_what_asks_the_database_may_get_no_answer() {
    let app = TestApp::start().await;
    let mut written = 0;
    for (template, operations) in operations(&document(&app).await) {
        for (method, operation) in operations {
            let call = format!("{method} {template}");
            let listed = |status| operation["responses"].get(status).is_some();
            let writes =
                (method != "GET" || template == "/logout") && !COMPUTED.contains(&call.as_str());
            assert_eq!(listed("507"), writes, "{call}");
            let guarded = operation["security"]
                .as_array()
                .is_some_and(|it| !it.is_empty());
            assert!(listed("503") || !(writes || guarded), "{call}");
            written += usize::from(writes);
        }
    }
    assert!(written > 15, "{written}");
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
async fn options_names_the_methods_of_a_path_and_of_none_that_is_unknown() {
    let app = TestApp::start().await;
    let templates = operations(&document(&app).await).into_keys();
    let pages = ["/swagger-ui/", "/api-docs/openapi.json"].map(str::to_owned);
    for template in templates.chain(pages) {
        let path = example(&template);
        let refused = app.request(Method::TRACE, &path).send().await;
        let answer = app.request(Method::OPTIONS, &path).send().await;
        let answer = answer.expect(StatusCode::NO_CONTENT);
        assert_eq!(
            answer.header("allow"),
            refused.header("allow"),
            "{template}"
        );
        assert!(
            !answer.header("allow").is_empty() && answer.body.is_empty(),
            "{template}"
        );
    }
    for path in ["/nowhere", "/users/", "/api/v1"] {
        let answer = app.request(Method::OPTIONS, path).send().await;
        answer.expect_problem(StatusCode::NOT_FOUND, "nothing at this path");
    }
}

#[tokio::test]
async fn no_cache_keeps_an_answer_that_may_be_somebodys() {
    let app = TestApp::start().await;
    let token = app.user("test").await;
    for (template, operations) in operations(&document(&app).await) {
        for method in operations.keys() {
            let parsed = Method::from_bytes(method.as_bytes()).expect("method");
            for token in [Some(&token), None] {
                let request = app.request(parsed.clone(), &example(&template));
                let request = match token {
                    Some(token) if template != "/logout" => request.bearer(token),
                    _ => request,
                };
                let answer = request.send().await;
                assert_eq!(
                    answer.header("cache-control"),
                    "no-store",
                    "{method} {template}"
                );
            }
        }
    }
    let page = app.get("/").header("accept", "text/html").send().await;
    assert_eq!(page.header("cache-control"), "no-cache");
    let document = app.get("/api-docs/openapi.json").send().await;
    assert_eq!(document.header("cache-control"), "max-age=600");
}

#[tokio::test]
async fn the_document_has_the_paths_of_the_customers_contract_and_the_native_api() {
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
async fn without_the_customers_contract_its_paths_are_gone_and_the_native_api_stays() {
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

#[tokio::test]
async fn no_page_of_another_origin_is_let_read_an_answer_or_send_a_request() {
    let app = TestApp::start().await;
    let token = app.user("test").await;
    for origin in ["https://evil.example", "null", "http://127.0.0.1:5000"] {
        for (template, operations) in operations(&document(&app).await) {
            for method in operations.keys().map(String::as_str).chain(["OPTIONS"]) {
                let parsed = Method::from_bytes(method.as_bytes()).expect("method");
                let request = app.request(parsed, &example(&template)).bearer(&token);
                let request = request
                    .header("origin", origin)
                    .header("access-control-request-method", "POST")
                    .header("access-control-request-headers", "authorization");
                let answer = request.send().await;
                let lets = answer
                    .headers
                    .keys()
                    .find(|name| name.as_str().starts_with("access-control-"));
                assert_eq!(lets, None, "{method} {template}");
                assert_ne!(
                    answer.status,
                    StatusCode::METHOD_NOT_ALLOWED,
                    "{method} {template}"
                );
            }
        }
    }
}

/// An empty text, compressed.
const GZIPPED: [u8; 20] = [
    31, 139, 8, 0, 0, 0, 0, 0, 0, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

#[tokio::test]
async fn no_operation_unpacks_a_compressed_body() {
    let app = TestApp::start().await;
    let (user, operator) = (
        app.user("test").await,
        app.exchange_user("ops", "test").await,
    );
    let mut refused = 0;
    for (template, operations) in operations(&document(&app).await) {
        for (method, operation) in operations {
            let Some(bodies) = operation["requestBody"]["content"].as_object() else {
                continue;
            };
            for kind in bodies.keys() {
                let parsed = Method::from_bytes(method.as_bytes()).expect("method");
                let token = if template.starts_with("/ops/") {
                    &operator
                } else {
                    &user
                };
                let request = app.request(parsed, &example(&template)).bearer(token);
                let kind = match kind.as_str() {
                    "multipart/form-data" => "multipart/form-data; boundary=x",
                    other => other,
                };
                let request = request
                    .header("content-encoding", "gzip")
                    .header("if-match", "*");
                let answer = request.body(kind, GZIPPED.to_vec()).send().await;
                let refusal = match template.as_str() {
                    // The notary contract's answer to a wrong type.
                    "/generateToken" | "/verifyToken" => StatusCode::ACCEPTED,
                    _ => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                };
                assert_eq!(answer.status, refusal, "{method} {template} {kind}");
                assert_eq!(answer.header("accept-encoding"), "identity", "{template}");
                assert!(answer.text().contains("Content-Encoding"), "{template}");
                refused += 1;
            }
        }
    }
    assert!(refused > 12, "{refused}");
}

#[tokio::test]
async fn without_documentation_neither_the_document_nor_its_pages_are_there() {
    let pages = [
        "/api-docs/openapi.json",
        "/swagger-ui",
        "/swagger-ui/",
        "/swagger-ui/index.html",
    ];
    for documentation in [true, false] {
        let app = TestApp::with(Options {
            documentation,
            ..Options::default()
        })
        .await;
        for path in pages {
            let status = app.get(path).send().await.status;
            assert_eq!(status == StatusCode::NOT_FOUND, !documentation, "{path}");
        }
        app.get("/health").send().await.expect(StatusCode::OK);
    }
}
