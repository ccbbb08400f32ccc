//! The whole server in one process: the site on SQLite in a temporary folder, a clock that stands
//! still, seeded randomness. No sockets.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use keyward_core::accounts::{SignUpPolicy, passwords};
use keyward_core::clock::{Clock, ManualClock, Timestamp};
use keyward_core::error::Code;
use keyward_core::files;
use keyward_core::keys::{self, Parts, Ring};
use keyward_core::random::{Random, SeededRandom};
use keyward_core::secret::SecretText;
use keyward_core::tokens;
use keyward_jose::Algorithm;
use keyward_server::address::{Peer, TrustedProxies};
use keyward_server::hosts::Hosts;
use keyward_server::limits::{self, Limits};
use keyward_server::middleware::Site;
use keyward_server::{App, Base, Contracts, Policies, Settings, document, site};
use keyward_store::blobs::LocalBlobs;
use keyward_store::key_files::{LegacyKeyFiles, MasterKeyFile};
use keyward_store::sqlite::{self, Sqlite};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

/// The time at which every test begins: 2026-01-01T00:00:00Z.
pub(crate) const START: i64 = 1_767_225_600;
/// The notary's golden key (`contracts/vectors.json`).
pub(crate) const NOTARY_KEY: &str = "a9ddbcaba8c0ac1a0a812dc0c2f08514b23f2db0a68343cb8199ebb38a6d91e4ebfb378e22ad39c2d01d0b4ec9c34aa91056862ddace3fbbd6852ee60c36acbf";

/// What a test may change before the server starts.
pub(crate) struct Options {
    pub(crate) limits: limits::Policy,
    pub(crate) tokens: tokens::Policy,
    pub(crate) passwords: passwords::Policy,
    pub(crate) algorithm: Algorithm,
    pub(crate) login_key: Option<SecretText>,
    pub(crate) contracts: Contracts,
    pub(crate) largest_file: u64,
    pub(crate) room: files::Room,
    pub(crate) unfinished: u64,
    /// What uploads must leave free of the disk, in bytes.
    pub(crate) min_free: u64,
    pub(crate) sign_ups: SignUpPolicy,
    pub(crate) documentation: bool,
    pub(crate) memory: u64,
    pub(crate) proxies: Vec<&'static str>,
    pub(crate) hosts: Hosts,
    /// Differs from start to start of one folder, as the system's randomness does.
    pub(crate) seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: limits::Policy {
                enabled: false,
                ..limits::Policy::default()
            },
            tokens: token_policy(),
            passwords: passwords::Policy {
                memory_kib: 8,
                passes: 1,
                threads: 2,
                queue: 256,
            },
            algorithm: Algorithm::HS256,
            login_key: None,
            contracts: Contracts::ALL,
            largest_file: 1024 * 1024,
            room: files::Room {
                files: 10_000,
                bytes: u64::MAX,
            },
            unfinished: u64::MAX,
            min_free: 0,
            sign_ups: SignUpPolicy::default(),
            documentation: true,
            memory: 64 << 20,
            proxies: Vec::new(),
            hosts: Hosts::Any,
            seed: 1,
        }
    }
}

impl Options {
    fn settings(&self) -> Settings {
        Settings {
            contracts: self.contracts,
            documentation: self.documentation,
            access_log: false,
            traced: false,
            strict_transport: None,
            hosts: self.hosts.clone(),
            largest_upload: self.largest_file + 1024 * 1024,
        }
    }

    fn files(&self) -> files::Policy {
        files::Policy {
            largest: self.largest_file,
            room: self.room,
            unfinished: self.unfinished,
            upload_timeout: Duration::from_secs(12 * 3_600),
        }
    }
}

fn token_policy() -> tokens::Policy {
    let days = |days: u64| Duration::from_secs(days * 86_400);
    tokens::Policy {
        access_ttl: Duration::from_secs(600),
        refresh_ttl: days(30),
        session_max_lifetime: days(365),
        standalone_access_ttl: days(1),
        exchange_access_ttl: days(365),
        refresh_grace: Duration::ZERO,
        leeway: Duration::from_secs(5),
        issuer: "EzWorks".to_owned(),
    }
}

async fn open_ring(
    folder: &TempDir,
    options: &Options,
    (store, clock, random): (&Arc<Sqlite>, &Arc<dyn Clock>, &Arc<dyn Random>),
) -> Arc<Ring> {
    let policy = keys::Policy {
        algorithm: options.algorithm,
        access: options.login_key.clone(),
        notary: Some(SecretText::new(NOTARY_KEY.to_owned())),
        access_lifetime: options.tokens.exchange_access_ttl,
        refresh_lifetime: options.tokens.refresh_ttl,
        announce: Duration::from_secs(600),
        rotate_every: None,
    };
    let keys = folder.path().join("keys");
    let parts = Parts {
        store: store.clone(),
        master: Arc::new(MasterKeyFile::new(keys.join("master.key"))),
        policy,
        clock: clock.clone(),
        random: random.clone(),
    };
    let ring = Ring::open(parts, &LegacyKeyFiles::new(&keys)).await;
    Arc::new(ring.expect("keys"))
}

