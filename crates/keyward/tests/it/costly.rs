//! That requests made to be costly do not hold up the others.

use std::time::{Duration, Instant};

use keyward_jose::base64url;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::server::Server;

/// The costliest requests that are known, each of nearly a mebibyte.
fn costliest() -> [serde_json::Value; 4] {
    let token = "e30.e30.AA";
    let long = format!("e30.{}.AA", base64url::encode(members(60_000)));
    [
        json!({"Token": token, "Signing_key": "-----BEGINP123456789Y".repeat(49_000)}),
        json!({"Token": token, "Signing_key": "-----BEGIN".repeat(104_000)}),
        json!({"Token": token, "Signing_key": members(70_000).replacen('{', "{\"kty\":\"RSA\",", 1)}),
        json!({"Token": long, "Signing_key": "k"}),
    ]
}

/// An object of so many members.
fn members(count: u32) -> String {
    let members: Vec<_> = (0..count).map(|n| format!("\"m{n:05}\":0")).collect();
    format!("{{{}}}", members.join(","))
}

#[tokio::test(flavor = "multi_thread")]
async fn health_answers_while_the_costliest_keys_and_tokens_are_verified() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path());
    let requests = costliest().map(|body| {
        let request = server.post("/verifyToken").json(&body);
        tokio::spawn(async move { request.send().await.unwrap().status() })
    });
    let mut longest = Duration::ZERO;
    loop {
        let asked = Instant::now();
        let health = server.get("/health").send().await.unwrap();
        assert_eq!(health.status(), 200);
        longest = longest.max(asked.elapsed());
        if requests.iter().all(JoinHandle::is_finished) {
            break;
        }
    }
    for request in requests {
        assert_eq!(request.await.unwrap(), 200);
    }
    // A few milliseconds. Work that grows with the square of the text takes more than five seconds.
    assert!(longest < Duration::from_secs(2), "{longest:?}");
}
