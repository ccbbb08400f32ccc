//! How often things may be asked: token buckets by account and by address (GCRA).
//!
//! A request is counted before its work is done, in one atomic step, so a burst in parallel passes no
//! more than one in sequence. Keys are hashed with a secret of the process and hold no name.
//! Where limits are shared, a request passes when both this node and all nodes together allow it.

pub(crate) mod logins;
pub mod shared;
mod table;

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::{Quota, RateLimiter};
use keyward_core::clock::Clock;
use keyward_core::id::AccountId;

use self::shared::Shared;
use self::table::Table;
use crate::address::counted;

/// The limits, each in requests a minute with a burst of the same size; 0 switches one off.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whether anything is limited at all.
    pub enabled: bool,
    /// Logins to one account, by whichever of its names, or under one name that is nobody's.
    pub logins_per_account: u32,
    /// Logins from one address.
    pub logins_per_address: u32,
    /// Sign-ups from one address.
    pub sign_ups_per_address: u32,
    /// Sign-ups under one account name.
    pub sign_ups_per_account_name: u32,
    /// Calls of the vector generator by one account.
    pub arrays_per_account: u32,
    /// Calls of the other guarded paths by one account.
    pub guarded_per_account: u32,
    /// Refreshes from one address.
    pub refreshes_per_address: u32,
    /// Keys that one limiter remembers; further ones share buckets.
    pub table: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            enabled: true,
            logins_per_account: 10,
            logins_per_address: 60,
            sign_ups_per_address: 20,
            sign_ups_per_account_name: 20,
            arrays_per_account: 120,
            guarded_per_account: 3_000,
            refreshes_per_address: 600,
            table: 100_000,
        }
    }
}

/// A limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests")]
pub struct Exceeded {
    /// How long until the next request would pass.
    pub retry_after: Duration,
}

/// The limiters of one server. The methods are asynchronous so that what counts may be elsewhere.
#[derive(Debug)]
pub struct Limits {
    logins_to: Limiter,
    logins_from: Limiter,
    sign_ups_from: Limiter,
    sign_ups_as: Limiter,
    arrays: Limiter,
    guarded: Limiter,
    refreshes: Limiter,
    secret: RandomState,
    shared: Option<Shared>,
}

impl Limits {
    /// Limiters that all start with full buckets.
    #[must_use]
    pub fn new(policy: &Policy, clock: Arc<dyn Clock>) -> Self {
        let limiter = move |name, a_minute: u32| {
            let a_minute = if policy.enabled { a_minute } else { 0 };
            Limiter::new(name, a_minute, policy.table, &clock)
        };
        Self {
            logins_to: limiter("logins_to", policy.logins_per_account),
            logins_from: limiter("logins_from", policy.logins_per_address),
            sign_ups_from: limiter("sign_ups_from", policy.sign_ups_per_address),
            sign_ups_as: limiter("sign_ups_as", policy.sign_ups_per_account_name),
            arrays: limiter("arrays", policy.arrays_per_account),
            guarded: limiter("guarded", policy.guarded_per_account),
            refreshes: limiter("refreshes", policy.refreshes_per_address),
            secret: RandomState::new(),
            shared: None,
        }
    }

    /// These limits, shared with all nodes that count on the same Redis.
    ///
    /// The node's own limits are charged beside the shared ones and keep their say, so that no bucket
    /// is full again because Redis is slow, flushed or gone.
    #[must_use]
    pub fn shared_by(self, shared: Shared) -> Self {
        Self {
            shared: Some(shared),
            ..self
        }
    }

    /// How sharing goes; `None` where limits are not shared.
    #[must_use]
    pub fn shared(&self) -> Option<&Shared> {
        self.shared.as_ref()
    }

    /// Counts a login from `address`.
    ///
    /// # Errors
    /// [`Exceeded`], like all methods here.
    pub async fn login_from(&self, address: IpAddr) -> Result<(), Exceeded> {
        self.count(&self.logins_from, &Key::Address(counted(address)))
            .await
    }

