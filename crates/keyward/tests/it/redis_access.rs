//! Redis as administrators give it out: over TLS, and with a user who may do no more than Keyward needs.

use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::authority::Authority;
use crate::server::{Ended, Server, keyward_with};

const PATIENCE: Duration = Duration::from_secs(20);
const PASSWORD: &str = "a-password-of-redis";
/// The rights that docs/operations.md names.
const RIGHTS: [&str; 6] = [
    "~keyward:limit:*",
    "+eval",
    "+evalsha",
    "+get",
    "+set",
    "+time",
];

/// A Redis that speaks TLS alone, with one user; killed when it is dropped.
struct Redis {
    child: Child,
    folder: TempDir,
    port: u16,
    root: String,
}

impl Redis {
    /// `None`, said visibly, where the program is not installed.
    fn start(rights: &[&str]) -> Option<Self> {
        if Command::new("redis-server")
            .arg("--version")
            .output()
            .is_err()
        {
            let skipped = "skipped: Redis with TLS, for which Debian has redis-server";
            writeln!(std::io::stderr(), "{skipped}").expect("standard error");
            return None;
        }
        let folder = TempDir::new().expect("a folder");
        let root = write_files(folder.path(), rights);
        let port = {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            listener.local_addr().expect("an address").port()
        };
        let child = Command::new("redis-server")
            .current_dir(folder.path())
            .args(["--port", "0", "--tls-port", &port.to_string()])
            .args([
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--aclfile",
                "users.acl",
            ])
            .args([
                "--tls-cert-file",
                "server.crt",
                "--tls-key-file",
                "server.key",
            ])
            .args([
                "--tls-ca-cert-file",
                "server.crt",
                "--tls-auth-clients",
                "no",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Redis starts");
        let redis = Self {
            child,
            folder,
            port,
            root,
        };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < PATIENCE, "Redis does not listen");
        }
        Some(redis)
    }

    fn url(&self, host: &str, password: &str) -> String {
        format!("rediss://keyward:{password}@{host}:{}", self.port)
    }

    /// What the doctor finds, with the level `warn` for a Redis that cannot be used.
    fn examine(&self, url: &str, root: &str) -> Value {
        let env = [("KEYWARD_LIMITS__REDIS", url), ("SSL_CERT_FILE", root)];
        let Ended { stdout, .. } = keyward_with(self.folder.path(), "doctor --json", &env, "");
        let findings: Vec<Value> = serde_json::from_str(&stdout).expect("JSON");
        let found = findings.into_iter().find(|found| found["check"] == "redis");
        found.expect("the check of Redis")
    }

    #[track_caller]
    fn expect_advice(&self, url: &str, root: &str, expected: &str) {
        let found = self.examine(url, root);
        let advice = found["advice"].as_str().unwrap_or_default();
        assert!(
            found["level"] == "warn" && advice.contains(expected),
            "{expected}: {found}"
        );
        assert!(!found.to_string().contains(PASSWORD));
    }
}

/// Writes what Redis reads, and gives the path of its authority's certificate.
fn write_files(folder: &Path, rights: &[&str]) -> String {
    let authority = Authority::new();
    let issued = authority.issue("localhost", 2100);
    let rights = rights.join(" ");
    let user = format!("user keyward on >{PASSWORD} resetchannels -@all {rights}");
    for (name, text) in [
        ("server.crt", issued.certificate),
        ("server.key", issued.key),
        ("users.acl", format!("user default off\n{user}\n")),
    ] {
        fs::write(folder.join(name), text).expect("a file");
    }
    authority.write(folder)
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The log of a server with this Redis, once it contains one of the two.
async fn log_with(redis: &Redis, expected: &str) -> String {
    let folder = TempDir::new().expect("a folder");
    let url = redis.url("localhost", PASSWORD);
    let env = [
        ("KEYWARD_LIMITS__ENABLED", "true"),
        ("KEYWARD_LIMITS__REDIS", url.as_str()),
        ("SSL_CERT_FILE", &redis.root),
    ];
    let server = Server::start_with(folder.path(), "", &env);
    let begun = Instant::now();
    while !server.log().contains(expected) {
        assert_eq!(
            server.get("/health/live").send().await.unwrap().status(),
            200
        );
        assert!(begun.elapsed() < PATIENCE, "{expected}: {}", server.log());
    }
    server.log()
}

#[tokio::test]
async fn a_user_with_the_documented_rights_is_enough_over_tls() {
    let Some(redis) = Redis::start(&RIGHTS) else {
        return;
    };
    let url = redis.url("localhost", PASSWORD);
    let found = redis.examine(&url, &redis.root);
    assert_eq!(found["level"], "ok", "{found}");
    log_with(&redis, "rate limits are shared on Redis").await;

    let system = "/etc/ssl/certs/ca-certificates.crt";
    let root = fs::read_to_string(system).map_or("/dev/null", |_| system);
    redis.expect_advice(&url, root, "SSL_CERT_FILE");
    redis.expect_advice(
        &redis.url("127.0.0.1", PASSWORD),
        &redis.root,
        "for the host in the URL",
    );
    redis.expect_advice(
        &redis.url("localhost", "wrong"),
        &redis.root,
        "user and the password",
    );
}

#[tokio::test]
async fn each_right_that_is_missing_is_told_by_the_doctor_and_the_log() {
    for missing in RIGHTS {
        let rights: Vec<_> = RIGHTS
            .into_iter()
            .filter(|right| *right != missing)
            .collect();
        let Some(redis) = Redis::start(&rights) else {
            return;
        };
        redis.expect_advice(
            &redis.url("localhost", PASSWORD),
            &redis.root,
            "+eval +evalsha +get +set +time",
        );
        if missing == "+set" {
            let log = log_with(&redis, "Redis is unreachable").await;
            assert!(log.contains("~keyward:limit:*"), "{log}");
        }
    }
}
