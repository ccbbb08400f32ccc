//! The load under which a server crashes or loses its power: sign-ups, customers' writes, refreshes, logouts and
//! uploads. Workers write down what was acknowledged, and the ledger is held against the server that comes after.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinHandle;

use crate::server::Server;

const WORKERS: u64 = 6;

/// What one worker was told, and what it does not know.
#[derive(Default)]
pub(crate) struct Ledger {
    users: Vec<String>,
    /// The bodies that each customer may have: the acknowledged one, and one that was under way.
    customers: HashMap<i64, Vec<Value>>,
    /// Refresh tokens that were traded in, and the current one unless it was under way.
    spent: Vec<String>,
    current: Option<String>,
    /// Access tokens whose logout was answered.
    pub(crate) logged_out: Vec<String>,
    /// By owner and name, the bytes that each file may have; with `false`, it may also be missing.
    files: HashMap<String, (Vec<u8>, bool)>,
    /// How many effects were acknowledged.
    pub(crate) acknowledged: u64,
}

/// Workers that work until the server is gone.
pub(crate) struct Load {
    workers: Arc<Workers>,
    tasks: Vec<JoinHandle<Ledger>>,
    acknowledged: UnboundedReceiver<()>,
}

impl Load {
    /// Starts the workers of a round; each round on the same data has a number of its own.
    pub(crate) async fn start(server: &Server, round: u64) -> Self {
        let (acknowledge, acknowledged) = mpsc::unbounded_channel();
        let workers = Arc::new(Workers::prepare(server, round).await);
        let tasks = (0..WORKERS)
            .map(|worker| {
                let worker = round * WORKERS + worker;
                tokio::spawn(Arc::clone(&workers).work(worker, acknowledge.clone()))
            })
            .collect();
        Self {
            workers,
            tasks,
            acknowledged,
        }
    }

    /// Waits for so many acknowledgements. It ends early when every worker has failed, which the ledgers tell.
    pub(crate) async fn reach(&mut self, enough: u64) {
        for _ in 0..enough {
            self.acknowledged.recv().await;
        }
    }

    /// From here on the disk is broken: an answer that something has failed ends a worker's work as well.
    pub(crate) fn allow_failures(&self) {
        self.workers.may_fail.store(true, Ordering::Relaxed);
    }

    /// What the workers wrote down, once the server is gone.
    pub(crate) async fn ledgers(self) -> Vec<Ledger> {
        let mut ledgers = Vec::new();
        for task in self.tasks {
            ledgers.push(task.await.expect("worker"));
        }
        ledgers
    }
}

/// What the workers of a round share.
struct Workers {
    base: String,
    client: Client,
    owner: String,
    operator: String,
    may_fail: AtomicBool,
}

impl Workers {
    async fn prepare(server: &Server, round: u64) -> Self {
        let owner = format!("operator{round}");
        let credentials = json!({"username": owner, "password": "pw"});
        call(server, Method::POST, "/ops/signup", None, &credentials).await;
        let (_, operator) = call(server, Method::POST, "/ops/login", None, &credentials).await;
        Self {
            base: server.url.clone(),
            client: Client::new(),
            owner,
            operator,
            may_fail: AtomicBool::new(false),
        }
    }

    /// Works until the server is gone.
    async fn work(self: Arc<Self>, worker: u64, acknowledge: UnboundedSender<()>) -> Ledger {
        let mut ledger = Ledger::default();
        let mut random = StdRng::seed_from_u64(worker);
        let mut step = 0;
        while self
            .step(worker, step, &mut random, &mut ledger)
            .await
            .is_some()
        {
            step += 1;
            ledger.acknowledged += 1;
            // Nobody counts any more once the server has been killed.
            let _ = acknowledge.send(());
        }
        ledger
    }

