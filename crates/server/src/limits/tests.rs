//! Bursts, recovery and bounds, on a manual clock.

use std::net::Ipv6Addr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use futures_util::FutureExt;
use keyward_core::clock::{ManualClock, Timestamp};

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn limits(change: impl FnOnce(&mut Policy)) -> (Limits, Arc<ManualClock>) {
    let mut policy = Policy::default();
    change(&mut policy);
    let clock = Arc::new(ManualClock::new(Timestamp::default()));
    let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
    (Limits::new(&policy, shared), clock)
}

/// The outcome of a call, which is ready at once without Redis.
fn at_once<T>(call: impl Future<Output = T>) -> T {
    call.now_or_never().unwrap()
}

/// A login to the account name `name`.
fn login<'a>(limits: &'a Limits, name: &'a str) -> impl Future<Output = Result<(), Exceeded>> + 'a {
    limits.count(Limit::LoginsPerAccount, (Realm::Default, name))
}

/// How many of `calls` calls pass.
fn passing<F: Future<Output = Result<(), Exceeded>>>(calls: usize, call: impl Fn() -> F) -> usize {
    (0..calls).filter(|_| at_once(call()).is_ok()).count()
}

fn four(last: u8) -> IpAddr {
    IpAddr::from([203, 0, 113, last])
}

/// A key of the kind that `limit` counts by.
fn some(limit: Limit) -> Key<'static> {
    match limit.scope() {
        Scope::Account => Key::Name(Realm::Default, "a"),
        Scope::Network | Scope::NetworkHere => Key::Address(four(9)),
    }
}

#[test]
fn every_limit_lets_a_minutes_worth_pass_and_no_more() {
    let (limits, _) = limits(|_| {});
    for limit in Limit::ALL {
        let expected = usize::try_from(*Policy::default().rate(*limit)).unwrap();
        let passed = passing(10_000, || limits.count(*limit, some(*limit)));
        assert_eq!(passed, expected, "{limit:?}");
    }
}

#[test]
fn every_limit_is_set_by_its_own_number() {
    for limit in Limit::ALL {
        let (limits, _) = limits(|policy| *policy.rate(*limit) = 3);
        for other in Limit::ALL {
            let passed = passing(5, || limits.count(*other, some(*other)));
            assert_eq!(passed == 3, other == limit, "{limit:?} {other:?}");
        }
    }
}

#[test]
fn names_realms_accounts_and_addresses_are_counted_apart() {
    let (limits, _) = limits(|policy| policy.logins_per_account = 1);
    for key in [
        Key::Name(Realm::Ops, "1"),
        Key::Name(Realm::Client, "1"),
        Key::Name(Realm::Ops, "2"),
        Key::Name(Realm::Default, ""),
        Key::Account(AccountId(1)),
        Key::Account(AccountId(2)),
    ] {
        let passed = passing(3, || limits.count(Limit::LoginsPerAccount, key));
        assert_eq!(passed, 1, "{key:?}");
    }
    for last in [1, 2] {
        let login = || limits.count(Limit::LoginsPerAddress, four(last));
        assert_eq!(passing(100, login), 60);
    }
}

/// An address in a /64 of 2001:db8::/32.
fn six(network: u64, host: u64) -> IpAddr {
    let bits = (0x2001_0db8_u128 << 96) | u128::from(network) << 64 | u128::from(host);
    Ipv6Addr::from_bits(bits).into()
}

#[test]
fn addresses_of_one_ipv6_network_share_a_limit() {
    let (limits, _) = limits(|_| {});
    let hop = AtomicU64::new(0);
    let hopping = || {
        let host = hop.fetch_add(1, Ordering::Relaxed);
        limits.count(Limit::LoginsPerAddress, six(0, host))
    };
    assert_eq!(passing(1_000, hopping), 60);
    let next = || limits.count(Limit::LoginsPerAddress, six(1, 0));
    assert_eq!(passing(100, next), 60);
}

