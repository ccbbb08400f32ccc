//! The Redis script that counts requests: one atomic step, by the clock of Redis, so that the clocks of the nodes do
//! not matter.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, ErrorKind, RedisResult, Script, ServerErrorKind};

const SOURCE: &str = include_str!("gcra.lua");
const MINUTE_MICROS: u32 = 60_000_000;

/// One bucket: its key and its rate.
#[derive(Debug)]
pub(super) struct Bucket {
    /// The key, without the prefix.
    pub(super) key: String,
    /// Requests a minute, which is also the size of a burst.
    pub(super) a_minute: NonZeroU32,
}

/// The script, and what is known about the Redis server that runs it.
pub(super) struct Gcra {
    script: Script,
    prefix: String,
    /// When Redis started to count, in microseconds of its clock; 0 while unknown.
    epoch: AtomicU64,
    flushes: AtomicU64,
}

impl Gcra {
    /// The script for keys that begin with `prefix`.
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            script: Script::new(SOURCE),
            prefix: prefix.to_owned(),
            epoch: AtomicU64::new(0),
            flushes: AtomicU64::new(0),
        }
    }

    /// Counts one request. Returns how long to wait, or zero if the request passes.
    pub(super) async fn count(
        &self,
        connection: &mut impl ConnectionLike,
        bucket: &Bucket,
    ) -> RedisResult<Duration> {
        let by_hash = self.command("EVALSHA", self.script.get_hash(), bucket);
        let answer = match by_hash.query_async(connection).await {
            // EVAL also caches the script. Between a LOAD and a second EVALSHA, Redis could be flushed.
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                let by_source = self.command("EVAL", SOURCE, bucket);
                by_source.query_async(connection).await
            }
            answer => answer,
        };
        let (wait, epoch) = answer?;
        self.note(epoch);
        Ok(Duration::from_micros(wait))
    }

    /// Tests all operations that counting needs, including writing, without using up any limit.
    pub(super) async fn probe(&self, connection: &mut impl ConnectionLike) -> RedisResult<()> {
        let bucket = Bucket {
            key: "probe".to_owned(),
            a_minute: NonZeroU32::MAX,
        };
        self.count(connection, &bucket).await.map(|_| ())
    }

    /// How often Redis was found to have lost its counts.
    pub(super) fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::Relaxed)
    }

    fn command(&self, name: &str, script: &str, bucket: &Bucket) -> Cmd {
        let Self { prefix, .. } = self;
        let mut command = redis::cmd(name);
        command
            .arg(script)
            .arg(2)
            .arg(format!("{prefix}{}", bucket.key))
            .arg(format!("{prefix}epoch"))
            .arg(MINUTE_MICROS.div_ceil(bucket.a_minute.get()))
            .arg(bucket.a_minute.get());
        command
    }

    /// Logs once that Redis lost its data. A response that arrives after a later one changes nothing.
    fn note(&self, epoch: u64) {
        let before = self.epoch.fetch_max(epoch, Ordering::Relaxed);
        if before != 0 && epoch > before {
            self.flushes.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(
                "Redis lost the shared rate limits and counts from zero; this node's own limits still hold"
            );
        }
    }
}