/// A running server.
pub(crate) struct TestApp {
    pub(crate) site: Site,
    pub(crate) app: App,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Arc<Sqlite>,
    pub(crate) folder: Arc<TempDir>,
    pub(crate) passwords: passwords::Passwords,
    pub(crate) ring: Arc<Ring>,
    /// The OpenAPI document, which every answer is held against.
    pub(crate) document: Value,
    login_key: Option<SecretText>,
    seed: u64,
}

impl TestApp {
    /// A server with the defaults: limits off, cheap hashes.
    pub(crate) async fn start() -> Self {
        Self::with(Options::default()).await
    }

    /// A server with these options.
    pub(crate) async fn with(options: Options) -> Self {
        let folder = Arc::new(TempDir::new().expect("temporary folder"));
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(START)));
        Self::in_folder(folder, clock, options).await
    }

    /// A server on a folder that another one may have used before: a restart.
    pub(crate) async fn in_folder(
        folder: Arc<TempDir>,
        manual: Arc<ManualClock>,
        options: Options,
    ) -> Self {
        let path = folder.path();
        let store = Sqlite::open(&path.join("keyward.db"), sqlite::Options::default());
        let store = Arc::new(store.expect("database"));
        let blobs =
            Arc::new(LocalBlobs::open(&path.join("files"), options.min_free).expect("files"));
        let clock: Arc<dyn Clock> = manual.clone();
        let random: Arc<dyn Random> = Arc::new(SeededRandom::new(options.seed));
        let ring = open_ring(&folder, &options, (&store, &clock, &random)).await;
        let (policy, settings) = (options.files(), options.settings());
        let passwords = passwords::Passwords::start(options.passwords, random.clone());
        let passwords = passwords.expect("threads");
        let base = Base::load(store.clone(), passwords.clone(), clock.clone(), random);
        let base = base.await.expect("closed sessions").with_ring(&ring);
        let limits = Limits::new(&options.limits, clock);
        let policies = Policies {
            tokens: options.tokens,
            files: policy,
            sign_ups: options.sign_ups,
            proxies: Arc::new(TrustedProxies::parse(&options.proxies).expect("proxies")),
            memory_budget: options.memory,
        };
        let app = base.app(&ring, blobs, limits, policies);
        let site = site(&app, &settings);
        let document = serde_json::to_value(document(&settings)).expect("JSON");
        Self {
            site,
            app,
            clock: manual,
            store,
            folder,
            passwords,
            ring,
            document,
            login_key: options.login_key,
            seed: options.seed,
        }
    }

    /// Stops this server and starts another on its folder, with the default options.
    pub(crate) async fn restart(self) -> Self {
        let Self {
            folder,
            clock,
            store,
            login_key,
            seed,
            app,
            site,
            ..
        } = self;
        drop((app, site));
        store.close().await;
        drop(store);
        Self::in_folder(
            folder,
            clock,
            Options {
                login_key,
                seed: seed + 1,
                ..Options::default()
            },
        )
        .await
    }

    /// Begins a request.
    pub(crate) fn request(&self, method: Method, path: &str) -> TestRequest<'_> {
        let builder = Request::builder().method(method).uri(path);
        let request = builder.body(Body::empty()).expect("request");
        TestRequest {
            app: self,
            request,
            peer: SocketAddr::from(([127, 0, 0, 1], 40_000)),
        }
    }

    /// Begins a GET.
    pub(crate) fn get(&self, path: &str) -> TestRequest<'_> {
        self.request(Method::GET, path)
    }

    /// Begins a POST.
    pub(crate) fn post(&self, path: &str) -> TestRequest<'_> {
        self.request(Method::POST, path)
    }

    /// Begins a PUT.
    pub(crate) fn put(&self, path: &str) -> TestRequest<'_> {
        self.request(Method::PUT, path)
    }

    /// Begins a DELETE.
    pub(crate) fn delete(&self, path: &str) -> TestRequest<'_> {
        self.request(Method::DELETE, path)
    }

    /// Registers a username at the vector generator and logs in: an access token of realm `default`.
    pub(crate) async fn user(&self, username: &str) -> String {
        let body = serde_json::json!({"username": username, "password": "pw"});
        self.post("/register")
            .json(&body)
            .send()
            .await
            .expect(StatusCode::OK);
        let answer = self
            .post("/login")
            .json(&body)
            .send()
            .await
            .expect(StatusCode::OK);
        answer.text_at("/token")
    }

    /// Registers a username at the vector generator and logs in at the customers API: an access and a refresh token.
    pub(crate) async fn pair(&self, username: &str) -> (String, String) {
        let body = serde_json::json!({"username": username, "password": "pw"});
        self.post("/register")
            .json(&body)
            .send()
            .await
            .expect(StatusCode::OK);
        let login = self
            .post("/api/v1/authentication/login")
            .json(&body)
            .send()
            .await;
        let login = login.expect(StatusCode::OK);
        (
            login.text_at("/access_token"),
            login.text_at("/refresh_token"),
        )
    }

    /// Signs a user of the exchange up and in: a token of realm `ops` or `client`.
    pub(crate) async fn exchange_user(&self, role: &str, username: &str) -> String {
        let body = serde_json::json!({"username": username, "password": "pw"});
        let path = format!("/{role}/signup");
        self.post(&path)
            .json(&body)
            .send()
            .await
            .expect(StatusCode::CREATED);
        let path = format!("/{role}/login");
        self.post(&path)
            .json(&body)
            .send()
            .await
            .expect(StatusCode::OK)
            .text()
    }
}