#[test]
fn all_ipv6_networks_of_a_site_together_have_sixteen_budgets() {
    let (limits, _) = limits(|_| {});
    let hop = AtomicU64::new(0);
    let hopping = || {
        let network = hop.fetch_add(1, Ordering::Relaxed);
        limits.count(Limit::LoginsPerAddress, six(network % 65_536, 0))
    };
    assert_eq!(passing(100_000, hopping), 60 * 16);
    let other_site = || limits.count(Limit::LoginsPerAddress, six(65_536, 0));
    assert_eq!(passing(100, other_site), 60);
    let mapped = "::ffff:203.0.113.9".parse::<IpAddr>().unwrap();
    let four = || limits.count(Limit::LoginsPerAddress, mapped);
    assert_eq!(passing(100, four), 60);
}

#[test]
fn a_limit_recovers_one_request_at_a_time_and_says_when() {
    let (limits, clock) = limits(|_| {});
    let login = || login(&limits, "a");
    assert_eq!(passing(10, login), 10);
    let refused = at_once(login()).unwrap_err();
    assert_eq!(refused.retry_after, Duration::from_secs(6));
    clock.advance(Duration::from_millis(5_999));
    assert_eq!(
        at_once(login()).unwrap_err().retry_after,
        Duration::from_millis(1)
    );
    clock.advance(Duration::from_millis(1));
    assert_eq!(passing(10, login), 1);
    clock.advance(MINUTE * 60);
    assert_eq!(passing(100, login), 10);
}

#[test]
fn of_a_hundred_threads_at_once_exactly_as_many_pass_as_may() {
    let (limits, _) = limits(|policy| policy.logins_per_account = 37);
    let (start, passed) = (Barrier::new(100), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                start.wait();
                passed.fetch_add(passing(10, || login(&limits, "a")), Ordering::Relaxed);
            });
        }
    });
    assert_eq!(passed.into_inner(), 37);
}

#[test]
fn switched_off_nothing_is_limited() {
    let (limits, _) = limits(|policy| policy.enabled = false);
    assert_eq!(passing(10_000, || login(&limits, "a")), 10_000);
    let (limits, _) = self::limits(|policy| policy.logins_per_account = 0);
    assert_eq!(passing(10_000, || login(&limits, "a")), 10_000);
    assert_eq!(
        passing(10_000, || limits.count(Limit::LoginsPerAddress, four(9))),
        60
    );
}

/// Limits whose table of logins by account is full of keys that have used one login each, among them
/// `early` with one login left.
fn flooded() -> (Limits, Arc<ManualClock>, usize) {
    let (limits, clock) = limits(|policy| policy.table = 4_096);
    assert_eq!(passing(9, || login(&limits, "early")), 9);
    let passed = (0..100_000)
        .filter(|n| at_once(login(&limits, &format!("flood {n}"))).is_ok())
        .count();
    (limits, clock, passed)
}

fn remembered(limits: Limits) -> usize {
    let limiter = limits.limiters.into_iter().next().unwrap();
    limiter.narrow.unwrap().local.into_state_store().len()
}

#[test]
fn a_flood_of_keys_grows_no_table_frees_nobody_and_locks_out_nobody_within() {
    let (limits, _, passed) = flooded();
    // Keys in the table pass once each. The others pass as often as their shared buckets allow.
    assert!((4_096..=4_096 + 1_024 * 10).contains(&passed), "{passed}");
    assert_eq!(passing(9, || login(&limits, "early")), 1);
    assert!(passing(100, || login(&limits, "late")) <= 10);
    assert_eq!(remembered(limits), 4_096);
}

#[test]
fn keys_that_have_recovered_leave_their_place_to_others() {
    let (limits, clock, _) = flooded();
    clock.advance(MINUTE * 2);
    for n in 0..100 {
        let name = format!("late {n}");
        assert_eq!(passing(100, || login(&limits, &name)), 10, "{name}");
    }
    assert_eq!(remembered(limits), 100);
}

#[test]
fn keys_that_have_not_recovered_keep_their_place() {
    let (limits, clock, _) = flooded();
    clock.advance(Duration::from_secs(30));
    // Nine requests were used and five regained. A fresh bucket would let ten pass.
    for n in 0..2_000 {
        let _ = at_once(login(&limits, &format!("late {n}")));
    }
    assert_eq!(passing(100, || login(&limits, "early")), 6);
}
