//! Backups of a running server, and what a restore brings back: every acknowledged write, no token.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::server::{Server, keyward, secret_of};

const SECRET: (&str, &str) = ("JWT_SECRET", "a secret of at least thirty-two bytes");

async fn operator(server: &Server) -> String {
    let body = json!({"username": "operator", "password": "pw"});
    for path in ["/ops/signup", "/ops/login"] {
        let answer = server.post(path).json(&body).send().await.unwrap();
        if path == "/ops/login" {
            return answer.text().await.unwrap();
        }
    }
    unreachable!()
}

async fn upload(server: &Server, token: &str, name: &str, bytes: Vec<u8>) -> u16 {
    let part = Part::bytes(bytes).file_name(name.to_owned());
    let request = server
        .post("/ops/upload?overwrite=true")
        .bearer_auth(token)
        .multipart(Form::new().part("request_file", part));
    request.send().await.unwrap().status().as_u16()
}

async fn download(server: &Server, name: &str) -> Vec<u8> {
    let body = json!({"username": "reader", "password": "pw"});
    server
        .post("/client/signup")
        .json(&body)
        .send()
        .await
        .unwrap();
    let login = server
        .post("/client/login")
        .json(&body)
        .send()
        .await
        .unwrap();
    let token = login.text().await.unwrap();
    let path = format!("/client/files/operator/{name}");
    let answer = server.get(&path).bearer_auth(token).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{name}");
    answer.bytes().await.unwrap().to_vec()
}

async fn pair(server: &Server, name: &str) -> (String, String) {
    let body = json!({"username": name, "password": "pw"});
    let request = server.post("/api/v1/authentication/login").json(&body);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    let text = |key: &str| answer[key].as_str().unwrap().to_owned();
    (text("access_token"), text("refresh_token"))
}

async fn refresh(server: &Server, token: &str) -> u16 {
    let request = server
        .post("/api/v1/authentication/refresh")
        .bearer_auth(token);
    request.send().await.unwrap().status().as_u16()
}

async fn notarized(server: &Server) -> String {
    let request = server
        .post("/generateToken")
        .json(&json!({"user_data": "x"}));
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    answer["JWT Token"].as_str().unwrap().to_owned()
}

/// Some bytes that only this name and size have.
fn bytes(name: &str, size: usize) -> Vec<u8> {
    let seed = name.bytes().map(u64::from).sum::<u64>() * 31 + size as u64;
    let mut bytes = vec![0; size];
    StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

/// A folder with a backup of an account and three files.
async fn small() -> TempDir {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path());
    let token = operator(&server).await;
    for (name, size) in [("a", 10_000), ("b", 512), ("c", 0)] {
        assert_eq!(upload(&server, &token, name, bytes(name, size)).await, 201);
    }
    keyward(folder.path(), "backup it.tar").fine();
    folder
}

/// Registers and uploads until it is told to stop; tells how often.
async fn work(server: &Server, token: &str, stop: &AtomicBool, worker: u8) -> u64 {
    let mut steps = 0;
    while !stop.load(Ordering::SeqCst) {
        steps += 1;
        server
            .register(&format!("late{worker}x{steps}"), "pw")
            .await;
        // Replaces its bytes, so that those the backup is about to copy vanish.
        let status = upload(
            server,
            token,
            &format!("hot{worker}"),
            vec![worker; 200_000],
        )
        .await;
        assert!([200, 201].contains(&status), "{status}");
    }
    steps
}

#[tokio::test]
async fn a_backup_under_load_holds_all_that_was_acknowledged_before_it() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(folder.path());
    let token = operator(&server).await;
    for number in 0..20 {
        server.register(&format!("user{number}"), "pw").await;
        let name = format!("kept{number}");
        assert_eq!(
            upload(&server, &token, &name, bytes(&name, 300_000)).await,
            201
        );
    }
    let stop = AtomicBool::new(false);
    let load = join_all((0..3).map(|worker| work(&server, &token, &stop, worker)));
    let backups = async {
        for number in 0..3 {
            let path = folder.path().to_owned();
            let command = format!("backup backup{number}.tar");
            let ended = tokio::task::spawn_blocking(move || keyward(&path, &command)).await;
            ended.unwrap().fine();
        }
        stop.store(true, Ordering::SeqCst);
    };
    let (steps, ()) = tokio::join!(load, backups);
    let steps: u64 = steps.iter().sum();
    server.kill();
    println!("backup: three beside a server that did {steps} steps of load");

    let backup = folder.path().join("backup2.tar");
    assert_eq!(
        backup.metadata().unwrap().permissions().mode() & 0o777,
        0o600
    );
    let restored = TempDir::new().unwrap();
    let said = keyward(restored.path(), &format!("restore {}", backup.display()));
    assert!(!said.stderr.contains("warning"), "{said:?}");
    said.fine();
    let server = Server::start(restored.path());
    for number in 0..20 {
        server.log_in(&format!("user{number}"), "pw").await;
        let name = format!("kept{number}");
        assert!(
            download(&server, &name).await == bytes(&name, 300_000),
            "{name}"
        );
    }
    for worker in 0..3 {
        let name = format!("hot{worker}");
        assert!(
            download(&server, &name).await == vec![worker; 200_000],
            "{name}"
        );
    }
    // Three backups, the data and the log.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5);
}

