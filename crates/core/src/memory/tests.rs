//! Reservations at their bounds, at once, and given back.

use std::thread;

use metrics_exporter_prometheus::PrometheusBuilder;

use super::*;

fn address(last: u8) -> Option<IpAddr> {
    Some(IpAddr::from([203, 0, 113, last]))
}

#[test]
fn an_address_has_half_of_the_budget_and_all_together_have_all_of_it() {
    let budget = Budget::new(100);
    let one = budget.account(address(1));
    let first = one.reserve(50).expect("its share");
    assert!(one.reserve(1).is_err());
    let second = budget.account(address(2)).reserve(49).expect("another's");
    let proxy = budget.account(None);
    assert!(proxy.reserve(2).is_err());
    let last = proxy.reserve(1).expect("the rest");
    assert_eq!((budget.used(), budget.total()), (100, 100));
    drop((first, second, last));
    assert_eq!(budget.used(), 0);
    assert!(budget.taken().by_address.is_empty());
    drop(proxy.reserve(100).expect("a proxy may have all of it"));
}

#[test]
fn a_reservation_that_cannot_grow_keeps_what_it_has() {
    let budget = Budget::new(100);
    let account = budget.account(address(1));
    let mut held = account.nothing();
    held.grow_to(30).expect("room");
    held.grow_to(20).expect("it is there already");
    assert!(held.grow_to(51).is_err());
    assert_eq!((held.bytes(), budget.used()), (30, 30));
    held.grow_to(50).expect("room");
    drop(held);
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_panic_gives_back_what_was_reserved() {
    let budget = Budget::new(100);
    let account = budget.account(address(1));
    let ended = thread::spawn(move || {
        let _held = account.reserve(50).expect("room");
        panic!("on purpose");
    });
    assert!(ended.join().is_err());
    assert_eq!(budget.used(), 0);
}

#[test]
fn threads_at_once_never_exceed_the_budget() {
    let budget = Budget::new(1_000);
    thread::scope(|scope| {
        for last in 0..8 {
            let budget = &budget;
            scope.spawn(move || {
                let account = budget.account(address(last));
                for size in (1..400).cycle().take(4_000) {
                    let held = account.reserve(size);
                    assert!(budget.used() <= budget.total());
                    drop(held);
                }
            });
        }
    });
    assert_eq!(budget.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_waits_gets_room_when_it_is_given_back_and_an_error_when_it_is_not() {
    let budget = Budget::new(100);
    let account = budget.account(address(1));
    let held = account.reserve(40).expect("room");
    let waiting = tokio::spawn({
        let account = account.clone();
        async move { account.reserve_soon(20).await.map(|_| ()) }
    });
    tokio::task::yield_now().await;
    assert!(account.is_contended());
    let elsewhere = budget.account(address(2));
    assert!(!elsewhere.is_contended(), "its room is of no use to them");
    let more = elsewhere.reserve(45).expect("room");
    assert!(elsewhere.is_contended(), "the whole budget is used up");
    drop(more);
    drop(held);
    assert!(waiting.await.expect("no panic").is_ok());
    assert!(!account.is_contended());

    let _held = account.reserve(40).expect("room");
    assert!(account.reserve_soon(20).await.is_err());
    assert!(!account.is_contended());
    assert_eq!(budget.used(), 40);
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_holds_nothing_and_is_not_counted() {
    let budget = Budget::new(100);
    let account = budget.account(address(1));
    let held = account.reserve(50).expect("room");
    let gone = timeout(Duration::from_secs(1), account.reserve_soon(20)).await;
    assert!(gone.is_err());
    assert!(!account.is_contended());
    drop(held);
    assert_eq!(budget.used(), 0);
}

#[tokio::test(start_paused = true)]
async fn each_refusal_is_counted_once_however_often_it_was_tried() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let budget = metrics::with_local_recorder(&recorder, || Budget::new(100));
    let refused = || {
        let text = recorder.handle().render();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("keyward_memory_refused_total "));
        line.expect("a counter").to_owned()
    };
    let account = budget.account(None);
    let held = account.reserve(60).expect("room");
    let other = account.reserve(40).expect("room");
    assert_eq!(refused(), "0");
    assert!(account.reserve(1).is_err());
    assert_eq!(refused(), "1");
    // It is tried again when something is given back, and got in the end.
    let account = &account;
    let waits = async { account.reserve_soon(50).await.expect("room") };
    let gives_back = async {
        tokio::task::yield_now().await;
        drop(other);
        tokio::task::yield_now().await;
        drop(held);
    };
    let (reservation, ()) = tokio::join!(waits, gives_back);
    assert_eq!(refused(), "1");
    // Nothing is given back until its patience ends.
    assert!(account.reserve_soon(51).await.is_err());
    assert_eq!((refused().as_str(), reservation.bytes()), ("2", 50));
}
