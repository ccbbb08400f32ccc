//! Measures how fast the machine hashes passwords: Argon2id, 19 MiB, t=2, p=1, on every core, with memory reused.
//! Prints hashes a second. Usage: `raw-argon2 SECONDS`.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use argon2::{Algorithm, Argon2, Block, Params, Version};

#[expect(clippy::print_stdout, reason = "a command-line tool")]
fn main() -> anyhow::Result<()> {
    let seconds = std::env::args()
        .nth(1)
        .context("usage: raw-argon2 SECONDS")?;
    let end = Instant::now() + Duration::from_secs(seconds.parse()?);
    let started = Instant::now();
    let threads = std::thread::available_parallelism()?.get();
    let threads: Vec<_> = (0..threads)
        .map(|_| std::thread::spawn(move || hash_until(end)))
        .collect();
    let mut hashes = 0;
    for thread in threads {
        hashes += thread.join().ok().context("a thread panicked")??;
    }
    println!("{:.2}", f64::from(hashes) / started.elapsed().as_secs_f64());
    Ok(())
}

fn hash_until(end: Instant) -> anyhow::Result<u32> {
    let params = Params::new(19_456, 2, 1, Some(32)).map_err(|error| anyhow::anyhow!("{error}"))?;
    let mut memory = vec![Block::default(); params.block_count()];
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let (mut hash, mut hashes) = ([0; 32], 0);
    while Instant::now() < end {
        hasher
            .hash_password_into_with_memory(
                b"password",
                b"sixteen bytes ..",
                &mut hash,
                &mut memory,
            )
            .map_err(|error| anyhow::anyhow!("{error}"))?;
        hashes += 1;
    }
    Ok(hashes)
}
