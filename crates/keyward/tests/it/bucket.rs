//! Files in a bucket, through the program: the same answers as from the disk, nodes that share them, an upload that
//! a crash broke off, and a bucket that is gone for a while.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use reqwest::multipart::{Form, Part};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::postgres::{Cable, Database, State};
use crate::s3_server::{self, AGE, BUCKET, KEY_ID, SECRET};
use crate::server::{Server, keyward_with};

const MIB: usize = 1 << 20;

/// The settings that name a bucket on a server, which is asked at `endpoint`.
pub(crate) fn settings(endpoint: &str) -> Vec<(&'static str, String)> {
    vec![
        ("KEYWARD_FILES__URL", format!("s3://{BUCKET}/exchange")),
        ("KEYWARD_FILES__ENDPOINT", endpoint.to_owned()),
        ("KEYWARD_FILES__PATH_STYLE", "true".to_owned()),
        ("KEYWARD_FILES__ALLOW_HTTP", "true".to_owned()),
        ("KEYWARD_FILES__KEY_ID", KEY_ID.to_owned()),
        ("KEYWARD_FILES__SECRET", SECRET.to_owned()),
    ]
}

/// Settings as the program is started with them.
pub(crate) fn variables<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    settings
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect()
}

pub(crate) fn start(folder: &TempDir, settings: &[(&'static str, String)]) -> Server {
    Server::start_with(folder.path(), "", &variables(settings))
}

/// Some bytes that differ with each length.
pub(crate) fn content(length: usize) -> Bytes {
    (0..length)
        .map(|index| (index * 31 + index / 65_521 + length).to_le_bytes()[0])
        .collect()
}

/// An operator and a client of the file exchange.
pub(crate) struct Exchange {
    ops: String,
    client: String,
}

impl Exchange {
    /// Signs both up and logs them in.
    pub(crate) async fn join(server: &Server) -> Self {
        for role in ["ops", "client"] {
            let body = json!({"username": "ada", "password": "pw"});
            let sign_up = server.post(&format!("/{role}/signup")).json(&body);
            assert_eq!(sign_up.send().await.unwrap().status(), 201);
        }
        Self::log_in(server).await
    }

    pub(crate) async fn log_in(server: &Server) -> Self {
        let token = async |role: &str| {
            let body = json!({"username": "ada", "password": "pw"});
            let login = server.post(&format!("/{role}/login")).json(&body);
            let answer = login.send().await.unwrap();
            assert_eq!(answer.status(), 200, "{}", server.log());
            answer.text().await.unwrap()
        };
        Self {
            ops: token("ops").await,
            client: token("client").await,
        }
    }

    pub(crate) async fn upload(&self, server: &Server, name: &str, bytes: Bytes) -> Response {
        self.send(server, name, Part::stream(bytes)).await
    }

    async fn send(&self, server: &Server, name: &str, part: Part) -> Response {
        let form = Form::new().part("request_file", part.file_name(name.to_owned()));
        let request = server.post("/ops/upload?overwrite=true");
        let request = request.bearer_auth(&self.ops).multipart(form);
        request.send().await.unwrap()
    }

    /// Sends the first bytes of a file of `content`, and the rest when it is told to.
    fn begin(
        &self,
        server: &Server,
        content: &Bytes,
        first: usize,
    ) -> (oneshot::Sender<()>, JoinHandle<reqwest::Result<Response>>) {
        let (go_on, told) = oneshot::channel();
        let (first, rest) = (content.slice(..first), content.slice(first..));
        let rest = stream::once(async move {
            match told.await {
                Ok(()) => Ok(rest),
                Err(_) => Err(std::io::Error::other("nobody wants it any more")),
            }
        });
        let body = reqwest::Body::wrap_stream(stream::iter([Ok(first)]).chain(rest));
        let part = Part::stream(body).file_name("slow");
        let request = server.post("/ops/upload").bearer_auth(&self.ops);
        let request = request.multipart(Form::new().part("request_file", part));
        (go_on, tokio::spawn(request.send()))
    }

    pub(crate) async fn fetch(&self, server: &Server, name: &str, range: &str) -> Response {
        let request = server.get(&format!("/client/files/ada/{name}"));
        let request = request.bearer_auth(&self.client).header("range", range);
        request.send().await.unwrap()
    }

    /// All the bytes of a file that must be there.
    pub(crate) async fn whole(&self, server: &Server, name: &str) -> Bytes {
        let answer = self.fetch(server, name, "").await;
        assert_eq!(answer.status(), 200, "{name}: {}", server.log());
        answer.bytes().await.unwrap()
    }

    pub(crate) async fn list(&self, server: &Server) -> Vec<(String, u64)> {
        let request = server.get("/client/files/ada").bearer_auth(&self.client);
        let listed: Value = request.send().await.unwrap().json().await.unwrap();
        let entry =
            |file: &Value| Some((file["name"].as_str()?.to_owned(), file["size"].as_u64()?));
        let files = listed["files"].as_array().expect("a list").iter();
        files.map(|file| entry(file).expect("a file")).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_in_a_bucket_is_answered_as_one_on_the_disk() {
    let (s3, folder) = (s3_server::Server::start().await, TempDir::new().unwrap());
    let settings = settings(&s3.endpoint);
    let server = start(&folder, &settings);
    let exchange = Exchange::join(&server).await;
    let sizes = [("empty", 0), ("small", 70_000), ("large", 17 * MIB + 1)];
    for (name, size) in sizes {
        let answer = exchange.upload(&server, name, content(size)).await;
        assert_eq!(answer.status(), 201, "{}", server.log());
        let stored: Value = answer.json().await.unwrap();
        let hash = digest(&SHA256, &content(size));
        let hash: String = hash.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(
            (&stored["sha256"], &stored["size"]),
            (&json!(hash), &json!(size))
        );
    }
    let mut listed = exchange.list(&server).await;
    listed.sort_by_key(|(_, size)| *size);
    assert_eq!(
        listed,
        sizes.map(|(name, size)| (name.to_owned(), size as u64))
    );
    for (name, size) in sizes {
        assert!(
            exchange.whole(&server, name).await == content(size),
            "{name}"
        );
    }
    let middle = 8 * MIB - 5..8 * MIB + 5;
    let range = format!("bytes={}-{}", middle.start, middle.end - 1);
    let part = exchange.fetch(&server, "large", &range).await;
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert!(part.bytes().await.unwrap() == content(17 * MIB + 1)[middle]);

    // What was replaced is deleted: no bytes are left that no file names.
    let answer = exchange.upload(&server, "large", content(9 * MIB)).await;
    assert_eq!(answer.status(), 201);
    assert_eq!(s3.names().len(), 3, "{:?}", s3.names());
    server.kill();
    let server = start(&folder, &settings);
    assert!(exchange.whole(&server, "large").await == content(9 * MIB));
    assert!(!folder.path().join("keyward-data/files").exists());
    assert!(!server.log().contains(SECRET), "{}", server.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_uploaded_on_one_node_is_fetched_from_the_other_and_neither_ends_the_others_uploads()
{
    let Some(database) = Database::create().await else {
        return;
    };
    let s3 = s3_server::Server::start().await;
    let mut settings = settings(&s3.endpoint);
    settings.push(("KEYWARD_DATABASE", database.url()));
    let folders = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let first = start(&folders[0], &settings);
    let exchange = Exchange::join(&first).await;
    let answer = exchange.upload(&first, "shared", content(9 * MIB)).await;
    assert_eq!(answer.status(), 201);

    let slow = content(20 * MIB);
    let (go_on, uploading) = exchange.begin(&first, &slow, 10 * MIB);
    s3.begun(1).await;
    let swept = *s3.bucket.listings.borrow();
    let second = start(&folders[1], &settings);
    s3.swept(swept).await;
    assert!(exchange.whole(&second, "shared").await == content(9 * MIB));
    assert_eq!(
        exchange.list(&second).await.len(),
        1,
        "nothing unfinished is listed"
    );
    assert_eq!(s3.unfinished().len(), 1, "another node's upload goes on");
    go_on.send(()).expect("a body that waits");
    let answer = uploading.await.unwrap().expect("an answer");
    assert_eq!(answer.status(), 201, "{}", first.log());
    assert!(exchange.whole(&second, "slow").await == slow);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_a_crash_broke_off_is_never_listed_and_its_parts_are_cleaned() {
    let (s3, folder) = (s3_server::Server::start().await, TempDir::new().unwrap());
    let settings = settings(&s3.endpoint);
    let server = start(&folder, &settings);
    let exchange = Exchange::join(&server).await;
    let (_go_on, uploading) = exchange.begin(&server, &content(30 * MIB), 20 * MIB);
    s3.begun(1).await;
    let swept = *s3.bucket.listings.borrow();
    server.kill();
    assert!(uploading.await.unwrap().is_err());

    let server = start(&folder, &settings);
    s3.swept(swept).await;
    assert_eq!(exchange.list(&server).await, []);
    assert_eq!(s3.unfinished().len(), 1, "it may be another node's as yet");
    server.kill();
    s3.bucket.unfinished.send_modify(|all| all[0].begun -= AGE);
    let server = start(&folder, &settings);
    s3.settled().await;
    assert_eq!(s3.names(), Vec::<String>::new());
    assert_eq!(exchange.list(&server).await, []);
    let answer = exchange.upload(&server, "slow", content(10)).await;
    assert_eq!(answer.status(), 201);
}

/// Asserts that a route for files says when to try again.
async fn expect_unavailable(answer: Response) {
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "1");
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_bucket_a_server_answers_all_but_files_and_recovers() {
    let (s3, folder) = (s3_server::Server::start().await, TempDir::new().unwrap());
    let cable = Cable::lay_to_endpoint(&s3.endpoint).await;
    let settings = settings(&cable.url);
    let server = start(&folder, &settings);
    let exchange = Exchange::join(&server).await;
    let answer = exchange.upload(&server, "kept", content(70_000)).await;
    assert_eq!(answer.status(), 201);

    cable.turn(State::Cut);
    let gone = async |server: &Server| {
        for size in [10, 9 * MIB] {
            expect_unavailable(exchange.upload(server, "lost", content(size)).await).await;
        }
        for range in ["", "bytes=1-2"] {
            expect_unavailable(exchange.fetch(server, "kept", range).await).await;
        }
        assert_eq!(exchange.list(server).await, [("kept".to_owned(), 70_000)]);
        Exchange::log_in(server).await;
        let ready = server.get("/health/ready").send().await.unwrap();
        assert_eq!(ready.status(), 200);
    };
    gone(&server).await;
    server.kill();
    let server = start(&folder, &settings);
    assert!(
        server.log().contains("503 until S3 answers"),
        "{}",
        server.log()
    );
    gone(&server).await;

    cable.turn(State::Whole);
    assert!(exchange.whole(&server, "kept").await == content(70_000));
    let answer = exchange.upload(&server, "lost", content(9 * MIB)).await;
    assert_eq!(answer.status(), 201);
    assert!(exchange.whole(&server, "lost").await == content(9 * MIB));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_refuses_stops_the_start_with_what_to_do_and_without_the_secret() {
    let (s3, folder) = (s3_server::Server::start().await, TempDir::new().unwrap());
    for (name, value, part) in [
        ("KEYWARD_FILES__URL", "s3://elsewhere", "NoSuchBucket"),
        (
            "KEYWARD_FILES__SECRET",
            "not-the-secret",
            "SignatureDoesNotMatch",
        ),
        ("KEYWARD_FILES__KEY_ID", "nobody", "NotSignedUp"),
    ] {
        let mut settings = settings(&s3.endpoint);
        settings.retain(|(other, _)| *other != name);
        settings.push((name, value.to_owned()));
        let serve = "serve --listen 127.0.0.1:0";
        let refusal = keyward_with(folder.path(), serve, &variables(&settings), "").failed(1);
        for said in [part, "files.url", "docs/operations.md"] {
            assert!(refusal.contains(said), "{said}: {refusal}");
        }
        for secret in [SECRET, "not-the-secret"] {
            assert!(!refusal.contains(secret), "{refusal}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_database_that_is_given_the_bucket_of_another_leaves_its_files_alone() {
    let s3 = s3_server::Server::start().await;
    let settings = settings(&s3.endpoint);
    let (folder, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let server = start(&folder, &settings);
    let exchange = Exchange::join(&server).await;
    let answer = exchange.upload(&server, "kept", content(70_000)).await;
    assert_eq!(answer.status(), 201);
    s3.age_objects();
    let swept = *s3.bucket.listings.borrow();
    let other = start(&other, &settings);
    s3.swept(swept).await;
    // What it would delete it deletes by now.
    let theirs = Exchange::join(&other).await;
    let answer = theirs.upload(&other, "own", content(10)).await;
    assert_eq!(answer.status(), 201);
    assert_eq!(*s3.bucket.deletions.borrow(), 0);
    assert!(exchange.whole(&server, "kept").await == content(70_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_may_come_from_a_file_or_from_the_variables_of_amazons_tools() {
    let (s3, folder) = (s3_server::Server::start().await, TempDir::new().unwrap());
    std::fs::write(folder.path().join("key"), format!("{SECRET}\n")).unwrap();
    let own = ["KEYWARD_FILES__KEY_ID", "KEYWARD_FILES__SECRET"];
    for given in [
        [(own[0], KEY_ID), ("KEYWARD_FILES__SECRET_FILE", "key")],
        [
            ("AWS_ACCESS_KEY_ID", KEY_ID),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
        ],
    ] {
        let mut settings = settings(&s3.endpoint);
        settings.retain(|(name, _)| !own.contains(name));
        settings.extend(given.map(|(name, value)| (name, value.to_owned())));
        let server = start(&folder, &settings);
        let ready = server.get("/health/ready").timeout(Duration::from_secs(10));
        assert_eq!(ready.send().await.unwrap().status(), 200);
    }
}
