//! Measures the commits of the store alone: each of 64 clients inserts a customer as soon as its previous one is on
//! disk. Prints rows a second. Usage: `raw-commits SECONDS WRITES_PER_COMMIT FOLDER`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use keyward_core::clock::Timestamp;
use keyward_core::customers::{Details, Store as _};
use keyward_store::sqlite::{Options, Sqlite};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng as _};
use tokio::task::JoinSet;

const CLIENTS: u64 = 64;

#[expect(clippy::print_stdout, reason = "a command-line tool")]
fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || {
        arguments
            .next()
            .context("usage: raw-commits SECONDS WRITES_PER_COMMIT FOLDER")
    };
    let span = Duration::from_secs(next()?.parse()?);
    let options = Options {
        writes_per_commit: next()?.parse()?,
        ..Options::default()
    };
    let path = PathBuf::from(next()?).join("rows.db");
    let store = Arc::new(Sqlite::open(&path, options)?);
    let started = Instant::now();
    let rows = tokio::runtime::Runtime::new()?.block_on(insert_until(&store, started + span))?;
    println!("{:.1}", f64::from(rows) / started.elapsed().as_secs_f64());
    Ok(())
}

/// A customer with a random date of birth, as in the load generator.
fn born_at_random(random: &mut impl RngExt) -> anyhow::Result<Details> {
    let (year, month, day) = (
        random.random_range(1940..=2018),
        random.random_range(1..=12),
        random.random_range(1..=28),
    );
    let born = format!("{year}-{month:02}-{day:02}");
    Ok(Details {
        name: "Ada Lovelace".into(),
        born: born.parse().context("a date")?,
        updated_at: Timestamp::from_seconds(1_594_212_949),
    })
}

async fn insert_until(store: &Arc<Sqlite>, end: Instant) -> anyhow::Result<u32> {
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let store = store.clone();
        let mut random = StdRng::seed_from_u64(client);
        clients.spawn(async move {
            let mut rows = 0;
            while Instant::now() < end {
                store.create_customer(born_at_random(&mut random)?).await?;
                rows += 1;
            }
            anyhow::Ok(rows)
        });
    }
    let mut rows = 0;
    while let Some(client) = clients.join_next().await {
        rows += client??;
    }
    Ok(rows)
}
