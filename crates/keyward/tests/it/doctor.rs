//! `keyward doctor`: healthy folders pass, each defect is found and comes with what to do.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::server::{Ended, Server, keyward, keyward_with};

/// The settings of a real server, where those of tests would be warned of.
const REAL: [(&str, &str); 1] = [("KEYWARD_LIMITS__ENABLED", "true")];

fn examine(folder: &Path, args: &str) -> (i32, Vec<Value>) {
    let Ended { code, stdout, .. } =
        keyward_with(folder, &format!("doctor --json {args}"), &REAL, "");
    (code, serde_json::from_str(&stdout).expect("JSON"))
}

#[track_caller]
fn level<'a>(findings: &'a [Value], check: &str) -> &'a str {
    let finding = findings.iter().find(|finding| finding["check"] == check);
    let finding = finding.unwrap_or_else(|| panic!("no check {check} in {findings:?}"));
    let level = finding["level"].as_str().unwrap();
    assert_eq!(level != "ok", finding["advice"].is_string(), "{finding}");
    level
}

fn served() -> TempDir {
    let folder = TempDir::new().unwrap();
    let (status, _) = Server::start(folder.path()).stop();
    assert!(status.success());
    folder
}

#[test]
fn a_sound_folder_passes_with_and_without_a_server() {
    let folder = served();
    for running in [false, true] {
        let _server = running.then(|| Server::start(folder.path()));
        let (code, findings) = examine(folder.path(), "");
        assert_eq!(code, 0, "{findings:?}");
        for check in [
            "settings",
            "setting names",
            "settings files",
            "secrets",
            "folder",
            "demo",
            "server",
            "signing keys",
            "master key",
            "database file",
            "database",
            "migrations",
            "clock",
            "files",
            "memory",
            "proxies",
            "limits",
        ] {
            assert_eq!(level(&findings, check), "ok", "{check}: {findings:?}");
        }
        let text = keyward(folder.path(), "doctor").fine();
        assert!(text.contains("ok    database: it is sound"), "{text}");
        assert!(
            text.contains("warn  limits") && text.contains("-> "),
            "{text}"
        );
    }
}

#[test]
fn what_others_can_read_is_found() {
    let folder = served();
    let data = folder.path().join("keyward-data");
    for (path, mode, check) in [
        (data.clone(), 0o755, "folder"),
        (data.join("keyward.db"), 0o644, "database file"),
        (data.join("keys/master.key"), 0o640, "signing keys"),
    ] {
        let before = fs::metadata(&path).unwrap().permissions();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let (code, findings) = examine(folder.path(), "");
        assert_eq!((code, level(&findings, check)), (1, "fail"), "{findings:?}");
        fs::set_permissions(&path, before).unwrap();
    }
}

#[test]
fn settings_files_and_secrets_are_looked_at() {
    let folder = served();
    let path = folder.path().join("key");
    fs::write(&path, "secret".repeat(8)).unwrap();
    for (mode, expected) in [(0o600, "ok"), (0o644, "warn")] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let env = [("KEYWARD_TOKENS__SECRET_FILE", "key")];
        let findings = keyward_with(folder.path(), "doctor --json", &env, "").json();
        let findings = findings.as_array().unwrap();
        assert_eq!(level(findings, "settings files"), expected);
        assert_eq!(level(findings, "secrets"), "warn");
        assert_eq!(level(findings, "setting names"), "warn");
    }
}

#[test]
fn lost_and_unnamed_bytes_and_a_broken_database_are_found() {
    let folder = served();
    let data = folder.path().join("keyward-data");
    let prefix = data.join("files/ab");
    fs::create_dir_all(&prefix).unwrap();
    fs::write(prefix.join("ab".repeat(16)), "left").unwrap();
    let (code, findings) = examine(folder.path(), "");
    assert_eq!((code, level(&findings, "files")), (0, "warn"));
    let mut bytes = fs::read(data.join("keyward.db")).unwrap();
    let page = bytes.len() / 2 / 4_096 * 4_096;
    bytes[page..page + 4_096].fill(0x5a);
    fs::write(data.join("keyward.db"), bytes).unwrap();
    let (code, findings) = examine(folder.path(), "");
    assert_eq!(
        (code, level(&findings, "database")),
        (1, "fail"),
        "{findings:?}"
    );
}

#[test]
fn settings_that_the_machine_cannot_bear_or_that_are_unsafe_are_found() {
    let folder = served();
    let found = |env: &[(&str, &str)], check: &str| {
        let ended = keyward_with(folder.path(), "doctor --json", env, "");
        let findings: Vec<Value> = serde_json::from_str(&ended.stdout).expect("JSON");
        (ended.code, level(&findings, check).to_owned())
    };
    let greedy = [
        ("KEYWARD_PASSWORDS__MEMORY_KIB", "262144"),
        ("KEYWARD_PASSWORDS__THREADS", "1024"),
    ];
    assert_eq!(found(&greedy, "memory"), (1, "fail".to_owned()));
    let many = [("KEYWARD_HTTP__MAX_CONNECTIONS", "1000000")];
    let warn = || (0, "warn".to_owned());
    let files = found(&many, "open files");
    assert!(files == warn() || files.1 == "ok", "{files:?}");
    assert_eq!(
        found(&[("KEYWARD_LISTEN", "0.0.0.0:80")], "proxies"),
        warn()
    );
    let everyone = [("KEYWARD_HTTP__TRUSTED_PROXIES", "0.0.0.0/0")];
    assert_eq!(found(&everyone, "proxies"), (1, "fail".to_owned()));
    assert_eq!(found(&[], "limits"), warn());
    let unusable = [("KEYWARD_HTTP__DOCS", "perhaps")];
    assert_eq!(found(&unusable, "settings"), (1, "fail".to_owned()));
}

#[test]
fn a_missing_folder_fails_and_is_not_made_and_a_demo_is_warned_of() {
    let folder = TempDir::new().unwrap();
    let (code, findings) = examine(folder.path(), "");
    assert_eq!((code, level(&findings, "folder")), (1, "fail"));
    assert!(!folder.path().join("keyward-data").exists());
    drop(Server::start_with(folder.path(), "--demo", &[]));
    let (code, findings) = examine(folder.path(), "");
    assert_eq!((code, level(&findings, "demo")), (0, "warn"));
}
