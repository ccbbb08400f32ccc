//! The limits on the number of connections: in total, from one address, and from one site.
//!
//! Invariant: only networks with an open connection are in the map, so it is bounded as the connections are.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use keyward_core::metrics::{Kind, Metric};
use metrics::{Counter, Gauge};

use super::Settings;
use crate::address::{TrustedProxies, networks};

/// The open connections of a listener.
pub(crate) const CONNECTIONS: Metric = Metric::new(
    "keyward_http_connections",
    Kind::Gauge,
    &["listener"],
    "Open connections.",
);
/// The connections that a listener refused.
pub(crate) const REFUSED: Metric = Metric::new(
    "keyward_http_connections_refused_total",
    Kind::Counter,
    &["listener"],
    "Connections closed at once because a limit was reached, in total or for their address.",
);

/// How many times the connections of one address an IPv6 site may have. Without this limit a client with a /48 could
/// open 65,536 times as many.
const ADDRESSES_PER_SITE: usize = 4;

/// The slots for connections.
#[derive(Debug)]
pub(super) struct Slots {
    most: usize,
    most_per_address: usize,
    proxies: Arc<TrustedProxies>,
    taken: Mutex<Taken>,
    open: Gauge,
    refused: Counter,
}

/// A network whose connections are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Network {
    Address(IpAddr),
    Site(IpAddr),
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_network: HashMap<Network, usize>,
}

/// The slot of one connection. Dropping it frees the slot.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    networks: [Option<Network>; 2],
}

impl Slots {
    pub(super) fn new(settings: &Settings, proxies: Arc<TrustedProxies>) -> Self {
        Self {
            most: settings.max_connections,
            most_per_address: settings.max_connections_per_address,
            proxies,
            taken: Mutex::default(),
            open: CONNECTIONS.gauge([settings.listener]),
            refused: REFUSED.counter([settings.listener]),
        }
    }

    /// Takes a slot for a connection from `address`, if one is free.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Slot> {
        let networks = match self.proxies.contains(address) {
            true => [None, None],
            false => {
                let (address, site) = networks(address);
                [Some(Network::Address(address)), site.map(Network::Site)]
            }
        };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = |network: &Network| {
            let most = match network {
                Network::Address(_) => self.most_per_address,
                Network::Site(_) => self.most_per_address.saturating_mul(ADDRESSES_PER_SITE),
            };
            taken
                .by_network
                .get(network)
                .is_none_or(|&count| count < most)
        };
        if taken.all >= self.most || !networks.iter().flatten().all(has_room) {
            self.refused.increment(1);
            return None;
        }
        self.open.increment(1);
        taken.all += 1;
        for network in networks.into_iter().flatten() {
            *taken.by_network.entry(network).or_default() += 1;
        }
        Some(Slot {
            slots: Arc::clone(self),
            networks,
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let taken = self.slots.taken.lock();
        let mut taken = taken.unwrap_or_else(PoisonError::into_inner);
        self.slots.open.decrement(1);
        taken.all -= 1;
        for network in self.networks.into_iter().flatten() {
            if let Some(count) = taken.by_network.get_mut(&network) {
                *count -= 1;
                if *count == 0 {
                    taken.by_network.remove(&network);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(most: usize, per_address: usize) -> Arc<Slots> {
        let proxies = Arc::new(TrustedProxies::parse(["10.0.0.1"]).unwrap());
        let settings = Settings {
            max_connections: most,
            max_connections_per_address: per_address,
            ..Settings::default()
        };
        Arc::new(Slots::new(&settings, proxies))
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
        assert!(slots.taken.lock().unwrap().by_network.is_empty());
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
    fn an_ipv6_site_has_four_times_the_places_of_an_address() {
        let slots = slots(10, 1);
        let take = |network: u16| {
            slots.take(std::net::Ipv6Addr::new(0x2001, 0xdb8, 1, network, 0, 0, 0, 1).into())
        };
        let mut held: Vec<_> = (0..4).map(|network| take(network).unwrap()).collect();
        assert!(take(4).is_none());
        assert!(slots.take(address("2001:db8:2::1")).is_some());
        held.pop();
        assert!(take(4).is_some());
        held.clear();
        assert!(slots.taken.lock().unwrap().by_network.is_empty());
    }

    #[test]
    fn open_and_refused_connections_are_measured() {
        let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
        let slots = metrics::with_local_recorder(&recorder, || slots(2, 2));
        let measured = |open: &str, refused: &str| {
            let text = recorder.handle().render();
            for line in [
                format!(r#"keyward_http_connections{{listener="http"}} {open}"#),
                format!(r#"keyward_http_connections_refused_total{{listener="http"}} {refused}"#),
            ] {
                assert!(text.lines().any(|found| found == line), "{line}\n{text}");
            }
        };
        let held = [(); 2].map(|()| slots.take(address("203.0.113.9")));
        measured("2", "0");
        assert!(slots.take(address("203.0.113.9")).is_none());
        measured("2", "1");
        drop(held);
        measured("0", "1");
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