#[tokio::test]
async fn every_token_of_before_a_restore_is_dead_and_new_logins_work() {
    for env in [&[][..], &[SECRET]] {
        let folder = TempDir::new().unwrap();
        let server = Server::start_with(folder.path(), "", env);
        server.register("ada", "pw").await;
        let before = server.log_in("ada", "pw").await;
        let (access, renewing) = pair(&server, "ada").await;
        let ended = server.log_in("ada", "pw").await;
        let notary = notarized(&server).await;
        keyward(folder.path(), "backup it.tar --quiet").fine();
        let logout = server
            .get("/logout")
            .bearer_auth(&ended)
            .send()
            .await
            .unwrap();
        let (later, later_renewing) = pair(&server, "ada").await;
        let mut dead = vec![before, access, ended, later];
        for _ in 0..5 {
            dead.push(server.log_in("ada", "pw").await);
        }
        assert!(logout.status().is_success() || logout.status() == 401);
        server.kill();

        // Twice from the same backup: the second must not take up the ids of the first.
        for _ in 0..2 {
            let restored = TempDir::new().unwrap();
            let archive = folder.path().join("it.tar");
            keyward(
                restored.path(),
                &format!("restore {} --quiet", archive.display()),
            )
            .fine();
            let server = Server::start_with(restored.path(), "", env);
            for token in &dead {
                assert_eq!(server.status_for(token).await, 401);
            }
            for token in [&renewing, &later_renewing] {
                assert_eq!(refresh(&server, token).await, 401);
            }
            let (access, renewing) = pair(&server, "ada").await;
            assert_eq!(server.status_for(&access).await, 200);
            assert_eq!(refresh(&server, &renewing).await, 200);
            dead.push(server.log_in("ada", "pw").await);
            let key = secret_of(restored.path(), "notary", env);
            let judged = server
                .get("/verifyToken")
                .json(&json!({"Token": notary, "Signing_key": key}));
            let judged: Value = judged.send().await.unwrap().json().await.unwrap();
            assert_eq!(judged["Signature Verification"], true, "{judged}");
            server.kill();
        }
    }
}

#[tokio::test]
async fn a_flipped_bit_is_detected_wherever_it_is() {
    let folder = small().await;
    let path = folder.path().join("it.tar");
    let length = path.metadata().unwrap().len();
    let mut random = StdRng::seed_from_u64(105);
    let mut places: Vec<u64> = (0..20).map(|_| random.random_range(0..length)).collect();
    places.extend([0, 520, length - 1]);
    let file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    for at in places {
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        let flipped = byte[0] ^ (1 << random.random_range(0..8));
        file.write_all_at(&[flipped], at).unwrap();
        let refusal = keyward(folder.path(), "restore it.tar --data-dir new").failed(1);
        assert!(
            refusal.contains("the backup is damaged in "),
            "{at}: {refusal}"
        );
        assert_nothing_in(&folder.path().join("new"));
        file.write_all_at(&byte, at).unwrap();
    }
    // A bit of the bytes of a file: 4 blocks of the manifest, a header, and into it.
    file.write_all_at(b"?", 4 * 512 + 512 + 100).unwrap();
    let refusal = keyward(folder.path(), "restore it.tar --data-dir new").failed(1);
    assert!(refusal.contains("damaged in files/"), "{refusal}");
    file.set_len(length / 2).unwrap();
    let refusal = keyward(folder.path(), "restore it.tar --data-dir new").failed(1);
    assert!(
        refusal.contains("damaged") || refusal.contains("ends too early"),
        "{refusal}"
    );
    assert_nothing_in(&folder.path().join("new"));
}

