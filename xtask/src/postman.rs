//! The Postman collection has a request for every operation of the OpenAPI document that expects its success, and each
//! request asserts the status, a header and the body of its response.

use anyhow::Context as _;
use serde_json::Value;

pub(crate) const COLLECTION: &str = "deploy/postman/keyward.postman_collection.json";
pub(crate) const OPENAPI: &str = "docs/openapi.json";

/// What a test script contains that looks at a part of the response.
const STATUS: &str = "pm.response.to.have.status(";
const HEADER: [&str; 3] = [
    "pm.response.to.have.header(",
    "pm.response.to.not.have.header(",
    "pm.response.headers.get(",
];
const BODY: [&str; 3] = [
    "pm.response.json()",
    "pm.response.text()",
    "pm.response.to.have.jsonSchema(",
];

/// A request of the collection.
struct Request {
    name: String,
    method: String,
    /// Without the server's address and the query.
    path: String,
    /// The script that runs on its response.
    test: String,
}

/// Every complaint about the collection.
pub(crate) fn check(collection: &str, openapi: &str) -> anyhow::Result<Vec<String>> {
    let collection: Value = serde_json::from_str(collection).context(COLLECTION)?;
    let openapi: Value = serde_json::from_str(openapi).context(OPENAPI)?;
    let mut requests = Vec::new();
    gather("", &collection, &mut requests);
    let mut complaints = Vec::new();
    for request in &requests {
        let missing = [
            ("status", request.test.contains(STATUS)),
            ("headers", contains_any(&request.test, &HEADER)),
            ("body", contains_any(&request.test, &BODY)),
        ];
        for (part, _) in missing.iter().filter(|(_, asserted)| !asserted) {
            let name = &request.name;
            complaints.push(format!("{COLLECTION}: {name}: asserts no {part}"));
        }
    }
    let paths = openapi["paths"].as_object().context(OPENAPI)?;
    for (path, operations) in paths {
        for method in operations.as_object().context(OPENAPI)?.keys() {
            let method = method.to_uppercase();
            let succeeds =
                |request: &Request| request.is_for(&method, path) && request.expects_success();
            if !requests.iter().any(succeeds) {
                complaints.push(format!(
                    "{COLLECTION}: {method} {path}: no request expects its success"
                ));
            }
        }
    }
    Ok(complaints)
}

fn contains_any(text: &str, parts: &[&str]) -> bool {
    parts.iter().any(|part| text.contains(part))
}

/// Adds the requests of a folder and of the folders in it.
fn gather(folder: &str, item: &Value, requests: &mut Vec<Request>) {
    for item in item["item"].as_array().into_iter().flatten() {
        let name = format!("{folder}{}", item["name"].as_str().unwrap_or_default());
        if let Some(request) = item.get("request") {
            requests.push(Request {
                method: text(&request["method"]),
                path: path(&text(&request["url"])),
                test: test_script(item),
                name,
            });
        } else {
            gather(&format!("{name} / "), item, requests);
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn path(url: &str) -> String {
    let path = url.strip_prefix("{{base_url}}").unwrap_or(url);
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    path.to_owned()
}

fn test_script(item: &Value) -> String {
    let events = item["event"].as_array().into_iter().flatten();
    let tests = events.filter(|event| event["listen"] == "test");
    let lines = tests.flat_map(|event| event["script"]["exec"].as_array().into_iter().flatten());
    let lines: Vec<&str> = lines.filter_map(Value::as_str).collect();
    lines.join("\n")
}

impl Request {
    /// Whether it is for the operation `method` of the path `template`.
    fn is_for(&self, method: &str, template: &str) -> bool {
        let (path, template) = (self.path.split('/'), template.split('/'));
        self.method == method
            && path.clone().count() == template.clone().count()
            && path.zip(template).all(|(segment, expected)| {
                segment == expected || expected.starts_with('{') && !segment.is_empty()
            })
    }

    /// Whether it expects a status of the class 2xx.
    fn expects_success(&self) -> bool {
        self.test.contains(&format!("{STATUS}2"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A collection of one request, `method` and `url`, with the lines of its test script.
    fn collection(method: &str, url: &str, test: &[&str]) -> String {
        let event = serde_json::json!({"listen": "test", "script": {"exec": test}});
        let request = serde_json::json!({"method": method, "url": url});
        let item = serde_json::json!({"name": "File", "event": [event], "request": request});
        serde_json::json!({"item": [{"name": "Folder", "item": [item]}]}).to_string()
    }

    const DOCUMENT: &str = r#"{"paths": {"/files/{name}": {"get": {}}}}"#;
    const WHOLE: [&str; 3] = [
        "pm.response.to.have.status(200);",
        "pm.response.to.have.header('ETag');",
        "pm.response.text();",
    ];

    fn complaints(method: &str, url: &str, test: &[&str]) -> Vec<String> {
        check(&collection(method, url, test), DOCUMENT).expect("both can be read")
    }

    #[test]
    fn every_operation_needs_a_request_that_expects_its_success() {
        let url = "{{base_url}}/files/{{name}}?limit=1";
        assert_eq!(complaints("GET", url, &WHOLE), Vec::<String>::new());
        let missing = [format!(
            "{COLLECTION}: GET /files/{{name}}: no request expects its success"
        )];
        assert_eq!(complaints("POST", url, &WHOLE), missing);
        for other in ["/files", "/files/", "/files/a/b", "/file/a"] {
            let url = format!("{{{{base_url}}}}{other}");
            assert_eq!(complaints("GET", &url, &WHOLE), missing, "{other}");
        }
        let refused = ["pm.response.to.have.status(404);", WHOLE[1], WHOLE[2]];
        assert_eq!(complaints("GET", url, &refused), missing);
    }

    #[test]
    fn every_request_asserts_status_headers_and_body() {
        for (left_out, part) in ["status", "headers", "body"].into_iter().enumerate() {
            let mut test = WHOLE.to_vec();
            test.remove(left_out);
            let found = complaints("GET", "{{base_url}}/files/a", &test);
            let expected = format!("{COLLECTION}: Folder / File: asserts no {part}");
            assert!(found.contains(&expected), "{found:?}");
        }
    }
}
