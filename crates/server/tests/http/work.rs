//! That the work of a request is linear in each of its parts, whatever the part repeats: headers, path, query,
//! JSON, forms, and the names and dates within.

use std::rc::Rc;

use axum::body::Body;
use http::Method;
use keyward_work::{Shape, assert_linear};
use tokio::runtime::{Builder, Runtime};

use crate::app::{Options, TestApp, TestRequest};
use crate::exchange::{BOUNDARY, Exchange, content_type};

/// A server to send requests to, and the tokens of its accounts.
struct Server {
    runtime: Runtime,
    exchange: Exchange,
    user: String,
}

/// A header, the path that reads it, and what it repeats between what.
type Header = (&'static str, &'static str, [&'static str; 3]);

const FILE: &str = "/client/files/sbeve72/f.txt";

const HEADERS: [Header; 46] = [
    ("accept", "/", ["", "a/b;q=0.1,", ""]),
    ("accept", "/", ["", ",", ""]),
    ("accept", "/", ["text/html", ";a=b", ""]),
    ("accept", "/", ["text/html;a=\"", "\\\"", "\""]),
    ("accept", "/", ["", "\"", ""]),
    ("accept", "/", ["text/html;q=0.", "0", ""]),
    ("accept", "/", ["text/html", " ", ";q=1"]),
    (
        "x-forwarded-for",
        "/health",
        ["", "127.0.0.1, ", "10.0.0.1"],
    ),
    ("x-forwarded-for", "/health", ["", ",", ""]),
    ("x-forwarded-for", "/health", ["", "10.0.0.1,", ""]),
    ("x-forwarded-for", "/health", ["[", ":", "]"]),
    ("x-forwarded-for", "/health", ["", "\"", ""]),
    (
        "forwarded",
        "/health",
        ["", "for=127.0.0.1, ", "for=10.0.0.1"],
    ),
    (
        "forwarded",
        "/health",
        ["", "for=127.0.0.1;proto=http, ", ""],
    ),
    ("forwarded", "/health", ["for=\"", "\\\"", "\""]),
    ("forwarded", "/health", ["for=127.0.0.1", ";a=b", ""]),
    ("forwarded", "/health", ["", ";", ""]),
    ("forwarded", "/health", ["", "\"", ""]),
    ("host", "/health", ["a", ".a", ""]),
    ("host", "/health", ["[", ":", "]"]),
    ("x-request-id", "/health", ["", "a", ""]),
    ("authorization", "/users", ["Bearer ", "a", ""]),
    ("authorization", "/users", ["Bearer ", ".", ""]),
    ("authorization", "/users", ["Bearer", " ", "a"]),
    ("authorization", "/users", ["", "Bearer ", ""]),
    ("x-access-token", "/users", ["", "a.", ""]),
    (
        "content-type",
        "/generateToken",
        ["application/json", ";a=b", ""],
    ),
    (
        "content-type",
        "/generateToken",
        ["application/json;a=\"", "\\\"", "\""],
    ),
    (
        "content-type",
        "/generateToken",
        ["application/json;", " ;", ""],
    ),
    (
        "content-type",
        "/ops/upload",
        ["multipart/form-data; boundary=", "x", ""],
    ),
    (
        "content-type",
        "/ops/upload",
        ["multipart/form-data; boundary=x", ";a=b", ""],
    ),
    ("content-encoding", "/generateToken", ["", "identity,", ""]),
    ("if-match", FILE, ["", "\"a\",", ""]),
    ("if-none-match", FILE, ["", "\"a\",", ""]),
    ("if-none-match", FILE, ["", "W/\"a\", ", ""]),
    ("if-none-match", FILE, ["", ",", ""]),
    ("if-none-match", FILE, ["\"", "a", "\""]),
    ("if-none-match", FILE, ["", "\"", ""]),
    ("if-modified-since", FILE, ["Mon, ", "0", ""]),
    ("if-modified-since", FILE, ["", "Mon, ", ""]),
    ("range", FILE, ["bytes=", "0-0,", "0-0"]),
    ("range", FILE, ["bytes=", "-1,", "-1"]),
    ("range", FILE, ["bytes=", ",", ""]),
    ("range", FILE, ["bytes=", "1", "-"]),
    ("range", FILE, ["bytes=", " ", "0-"]),
    ("cookie", "/health", ["", "a=b;", ""]),
];

const PATHS: [[&str; 3]; 14] = [
    ["/client/files/sbeve72/", "a", ""],
    ["/client/files/sbeve72/", "%41", ""],
    ["/client/files/sbeve72/", "%2e", ""],
    ["/client/files/sbeve72/", "%25", ""],
    ["/client/files/sbeve72/", "e%CC%81", ""],
    ["/client/files/sbeve72/", "%FF", ""],
    ["/client/files/", "sbeve72/", ""],
    ["", "/", ""],
    ["", "/%67", ""],
    ["/users?", "a=b&", ""],
    ["/users?", "&", ""],
    ["/users?", "limit=1&", ""],
    ["/users?limit=", "1", ""],
    ["/users?", "%41", ""],
];

const JSON: [(&str, [&str; 3]); 22] = [
    (
        "/register",
        [r#"{"username":""#, "a", r#"","password":"x"}"#],
    ),
    (
        "/register",
        [r#"{"username":""#, "e\u{301}", r#"","password":"x"}"#],
    ),
    (
        "/register",
        [r#"{"username":""#, "\u{301}\u{316}", r#"","password":"x"}"#],
    ),
    (
        "/register",
        [r#"{"username":""#, "Ａ", r#"","password":"x"}"#],
    ),
    (
        "/register",
        [r#"{"username":""#, "\\u0041", r#"","password":"x"}"#],
    ),
    (
        "/register",
        [r#"{"username":"a","password":""#, "a", r#""}"#],
    ),
    ("/register", [r#"{"username":"a","password":["#, "[", ""]),
    ("/register", [r#"{"username":["#, "1,", "1]}"]),
    ("/register", [r#"{"x":0"#, r#","x":0"#, "}"]),
    ("/register", ["\u{feff}", " ", "{}"]),
    (
        "/signup",
        [r#"{"email":"a@"#, "a.", r#"a","password":"x","name":"x"}"#],
    ),
    (
        "/signup",
        [r#"{"email":"a@"#, "ü.", r#"a","password":"x","name":"x"}"#],
    ),
    (
        "/signup",
        [
            r#"{"email":"a@xn--"#,
            "a",
            r#"","password":"x","name":"x"}"#,
        ],
    ),
    (
        "/signup",
        [r#"{"email":""#, "@", r#"","password":"x","name":"x"}"#],
    ),
    ("/login", [r#"{"email":""#, "a.", r#"@b","password":"x"}"#]),
    ("/generateToken", [r#"{"user_data":""#, "a", r#""}"#]),
    ("/generateToken", [r#"{"user_data":""#, "\\u0001", r#""}"#]),
    (
        "/api/v1/customers/customers",
        [r#"{"name":""#, "e\u{301}", r#"","dob":"2000-01-01"}"#],
    ),
    (
        "/api/v1/customers/customers",
        [r#"{"name":"a","dob":""#, "2000-01-", r#""}"#],
    ),
    (
        "/api/v1/customers/customers",
        [
            r#"{"name":"a","dob":"2000-01-01","updated_at":"2020-07-08T12:55:49."#,
            "0",
            r#"Z"}"#,
        ],
    ),
    (
        "/api/v1/customers/customers",
        [
            r#"{"name":"a","dob":"2000-01-01","updated_at":""#,
            "1",
            r#""}"#,
        ],
    ),
    (
        "/client/signup",
        [r#"{"username":"sb"#, "e\u{301}", r#"","password":"x"}"#],
    ),
];

const FORMS: [[&str; 3]; 8] = [
    ["", "a=b&", ""],
    ["", "&", ""],
    ["", "=", ""],
    ["", "%41", ""],
    ["", "+", ""],
    ["", "%", ""],
    ["username=", "%C3%A9", "&password=x"],
    ["username=a&password=", "%FF", ""],
];

/// What stands in a form of parts between its first boundary and its last.
const PARTS: [[&str; 3]; 20] = [
    ["", "a: b\r\n", "\r\n"],
    ["a: ", "b", "\r\n\r\n"],
    ["a", ":", "\r\n\r\n"],
    ["", "\r\n", ""],
    ["", "\n", ""],
    ["", "-", ""],
    ["", "\r\n--", ""],
    ["", "\r\n--7f3a-b0undar", ""],
    ["", "--7f3a-b0undary\r\n", ""],
    ["", "\r\n--7f3a-b0undary\r\n", ""],
    [
        "Content-Disposition: form-data; name=\"request_file\"; filename=\"a.txt\"\r\n\r\n",
        "\r\n--7f3a-b0undar",
        "",
    ],
    [
        "Content-Disposition: form-data; name=\"request_file\"; filename=\"a.txt\"\r\n\r\n",
        "\r",
        "",
    ],
    [
        "Content-Disposition: form-data; name=\"request_file\"; filename=\"",
        "%22",
        "\"\r\n\r\nx",
    ],
    [
        "Content-Disposition: form-data; name=\"request_file\"; filename=\"",
        "\\\"",
        "\"\r\n\r\nx",
    ],
    [
        "Content-Disposition: form-data; name=\"request_file\"; filename=\"",
        "e\u{301}",
        "\"\r\n\r\nx",
    ],
    [
        "Content-Disposition: form-data; name=\"request_file\"; filename=\"",
        "\u{301}\u{316}",
        "\"\r\n\r\nx",
    ],
    [
        "Content-Disposition: form-data; name=\"request_file\"; filename*=UTF-8''",
        "%41",
        "\r\n\r\nx",
    ],
    [
        "Content-Disposition: form-data; name=\"request_file\"",
        "; a=b",
        "\r\n\r\nx",
    ],
    ["Content-Disposition: form-data", ";", "\r\n\r\nx"],
    ["Content-Type: text/plain", ";a=b", "\r\n\r\nx"],
];

/// A shape whose text `request` makes a request of.
fn shape(
    server: &Rc<Server>,
    part: &str,
    [before, unit, after]: [&'static str; 3],
    request: impl Fn(&Server, String) -> TestRequest<'_> + Clone + 'static,
) -> Shape {
    let server = Rc::clone(server);
    let text = move |size: usize| {
        let times = size.saturating_sub(before.len() + after.len()) / unit.len();
        [before, &unit.repeat(times), after].concat()
    };
    Shape::new(
        format!("{part}: {before}{unit}…{after}"),
        text,
        move |text| {
            server.runtime.block_on(async {
                request(&server, text).send().await;
            });
        },
    )
}

impl Server {
    fn start() -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("runtime");
        let (exchange, user) = runtime.block_on(async {
            let options = Options {
                proxies: vec!["127.0.0.0/8"],
                ..Options::default()
            };
            let exchange = Exchange::with(options).await;
            exchange.upload("f.txt", b"hello").await;
            let user = exchange.app.user("somebody").await;
            (exchange, user)
        });
        Self {
            runtime,
            exchange,
            user,
        }
    }

    fn app(&self) -> &TestApp {
        &self.exchange.app
    }

    /// The token that a path wants, as far as its work begins only with one.
    fn token(&self, path: &str) -> &str {
        match path {
            _ if path.starts_with("/client/files") => &self.exchange.client,
            _ if path.starts_with("/ops") => &self.exchange.ops,
            _ => &self.user,
        }
    }

    fn begin(&self, method: Method, path: &str) -> TestRequest<'_> {
        self.app().request(method, path).bearer(self.token(path))
    }

    /// A request with one header.
    fn with_header(&self, name: &'static str, path: &str, value: &str) -> TestRequest<'_> {
        let method = match path {
            "/generateToken" | "/ops/upload" => Method::POST,
            _ => Method::GET,
        };
        match name {
            "authorization" | "x-access-token" => self.app().request(method, path),
            "content-type" => return self.begin(method, path).body(value, "{}"),
            "content-encoding" => self.begin(method, path).body("application/json", "{}"),
            _ => self.begin(method, path),
        }
        .header(name, value)
    }
}

#[test]
fn the_work_of_a_request_is_linear_in_each_of_its_parts() {
    let server = Rc::new(Server::start());
    let mut shapes = Vec::new();
    for (name, path, repeated) in HEADERS {
        shapes.push(shape(&server, name, repeated, move |server, value| {
            server.with_header(name, path, &value)
        }));
    }
    for repeated in PATHS {
        shapes.push(shape(&server, "path", repeated, |server, path| {
            server.begin(Method::GET, &path)
        }));
    }
    for (path, repeated) in JSON {
        shapes.push(shape(&server, path, repeated, move |server, body| {
            server
                .begin(Method::POST, path)
                .body("application/json", body)
        }));
    }
    for repeated in FORMS {
        shapes.push(shape(&server, "form", repeated, |server, body| {
            let form = "application/x-www-form-urlencoded";
            server
                .begin(Method::POST, "/client/signup")
                .body(form, body)
        }));
    }
    for repeated in PARTS {
        shapes.push(shape(&server, "parts", repeated, |server, parts| {
            let body = format!("--{BOUNDARY}\r\n{parts}\r\n--{BOUNDARY}--\r\n");
            let upload = server.begin(Method::POST, "/ops/upload?overwrite=true");
            upload.body(&content_type(), Body::from(body))
        }));
    }
    assert_linear(
        "work::the_work_of_a_request_is_linear_in_each_of_its_parts",
        shapes,
    );
}
