//! The program on PostgreSQL: the main paths of a server and of the commands beside it.

use std::time::Duration;

use serde_json::Value;
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
    assert!(!second.path().join("keyward-data/keys").exists());
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

/// Lets a database say what this one cannot be made to be: a function before PostgreSQL's own of that name.
const SAYS: &str = "
    CREATE SCHEMA says;
    CREATE FUNCTION says.current_setting(asked TEXT) RETURNS TEXT LANGUAGE plpgsql AS $$ BEGIN
        IF asked = 'fsync' THEN RETURN 'off'; END IF;
        IF asked = 'full_page_writes' THEN
            RAISE undefined_object USING MESSAGE = 'unrecognized configuration parameter';
        END IF;
        RETURN pg_catalog.current_setting(asked); END $$";

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_a_database_that_a_power_cut_would_break() {
    let Some(database) = Database::create().await else {
        return;
    };
    database.client().await.batch_execute(SAYS).await.unwrap();
    let folder = TempDir::new().unwrap();
    let examine = |url: &str| -> (i32, Vec<Value>) {
        let named = [("KEYWARD_DATABASE", url)];
        let Ended { code, stdout, .. } = keyward_with(folder.path(), "doctor --json", &named, "");
        (code, serde_json::from_str(&stdout).unwrap())
    };
    let level = |findings: &[Value], check: &str| {
        let found = findings.iter().find(|finding| finding["check"] == check);
        let found = found.unwrap_or_else(|| panic!("no check {check} in {findings:?}"));
        assert_eq!(found["level"] != "ok", found["advice"].is_string());
        found["level"].as_str().unwrap().to_owned()
    };
    drop(Server::start_with(
        folder.path(),
        "",
        &[("KEYWARD_DATABASE", database.url().as_str())],
    ));
    let (_, findings) = examine(&database.url());
    // As they are on the server of the tests, whichever that is.
    let client = database.client().await;
    for setting in ["fsync", "full_page_writes"] {
        let row = client.query_one(&format!("SHOW {setting}"), &[]).await;
        let expected = match row.unwrap().get::<_, &str>(0) {
            "off" => "fail",
            _ => "ok",
        };
        assert_eq!(level(&findings, setting), expected, "{findings:?}");
    }
    for check in ["database", "synchronous_commit"] {
        assert_eq!(level(&findings, check), "ok", "{findings:?}");
    }

    let lying = format!(
        "{}&options=-csearch_path%3Dsays%2Cpg_catalog",
        database.url()
    );
    let (code, findings) = examine(&lying);
    assert_eq!((code, level(&findings, "fsync").as_str()), (1, "fail"));
    assert_eq!(level(&findings, "full_page_writes"), "warn");
    let (code, findings) = examine("postgres://u:hunter2@127.0.0.1:1/d");
    assert_eq!((code, level(&findings, "database").as_str()), (1, "fail"));
    assert!(!format!("{findings:?}").contains("hunter2"));
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
