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

const ROUNDS: u64 = 20;

#[tokio::test]
async fn nothing_acknowledged_is_lost_to_kill_9() {
    let folder = TempDir::new().expect("folder");
    let mut random = StdRng::seed_from_u64(9);
    let mut ledgers = Vec::new();
    for round in 0..ROUNDS {
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
    println!("kill -9: {ROUNDS} rounds, {acknowledged} effects acknowledged, 0 lost");
}

/// How many unfinished files there are in a data folder.
pub(crate) fn leftovers(data: &Path) -> usize {
    std::fs::read_dir(data.join("files/tmp")).map_or(0, Iterator::count)
}
