//! Limits that all nodes share, counted on Redis.
//!
//! Redis can only make a limit tighter than it is on one node alone: slow, flushed or gone, it is done
//! without. Nothing but limits depends on it. Keys are hashed with a secret and expire by themselves.

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
use self::link::Link;
use super::{Exceeded, Key};

/// How long a request waits for Redis, unless told otherwise.
pub const DEADLINE: Duration = Duration::from_millis(50);
/// What all keys in Redis begin with, unless told otherwise.
pub const PREFIX: &str = "keyward:limit:";

/// Where limits are shared, and how.
#[derive(Clone, Copy)]
pub struct Settings<'a> {
    /// `redis://`, `rediss://` (TLS) or `redis+unix://`, with user, password and database number as needed.
    pub url: &'a str,
    /// What the nodes know and Redis does not: 32 bytes at least, the same for all.
    pub secret: &'a [u8],
    /// What the keys begin with: the same for all nodes.
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

/// What has happened since the start: for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Whether Redis counts.
    pub up: bool,
    /// Requests that were counted on this node alone.
    pub fallbacks: u64,
    /// How often Redis went away.
    pub outages: u64,
    /// How often Redis was found to have lost what it had counted.
    pub flushes: u64,
}

/// This node's part in the limits of all nodes. It tries to reach Redis until it is dropped.
pub struct Shared {
    link: Arc<Link>,
    key: HmacKey,
    fallbacks: AtomicU64,
    _keeper: JoinSet<()>,
}

impl Shared {
    /// Begins to reach Redis, and waits for nothing: it may as well come later.
    ///
    /// # Errors
    /// [`Error`] for settings that can never work.
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
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

    /// What has happened since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            up: self.link.is_up(),
            fallbacks: self.fallbacks.load(Ordering::Relaxed),
            outages: self.link.outages(),
            flushes: self.link.gcra.flushes(),
        }
    }

    /// Counts a request under `key` on Redis; one that Redis does not answer for passes here.
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

    /// The limit's name and 128 bits that say nothing about the key to one without the secret.
    fn hashed(&self, limit: &str, a_minute: NonZeroU32, key: &Key<'_>) -> String {
        let message = match key {
            // Of an IPv6 address with zeros at its end, the budget tells the /48 from the /64.
            Key::Address(address) => format!("{limit} {a_minute} {address}"),
            // No realm is called so.
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
