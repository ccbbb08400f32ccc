//! The program on PostgreSQL: the main paths of a server and of the commands beside it.

use std::time::Duration;

use tempfile::TempDir;

use crate::postgres::Database;
use crate::server::{Ended, Server, keyward_with};

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_and_the_keys_are_in_the_database_whichever_folder_a_server_has() {
    let Some(database) = Database::create().await else {
        return;
    };
    let url = database.url();
    let named = [("KEYWARD_DATABASE", url.as_str())];
    let (first, second) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let server = Server::start_with(first.path(), "", &named);
    let ready = server.get("/health/ready").send().await.unwrap();
    assert_eq!(ready.status(), 200);
    server.register("alice", "secret").await;
    let (out, stays) = (
        server.log_in("alice", "secret").await,
        server.log_in("alice", "secret").await,
    );
    let logout = server
        .post("/api/v1/authentication/logout")
        .bearer_auth(&out);
    assert_eq!(logout.send().await.unwrap().status(), 204);
    assert_eq!(server.status_for(&out).await, 401);
    server.kill();

    let server = Server::start_with(second.path(), "", &named);
    assert_eq!(
        (
            server.status_for(&out).await,
            server.status_for(&stays).await
        ),
        (401, 200)
    );
    assert!(!second.path().join("keyward-data/keyward.db").exists());
    assert!(!second.path().join("keyward-data/keys/login.key").exists());
    let (status, rest) = server.stop();
    assert_eq!((status.code(), rest.as_str()), (Some(0), ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_work_beside_the_servers_of_a_database_and_need_no_folder() {
    let Some(database) = Database::create().await else {
        return;
    };
    let url = database.url();
    let named = [("KEYWARD_DATABASE", url.as_str())];
    let (folder, empty) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let run = |args: &str| -> Ended { keyward_with(empty.path(), args, &named, "") };
    // A command that expects data makes none.
    let refusal = run("account list").failed(1);
    assert!(refusal.contains("is at version 0"), "{refusal}");
    run("account add --username bob --generate-password").fine();

    let server = Server::start_with(folder.path(), "", &named);
    server.register("alice", "secret").await;
    let (first, second) = (
        server.log_in("alice", "secret").await,
        server.log_in("alice", "secret").await,
    );
    let sessions = run("session list --json").json();
    let id = sessions[0]["id"].to_string();
    let closed = run(&format!("session close {id}")).fine();
    assert!(closed.contains("within a second"), "{closed}");
    let waited = server.time_until_refused(&first).await;
    assert!(waited < Duration::from_secs(1), "{waited:?}");
    assert_eq!(server.status_for(&second).await, 200);

    let minted = run("token mint --account bob").fine();
    assert_eq!(server.status_for(minted.trim()).await, 200);
    run(&format!("token verify {}", minted.trim())).fine();
    run("account disable alice").fine();
    let waited = server.time_until_refused(&second).await;
    assert!(waited < Duration::from_secs(1), "{waited:?}");
    let refusal = run(&format!("token verify {second}")).failed(1);
    assert!(refusal.contains("was closed at"), "{refusal}");
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0);
}
