//! Limits that all nodes share, counted on Redis.
//!
//! Invariant: Redis only makes a limit stricter than on one node alone. If it is slow, flushed or unreachable, each
//! node counts alone. Nothing but limits depends on Redis. Keys are hashed with a secret and expire.

mod gcra;
mod link;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keyward_jose::{Algorithm, HmacKey, hmac};
use tokio::task::JoinSet;

use self::gcra::{Bucket, Gcra};
pub use self::link::CallError;
use self::link::Link;
use super::{Exceeded, Key};

/// How long a request waits for Redis by default.
pub const DEADLINE: Duration = Duration::from_millis(50);
/// The default prefix of all keys in Redis.
pub const PREFIX: &str = "keyward:limit:";

/// The settings of shared limits.
#[derive(Clone, Copy)]
pub struct Settings<'a> {
    /// `redis://`, `rediss://` (TLS) or `redis+unix://`, with user, password and database number as needed.
    pub url: &'a str,
    /// The secret of the nodes, unknown to Redis: at least 32 bytes, the same on all nodes.
    pub secret: &'a [u8],
    /// The prefix of the keys, the same on all nodes.
    pub prefix: &'a str,
    /// How long a request waits for Redis.
    pub deadline: Duration,
}

impl<'a> Settings<'a> {
    /// The Redis at `url` with the default prefix and deadline.
    #[must_use]
    pub const fn new(url: &'a str, secret: &'a [u8]) -> Self {
        Self {
            url,
            secret,
            prefix: PREFIX,
            deadline: DEADLINE,
        }
    }
}

impl fmt::Debug for Settings<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a password.
        formatter
            .debug_struct("Settings")
            .field("prefix", &self.prefix)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// An error of the settings of shared limits. No message repeats the URL, which may contain a password.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The text is not the URL of a Redis server.
    #[error("not the URL of a Redis server")]
    Url(#[from] redis::RedisError),
    /// The secret is too short.
    #[error("the secret of the shared limits cannot be used")]
    Secret(#[from] hmac::Error),
}

/// Connects once to the Redis at `url`, and tests whether it can count. The outer error is that of the URL.
///
/// # Errors
/// [`Error::Url`], and why it cannot count.
pub async fn check(url: &str) -> Result<Result<(), CallError>, Error> {
    let client = redis::Client::open(url)?;
    let link = Link::new(client, Gcra::new(PREFIX), link::CONNECT);
    Ok(link.connect().await.map(drop))
}

/// Counts since the start, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Whether Redis is reachable.
    pub up: bool,
    /// The number of requests counted on this node alone.
    pub fallbacks: u64,
    /// How often Redis became unreachable.
    pub outages: u64,
    /// How often Redis was found to have lost its counts.
    pub flushes: u64,
}

/// The shared limits on this node. It connects to Redis, and reconnects, until it is dropped.
pub struct Shared {
    link: Arc<Link>,
    key: HmacKey,
    fallbacks: AtomicU64,
    _keeper: JoinSet<()>,
}

impl Shared {
    /// Starts to connect to Redis in the background. Redis may become reachable later.
    ///
    /// # Errors
    /// [`Error`] for invalid settings.
    ///
    /// # Panics
    /// If called outside a Tokio runtime.
    pub fn start(settings: &Settings<'_>) -> Result<Self, Error> {
        let client = redis::Client::open(settings.url)?;
        let key = HmacKey::new(Algorithm::HS256, settings.secret)?;
        let gcra = Gcra::new(settings.prefix);
        let link = Arc::new(Link::new(client, gcra, settings.deadline));
        let mut keeper = JoinSet::new();
        let kept = Arc::clone(&link);
        keeper.spawn(async move { kept.keep().await });
        Ok(Self {
            link,
            key,
            fallbacks: AtomicU64::new(0),
            _keeper: keeper,
        })
    }

    /// The counts since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            up: self.link.is_up(),
            fallbacks: self.fallbacks.load(Ordering::Relaxed),
            outages: self.link.outages(),
            flushes: self.link.gcra.flushes(),
        }
    }

    /// Counts a request under `key` on Redis. Passes if Redis does not respond, so that only the node's own limit
    /// counts.
    pub(super) async fn count(
        &self,
        limit: &str,
        a_minute: NonZeroU32,
        key: &Key<'_>,
    ) -> Result<(), Exceeded> {
        let key = self.hashed(limit, a_minute, key);
        match self.link.count(&Bucket { key, a_minute }).await {
            Some(Duration::ZERO) => Ok(()),
            Some(retry_after) => Err(Exceeded { retry_after }),
            None => {
                self.fallbacks.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    /// The name of the limit and 128 bits that reveal nothing about the key without the secret.
    fn hashed(&self, limit: &str, a_minute: NonZeroU32, key: &Key<'_>) -> String {
        let message = match key {
            // For an IPv6 address that ends in zeros, the budget distinguishes the /48 from the /64.
            Key::Address(address) => format!("{limit} {a_minute} {address}"),
            // No realm has this name.
            Key::Account(id) => format!("{limit} account {id}"),
            Key::Name(realm, name) => format!("{limit} {} {name}", realm.name()),
            Key::Subject(subject) => format!("{limit} {} {subject}", subject.realm().name()),
        };
        let tag = self.key.sign(message.as_bytes());
        let bits = tag.as_ref().iter().take(16);
        let hash = bits.fold(0_u128, |hash, byte| hash << 8 | u128::from(*byte));
        format!("{limit}:{hash:032x}")
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Shared")
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod proxy;
#[cfg(test)]
mod tests;
