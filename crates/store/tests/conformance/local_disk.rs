//! What only the local disk and SQLite's file have: modes, links, leftovers, a file's end.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use keyward_core::accounts::Store as _;
use keyward_core::error::Fault;
use keyward_core::files::Blobs;
use keyward_core::id::AccountId;
use keyward_core::memory::Account;
use keyward_store::blobs::LocalBlobs;
use keyward_store::sqlite::{Options, Sqlite};

use crate::backend::new_account;
use crate::blobs::{content, old, write};
use crate::files::blob;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("metadata").permissions().mode() & 0o777
}

fn names(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).expect("a listing");
    entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("a name")
        })
        .collect()
}

#[tokio::test]
async fn blobs_and_their_folders_are_private() {
    let home = tempfile::tempdir().expect("a folder");
    let root = home.path().join("files");
    let blobs: Arc<dyn Blobs> = Arc::new(LocalBlobs::open(&root, 0).expect("blobs"));
    write(&blobs, &blob(7), &content(10)).await;
    let folder = root.join("00");
    for (path, expected) in [
        (&root, 0o700),
        (&root.join("tmp"), 0o700),
        (&folder, 0o700),
        (&folder.join(blob(7).as_str()), 0o600),
    ] {
        assert_eq!(mode(path), expected, "{}", path.display());
    }
}

#[tokio::test]
async fn an_abandoned_upload_leaves_no_temporary_file() {
    let home = tempfile::tempdir().expect("a folder");
    let blobs = LocalBlobs::open(home.path(), 0).expect("blobs");
    let mut writer = blobs
        .create(&blob(7), Account::unbounded())
        .await
        .expect("a writer");
    writer.write(content(3_000_000)).await.expect("room");
    assert_eq!(names(&home.path().join("tmp")), [blob(7).as_str()]);
    drop(writer);
    assert_eq!(names(&home.path().join("tmp")), Vec::<String>::new());
}

#[tokio::test]
async fn what_a_crash_left_unfinished_is_gone_after_the_start() {
    let home = tempfile::tempdir().expect("a folder");
    let blobs: Arc<dyn Blobs> = Arc::new(LocalBlobs::open(home.path(), 0).expect("blobs"));
    write(&blobs, &blob(7), &content(10)).await;
    fs::write(home.path().join("tmp").join(blob(8).as_str()), "half").expect("a leftover");
    let blobs = LocalBlobs::open(home.path(), 0).expect("blobs");
    assert_eq!(names(&home.path().join("tmp")), Vec::<String>::new());
    assert!(blobs.open(&blob(7)).await.expect("the store").is_some());
}

#[tokio::test]
async fn what_came_after_the_start_is_not_old_and_what_was_old_is_listed_once() {
    let home = tempfile::tempdir().expect("a folder");
    let before: Arc<dyn Blobs> = Arc::new(LocalBlobs::open(home.path(), 0).expect("blobs"));
    write(&before, &blob(1), &content(10)).await;
    let after: Arc<dyn Blobs> = Arc::new(LocalBlobs::open(home.path(), 0).expect("blobs"));
    write(&after, &blob(2), &content(10)).await;
    assert_eq!(old(&after).await, [blob(1)]);
    assert_eq!(old(&after).await, []);
}

#[tokio::test]
async fn a_symbolic_link_in_place_of_a_blob_or_its_folder_is_refused() {
    let home = tempfile::tempdir().expect("a folder");
    let (root, elsewhere) = (home.path().join("files"), home.path().join("elsewhere"));
    let blobs = LocalBlobs::open(&root, 0).expect("blobs");
    fs::create_dir(&elsewhere).expect("a folder");
    fs::write(elsewhere.join(blob(7).as_str()), "secret").expect("a file");
    let refused = async |case| {
        let result = blobs.open(&blob(7)).await.map(|reader| reader.is_some());
        assert!(
            matches!(result, Err(Fault::Internal(_))),
            "{case}: {result:?}"
        );
    };
    symlink(&elsewhere, root.join("00")).expect("a link");
    refused("folder").await;
    let writer = blobs
        .create(&blob(9), Account::unbounded())
        .await
        .expect("a writer");
    assert!(writer.finish().await.is_err());
    assert_eq!(names(&elsewhere), [blob(7).as_str()]);
    fs::remove_file(root.join("00")).expect("no link");
    fs::create_dir(root.join("00")).expect("a folder");
    symlink(
        elsewhere.join(blob(7).as_str()),
        root.join("00").join(blob(7).as_str()),
    )
    .expect("a link");
    refused("blob").await;
    symlink("/dev/null", root.join("tmp").join(blob(8).as_str())).expect("a link");
    assert!(
        blobs.create(&blob(8), Account::unbounded()).await.is_err(),
        "temporary file"
    );
}

#[tokio::test]
async fn the_database_is_private_ready_and_tidy_when_closed() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("keyward.db");
    let store = Sqlite::open(&path, Options::default()).expect("a database");
    store.ready().await.expect("readiness");
    let new = new_account(keyward_core::accounts::Realm::Default, Some("ada"), None);
    store.create_account(new).await.expect("an account");
    for suffix in ["", "-wal", "-shm"] {
        let file = home.path().join(format!("keyward.db{suffix}"));
        assert_eq!(mode(&file), 0o600, "{suffix}");
    }
    store.close().await;
    store.ready().await.expect_err("it is closed");
    let late = new_account(keyward_core::accounts::Realm::Default, Some("eve"), None);
    assert!(store.create_account(late).await.is_err());
    let read = store.find_account(AccountId(1)).await;
    assert!(matches!(read, Err(Fault::Unavailable(_))), "{read:?}");
    assert_eq!(names(home.path()), ["keyward.db"]);
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_not_ready() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("keyward.db");
    let store = Sqlite::open(&path, Options::default()).expect("a database");
    let other = rusqlite::Connection::open(&path).expect("a connection");
    other
        .execute(
            "INSERT INTO schema_migrations VALUES (99, 'later', x'00', 0)",
            [],
        )
        .expect("a row");
    let reason = store.ready().await.expect_err("not ready");
    assert!(reason.contains("version 99"), "{reason}");
}

#[tokio::test]
async fn a_row_that_this_program_cannot_have_written_is_an_internal_fault() {
    let home = tempfile::tempdir().expect("a folder");
    let path = home.path().join("keyward.db");
    let store = Sqlite::open(&path, Options::default()).expect("a database");
    let other = rusqlite::Connection::open(&path).expect("a connection");
    other
        .execute(
            "INSERT INTO accounts (realm, password_hash, created_at) VALUES ('moon', '', 0)",
            [],
        )
        .expect("a row");
    let found = store.find_account(AccountId(1)).await;
    assert!(matches!(found, Err(Fault::Internal(_))), "{found:?}");
}
