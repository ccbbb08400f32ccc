//! After a restore no token from before is good, under the same login key and whatever the clock says.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use keyward_core::clock::{Clock, ManualClock};
use keyward_core::files::Namespace;
use keyward_core::secret::SecretText;
use keyward_store::backup::{self, Source, Target};
use keyward_store::folder::DataFolder;
use tempfile::TempDir;

use crate::app::{Options, TestApp};

const REFRESH: &str = "/api/v1/authentication/refresh";

/// Those of the server that is restored or replaced.
fn options() -> Options {
    let key = "a key of the settings, so of no folder: 0123456789abcdef0123456789";
    Options {
        login_key: Some(SecretText::new(key.to_owned())),
        ..Options::default()
    }
}

/// Restores the backup at `archive` into a new folder and serves that.
async fn restored(archive: &std::path::Path, clock: Arc<ManualClock>) -> TestApp {
    let home = Arc::new(TempDir::new().expect("a folder"));
    let folder = DataFolder::open(home.path()).expect("the folder");
    let target = Target {
        folder: &folder,
        database: &folder.database(),
        bucket: None,
        namespace: Namespace::from_number(1),
        now: clock.now(),
    };
    backup::restore(archive, &target, &mut |_, _| {}).expect("a restore");
    TestApp::in_folder(home, clock.clone(), elsewhere(clock.now().micros())).await
}

/// Those of a server of its own, whose random numbers are others.
fn elsewhere(seed: i64) -> Options {
    Options {
        seed: seed.unsigned_abs(),
        ..options()
    }
}

async fn status(app: &TestApp, path: &str, token: &str) -> StatusCode {
    let request = match path {
        REFRESH => app.post(path),
        _ => app.get(path),
    };
    request.bearer(token).send().await.status
}

#[tokio::test]
async fn no_token_of_before_a_restore_is_good_under_the_same_key() {
    let app = TestApp::with(options()).await;
    let home = TempDir::new().expect("a folder");
    let archive = home.path().join("it.tar");
    let (access, renewing) = app.pair("ada").await;
    let client = app.exchange_user("client", "cleo").await;
    let ended = app.user("eve").await;
    let folder = DataFolder::open(app.folder.path()).expect("the folder");
    let source = Source {
        folder: &folder,
        database: &folder.database(),
        bucket: None,
        notary_key: None,
        program: "test",
        now: app.clock.now(),
    };
    backup::create(&source, &archive, &mut |_, _| {}).expect("a backup");
    let logout = app.post("/logout").bearer(&ended).send().await.status;
    assert_ne!(logout, StatusCode::INTERNAL_SERVER_ERROR);
    app.clock.advance(Duration::from_secs(1));
    let (late_access, late_renewing) = app.pair("bob").await;
    let late_client = app.exchange_user("client", "cyd").await;
    let account = "/api/v1/account";
    assert_eq!(status(&app, account, &late_access).await, StatusCode::OK);

    let mut dead = vec![access, ended, late_access];
    let mut spent = vec![renewing, late_renewing];
    let clock = app.clock.clone();
    for _ in 0..2 {
        clock.advance(Duration::from_millis(1));
        let app = restored(&archive, clock.clone()).await;
        for set_back in [0, 3_600] {
            clock.set(clock.now().minus(Duration::from_secs(set_back)));
            for token in &dead {
                assert_eq!(status(&app, account, token).await, StatusCode::UNAUTHORIZED);
            }
            for token in &spent {
                assert_eq!(status(&app, REFRESH, token).await, StatusCode::UNAUTHORIZED);
            }
            for token in [&client, &late_client] {
                let path = "/client/files/nobody";
                assert_eq!(status(&app, path, token).await, StatusCode::UNAUTHORIZED);
            }
            clock.advance(Duration::from_secs(set_back));
        }
        let (access, renewing) = app.pair("newcomer").await;
        let app = app.restart().await;
        assert_eq!(status(&app, account, &access).await, StatusCode::OK);
        assert_eq!(status(&app, REFRESH, &renewing).await, StatusCode::OK);
        dead.push(access);
        spent.push(renewing);
    }
}

#[tokio::test]
async fn a_new_folder_takes_no_token_of_another_under_the_same_key() {
    let old = TestApp::with(options()).await;
    let (access, renewing) = old.pair("ada").await;
    let client = old.exchange_user("client", "cleo").await;
    old.clock.advance(Duration::from_millis(1));
    let folder = Arc::new(TempDir::new().expect("a folder"));
    let new = TestApp::in_folder(folder, old.clock.clone(), elsewhere(7)).await;
    // One with the same number as the old one's owner.
    let (own_access, own_renewing) = new.pair("eve").await;
    for (path, token) in [
        ("/api/v1/account", &access),
        (REFRESH, &renewing),
        ("/client/files/nobody", &client),
    ] {
        assert_eq!(status(&new, path, token).await, StatusCode::UNAUTHORIZED);
    }
    let account = "/api/v1/account";
    assert_eq!(status(&new, account, &own_access).await, StatusCode::OK);
    assert_eq!(status(&new, REFRESH, &own_renewing).await, StatusCode::OK);
    assert_eq!(status(&old, account, &access).await, StatusCode::OK);
}

#[tokio::test]
async fn closing_every_session_ends_those_that_are_not_known_too() {
    let app = TestApp::with(options()).await;
    let (access, renewing) = app.pair("ada").await;
    app.clock.advance(Duration::from_millis(1));
    app.app.sessions.close_all().await.expect("closed");
    let account = "/api/v1/account";
    let (fresh, _) = app.pair("eve").await;
    let mut app = app;
    for _ in 0..2 {
        assert_eq!(
            status(&app, account, &access).await,
            StatusCode::UNAUTHORIZED
        );
        assert_eq!(
            status(&app, REFRESH, &renewing).await,
            StatusCode::UNAUTHORIZED
        );
        assert_eq!(status(&app, account, &fresh).await, StatusCode::OK);
        app = app.restart().await;
    }
}

#[tokio::test]
async fn a_clock_behind_the_backup_restores_nothing() {
    let app = TestApp::with(options()).await;
    let home = TempDir::new().expect("a folder");
    let archive = home.path().join("it.tar");
    let source_folder = DataFolder::open(app.folder.path()).expect("the folder");
    let source = Source {
        folder: &source_folder,
        database: &source_folder.database(),
        bucket: None,
        notary_key: None,
        program: "test",
        now: app.clock.now(),
    };
    backup::create(&source, &archive, &mut |_, _| {}).expect("a backup");
    let folder = DataFolder::open(&home.path().join("new")).expect("the folder");
    let target = Target {
        folder: &folder,
        database: &folder.database(),
        bucket: None,
        namespace: Namespace::from_number(1),
        now: app.clock.now().minus(Duration::from_secs(1)),
    };
    let refusal = backup::restore(&archive, &target, &mut |_, _| {}).expect_err("a refusal");
    assert!(refusal.to_string().contains("set the clock"), "{refusal}");
    assert!(folder.is_empty().expect("a listing"));
}
