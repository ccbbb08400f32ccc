//! A file of 1 GiB up and down through the real program, to the disk and to a bucket: the right bytes, ranges and
//! resume, and memory that does not grow with the file.

use std::time::Instant;

use aws_lc_rs::digest::{Context, SHA256, digest};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::Server;
use crate::{bucket, s3_server};

const SIZE: usize = 1 << 30;
const CHUNK: usize = 1 << 20;
/// What a transfer may add to the memory of the server, in KiB.
const MOST_GROWTH: u64 = 24 * 1024;
/// The same where parts of 8 MiB go to a bucket: one that is collected, one that waits, two on their way, and as much
/// again that the allocator keeps of earlier ones.
const MOST_GROWTH_TO_A_BUCKET: u64 = 80 * 1024;

/// The bytes of one chunk: different for each, and cheap to make again.
fn chunk(index: usize) -> Bytes {
    let mut bytes = vec![0x5a_u8; CHUNK];
    for (at, byte) in bytes.iter_mut().step_by(64).enumerate() {
        *byte = u8::try_from((index * 31 + at) % 251).expect("below 251");
    }
    Bytes::from(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_gibibyte_goes_up_and_comes_down_in_flat_memory() {
    let folder = TempDir::new().expect("folder");
    let server = Server::start(folder.path());
    let (measured, grown) = transfer(&server).await;
    println!("1 GiB to the disk: {measured}");
    assert!(grown < MOST_GROWTH, "memory grew by {grown} KiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gibibyte_goes_to_a_bucket_and_comes_back_in_flat_memory() {
    let (s3, folder) = (
        s3_server::Server::start().await,
        TempDir::new().expect("folder"),
    );
    let server = bucket::start(&folder, &bucket::settings(&s3.endpoint));
    let (measured, grown) = transfer(&server).await;
    println!("1 GiB to a bucket: {measured}");
    assert!(
        grown < MOST_GROWTH_TO_A_BUCKET,
        "memory grew by {grown} KiB"
    );
}

/// Sends the file and fetches it again; tells what that took, and by how many KiB the memory grew.
async fn transfer(server: &Server) -> (String, u64) {
    let (operator, client) = (log_in(server, "ops").await, log_in(server, "client").await);
    let before = resident_kib(server);

    let started = Instant::now();
    let uploaded = upload(server, &operator).await;
    let up = started.elapsed();
    let mut digest = Context::new(&SHA256);
    (0..SIZE / CHUNK).for_each(|index| digest.update(&chunk(index)));
    let sha256 = hex(digest.finish().as_ref());
    assert_eq!(uploaded["sha256"], sha256);
    assert_eq!(uploaded["size"], SIZE);

    let started = Instant::now();
    let (downloaded, etag) = download(server, &client, SIZE / 3).await;
    let down = started.elapsed();
    assert_eq!(
        downloaded, sha256,
        "the download, broken off and resumed, is the same bytes"
    );
    assert_eq!(etag, format!("\"{sha256}\""));

    let grown = peak_kib(server).saturating_sub(before);
    let measured =
        format!("up {up:?}, down {down:?}; memory grew by at most {grown} KiB from {before} KiB");
    (measured, grown)
}

async fn log_in(server: &Server, role: &str) -> String {
    let body = json!({"username": "big", "password": "pw"});
    let sign_up = server.post(&format!("/{role}/signup")).json(&body);
    assert_eq!(
        sign_up.send().await.expect("answer").status(),
        StatusCode::CREATED
    );
    let login = server.post(&format!("/{role}/login")).json(&body);
    login
        .send()
        .await
        .expect("answer")
        .text()
        .await
        .expect("token")
}

async fn upload(server: &Server, token: &str) -> Value {
    let chunks = stream::iter(0..SIZE / CHUNK).map(|index| Ok::<_, std::io::Error>(chunk(index)));
    let body = reqwest::Body::wrap_stream(chunks);
    let part = reqwest::multipart::Part::stream(body).file_name("big.bin");
    let form = reqwest::multipart::Form::new().part("request_file", part);
    let request = server
        .post("/ops/upload")
        .bearer_auth(token)
        .multipart(form);
    let answer = request.send().await.expect("answer");
    assert_eq!(answer.status(), StatusCode::CREATED);
    serde_json::from_slice(&answer.bytes().await.expect("body")).expect("JSON")
}

/// Reads at least `first` bytes, breaks off, and fetches the rest by `Range` under `If-Range`.
async fn download(server: &Server, token: &str, first: usize) -> (String, String) {
    let get = || server.get("/client/files/big/big.bin").bearer_auth(token);
    let whole = get().send().await.expect("answer");
    assert_eq!(whole.status(), StatusCode::OK);
    assert_eq!(whole.content_length(), Some(SIZE as u64));
    let etag = whole.headers()["etag"].to_str().expect("ASCII").to_owned();
    let (mut digest, mut taken) = (Context::new(&SHA256), 0);
    let mut bytes = whole.bytes_stream();
    while taken < first {
        let bytes = bytes.next().await.expect("more").expect("bytes");
        digest.update(&bytes);
        taken += bytes.len();
    }
    drop(bytes);
    let range = format!("bytes={taken}-");
    let rest = get()
        .header("range", range)
        .header("if-range", &etag)
        .send()
        .await
        .expect("answer");
    assert_eq!(rest.status(), StatusCode::PARTIAL_CONTENT);
    let expected = format!("bytes {taken}-{}/{SIZE}", SIZE - 1);
    assert_eq!(rest.headers()["content-range"], expected.as_str());
    let mut bytes = rest.bytes_stream();
    while let Some(bytes) = bytes.next().await {
        digest.update(&bytes.expect("bytes"));
    }
    (hex(digest.finish().as_ref()), etag)
}

fn resident_kib(server: &Server) -> u64 {
    status_kib(server, "VmRSS:")
}

fn peak_kib(server: &Server) -> u64 {
    status_kib(server, "VmHWM:")
}

fn status_kib(server: &Server, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("status");
    let line = status
        .lines()
        .find(|line| line.starts_with(field))
        .expect("field");
    line.split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse().ok())
        .expect("number")
}

#[test]
fn every_chunk_of_the_test_file_is_different() {
    let digests = (0..4).map(|index| digest(&SHA256, &chunk(index)).as_ref().to_vec());
    assert_eq!(digests.collect::<std::collections::HashSet<_>>().len(), 4);
}