#[tokio::test]
async fn a_truncated_backup_is_refused_and_leaves_nothing() {
    let folder = small().await;
    let whole = fs::read(folder.path().join("it.tar")).unwrap();
    for length in [
        0,
        511,
        1_000,
        whole.len() / 2,
        whole.len() - 1_024,
        whole.len() - 1,
    ] {
        fs::write(folder.path().join("short.tar"), &whole[..length]).unwrap();
        let refusal = keyward(folder.path(), "restore short.tar --data-dir new").failed(1);
        assert!(refusal.contains("ends too early"), "{length}: {refusal}");
        assert_nothing_in(&folder.path().join("new"));
    }
}

#[tokio::test]
async fn nothing_that_exists_is_replaced() {
    let folder = small().await;
    let refused = |args: &str, part: &str| {
        let refusal = keyward(folder.path(), args).failed(1);
        assert!(refusal.contains(part), "{args}: {refusal}");
    };
    refused("backup it.tar", "exists already");
    refused("backup other.tar --data-dir nowhere", "no data folder");
    refused("restore it.tar", "is not empty");
    refused("restore missing.tar --data-dir new", "missing.tar");
    fs::write(folder.path().join("there.db"), "").unwrap();
    refused(
        "restore it.tar --data-dir new --database sqlite:there.db",
        "there.db exists",
    );
    let server = Server::start_with(folder.path(), "--data-dir served", &[]);
    refused("restore it.tar --data-dir served", "another server runs");
    drop(server);
    let elsewhere = "--database postgres://nobody@127.0.0.1:1/none?sslmode=disable";
    for command in ["backup other.tar", "restore it.tar --data-dir new"] {
        refused(&format!("{command} {elsewhere}"), "pg_dump");
    }
    fs::create_dir_all(folder.path().join("half/restoring")).unwrap();
    for command in [
        "restore it.tar",
        "serve --listen 127.0.0.1:0",
        "account list",
    ] {
        refused(&format!("{command} --data-dir half"), "was cut off");
    }
}

#[tokio::test]
async fn a_restore_that_fails_or_is_refused_leaves_every_file_that_was_there() {
    let folder = small().await;
    let path = |name: &str| folder.path().join(name);
    let whole = fs::read(path("it.tar")).unwrap();
    fs::write(path("short.tar"), &whole[..whole.len() / 2]).unwrap();
    let bystanders = ["rows.db.restoring", "rows.db.restoring-wal", "rows.dbx"];
    for name in bystanders {
        fs::write(path(name), name).unwrap();
    }
    let restore = "--data-dir new --database sqlite:rows.db";
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let there = format!("rows.db{suffix}");
        fs::write(path(&there), "there").unwrap();
        for archive in ["it.tar", "short.tar"] {
            let refusal = keyward(folder.path(), &format!("restore {archive} {restore}")).failed(1);
            assert!(refusal.contains(&format!("{there} exists")), "{refusal}");
        }
        assert_eq!(fs::read(path(&there)).unwrap(), b"there");
        fs::remove_file(path(&there)).unwrap();
    }
    keyward(folder.path(), &format!("restore short.tar {restore}")).failed(1);
    assert!(!path("rows.db").exists());
    keyward(folder.path(), &format!("restore it.tar {restore}")).fine();
    for name in bystanders {
        assert_eq!(fs::read_to_string(path(name)).unwrap(), name);
    }
    let names = fs::read_dir(folder.path()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<_> = names.filter(|name| name.contains("restore-")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_database_of_its_own_place_and_the_mark_of_a_demo_are_restored() {
    let folder = TempDir::new().unwrap();
    Server::start_with(folder.path(), "--demo", &[]).kill();
    keyward(folder.path(), "backup it.tar").fine();
    let elsewhere = "--data-dir new --database sqlite:elsewhere/rows.db";
    keyward(folder.path(), &format!("restore it.tar {elsewhere}")).fine();
    assert!(folder.path().join("new/demo").exists());
    assert!(!folder.path().join("new/keyward.db").exists());
    let listed = keyward(folder.path(), &format!("account list {elsewhere}")).fine();
    assert!(listed.contains("user1@gmail.com"), "{listed}");
}

fn assert_nothing_in(folder: &Path) {
    let names = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let names: Vec<_> = names.filter(|name| name != "lock").collect();
    assert!(names.is_empty(), "{names:?}");
}
