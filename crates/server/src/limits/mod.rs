//! How often things may be asked: token buckets by account and by address (GCRA).
//!
//! A request is counted before its work is done, in one atomic step, so a burst in parallel passes no
//! more than one in sequence. Keys are hashed with a secret of the process and hold no name.

mod table;

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::{Quota, RateLimiter};
use keyward_core::clock::Clock;

use self::table::Table;
use crate::address::counted;

/// The limits, each in requests a minute with a burst of the same size; 0 switches one off.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Whether anything is limited at all.
    pub enabled: bool,
    /// Logins to one account name.
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

impl Exceeded {
    /// The value of `Retry-After`: whole seconds, rounded up, at least one (RFC 9110 §10.2.3).
    #[must_use]
    pub fn retry_after_seconds(&self) -> u64 {
        let part = u64::from(self.retry_after.subsec_nanos() > 0);
        (self.retry_after.as_secs() + part).max(1)
    }
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
}

impl Limits {
    /// Limiters that all start with full buckets.
    #[must_use]
    pub fn new(policy: &Policy, clock: Arc<dyn Clock>) -> Self {
        let limiter = move |a_minute: u32| {
            let a_minute = if policy.enabled { a_minute } else { 0 };
            Limiter::new(a_minute, policy.table, Arc::clone(&clock))
        };
        Self {
            logins_to: limiter(policy.logins_per_account),
            logins_from: limiter(policy.logins_per_address),
            sign_ups_from: limiter(policy.sign_ups_per_address),
            sign_ups_as: limiter(policy.sign_ups_per_account_name),
            arrays: limiter(policy.arrays_per_account),
            guarded: limiter(policy.guarded_per_account),
            refreshes: limiter(policy.refreshes_per_address),
            secret: RandomState::new(),
        }
    }

    /// Counts a login from `address`.
    ///
    /// # Errors
    /// [`Exceeded`], like all methods here.
    pub async fn login_from(&self, address: IpAddr) -> Result<(), Exceeded> {
        self.count(&self.logins_from, counted(address))
    }

    /// Counts a login to the account that `name_key`, the canonical form of a name, stands for in `realm`.
    ///
    /// # Errors
    /// [`Exceeded`].
    pub async fn login_to(&self, realm: &str, name_key: &str) -> Result<(), Exceeded> {
        self.count(&self.logins_to, (realm, name_key))
    }

    /// Counts a sign-up from `address`.
    ///
    /// # Errors
    /// [`Exceeded`].
    pub async fn sign_up_from(&self, address: IpAddr) -> Result<(), Exceeded> {
        self.count(&self.sign_ups_from, counted(address))
    }

    /// Counts a sign-up under the canonical name `name_key` in `realm`.
    ///
    /// # Errors
    /// [`Exceeded`].
    pub async fn sign_up_as(&self, realm: &str, name_key: &str) -> Result<(), Exceeded> {
        self.count(&self.sign_ups_as, (realm, name_key))
    }

    /// Counts a call of the vector generator by the account `subject` of `realm`.
    ///
    /// # Errors
    /// [`Exceeded`].
    pub async fn array_by(&self, realm: &str, subject: &str) -> Result<(), Exceeded> {
        self.count(&self.arrays, (realm, subject))
    }

    /// Counts a call of any other guarded path by the account `subject` of `realm`.
    ///
    /// # Errors
    /// [`Exceeded`].
    pub async fn guarded_by(&self, realm: &str, subject: &str) -> Result<(), Exceeded> {
        self.count(&self.guarded, (realm, subject))
    }

    /// Counts a refresh from `address`.
    ///
    /// # Errors
    /// [`Exceeded`].
    pub async fn refresh_from(&self, address: IpAddr) -> Result<(), Exceeded> {
        self.count(&self.refreshes, counted(address))
    }

    fn count(&self, limiter: &Limiter, key: impl Hash) -> Result<(), Exceeded> {
        match &limiter.0 {
            Some(buckets) => buckets.count(self.secret.hash_one(key)),
            None => Ok(()),
        }
    }
}

/// One limit, or none.
#[derive(Debug)]
struct Limiter(Option<Buckets>);

impl Limiter {
    fn new(a_minute: u32, table: usize, clock: Arc<dyn Clock>) -> Self {
        Self(NonZeroU32::new(a_minute).map(|a_minute| {
            let quota = Quota::per_minute(a_minute);
            let period = u64::try_from(quota.replenish_interval().as_nanos()).unwrap_or(u64::MAX);
            Buckets(RateLimiter::new(
                quota,
                Table::new(table, period),
                Time(clock),
            ))
        }))
    }
}

struct Buckets(RateLimiter<u64, Table, Time, NoOpMiddleware<Duration>>);

impl Buckets {
    fn count(&self, key: u64) -> Result<(), Exceeded> {
        self.0.check_key(&key).map_err(|until| Exceeded {
            retry_after: until.wait_time_from(governor::clock::Clock::now(self.0.clock())),
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
