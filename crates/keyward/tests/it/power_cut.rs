//! Power cuts in the midst of the load of `crash`: the server starts on what was durable, by itself, and what was
//! acknowledged is there.
//!
//! It fails on a build with `synchronous=NORMAL`, on one that does not sync a file, or its folder after the
//! rename, or the folder that holds that, and on one that answers before the commit. Of these `crash` sees the
//! last alone.

use std::fs;
use std::path::Path;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;

use crate::crash::{leftovers, repeated};
use crate::disk::Disk;
use crate::load::{Ledger, Load, check};
use crate::server::Server;

/// What reaches the disk unsynced: names in order or not at all, and torn data or none.
const MODES: [(&str, &str); 4] = [
    ("ordered", "cut"),
    ("strict", "cut"),
    ("ordered", "torn"),
    ("strict", "torn"),
];

#[tokio::test]
async fn nothing_acknowledged_is_lost_to_a_power_cut() {
    // In turn in each mode.
    let cuts = repeated("KEYWARD_POWER_CUTS", 8);
    let home = TempDir::new().expect("folder");
    let mut random = StdRng::seed_from_u64(230);
    let mut ledgers: Vec<Ledger> = Vec::new();
    for (round, (order, cut)) in (0..cuts).zip(MODES.into_iter().cycle()) {
        let [before, after] =
            [round, round + 1].map(|disk| home.path().join(format!("disk{disk}")));
        let mount = home.path().join("mount");
        let Some(disk) = Disk::mount(&before, &mount, order, round) else {
            return;
        };
        let server = start(home.path(), &mount);
        let mut load = Load::start(&server, round).await;
        load.reach(random.random_range(0..60)).await;
        load.allow_failures();
        disk.command(&format!("{cut} {} 0.5", after.display()));
        server.kill();
        drop(disk);
        fs::remove_dir_all(before).expect("an end of what was not durable");

        let server = start(home.path(), &after);
        for mut ledger in load.ledgers().await {
            check(&server, &mut ledger).await;
            ledgers.push(ledger);
        }
        assert_eq!(leftovers(&after.join("data")), 0, "a half file was left");
        server.kill();
    }
    let server = start(home.path(), &home.path().join(format!("disk{cuts}")));
    for ledger in &mut ledgers {
        check(&server, ledger).await;
    }
    let acknowledged: u64 = ledgers.iter().map(|ledger| ledger.acknowledged).sum();
    println!("power cuts: {cuts}, acknowledged {acknowledged}, lost 0");
}

fn start(home: &Path, disk: &Path) -> Server {
    let data = disk.join("data");
    Server::start_with(home, &format!("--data-dir {}", data.display()), &[])
}
