//! A small disk that uploads have filled: whatever protects accounts and sessions still works.
//!
//! The tests fail on a build whose uploads take the last of the disk, which the database shares.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::multipart::{Form, Part};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::disk::say;
use crate::server::{Server, keyward};

const MIB: u64 = 1 << 20;
/// `CAP_SYS_ADMIN`, which lets a process mount, in the sets of `/proc/PID/status`.
const MAY_MOUNT: u64 = 1 << 21;

/// A file system of 24 MiB in memory, unmounted when dropped.
struct SmallDisk {
    folder: TempDir,
    mount: PathBuf,
}

impl SmallDisk {
    /// `None`, with a word about it, where nobody may mount.
    fn mount() -> Option<Self> {
        if !may_mount() {
            say("not possible here: a disk of 24 MiB: nobody may mount one");
            return None;
        }
        let folder = TempDir::new().unwrap();
        let mount = folder.path().join("disk");
        fs::create_dir(&mount).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=24m,mode=700", "tmpfs"])
            .arg(&mount)
            .output()
            .unwrap();
        assert!(mounted.status.success(), "{mounted:?}");
        Some(Self { folder, mount })
    }

    fn data(&self) -> PathBuf {
        self.mount.join("data")
    }

    fn start(&self, settings: &[(&str, &str)]) -> Server {
        let data = format!("--data-dir {}", self.data().display());
        Server::start_with(self.folder.path(), &data, settings)
    }

    fn command(&self, text: &str) -> String {
        let data = self.data();
        keyward(
            self.folder.path(),
            &format!("{text} --data-dir {}", data.display()),
        )
        .fine()
    }

    fn free(&self) -> u64 {
        let system = rustix::fs::statvfs(&self.mount).unwrap();
        system.f_bavail * system.f_frsize
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What fails here is gone with the machine.
        let _ = Command::new("umount").arg("-l").arg(&self.mount).status();
    }
}

fn may_mount() -> bool {
    let status = fs::read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
    let set = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let set = set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    set.is_some_and(|set| set & MAY_MOUNT != 0)
}

async fn send(request: RequestBuilder) -> Response {
    request.send().await.unwrap()
}

/// An operator's token.
async fn operator(server: &Server) -> String {
    let body = json!({"username": "ops", "password": "pw"});
    let sign_up = send(server.post("/ops/signup").json(&body)).await;
    assert_eq!(sign_up.status(), 201);
    let login = send(server.post("/ops/login").json(&body)).await;
    login.text().await.unwrap()
}

async fn upload(server: &Server, token: &str, name: &str, size: u64) -> Response {
    let bytes = vec![7; usize::try_from(size).unwrap()];
    let part = Part::bytes(bytes).file_name(name.to_owned());
    let form = Form::new().part("request_file", part);
    let request = server.post("/ops/upload").bearer_auth(token);
    send(request.multipart(form)).await
}

async fn pair(server: &Server, username: &str) -> (String, String) {
    let body = json!({"username": username, "password": "pw"});
    let login = send(server.post("/api/v1/authentication/login").json(&body)).await;
    assert_eq!(login.status(), 200, "{}", server.log());
    let pair: Value = login.json().await.unwrap();
    let token = |name: &str| pair[name].as_str().unwrap().to_owned();
    (token("access_token"), token("refresh_token"))
}

/// Everything that must work on a disk without room for uploads.
async fn expect_secure(disk: &SmallDisk, server: &Server) {
    server.register("ada", "pw").await;
    for _ in 0..20 {
        let token = server.log_in("ada", "pw").await;
        assert_eq!(server.status_for(&token).await, 200);
        let logout = send(server.post("/logout").bearer_auth(&token)).await;
        assert_eq!(logout.status(), 200);
        assert_eq!(server.status_for(&token).await, 401);
    }
    let refresh = async |token: &str| {
        let path = "/api/v1/authentication/refresh";
        send(server.post(path).bearer_auth(token)).await
    };
    let (access, renewing) = pair(server, "ada").await;
    let renewed = refresh(&renewing).await;
    assert_eq!(renewed.status(), 200);
    let renewed: Value = renewed.json().await.unwrap();
    // The second use of a refresh token ends its session.
    assert_eq!(refresh(&renewing).await.status(), 401);
    for token in [&access, renewed["access_token"].as_str().unwrap()] {
        assert_eq!(server.status_for(token).await, 401);
    }
    let (other, _) = pair(server, "ada").await;
    let (own, _) = pair(server, "ada").await;
    let body = json!({"current_password": "pw", "new_password": "new"});
    let change = reqwest::Client::new().put(format!("{}/api/v1/account/password", server.url));
    let change = send(change.bearer_auth(&own).json(&body)).await;
    assert_eq!(change.status(), 204);
    assert_eq!(server.status_for(&other).await, 401);
    assert_eq!(server.status_for(&own).await, 200);
    let said = disk.command("account disable ada");
    assert!(said.contains("disabled"), "{said}");
    server.time_until_refused(&own).await;
    assert_eq!(server.try_log_in("ada", "new").await.status(), 401);
}

#[tokio::test]
async fn on_a_disk_that_uploads_have_filled_sessions_still_begin_and_end() {
    const RESERVE: u64 = 8 * MIB;
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let settings = [("KEYWARD_FILES__MIN_FREE", "8MiB")];
    let server = disk.start(&settings);
    let token = operator(&server).await;
    let mut uploaded = 0;
    let refused = loop {
        let answer = upload(&server, &token, &uploaded.to_string(), MIB).await;
        if answer.status() != 201 {
            break answer;
        }
        uploaded += 1;
    };
    assert_eq!(refused.status(), 507);
    let problem: Value = refused.json().await.unwrap();
    assert!(
        problem["detail"].as_str().unwrap().contains("room"),
        "{problem}"
    );
    assert!(
        (5..20).contains(&uploaded),
        "{uploaded} files of 1 MiB were stored"
    );
    assert!(server.log().contains("files.min_free"), "{}", server.log());
    // Smaller files, and many at once, do not get further into the reserve.
    let small = (0..40).map(|number| {
        let (server, token) = (&server, &token);
        async move {
            upload(server, token, &format!("s{number}"), MIB / 2)
                .await
                .status()
        }
    });
    futures_util::future::join_all(small).await;
    let slack = 2 * MIB; // of the log, which grows as files are named
    assert!(
        disk.free() >= RESERVE - slack,
        "{} bytes are free",
        disk.free()
    );
    expect_secure(&disk, &server).await;
    // So it is after a restart; and what makes room lets uploads in again.
    let (status, _) = server.stop();
    assert!(status.success());
    let server = disk.start(&[("KEYWARD_FILES__MIN_FREE", "1MiB")]);
    let token = operator_again(&server).await;
    assert_eq!(upload(&server, &token, "again", MIB).await.status(), 201);
}

async fn operator_again(server: &Server) -> String {
    let body = json!({"username": "ops", "password": "pw"});
    let login = send(server.post("/ops/login").json(&body)).await;
    assert_eq!(login.status(), 200);
    login.text().await.unwrap()
}

#[tokio::test]
async fn a_disk_smaller_than_the_reserve_takes_no_uploads_and_does_all_else() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let server = disk.start(&[]);
    let token = operator(&server).await;
    let answer = upload(&server, &token, "a", 1).await;
    assert_eq!(answer.status(), 507);
    expect_secure(&disk, &server).await;
}
