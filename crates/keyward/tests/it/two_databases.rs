//! Two databases that are in use at the same time under one key: neither takes the tokens of the other.

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::postgres::Database;
use crate::server::Server;

const SECRET: (&str, &str) = (
    "JWT_SECRET",
    "a secret of the settings, of 48 bytes and more!",
);

/// Tokens of one account, whose id is the same on each server.
struct Issued {
    access: Vec<String>,
    refresh: String,
    client: String,
}

async fn sign_up(server: &Server) {
    server.register("ada", "pw").await;
    let body = json!({"username": "cleo", "password": "pw"});
    let signed_up = server.post("/client/signup").json(&body).send().await;
    assert_eq!(signed_up.expect("an answer").status(), 201);
}

async fn log_in(server: &Server) -> Issued {
    let body = json!({"username": "ada", "password": "pw"});
    let login = server.post("/api/v1/authentication/login").json(&body);
    let pair: Value = login
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    let token = |name: &str| pair[name].as_str().expect("a token").to_owned();
    let body = json!({"username": "cleo", "password": "pw"});
    let client = server.post("/client/login").json(&body).send().await;
    Issued {
        access: vec![token("access_token"), server.log_in("ada", "pw").await],
        refresh: token("refresh_token"),
        client: client.expect("an answer").text().await.expect("a token"),
    }
}

/// What a server answers to each of them. The refresh token comes last, since it is used.
async fn statuses(server: &Server, issued: &Issued) -> Vec<u16> {
    let mut statuses = Vec::new();
    for token in &issued.access {
        statuses.push(server.status_for(token).await);
    }
    let files = server
        .get("/client/files/nobody")
        .bearer_auth(&issued.client);
    let refresh = server.post("/api/v1/authentication/refresh");
    for request in [files, refresh.bearer_auth(&issued.refresh)] {
        statuses.push(request.send().await.expect("an answer").status().as_u16());
    }
    statuses
}

async fn neither_takes_the_tokens_of_the_other(one: &Server, two: &Server) {
    for server in [one, two] {
        sign_up(server).await;
    }
    // Both were there before any of these was issued.
    let (of_one, of_two) = (log_in(one).await, log_in(two).await);
    assert_eq!(statuses(one, &of_two).await, [401; 4]);
    assert_eq!(statuses(two, &of_one).await, [401; 4]);
    // The operator whose files are asked for does not exist.
    assert_eq!(statuses(one, &of_one).await, [200, 200, 404, 200]);
    assert_eq!(statuses(two, &of_two).await, [200, 200, 404, 200]);
}

#[tokio::test]
async fn two_folders_under_one_key_do_not_take_each_others_tokens() {
    let folders = [(); 2].map(|()| TempDir::new().expect("a folder"));
    let servers = folders
        .each_ref()
        .map(|folder| Server::start_with(folder.path(), "", &[SECRET]));
    neither_takes_the_tokens_of_the_other(&servers[0], &servers[1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_schemas_under_one_key_do_not_take_each_others_tokens() {
    let Some(database) = Database::create().await else {
        return;
    };
    let sql = "CREATE SCHEMA other";
    let created = database.client().await.batch_execute(sql).await;
    created.expect("a schema");
    let folders = [(); 2].map(|()| TempDir::new().expect("a folder"));
    let other = format!("{}&options=-csearch_path%3Dother", database.url());
    let start = |folder: &TempDir, url: &str| {
        Server::start_with(folder.path(), "", &[SECRET, ("KEYWARD_DATABASE", url)])
    };
    let (one, two) = (
        start(&folders[0], &database.url()),
        start(&folders[1], &other),
    );
    neither_takes_the_tokens_of_the_other(&one, &two).await;
}
