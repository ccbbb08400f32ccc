//! Two servers that count their limits together in one Redis.

use std::io::Write;

use tempfile::TempDir;

use crate::postgres::Database;
use crate::server::{Server, keyward_with};

/// Two servers on one database with an account, which has a username and an address; nothing where no Redis or no
/// PostgreSQL is given.
#[expect(
    clippy::disallowed_methods,
    reason = "where a Redis is, is the environment's to say"
)]
async fn two_servers() -> Option<(Database, [(TempDir, Server); 2])> {
    let Ok(redis) = std::env::var("KEYWARD_TEST_REDIS") else {
        let mut stderr = std::io::stderr();
        writeln!(
            stderr,
            "skipped: shared limits: KEYWARD_TEST_REDIS is not set"
        )
        .unwrap();
        return None;
    };
    let database = Database::create().await?;
    let url = database.url();
    let env = [
        ("KEYWARD_LIMITS__ENABLED", "true"),
        ("KEYWARD_LIMITS__REDIS", redis.as_str()),
        ("KEYWARD_DATABASE", url.as_str()),
    ];
    let folder = TempDir::new().unwrap();
    let add = "account add --username ada --email ada@x.org --generate-password";
    keyward_with(folder.path(), add, &env, "").fine();
    let servers = [(), ()].map(|()| {
        let folder = TempDir::new().unwrap();
        let server = Server::start_with(folder.path(), "", &env);
        (folder, server)
    });
    Some((database, servers))
}

/// How many logins under these names, in turn on one server and the other, get through.
async fn tried(servers: &[(TempDir, Server); 2], names: &[&str]) -> usize {
    // The link to Redis is made beside the start, so the first counts may stay with their server.
    let mut statuses = Vec::new();
    for attempt in 0..40 {
        let (_, server) = &servers[attempt % 2];
        let name = names[attempt / 2 % names.len()];
        let answer = server.try_log_in(name, "wrong").await;
        statuses.push(answer.status().as_u16());
        if statuses.iter().filter(|status| **status == 401).count() > 19 {
            break;
        }
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    statuses.iter().filter(|status| **status == 401).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_with_one_redis_have_one_budget_of_logins() {
    let Some((_database, servers)) = two_servers().await else {
        return;
    };
    let tried = tried(&servers, &["somebody"]).await;
    assert!(
        (10..19).contains(&tried),
        "each server counts alone: {tried}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_two_names_of_an_account_have_one_budget_on_both_servers() {
    let Some((_database, servers)) = two_servers().await else {
        return;
    };
    let tried = tried(&servers, &["ada", "ada@x.org"]).await;
    assert!((10..19).contains(&tried), "each name counts alone: {tried}");
}