    /// One effect; `None` when its answer did not come.
    async fn step(
        &self,
        worker: u64,
        step: u64,
        random: &mut StdRng,
        ledger: &mut Ledger,
    ) -> Option<()> {
        let name = format!("user{worker}x{step}");
        match random.random_range(0..5) {
            0 => self.sign_up(name, ledger).await,
            1 => self.write_customer(name, random, ledger).await,
            2 => self.refresh(name, ledger).await,
            3 => self.log_out(name, ledger).await,
            _ => self.upload(name, random, ledger).await,
        }
    }

    async fn sign_up(&self, name: String, ledger: &mut Ledger) -> Option<()> {
        let body = json!({"username": name, "password": "pw"});
        self.send("/register", None, &body).await?;
        ledger.users.push(name);
        Some(())
    }

    async fn write_customer(
        &self,
        name: String,
        random: &mut StdRng,
        ledger: &mut Ledger,
    ) -> Option<()> {
        let access = self.pair(&format!("c{name}")).await?.0;
        let path = "/api/v1/customers/customers";
        let body =
            json!({"name": name, "dob": "2020-07-08", "updated_at": "2020-07-08T00:00:00.000Z"});
        let id = self.send(path, Some(&access), &body).await?["id"].as_i64()?;
        ledger.customers.insert(id, vec![body.clone()]);
        for change in 0..random.random_range(0..3) {
            let mut body = body.clone();
            body["name"] = format!("{name} {change}").into();
            ledger.customers.get_mut(&id)?.push(body.clone());
            let request = self.client.put(format!("{}{path}/{id}", self.base));
            let answer = request.bearer_auth(&access).json(&body).send().await.ok()?;
            self.accepted(answer).await?;
            ledger.customers.insert(id, vec![body]);
        }
        Some(())
    }

    async fn refresh(&self, name: String, ledger: &mut Ledger) -> Option<()> {
        let token = match ledger.current.take() {
            Some(token) => token,
            None => self.pair(&format!("r{name}")).await?.1,
        };
        let path = "/api/v1/authentication/refresh";
        let pair = self.send(path, Some(&token), &Value::Null).await?;
        ledger.spent.push(token);
        ledger.current = Some(pair["refresh_token"].as_str()?.to_owned());
        Some(())
    }

    async fn log_out(&self, name: String, ledger: &mut Ledger) -> Option<()> {
        let access = self.pair(&format!("l{name}")).await?.0;
        self.send("/logout", Some(&access), &Value::Null).await?;
        ledger.logged_out.push(access);
        Some(())
    }

    async fn upload(&self, name: String, random: &mut StdRng, ledger: &mut Ledger) -> Option<()> {
        let mut bytes = vec![0; random.random_range(1..400_000)];
        random.fill_bytes(&mut bytes);
        let path = format!("{}/{name}", self.owner);
        ledger.files.insert(path.clone(), (bytes.clone(), false));
        let part = reqwest::multipart::Part::bytes(bytes.clone()).file_name(name);
        let form = reqwest::multipart::Form::new().part("request_file", part);
        let request = self.client.post(format!("{}/ops/upload", self.base));
        let answer = request
            .bearer_auth(&self.operator)
            .multipart(form)
            .send()
            .await
            .ok()?;
        self.accepted(answer).await?;
        ledger.files.insert(path, (bytes, true));
        Some(())
    }

    /// Registers a user and logs in for an access and a refresh token.
    async fn pair(&self, username: &str) -> Option<(String, String)> {
        let body = json!({"username": username, "password": "pw"});
        self.send("/register", None, &body).await?;
        let pair = self
            .send("/api/v1/authentication/login", None, &body)
            .await?;
        let text = |member: &str| pair[member].as_str().map(str::to_owned);
        Some((text("access_token")?, text("refresh_token")?))
    }

