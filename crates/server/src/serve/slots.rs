//! How many connections there may be, in all and from one address.
//!
//! Only addresses with a connection are remembered, so the map is as bounded as the connections.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::address::{TrustedProxies, networks};

/// The places for connections.
#[derive(Debug)]
pub(super) struct Slots {
    most: usize,
    most_per_address: usize,
    proxies: Arc<TrustedProxies>,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection's place, given back when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    address: Option<IpAddr>,
}

impl Slots {
    pub(super) fn new(most: usize, per_address: usize, proxies: Arc<TrustedProxies>) -> Self {
        Self {
            most,
            most_per_address: per_address,
            proxies,
            taken: Mutex::default(),
        }
    }

    /// A place for a connection from `address`, if there is one left.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Slot> {
        let address = (!self.proxies.contains(address)).then(|| networks(address).0);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= self.most {
            return None;
        }
        if let Some(address) = address {
            let of_address = taken.by_address.get(&address).copied().unwrap_or_default();
            if of_address >= self.most_per_address {
                return None;
            }
            taken.by_address.insert(address, of_address + 1);
        }
        taken.all += 1;
        Some(Slot {
            slots: Arc::clone(self),
            address,
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self
            .slots
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        let Some(address) = self.address else { return };
        if let Some(of_address) = taken.by_address.get_mut(&address) {
            *of_address -= 1;
            if *of_address == 0 {
                taken.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(most: usize, per_address: usize) -> Arc<Slots> {
        let proxies = Arc::new(TrustedProxies::parse(["10.0.0.1"]).unwrap());
        Arc::new(Slots::new(most, per_address, proxies))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_so_many_places_and_gets_them_back() {
        let slots = slots(10, 2);
        let first = slots.take(address("203.0.113.9")).unwrap();
        let second = slots.take(address("::ffff:203.0.113.9")).unwrap();
        assert!(slots.take(address("203.0.113.9")).is_none());
        assert!(slots.take(address("203.0.113.8")).is_some());
        drop(first);
        assert!(slots.take(address("203.0.113.9")).is_some());
        drop(second);
        assert!(slots.taken.lock().unwrap().by_address.is_empty());
        assert_eq!(slots.taken.lock().unwrap().all, 0);
    }

    #[test]
    fn ipv6_addresses_of_one_network_share_their_places() {
        let slots = slots(10, 1);
        let _held = slots.take(address("2001:db8::1")).unwrap();
        assert!(slots.take(address("2001:db8::2")).is_none());
        assert!(slots.take(address("2001:db8:0:1::1")).is_some());
    }

    #[test]
    fn a_trusted_proxy_has_all_places_but_no_more() {
        let slots = slots(3, 1);
        let held: Vec<_> = (0..3)
            .map(|_| slots.take(address("10.0.0.1")).unwrap())
            .collect();
        assert!(slots.take(address("10.0.0.1")).is_none());
        assert!(slots.take(address("203.0.113.9")).is_none());
        drop(held);
        assert!(slots.take(address("203.0.113.9")).is_some());
    }
}