/// A request on its way.
pub(crate) struct TestRequest<'a> {
    app: &'a TestApp,
    request: Request<Body>,
    peer: SocketAddr,
}

impl TestRequest<'_> {
    /// Sets a header, keeping others of its name.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.request
            .headers_mut()
            .append(name, value.parse().expect("header value"));
        self
    }

    /// Presents a bearer token.
    pub(crate) fn bearer(mut self, token: &str) -> Self {
        let value = format!("Bearer {token}").parse().expect("token");
        self.request.headers_mut().insert(AUTHORIZATION, value);
        self
    }

    /// Sends JSON.
    pub(crate) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Sends a body of that declared type.
    pub(crate) fn body(mut self, content_type: &str, body: impl Into<Body>) -> Self {
        let value = content_type.parse().expect("content type");
        self.request.headers_mut().insert(CONTENT_TYPE, value);
        *self.request.body_mut() = body.into();
        self
    }

    /// Comes from that address.
    pub(crate) fn from(mut self, peer: SocketAddr) -> Self {
        self.peer = peer;
        self
    }

    /// Sends it through the whole site and reads the answer to its end.
    pub(crate) async fn send(self) -> Answer {
        let (parts, body) = self.stream().await.into_parts();
        let body = body.collect().await.expect("body").to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    /// Sends it and leaves the answer's body to be read.
    pub(crate) async fn stream(mut self) -> Response<Body> {
        self.request.extensions_mut().insert(Peer(self.peer));
        let (method, path) = (self.request.method().clone(), self.request.uri().clone());
        let answered = self.app.site.clone().oneshot(self.request).await;
        let answer = answered.expect("the site is infallible");
        let status = answer.status();
        // 405 is not an operation's own.
        if status != StatusCode::METHOD_NOT_ALLOWED
            && let Some(operation) = self.app.operation(&method, path.path())
        {
            let listed = operation["responses"].get(status.as_str()).is_some();
            assert!(
                listed,
                "{method} {path} answered {status}, which the document does not list"
            );
        }
        answer
    }
}

impl TestApp {
    /// What the document says of a method of a path, if it names it.
    fn operation(&self, method: &Method, path: &str) -> Option<&Value> {
        let fits = |template: &str| {
            let (mut known, mut asked) = (template.split('/'), path.split('/'));
            let same = |(known, asked): (&str, &str)| {
                known == asked || known.starts_with('{') && !asked.is_empty()
            };
            known.clone().count() == asked.clone().count()
                && known.by_ref().zip(asked.by_ref()).all(same)
        };
        let method = match *method {
            Method::HEAD => "get".to_owned(),
            _ => method.as_str().to_lowercase(),
        };
        let paths = self.document["paths"].as_object()?;
        let (_, item) = paths.iter().find(|(template, _)| fits(template))?;
        item.get(method)
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// Itself, if it has that status.
    #[track_caller]
    pub(crate) fn expect(self, status: StatusCode) -> Self {
        assert_eq!(
            self.status,
            status,
            "{}",
            String::from_utf8_lossy(&self.body)
        );
        self
    }

    /// The body as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The body as text.
    #[track_caller]
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).expect("UTF-8")
    }

    /// The string at a JSON pointer.
    #[track_caller]
    pub(crate) fn text_at(&self, pointer: &str) -> String {
        let json = self.json();
        let found = json.pointer(pointer).and_then(Value::as_str);
        found
            .unwrap_or_else(|| panic!("no string at {pointer}: {json}"))
            .to_owned()
    }

    /// A header's text, empty where it is missing.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("visible ASCII"))
    }

    /// Asserts a problem document of that status whose detail holds `part`.
    #[track_caller]
    pub(crate) fn expect_problem(self, status: StatusCode, part: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.header("content-type"), "application/problem+json");
        let json = answer.json();
        assert_eq!(json["status"], status.as_u16());
        let known = |code: &Code| json["type"] == code.urn();
        assert!(Code::ALL.iter().any(known), "{json}");
        let detail = answer.text_at("/detail");
        assert!(detail.contains(part), "{part:?} is not in {detail:?}");
        answer
    }
}

/// The folder of golden tokens and published vectors; `None`, said visibly, where it is not given.
pub(crate) fn shared() -> Option<std::path::PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "where the vectors lie is the environment's to say"
    )]
    let folder = std::env::var_os("KEYWARD_SHARED").map(Into::into);
    if folder.is_none() {
        // Past the test runner's capture, so that it is seen.
        writeln!(
            std::io::stderr(),
            "skipped: golden vectors: KEYWARD_SHARED is not set"
        )
        .expect("standard error");
    }
    folder
}