    async fn send(&self, path: &str, token: Option<&str>, body: &Value) -> Option<Value> {
        let mut request = self.client.post(format!("{}{path}", self.base));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await.ok()?;
        let bytes = self.accepted(answer).await?;
        Some(serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    /// The body of an answer that came whole and accepts.
    async fn accepted(&self, answer: Response) -> Option<Vec<u8>> {
        let (status, path) = (answer.status(), answer.url().path().to_owned());
        let bytes = answer.bytes().await.ok()?;
        if status.is_server_error() && self.may_fail.load(Ordering::Relaxed) {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes);
        assert!(status.is_success(), "{path}: {status} {text}");
        Some(bytes.to_vec())
    }
}

/// The status and body that a call gets, which must be answered.
async fn call(
    server: &Server,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: &Value,
) -> (StatusCode, String) {
    let mut request = Client::new().request(method, format!("{}{path}", server.url));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if !body.is_null() {
        request = request.json(body);
    }
    let answer = request.send().await.expect("an answer");
    (answer.status(), answer.text().await.expect("a body"))
}

/// Asserts that all of the ledger holds on `server`. The sessions whose tokens were refreshed are closed by
/// that, so what was current is no more when the ledger is checked again.
pub(crate) async fn check(server: &Server, ledger: &mut Ledger) {
    check_rows(server, ledger).await;
    check_files(server, ledger).await;
}

/// The same but for the files, which another server on the database does not have.
pub(crate) async fn check_rows(server: &Server, ledger: &mut Ledger) {
    let checker = json!({"username": "checker", "password": "pw"});
    call(server, Method::POST, "/register", None, &checker).await;
    let (_, answer) = call(server, Method::POST, "/login", None, &checker).await;
    let token = serde_json::from_str::<Value>(&answer).expect("JSON")["token"].clone();
    let token = token.as_str().expect("token");
    for name in &ledger.users {
        let body = json!({"username": name, "password": "pw"});
        let (status, _) = call(server, Method::POST, "/login", None, &body).await;
        assert_eq!(status, StatusCode::OK, "the account {name} is lost");
    }
    for (id, bodies) in &ledger.customers {
        let path = format!("/api/v1/customers/customers/{id}");
        let (status, answer) = call(server, Method::GET, &path, Some(token), &Value::Null).await;
        assert_eq!(status, StatusCode::OK, "the customer {id} is lost");
        let mut found: Value = serde_json::from_str(&answer).expect("JSON");
        found.as_object_mut().expect("object").remove("id");
        assert!(
            bodies.contains(&found),
            "the customer {id} is {found}, not of {bodies:?}"
        );
    }
    for token in &ledger.logged_out {
        let (status, _) = call(server, Method::GET, "/users", Some(token), &Value::Null).await;
        assert_eq!(
            status,
            StatusCode::UNAUTHORIZED,
            "a logged-out token is alive"
        );
    }
    check_refresh(server, ledger).await;
}

async fn check_refresh(server: &Server, ledger: &mut Ledger) {
    let path = "/api/v1/authentication/refresh";
    if let Some(token) = ledger.current.take() {
        let (status, _) = call(server, Method::POST, path, Some(&token), &Value::Null).await;
        assert_eq!(status, StatusCode::OK, "the current refresh token is lost");
    }
    for token in &ledger.spent {
        let (status, _) = call(server, Method::POST, path, Some(token), &Value::Null).await;
        assert_eq!(
            status,
            StatusCode::UNAUTHORIZED,
            "a spent refresh token is alive"
        );
    }
}

async fn check_files(server: &Server, ledger: &Ledger) {
    let reader = json!({"username": "reader", "password": "pw"});
    call(server, Method::POST, "/client/signup", None, &reader).await;
    let (_, token) = call(server, Method::POST, "/client/login", None, &reader).await;
    for (name, (bytes, acknowledged)) in &ledger.files {
        let request = server.get(&format!("/client/files/{name}"));
        let answer = request.bearer_auth(&token).send().await.expect("answer");
        if answer.status() == StatusCode::OK {
            let found = answer.bytes().await.expect("the whole file");
            assert!(found == bytes.as_slice(), "the file {name} is not whole");
        } else {
            assert!(!acknowledged, "the file {name} is lost");
        }
    }
}
