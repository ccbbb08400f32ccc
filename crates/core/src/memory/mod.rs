//! A budget of bytes for everything that waits for a client: parts of requests that are still on their way, and
//! answers that are not taken yet.
//!
//! Invariant: all reservations together never exceed the budget, nor those of one address half of it. A reservation is
//! given back when it is dropped, so that no way out of a request can keep one.

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
use crate::metrics::{Kind, Metric};

/// What a request or an answer may take without a reservation, in bytes. The number of connections bounds it.
pub const FREE: usize = 16 << 10;
/// How long [`Account::reserve_soon`] waits for room.
const PATIENCE: Duration = Duration::from_secs(10);

const REFUSED: Metric = Metric::new(
    "keyward_memory_refused_total",
    Kind::Counter,
    &[],
    "Requests and responses refused because the memory budget, or the share of their address, was used up.",
);

/// What is measured of the budget here.
pub(crate) const METRICS: &[&Metric] = &[&REFUSED];

/// The bytes that may wait for clients, in this process.
#[derive(Debug)]
pub struct Budget {
    total: u64,
    taken: Mutex<Taken>,
    /// Woken whenever something is given back.
    returned: Notify,
    waiting: AtomicU32,
    refused: Counter,
}

#[derive(Debug, Default)]
struct Taken {
    all: u64,
    by_address: HashMap<IpAddr, u64>,
    /// Whether the log says that the budget is used up.
    is_logged: bool,
}

/// There is no room in the budget.
#[derive(Debug, thiserror::Error)]
#[error("what waits for clients has used up the memory budget")]
pub struct Exhausted;

impl From<Exhausted> for Fault {
    fn from(exhausted: Exhausted) -> Self {
        Self::Unavailable(exhausted.into())
    }
}

impl Budget {
    /// A budget of so many bytes.
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

    /// The account of a client's address; of no address where the client is trusted to send for many others.
    #[must_use]
    pub fn account(self: &Arc<Self>, address: Option<IpAddr>) -> Account {
        Account {
            budget: Arc::clone(self),
            address,
        }
    }

    /// How many bytes there may be.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many bytes are reserved at present.
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
                    "slow clients have used up http.memory_budget: what needs more is answered 503"
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

/// From whose share of a [`Budget`] is taken.
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

    /// Reserves so many bytes.
    ///
    /// # Errors
    /// [`Exhausted`] where there is no room for them now.
    pub fn reserve(&self, bytes: u64) -> Result<Reservation, Exhausted> {
        let mut reservation = self.nothing();
        reservation.grow_to(bytes)?;
        Ok(reservation)
    }

    /// As [`reserve`](Self::reserve), without counting a refusal.
    fn try_reserve(&self, bytes: u64) -> Result<Reservation, Exhausted> {
        let mut reservation = self.nothing();
        reservation.take_to(bytes)?;
        Ok(reservation)
    }

    /// A reservation that holds nothing yet.
    #[must_use]
    pub fn nothing(&self) -> Reservation {
        Reservation {
            account: self.clone(),
            bytes: 0,
        }
    }

    /// Reserves so many bytes as soon as there is room for them. Whoever waits should hold little.
    ///
    /// # Errors
    /// [`Exhausted`] where there is none for ten seconds.
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

    /// Whether somebody waits for room that this account has a part in using up, so that whoever is slow should not
    /// hold any. Those who have used up their own share alone do not count for others.
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

/// One who waits for room, counted for as long as that lasts.
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

/// Bytes of a [`Budget`], given back when dropped.
#[derive(Debug)]
pub struct Reservation {
    account: Account,
    bytes: u64,
}

impl Reservation {
    /// Makes it one of at least `bytes`.
    ///
    /// # Errors
    /// [`Exhausted`] where there is no room now; it then holds what it held.
    pub fn grow_to(&mut self, bytes: u64) -> Result<(), Exhausted> {
        let taken = self.take_to(bytes);
        if taken.is_err() {
            self.account.budget.refused.increment(1);
        }
        taken
    }

    fn take_to(&mut self, bytes: u64) -> Result<(), Exhausted> {
        if let Some(more) = bytes.checked_sub(self.bytes).filter(|more| *more > 0) {
            self.account.budget.take(self.account.address, more)?;
            self.bytes = bytes;
        }
        Ok(())
    }

    /// How many bytes it holds.
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
