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

#[tokio::test(flavor = "multi_thread")]
async fn a_new_schema_takes_no_token_of_another_and_closing_all_ends_those_of_every_server() {
    let Some(database) = Database::create().await else {
        return;
    };
    let sql = "CREATE SCHEMA other";
    database.client().await.batch_execute(sql).await.unwrap();
    let secret = (
        "JWT_SECRET",
        "a secret of the settings, of 48 bytes and more!",
    );
    let (url, other) = (
        database.url(),
        format!("{}&options=-csearch_path%3Dother", database.url()),
    );
    let (named, elsewhere) = (
        [("KEYWARD_DATABASE", url.as_str()), secret],
        [("KEYWARD_DATABASE", other.as_str()), secret],
    );
    let folders = [(); 3].map(|()| TempDir::new().unwrap());
    let [one, two, new] = [&folders[0], &folders[1], &folders[2]];
    let (one, two) = (
        Server::start_with(one.path(), "", &named),
        Server::start_with(two.path(), "", &named),
    );
    one.register("alice", "secret").await;
    let token = one.log_in("alice", "secret").await;
    let new = Server::start_with(new.path(), "", &elsewhere);
    let statuses = [two.status_for(&token).await, new.status_for(&token).await];
    assert_eq!(statuses, [200, 401]);

    let all = keyward_with(folders[2].path(), "session close --all", &named, "").fine();
    assert!(all.contains("within a second"), "{all}");
    for server in [&one, &two] {
        let waited = server.time_until_refused(&token).await;
        assert!(waited < Duration::from_secs(1), "{waited:?}");
    }
    let fresh = two.log_in("alice", "secret").await;
    assert_eq!(one.status_for(&fresh).await, 200);
}
