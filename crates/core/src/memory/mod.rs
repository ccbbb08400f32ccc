//! A budget of memory for bytes that wait for a client: incomplete requests, and responses that the client has not
//! read.
//!
//! Invariant: all reservations together never exceed the budget, and those of one address never exceed half of it. A
//! reservation is released when it is dropped, so a request cannot end without releasing it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::Counter;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::error::Fault;
use crate::metrics::{Metric, counter};

/// The bytes that a request or a response may use without a reservation. The number of connections bounds their sum.
pub const FREE: usize = 16 << 10;
/// How long [`Account::reserve_soon`] waits for room.
const PATIENCE: Duration = Duration::from_secs(10);

const REFUSED: Metric = counter(
    "keyward_memory_refused_total",
    &[],
    "Requests and responses refused because the memory budget, or the share of their address, was used up.",
);

/// The metrics of the budget.
pub(crate) const METRICS: &[&Metric] = &[&REFUSED];

/// The budget of this process.
#[derive(Debug)]
pub struct Budget {
    total: u64,
    taken: Mutex<Taken>,
    /// Notified whenever bytes are released.
    returned: Notify,
    waiting: AtomicU32,
    refused: Counter,
}

#[derive(Debug, Default)]
struct Taken {
    all: u64,
    by_address: HashMap<IpAddr, u64>,
    /// Whether the log already says that the budget is used up.
    is_logged: bool,
}

/// The budget, or an address's share of it, is used up.
#[derive(Debug, thiserror::Error)]
#[error("the memory for slow clients is used up")]
pub struct Exhausted;

impl From<Exhausted> for Fault {
    fn from(exhausted: Exhausted) -> Self {
        Self::Unavailable(exhausted.into())
    }
}

impl Budget {
    /// Creates a budget of `bytes`.
    #[must_use]
    pub fn new(total: u64) -> Arc<Self> {
        Arc::new(Self {
            total,
            taken: Mutex::default(),
            returned: Notify::new(),
            waiting: AtomicU32::new(0),
            refused: REFUSED.counter([]),
        })
    }

    /// The account of a client's address. A client that is trusted to forward requests of others has no address.
    #[must_use]
    pub fn account(self: &Arc<Self>, address: Option<IpAddr>) -> Account {
        Account {
            budget: Arc::clone(self),
            address,
        }
    }

    /// The size of the budget, in bytes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The bytes that are reserved now.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.taken().all
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, address: Option<IpAddr>, bytes: u64) -> Result<(), Exhausted> {
        let mut taken = self.taken();
        let all = taken.all.saturating_add(bytes);
        if all > self.total {
            if !std::mem::replace(&mut taken.is_logged, true) {
                tracing::warn!(
                    budget = self.total,
                    "slow clients have used up http.memory_budget: requests that need more memory get 503"
                );
            }
            return Err(Exhausted);
        }
        if let Some(address) = address {
            let of_address = taken.by_address.get(&address).copied().unwrap_or_default();
            let of_address = of_address.saturating_add(bytes);
            if of_address > self.total / 2 {
                return Err(Exhausted);
            }
            taken.by_address.insert(address, of_address);
        }
        taken.all = all;
        Ok(())
    }

    fn give_back(&self, address: Option<IpAddr>, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let mut taken = self.taken();
        taken.all -= bytes;
        taken.is_logged &= taken.all > self.total / 2;
        if let Some(address) = address
            && let Some(of_address) = taken.by_address.get_mut(&address)
        {
            *of_address -= bytes;
            if *of_address == 0 {
                taken.by_address.remove(&address);
            }
        }
        drop(taken);
        self.returned.notify_waiters();
    }
}

/// An account of a [`Budget`]: reservations are charged to its address's share.
#[derive(Clone, Debug)]
pub struct Account {
    budget: Arc<Budget>,
    address: Option<IpAddr>,
}

impl Account {
    /// An account without a bound, for work that no client waits for.
    #[must_use]
    pub fn unbounded() -> Self {
        Budget::new(u64::MAX).account(None)
    }

    /// Reserves `bytes`.
    ///
    /// # Errors
    /// [`Exhausted`] if there is no room now.
    pub fn reserve(&self, bytes: u64) -> Result<Reservation, Exhausted> {
        let mut reservation = self.nothing();
        reservation.grow_to(bytes)?;
        Ok(reservation)
    }

    /// As [`reserve`](Self::reserve), without counting a refusal.
    fn try_reserve(&self, bytes: u64) -> Result<Reservation, Exhausted> {
        let mut reservation = self.nothing();
        reservation.try_grow_to(bytes)?;
        Ok(reservation)
    }

    /// An empty reservation.
    #[must_use]
    pub fn nothing(&self) -> Reservation {
        Reservation {
            account: self.clone(),
            bytes: 0,
        }
    }

    /// Reserves `bytes` as soon as there is room. A caller that waits should hold few other bytes.
    ///
    /// # Errors
    /// [`Exhausted`] if there is no room for ten seconds.
    pub async fn reserve_soon(&self, bytes: u64) -> Result<Reservation, Exhausted> {
        if let Ok(reservation) = self.try_reserve(bytes) {
            return Ok(reservation);
        }
        let _waiting = Waiting::begin(&self.budget.waiting);
        let room = async {
            loop {
                let mut returned = pin!(self.budget.returned.notified());
                returned.as_mut().enable();
                if let Ok(reservation) = self.try_reserve(bytes) {
                    return reservation;
                }
                returned.await;
            }
        };
        timeout(PATIENCE, room).await.map_err(|_| {
            self.budget.refused.increment(1);
            Exhausted
        })
    }

    /// Whether a reservation waits while more than three quarters of the budget, or of this account's share, are used.
    /// Slow work of this account should then release its memory.
    #[must_use]
    pub fn is_contended(&self) -> bool {
        let Self { budget, address } = self;
        if budget.waiting.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let taken = budget.taken();
        let of_address = address.and_then(|address| taken.by_address.get(&address));
        let share = budget.total / 2;
        taken.all > budget.total / 4 * 3 || of_address.is_some_and(|used| *used > share / 4 * 3)
    }
}

/// A wait for room, counted while it lasts.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Reserved bytes of a [`Budget`], released when dropped.
#[derive(Debug)]
pub struct Reservation {
    account: Account,
    bytes: u64,
}

impl Reservation {
    /// Raises the reservation to at least `bytes`.
    ///
    /// # Errors
    /// [`Exhausted`] if there is no room now; the reservation is then unchanged.
    pub fn grow_to(&mut self, bytes: u64) -> Result<(), Exhausted> {
        let taken = self.try_grow_to(bytes);
        if taken.is_err() {
            self.account.budget.refused.increment(1);
        }
        taken
    }

    /// Like [`grow_to`](Self::grow_to), without counting a refusal.
    ///
    /// # Errors
    /// [`Exhausted`] if there is no room now. The reservation is then unchanged.
    pub fn try_grow_to(&mut self, bytes: u64) -> Result<(), Exhausted> {
        if let Some(more) = bytes.checked_sub(self.bytes).filter(|more| *more > 0) {
            self.account.budget.take(self.account.address, more)?;
            self.bytes = bytes;
        }
        Ok(())
    }

    /// The number of reserved bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let Account { budget, address } = &self.account;
        budget.give_back(*address, self.bytes);
    }
}

#[cfg(test)]
mod tests;
