//! `kill -9` in the midst of sign-ups, customers' writes, refreshes, logouts and uploads: what was acknowledged
//! is there afterwards, and no half file is visible.
//!
//! A kill leaves the operating system's cache as it was, so a build that answers between the write and the sync
//! of a commit passes here and fails only in `power_cut`; one that answers before the commit fails here too.

use std::path::Path;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;

use crate::load::{Load, check};
use crate::server::Server;

#[tokio::test]
async fn nothing_acknowledged_is_lost_to_kill_9() {
    let folder = TempDir::new().expect("folder");
    let mut random = StdRng::seed_from_u64(9);
    let mut ledgers = Vec::new();
    let kills = repeated("KEYWARD_KILLS", 20);
    for round in 0..kills {
        let server = Server::start(folder.path());
        let mut load = Load::start(&server, round).await;
        load.reach(random.random_range(20..200)).await;
        server.kill();
        let server = Server::start(folder.path());
        for mut ledger in load.ledgers().await {
            check(&server, &mut ledger).await;
            ledgers.push(ledger);
        }
        let data = folder.path().join("keyward-data");
        assert_eq!(leftovers(&data), 0, "a half file was left");
        server.kill();
    }
    let server = Server::start(folder.path());
    for ledger in &mut ledgers {
        check(&server, ledger).await;
    }
    let acknowledged: u64 = ledgers.iter().map(|ledger| ledger.acknowledged).sum();
    println!("kill -9: {kills} rounds, acknowledged {acknowledged}, lost 0");
}

/// How often something is repeated: what the variable says, for a long run, or `usually`.
pub(crate) fn repeated(variable: &str, usually: u64) -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test's own setting, for a long run"
    )]
    let wanted = std::env::var(variable);
    wanted.map_or(usually, |wanted| wanted.parse().expect("a number"))
}

/// How many unfinished files there are in a data folder.
pub(crate) fn leftovers(data: &Path) -> usize {
    std::fs::read_dir(data.join("files/tmp")).map_or(0, Iterator::count)
}
