//! Rate limits: token buckets by account and by network (GCRA). [`Limit`] lists them.
//!
//! Invariant: a request is counted before its work, in one atomic step, so a parallel burst gets no more than a
//! sequential one. Keys are hashed with a secret of the process and contain no name. If limits are shared, both this
//! server and Redis must allow a request.

mod list;
pub mod shared;
mod table;

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::{Quota, RateLimiter};
use keyward_core::accounts::Realm;
use keyward_core::clock::Clock;
use keyward_core::id::AccountId;
use keyward_core::metrics::{Metric, counter};
use keyward_core::tokens::Subject;
use metrics::Counter;

pub use self::list::{Limit, Policy, Scope};
use self::shared::Shared;
use self::table::Table;
use crate::address::networks;

/// The budget of an IPv6 /48, as a multiple of that of a /64. A /48 contains 65,536 networks of size /64.
const WIDE: u32 = 16;

/// What is measured of limits.
pub(crate) const EXCEEDED: Metric = counter(
    "keyward_limit_exceeded_total",
    &["limit"],
    "Requests refused by a rate limit.",
);

/// A limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests")]
pub struct Exceeded {
    /// The time until the next request would pass.
    pub retry_after: Duration,
}

/// The limiters of one server.
#[derive(Debug)]
pub struct Limits {
    /// In the order of [`Limit::ALL`].
    limiters: Vec<Limiter>,
    secret: RandomState,
    shared: Option<Shared>,
}

impl Limits {
    /// Limiters that all start with full buckets.
    #[must_use]
    pub fn new(policy: &Policy, clock: Arc<dyn Clock>) -> Self {
        let mut policy = policy.clone();
        let limiter = move |limit: &Limit| {
            let a_minute = if policy.enabled {
                *policy.rate(*limit)
            } else {
                0
            };
            let buckets = |a_minute| {
                NonZeroU32::new(a_minute)
                    .map(|a_minute| Buckets::new(a_minute, policy.table, &clock))
            };
            Limiter {
                narrow: buckets(a_minute),
                wide: match limit.scope() {
                    Scope::Account => None,
                    Scope::Network | Scope::NetworkHere => buckets(a_minute.saturating_mul(WIDE)),
                },
                exceeded: EXCEEDED.counter([limit.name()]),
            }
        };
        Self {
            limiters: Limit::ALL.iter().map(limiter).collect(),
            secret: RandomState::new(),
            shared: None,
        }
    }

    /// Shares these limits with all nodes that use the same Redis.
    ///
    /// The node's own limits are counted and enforced as well, so that a slow, flushed or unreachable Redis never fills
    /// a bucket again.
    #[must_use]
    pub fn shared_by(self, shared: Shared) -> Self {
        Self {
            shared: Some(shared),
            ..self
        }
    }

    /// The state of sharing; `None` if limits are not shared.
    #[must_use]
    pub fn shared(&self) -> Option<&Shared> {
        self.shared.as_ref()
    }

    /// Counts a request against `limit` under `key`. An address counts as its network: an IPv6 address as its /64 and
    /// also its /48.
    ///
    /// # Errors
    /// [`Exceeded`].
    pub async fn count<'k>(&self, limit: Limit, key: impl Into<Key<'k>>) -> Result<(), Exceeded> {
        let limiter = &self.limiters[limit as usize];
        let counted = self.charge_all(limit, limiter, key.into()).await;
        if counted.is_err() {
            limiter.exceeded.increment(1);
        }
        counted
    }

    async fn charge_all(
        &self,
        limit: Limit,
        limiter: &Limiter,
        key: Key<'_>,
    ) -> Result<(), Exceeded> {
        match key {
            Key::Address(address) => {
                let (narrow, wide) = networks(address);
                self.charge(limit, &limiter.narrow, &Key::Address(narrow))
                    .await?;
                match wide {
                    None => Ok(()),
                    Some(wide) => self.charge(limit, &limiter.wide, &Key::Address(wide)).await,
                }
            }
            key => self.charge(limit, &limiter.narrow, &key).await,
        }
    }

    async fn charge(
        &self,
        limit: Limit,
        buckets: &Option<Buckets>,
        key: &Key<'_>,
    ) -> Result<(), Exceeded> {
        let Some(buckets) = buckets else {
            return Ok(());
        };
        // Redis is asked first: if it refuses, the server's own bucket stays unchanged, and the time to wait comes from
        // Redis.
        if let Some(shared) = &self.shared
            && limit.scope() != Scope::NetworkHere
        {
            shared.count(limit.name(), buckets.a_minute, key).await?;
        }
        buckets.count(self.secret.hash_one(key))
    }
}

/// The key under which requests are counted.
#[derive(Clone, Copy, Debug)]
pub enum Key<'k> {
    /// A client's address.
    Address(IpAddr),
    /// An account, whichever name was used.
    Account(AccountId),
    /// A realm, and a canonical name in it.
    Name(Realm, &'k str),
    /// The account of a token.
    Subject(&'k Subject),
}

impl Hash for Key<'_> {
    /// Hashes an address, the key of anonymous requests, with one write to the hasher.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        match self {
            Self::Address(IpAddr::V4(address)) => {
                hasher.write_u128(address.to_ipv6_mapped().to_bits());
            }
            Self::Address(IpAddr::V6(address)) => hasher.write_u128(address.to_bits()),
            Self::Account(id) => (0, id).hash(hasher),
            Self::Name(realm, name) => (1, realm, name).hash(hasher),
            Self::Subject(subject) => (2, subject).hash(hasher),
        }
    }
}

impl From<IpAddr> for Key<'_> {
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}

impl From<AccountId> for Key<'_> {
    fn from(id: AccountId) -> Self {
        Self::Account(id)
    }
}

impl<'k> From<&'k Subject> for Key<'k> {
    fn from(subject: &'k Subject) -> Self {
        Self::Subject(subject)
    }
}

impl<'k> From<(Realm, &'k str)> for Key<'k> {
    fn from((realm, name): (Realm, &'k str)) -> Self {
        Self::Name(realm, name)
    }
}

/// The buckets of one limit; `None` if it is off.
#[derive(Debug)]
struct Limiter {
    /// By account, IPv4 address or IPv6 /64.
    narrow: Option<Buckets>,
    /// By IPv6 /48.
    wide: Option<Buckets>,
    exceeded: Counter,
}

struct Buckets {
    a_minute: NonZeroU32,
    local: RateLimiter<u64, Table, Time, NoOpMiddleware<Duration>>,
}

impl Buckets {
    fn new(a_minute: NonZeroU32, table: usize, clock: &Arc<dyn Clock>) -> Self {
        let quota = Quota::per_minute(a_minute);
        let period = u64::try_from(quota.replenish_interval().as_nanos()).unwrap_or(u64::MAX);
        let (table, time) = (Table::new(table, period), Time(Arc::clone(clock)));
        Self {
            a_minute,
            local: RateLimiter::new(quota, table, time),
        }
    }

    fn count(&self, key: u64) -> Result<(), Exceeded> {
        self.local.check_key(&key).map_err(|until| Exceeded {
            retry_after: until.wait_time_from(governor::clock::Clock::now(self.local.clock())),
        })
    }
}

impl fmt::Debug for Buckets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Buckets").finish_non_exhaustive()
    }
}

/// Keyward's clock for the limiter.
#[derive(Clone)]
struct Time(Arc<dyn Clock>);

impl governor::clock::Clock for Time {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.monotonic()
    }
}

#[cfg(test)]
mod tests;
