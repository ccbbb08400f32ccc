//! Two servers that count their limits together in one Redis.

use std::io::Write;

use tempfile::TempDir;

use crate::server::Server;

#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "where a Redis is, is the environment's to say"
)]
async fn two_servers_with_one_redis_have_one_budget_of_logins() {
    let Ok(redis) = std::env::var("KEYWARD_TEST_REDIS") else {
        let mut stderr = std::io::stderr();
        writeln!(
            stderr,
            "skipped: shared limits: KEYWARD_TEST_REDIS is not set"
        )
        .unwrap();
        return;
    };
    let secret = format!("{:064x}", rand::random::<u128>());
    let env = [
        ("KEYWARD_LIMITS__ENABLED", "true"),
        ("KEYWARD_LIMITS__REDIS", redis.as_str()),
        ("JWT_SECRET", secret.as_str()),
    ];
    let folders = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let servers = folders
        .each_ref()
        .map(|folder| Server::start_with(folder.path(), "", &env));
    // The link to Redis is made beside the start, so the first counts may stay with their server.
    let mut statuses = Vec::new();
    for attempt in 0..40 {
        let answer = servers[attempt % 2].try_log_in("somebody", "wrong").await;
        statuses.push(answer.status().as_u16());
        if statuses.iter().filter(|status| **status == 401).count() > 19 {
            break;
        }
    }
    let tried = statuses.iter().filter(|status| **status == 401).count();
    assert!(statuses.contains(&429), "{statuses:?}");
    assert!(
        (10..19).contains(&tried),
        "each server has counted alone: {statuses:?}"
    );
}
