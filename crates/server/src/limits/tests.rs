//! Bursts, recovery, bounds: on a clock that is moved by hand.

use std::net::Ipv6Addr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

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

/// The outcome of a call, which in memory is there at once.
fn at_once<T>(call: impl Future<Output = T>) -> T {
    call.now_or_never().unwrap()
}

/// How many of `calls` calls pass.
fn passing<F: Future<Output = Result<(), Exceeded>>>(calls: usize, call: impl Fn() -> F) -> usize {
    (0..calls).filter(|_| at_once(call()).is_ok()).count()
}

fn four(last: u8) -> IpAddr {
    IpAddr::from([203, 0, 113, last])
}

#[test]
fn every_limit_lets_a_minutes_worth_pass_and_no_more() {
    let (limits, _) = limits(|_| {});
    assert_eq!(passing(5_000, || limits.login_to("default", "a")), 10);
    assert_eq!(passing(5_000, || limits.login_from(four(9))), 60);
    assert_eq!(passing(5_000, || limits.sign_up_from(four(9))), 20);
    assert_eq!(passing(5_000, || limits.sign_up_as("default", "a")), 20);
    assert_eq!(passing(5_000, || limits.array_by("default", "a")), 120);
    assert_eq!(passing(5_000, || limits.guarded_by("default", "a")), 3_000);
    assert_eq!(passing(5_000, || limits.refresh_from(four(9))), 600);
}

#[test]
fn names_realms_and_addresses_are_counted_apart() {
    let (limits, _) = limits(|policy| policy.logins_per_account = 1);
    for (realm, name) in [
        ("ops", "a"),
        ("client", "a"),
        ("ops", "b"),
        ("op", "sa"),
        ("opsa", ""),
    ] {
        assert_eq!(
            passing(3, || limits.login_to(realm, name)),
            1,
            "{realm} {name}"
        );
    }
    assert_eq!(passing(100, || limits.login_from(four(1))), 60);
    assert_eq!(passing(100, || limits.login_from(four(2))), 60);
}

#[test]
fn addresses_of_one_ipv6_network_share_a_limit() {
    let (limits, _) = limits(|_| {});
    let hop = AtomicUsize::new(0);
    let hopping = || {
        let low = hop.fetch_add(1, Ordering::Relaxed) as u128;
        limits.login_from(Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) | low).into())
    };
    assert_eq!(passing(1_000, hopping), 60);
    assert_eq!(
        passing(100, || limits.login_from("2001:db8:0:1::".parse().unwrap())),
        60
    );
}

#[test]
fn a_limit_recovers_one_request_at_a_time_and_says_when() {
    let (limits, clock) = limits(|_| {});
    let login = || limits.login_to("default", "a");
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
                passed.fetch_add(
                    passing(10, || limits.login_to("ops", "a")),
                    Ordering::Relaxed,
                );
            });
        }
    });
    assert_eq!(passed.into_inner(), 37);
}

#[test]
fn switched_off_nothing_is_limited() {
    let (limits, _) = limits(|policy| policy.enabled = false);
    assert_eq!(passing(10_000, || limits.login_to("default", "a")), 10_000);
    let (limits, _) = self::limits(|policy| policy.logins_per_account = 0);
    assert_eq!(passing(10_000, || limits.login_to("default", "a")), 10_000);
    assert_eq!(passing(10_000, || limits.login_from(four(9))), 60);
}

/// Limits whose table of logins by account is full of keys that have used one login each, among them
/// `early` with one login left.
fn flooded() -> (Limits, Arc<ManualClock>, usize) {
    let (limits, clock) = limits(|policy| policy.table = 4_096);
    assert_eq!(passing(9, || limits.login_to("default", "early")), 9);
    let passed = (0..100_000)
        .filter(|n| at_once(limits.login_to("default", &format!("flood {n}"))).is_ok())
        .count();
    (limits, clock, passed)
}

fn remembered(limits: Limits) -> usize {
    limits
        .logins_to
        .buckets
        .unwrap()
        .local
        .into_state_store()
        .len()
}

#[test]
fn a_flood_of_keys_grows_no_table_frees_nobody_and_locks_out_nobody_within() {
    let (limits, _, passed) = flooded();
    // Those with a place pass once each, the others as often as the buckets they share allow.
    assert!((4_096..=4_096 + 1_024 * 10).contains(&passed), "{passed}");
    assert_eq!(passing(9, || limits.login_to("default", "early")), 1);
    assert!(passing(100, || limits.login_to("default", "late")) <= 10);
    assert_eq!(remembered(limits), 4_096);
}

#[test]
fn keys_that_have_recovered_leave_their_place_to_others() {
    let (limits, clock, _) = flooded();
    clock.advance(MINUTE * 2);
    for n in 0..100 {
        let name = format!("late {n}");
        assert_eq!(
            passing(100, || limits.login_to("default", &name)),
            10,
            "{name}"
        );
    }
    assert_eq!(remembered(limits), 100);
}

#[test]
fn keys_that_have_not_recovered_keep_their_place() {
    let (limits, clock, _) = flooded();
    clock.advance(Duration::from_secs(30));
    // Nine used, five of them back: a fresh bucket would let ten pass.
    for n in 0..2_000 {
        let _ = at_once(limits.login_to("default", &format!("late {n}")));
    }
    assert_eq!(passing(100, || limits.login_to("default", "early")), 6);
}