    /// Counts a login to an account, by whichever of its names.
    ///
    /// # Errors
    /// [`Exceeded`].
    pub async fn login_to_account(&self, id: AccountId) -> Result<(), Exceeded> {
        let id = id.to_string();
        // No realm is called so.
        self.count(&self.logins_to, &Key::Name("account", &id))
            .await
    }

    /// Counts a login to nobody: under `name_key`, the canonical form of a name that no account of `realm` has.
    ///
    /// # Errors
    /// [`Exceeded`].
    pub async fn login_to(&self, realm: &str, name_key: &str) -> Result<(), Exceeded> {
        self.count(&self.logins_to, &Key::Name(realm, name_key))
            .await
    }

    /// Counts a sign-up from `address`.
    ///
    /// # Errors
    /// [`Exceeded`].
    pub async fn sign_up_from(&self, address: IpAddr) -> Result<(), Exceeded> {
        self.count(&self.sign_ups_from, &Key::Address(counted(address)))
            .await
    }

    /// Counts a sign-up under the canonical name `name_key` in `realm`.
    ///
    /// # Errors
    /// [`Exceeded`].
    pub async fn sign_up_as(&self, realm: &str, name_key: &str) -> Result<(), Exceeded> {
        self.count(&self.sign_ups_as, &Key::Name(realm, name_key))
            .await
    }

    /// Counts a call of the vector generator by the account `subject` of `realm`.
    ///
    /// # Errors
    /// [`Exceeded`].
    pub async fn array_by(&self, realm: &str, subject: &str) -> Result<(), Exceeded> {
        self.count(&self.arrays, &Key::Name(realm, subject)).await
    }

    /// Counts a call of any other guarded path by the account `subject` of `realm`.
    ///
    /// # Errors
    /// [`Exceeded`].
    pub async fn guarded_by(&self, realm: &str, subject: &str) -> Result<(), Exceeded> {
        self.count(&self.guarded, &Key::Name(realm, subject)).await
    }

    /// Counts a refresh from `address`.
    ///
    /// # Errors
    /// [`Exceeded`].
    pub async fn refresh_from(&self, address: IpAddr) -> Result<(), Exceeded> {
        self.count(&self.refreshes, &Key::Address(counted(address)))
            .await
    }

    async fn count(&self, limiter: &Limiter, key: &Key<'_>) -> Result<(), Exceeded> {
        let Some(buckets) = &limiter.buckets else {
            return Ok(());
        };
        // Redis first: its refusals leave the node's own bucket as it is, and know the time to wait.
        if let Some(shared) = &self.shared {
            shared.count(limiter.name, buckets.a_minute, key).await?;
        }
        buckets.count(self.secret.hash_one(key))
    }
}

/// What requests are counted by.
#[derive(Hash)]
enum Key<'a> {
    /// A network, from [`counted`].
    Address(IpAddr),
    /// A realm, and a canonical name or a subject in it.
    Name(&'a str, &'a str),
}

/// One limit, or none.
#[derive(Debug)]
struct Limiter {
    /// What nodes call it among themselves.
    name: &'static str,
    buckets: Option<Buckets>,
}

impl Limiter {
    fn new(name: &'static str, a_minute: u32, table: usize, clock: &Arc<dyn Clock>) -> Self {
        let buckets = NonZeroU32::new(a_minute).map(|a_minute| {
            let quota = Quota::per_minute(a_minute);
            let period = u64::try_from(quota.replenish_interval().as_nanos()).unwrap_or(u64::MAX);
            let (table, time) = (Table::new(table, period), Time(Arc::clone(clock)));
            Buckets {
                a_minute,
                local: RateLimiter::new(quota, table, time),
            }
        });
        Self { name, buckets }
    }
}

struct Buckets {
    a_minute: NonZeroU32,
    local: RateLimiter<u64, Table, Time, NoOpMiddleware<Duration>>,
}

impl Buckets {
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

/// Keyward's clock as the limiter's.
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
