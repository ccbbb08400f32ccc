//! Backups, restores and `keyward doctor` where files are in a bucket.

use std::fs::{self, DirEntry};
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::bucket::{Exchange, content, settings, start, variables};
use crate::postgres::{Cable, State};
use crate::s3_server::{self, SECRET};
use crate::server::{Ended, keyward_with};

const SIZES: [(&str, usize); 3] = [("empty", 0), ("small", 70_000), ("large", (9 << 20) + 1)];

type Settings = [(&'static str, String)];

fn run(folder: &TempDir, command: &str, settings: &Settings) -> Ended {
    keyward_with(folder.path(), command, &variables(settings), "")
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let name = |entry: std::io::Result<DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = entries.map(name).collect();
    names.sort();
    names
}

/// A folder whose files were uploaded under these settings, with a backup of them, `it.tar`.
async fn backed_up(settings: &Settings) -> (TempDir, Exchange) {
    let folder = TempDir::new().unwrap();
    let server = start(&folder, settings);
    let exchange = Exchange::join(&server).await;
    for (name, size) in SIZES {
        let answer = exchange.upload(&server, name, content(size)).await;
        assert_eq!(answer.status(), 201, "{}", server.log());
    }
    let said = run(&folder, "backup it.tar", settings).fine();
    assert!(said.contains("3 files"), "{said}");
    (folder, exchange)
}

/// Restores a folder's backup under these settings, and asserts that all files are there.
async fn expect_restored(folder: &TempDir, settings: &Settings) {
    let restored = TempDir::new().unwrap();
    let archive = folder.path().join("it.tar");
    let ended = run(
        &restored,
        &format!("restore {}", archive.display()),
        settings,
    );
    assert!(!ended.stderr.contains("warning"), "{ended:?}");
    ended.fine();
    let server = start(&restored, settings);
    let exchange = Exchange::log_in(&server).await;
    for (name, size) in SIZES {
        assert!(
            exchange.whole(&server, name).await == content(size),
            "{name}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_backed_up_from_and_restored_to_a_bucket_or_the_disk() {
    let s3 = s3_server::Server::start().await;
    let (bucket, disk) = (settings(&s3.endpoint), Vec::new());
    for (from, objects) in [(&bucket, 3), (&disk, 6)] {
        let (folder, _) = backed_up(from).await;
        assert_eq!(s3.names().len(), objects);
        expect_restored(&folder, &bucket).await;
        assert_eq!(s3.names().len(), objects + 3, "in a namespace of their own");
        expect_restored(&folder, &disk).await;
        assert_eq!(s3.names().len(), objects + 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_without_all_bytes_names_what_is_missing_and_one_without_its_bucket_is_none() {
    let s3 = s3_server::Server::start().await;
    let cable = Cable::lay_to_endpoint(&s3.endpoint).await;
    let settings = settings(&cable.url);
    let (folder, _) = backed_up(&settings).await;
    let small = s3.paths_of(70_000);
    fs::write(&small[0], content(69_999)).unwrap();
    let refusal = run(&folder, "backup damaged.tar", &settings).failed(1);
    assert!(refusal.contains("small of account"), "{refusal}");
    fs::remove_file(&small[0]).unwrap();
    let refusal = run(&folder, "backup missing.tar", &settings).failed(1);
    assert!(refusal.contains("small of account"), "{refusal}");

    cable.turn(State::Cut);
    let refusal = run(&folder, "backup none.tar", &settings).failed(1);
    assert!(
        refusal.contains("the bucket of the files cannot be used"),
        "{refusal}"
    );
    let new = TempDir::new().unwrap();
    let archive = folder.path().join("it.tar");
    let refusal = run(&new, &format!("restore {}", archive.display()), &settings).failed(1);
    assert!(
        refusal.contains("the bucket of the files cannot be used"),
        "{refusal}"
    );
    assert_eq!(names_in(&new.path().join("keyward-data")), ["lock"]);
    let names = names_in(folder.path());
    assert_eq!(
        names,
        [
            "damaged.tar",
            "it.tar",
            "keyward-data",
            "missing.tar",
            "server.log"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_fails_leaves_nothing_in_the_bucket() {
    let s3 = s3_server::Server::start().await;
    let settings = settings(&s3.endpoint);
    let (folder, _) = backed_up(&settings).await;
    let (before, path) = (s3.names(), folder.path().join("it.tar"));
    let mut archive = fs::read(&path).unwrap();
    let last = archive.len() - 1;
    archive[last] ^= 1;
    fs::write(&path, &archive).unwrap();
    let refusal = run(&folder, "restore it.tar --data-dir new", &settings).failed(1);
    assert!(refusal.contains("the backup is damaged"), "{refusal}");
    assert_eq!(s3.names(), before);
    assert_eq!(names_in(&folder.path().join("new")), ["lock"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_writes_and_reads_the_bucket_and_misses_lost_bytes() {
    let s3 = s3_server::Server::start().await;
    let cable = Cable::lay_to_endpoint(&s3.endpoint).await;
    let mut settings = settings(&cable.url);
    let (folder, _) = backed_up(&settings).await;
    let examine = |settings: &Settings| {
        let Ended { code, stdout, .. } = run(&folder, "doctor --json", settings);
        assert!(!stdout.contains(SECRET), "{stdout}");
        let findings: Vec<Value> = serde_json::from_str(&stdout).expect("JSON");
        let levels = ["bucket", "files"].map(|check| {
            let finding = findings.iter().find(|finding| finding["check"] == check);
            finding.expect(check)["level"].as_str().unwrap().to_owned()
        });
        (code, levels)
    };
    let found = |code, levels: [&str; 2]| (code, levels.map(str::to_owned));
    let before = s3.names();
    assert_eq!(examine(&settings), found(0, ["ok", "ok"]));
    assert_eq!(s3.names(), before, "what it wrote is gone");

    *s3.bucket.refusal.lock().unwrap() = Some((403, "AccessDenied"));
    assert_eq!(examine(&settings), found(1, ["fail", "ok"]));
    *s3.bucket.refusal.lock().unwrap() = None;
    fs::remove_file(&s3.paths_of(70_000)[0]).unwrap();
    assert_eq!(examine(&settings), found(1, ["ok", "fail"]));
    cable.turn(State::Cut);
    assert_eq!(examine(&settings), found(1, ["fail", "fail"]));
    cable.turn(State::Whole);
    settings.push(("KEYWARD_FILES__SECRET", "not-the-secret".to_owned()));
    assert_eq!(examine(&settings), found(1, ["fail", "fail"]));
}
