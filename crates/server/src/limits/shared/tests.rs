//! Nodes that share a budget, and what is left of it when Redis is slow, flushed, wrong or gone.
//!
//! On the Redis that `KEYWARD_TEST_REDIS` names, each test under a prefix of its own.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Once;
use std::time::Instant;

use futures_util::future::join_all;
use keyward_core::accounts::Realm;
use keyward_core::clock::SystemClock;
use keyward_core::error::chain;
use keyward_core::random::{SystemRandom, hex};
use redis::aio::MultiplexedConnection;
use tokio::time::timeout;

use super::super::{Limit, Limits, Policy};
use super::proxy::{Proxy, Wire};
use super::*;

const SECRET: &[u8] = b"a secret that only the nodes know";
/// Long enough for a machine that does much else; what is held or slow is held for good.
const PATIENCE: Duration = Duration::from_secs(20);
const SOON: Duration = Duration::from_secs(1);

/// A part of Redis for one test, and a connection beside the nodes'.
struct Room {
    url: String,
    prefix: String,
    redis: MultiplexedConnection,
}

impl Room {
    /// `None`, said visibly, where no Redis is given.
    async fn open() -> Option<Self> {
        #[expect(
            clippy::disallowed_methods,
            reason = "which server may be used is the environment's to say"
        )]
        let url = std::env::var("KEYWARD_TEST_REDIS").ok();
        let Some(url) = url.filter(|url| !url.is_empty()) else {
            static SAID: Once = Once::new();
            let skipped = "skipped: shared limits: KEYWARD_TEST_REDIS is not set";
            // Past the test runner's capture, so that it is seen.
            SAID.call_once(|| writeln!(std::io::stderr(), "{skipped}").unwrap());
            return None;
        };
        let client = redis::Client::open(&*url).unwrap();
        let redis = client.get_multiplexed_async_connection().await;
        Some(Self {
            prefix: format!("keyward:test:{}:", hex::<8>(&SystemRandom)),
            redis: redis.expect("the Redis of KEYWARD_TEST_REDIS"),
            url,
        })
    }

    /// Limits of ten logins a minute to an account.
    fn node(&self, url: &str, deadline: Duration) -> Limits {
        let settings = Settings {
            prefix: &self.prefix,
            deadline,
            ..Settings::new(url, SECRET)
        };
        let limits = Limits::new(&Policy::default(), Arc::new(SystemClock::new()));
        limits.shared_by(Shared::start(&settings).unwrap())
    }

    /// A node that shares already.
    async fn linked(&self) -> Limits {
        let node = self.node(&self.url, PATIENCE);
        until(&node, true).await;
        node
    }

    /// The host and port of Redis.
    fn upstream(&self) -> &str {
        let rest = self.url.split("://").nth(1).unwrap();
        let rest = rest.rsplit('@').next().unwrap();
        rest.split('/').next().unwrap()
    }

    /// The URL of Redis through `proxy`.
    fn url_through(&self, proxy: &Proxy) -> String {
        let through = format!("localhost:{}", proxy.address.port());
        self.url.replacen(self.upstream(), &through, 1)
    }

    async fn ask<T: redis::FromRedisValue>(&mut self, words: &[&str]) -> T {
        let mut command = redis::Cmd::new();
        command.arg(words);
        command.query_async(&mut self.redis).await.unwrap()
    }

    async fn keys(&mut self) -> BTreeSet<String> {
        let pattern = format!("{}*", self.prefix);
        self.ask(&["KEYS", &pattern]).await
    }

    /// Takes all that the test has left; other keys stay.
    async fn clear(&mut self) {
        for key in self.keys().await {
            let () = self.ask(&["DEL", &key]).await;
        }
    }
}

/// Waits until `node` shares, or does not.
async fn until(node: &Limits, up: bool) {
    let link = &node.shared().unwrap().link;
    timeout(PATIENCE, link.wait_until(up)).await.unwrap();
}

fn counts(node: &Limits) -> Counts {
    node.shared().unwrap().counts()
}

/// How many of `calls` logins to `name`, one after another, pass.
async fn passing(node: &Limits, name: &str, calls: usize) -> usize {
    let mut passed = 0;
    for _ in 0..calls {
        passed += usize::from(
            node.count(Limit::LoginsPerAccount, (Realm::Ops, name))
                .await
                .is_ok(),
        );
    }
    passed
}

#[tokio::test]
async fn of_a_hundred_at_once_over_two_nodes_as_many_pass_as_over_one() {
    let Some(mut room) = Room::open().await else {
        return;
    };
    let (one, other) = (room.linked().await, room.linked().await);
    let logins =
        (0..100).map(|n| [&one, &other][n % 2].count(Limit::LoginsPerAccount, (Realm::Ops, "a")));
    let passed = join_all(logins)
        .await
        .iter()
        .filter(|login| login.is_ok())
        .count();
    assert_eq!(passed, 10);
    let address = IpAddr::from(Ipv4Addr::LOCALHOST);
    let logins = (0..200).map(|n| [&one, &other][n % 2].count(Limit::SignUpsPerAddress, address));
    let passed = join_all(logins)
        .await
        .iter()
        .filter(|login| login.is_ok())
        .count();
    assert_eq!(passed, 20);
    for node in [&one, &other] {
        let fine = Counts {
            up: true,
            fallbacks: 0,
            outages: 0,
            flushes: 0,
        };
        assert_eq!(counts(node), fine);
    }
    room.clear().await;
}

#[tokio::test]
async fn a_node_that_let_nobody_pass_refuses_with_the_time_that_all_nodes_give() {
    let Some(mut room) = Room::open().await else {
        return;
    };
    let (one, other) = (room.linked().await, room.linked().await);
    assert_eq!(passing(&one, "a", 10).await, 10);
    let refused = other
        .count(Limit::LoginsPerAccount, (Realm::Ops, "a"))
        .await
        .unwrap_err();
    let wait = refused.retry_after;
    assert!(Duration::ZERO < wait && wait <= Duration::from_secs(6));
    assert_eq!(
        other
            .count(Limit::LoginsPerAccount, (Realm::Client, "a"))
            .await,
        Ok(())
    );
    assert_eq!(
        other
            .count(Limit::LoginsPerAccount, (Realm::Ops, "b"))
            .await,
        Ok(())
    );
    room.clear().await;
}

#[tokio::test]
async fn a_bucket_recovers_when_it_said_it_would() {
    let Some(mut room) = Room::open().await else {
        return;
    };
    let gcra = Gcra::new(&room.prefix);
    let bucket = Bucket {
        key: "bucket".to_owned(),
        a_minute: NonZeroU32::new(300).unwrap(),
    };
    let (start, mut asked, mut passed) = (Instant::now(), Instant::now(), 0);
    let mut wait = Duration::ZERO;
    while wait.is_zero() {
        asked = Instant::now();
        wait = gcra.count(&mut room.redis, &bucket).await.unwrap();
        passed += u64::from(wait.is_zero());
        assert!(passed < 10_000);
    }
    let forgiven = u64::try_from(start.elapsed().as_millis() / 200).unwrap();
    assert!((300..=300 + forgiven).contains(&passed), "{passed}");
    let mut left = wait;
    while !left.is_zero() {
        assert!(asked.elapsed() < PATIENCE);
        left = gcra.count(&mut room.redis, &bucket).await.unwrap();
    }
    assert!(asked.elapsed() >= wait && wait <= Duration::from_millis(200));
    room.clear().await;
}

#[tokio::test]
async fn a_clock_that_was_set_back_locks_nobody_out_for_longer_than_a_bucket_takes() {
    let Some(mut room) = Room::open().await else {
        return;
    };
    let node = room.linked().await;
    assert_eq!(passing(&node, "a", 1).await, 1);
    let keys = room.keys().await;
    let bucket = keys
        .iter()
        .find(|key| key.contains("logins_per_account"))
        .unwrap();
    let () = room.ask(&["SET", bucket, "4000000000000000"]).await;
    let refused = node
        .count(Limit::LoginsPerAccount, (Realm::Ops, "a"))
        .await
        .unwrap_err();
    assert_eq!(refused.retry_after, Duration::from_secs(6));
    room.clear().await;
}

#[tokio::test]
async fn keys_show_no_name_depend_on_the_secret_and_expire_within_a_minute() {
    let Some(mut room) = Room::open().await else {
        return;
    };
    let node = room.linked().await;
    let address = IpAddr::from([203, 0, 113, 9]);
    assert_eq!(passing(&node, "somebody", 10).await, 10);
    node.count(Limit::LoginsPerAddress, address).await.unwrap();
    let keys = room.keys().await;
    let buckets: Vec<_> = keys
        .iter()
        .filter(|key| key.contains("logins_per"))
        .collect();
    assert_eq!(buckets.len(), 2, "{keys:?}");
    for key in buckets {
        assert!(!key.contains("somebody") && !key.contains("203"), "{key}");
        let millis: i64 = room.ask(&["PTTL", key]).await;
        assert!((1..=60_000).contains(&millis), "{key} {millis}");
    }
    let settings = Settings {
        prefix: &room.prefix,
        ..Settings::new(&room.url, b"another secret which is as long as that")
    };
    let stranger = Shared::start(&settings).unwrap();
    stranger.link.wait_until(true).await;
    const A_MINUTE: NonZeroU32 = NonZeroU32::new(60).unwrap();
    let key = Key::Address(address);
    let known = node
        .shared()
        .unwrap()
        .hashed("logins_per_address", A_MINUTE, &key);
    assert!(keys.contains(&format!("{}{known}", room.prefix)));
    assert_ne!(known, stranger.hashed("logins_per_address", A_MINUTE, &key));
    room.clear().await;
}

#[tokio::test]
async fn a_flush_frees_nobody_where_he_was_counted_and_is_said_once() {
    let Some(mut room) = Room::open().await else {
        return;
    };
    let (one, other) = (room.linked().await, room.linked().await);
    assert_eq!(passing(&one, "a", 10).await, 10);
    assert_eq!(passing(&other, "a", 10).await, 0);
    let () = room.ask(&["SCRIPT", "FLUSH"]).await;
    room.clear().await;
    assert_eq!(passing(&one, "a", 5).await, 0);
    assert_eq!(passing(&other, "b", 10).await, 10);
    assert_eq!(passing(&one, "b", 10).await, 0);
    for node in [&one, &other] {
        assert_eq!(counts(node).flushes, 1);
        assert_eq!((counts(node).outages, counts(node).fallbacks), (0, 0));
    }
    room.clear().await;
}

#[tokio::test]
async fn while_redis_stalls_a_node_goes_on_from_where_it_stood_and_shares_again_after() {
    let Some(mut room) = Room::open().await else {
        return;
    };
    let proxy = Proxy::before(room.upstream(), Wire::Whole).await;
    let (one, other) = (
        room.node(&room.url_through(&proxy), SOON),
        room.linked().await,
    );
    until(&one, true).await;
    assert_eq!(passing(&one, "a", 3).await, 3);
    let before = counts(&one);

    proxy.set(Wire::Held);
    let start = Instant::now();
    let login = timeout(
        PATIENCE,
        one.count(Limit::LoginsPerAccount, (Realm::Ops, "a")),
    )
    .await;
    assert_eq!(login.unwrap(), Ok(()));
    assert!((SOON..PATIENCE / 2).contains(&start.elapsed()));
    // Nobody waits for a Redis that is known to be away.
    let start = Instant::now();
    assert_eq!(passing(&one, "a", 100).await, 6);
    assert!(start.elapsed() < SOON);
    assert_eq!(counts(&one).fallbacks, before.fallbacks + 101);
    assert_eq!(counts(&one).outages, before.outages + 1);
    assert_eq!(counts(&other).outages, 0);

    proxy.set(Wire::Whole);
    until(&one, true).await;
    assert_eq!(passing(&other, "b", 10).await, 10);
    assert_eq!(passing(&one, "b", 10).await, 0);
    room.clear().await;
}

#[tokio::test]
async fn of_many_requests_at_once_one_says_that_redis_is_gone_and_one_connection_is_tried() {
    let Some(mut room) = Room::open().await else {
        return;
    };
    let proxy = Proxy::before(room.upstream(), Wire::Whole).await;
    let node = room.node(&room.url_through(&proxy), SOON);
    until(&node, true).await;
    let before = (counts(&node).outages, proxy.connections());
    proxy.set(Wire::Held);
    let logins = (0..1_000).map(|_| node.count(Limit::LoginsPerAccount, (Realm::Ops, "a")));
    let logins = timeout(PATIENCE, join_all(logins)).await.unwrap();
    assert_eq!(logins.iter().filter(|login| login.is_ok()).count(), 10);
    assert_eq!(counts(&node).outages, before.0 + 1);
    assert!(proxy.connections() <= before.1 + 1);
    room.clear().await;
}

#[tokio::test]
async fn without_redis_at_the_start_a_node_serves_with_its_own_limits_until_it_comes() {
    let Some(mut room) = Room::open().await else {
        return;
    };
    let proxy = Proxy::before(room.upstream(), Wire::Cut).await;
    let node = room.node(&room.url_through(&proxy), SOON);
    assert_eq!(passing(&node, "a", 100).await, 10);
    assert!(!counts(&node).up);
    assert_eq!(counts(&node).fallbacks, 100);
    proxy.set(Wire::Whole);
    until(&node, true).await;
    assert!(counts(&node).outages <= 1);
    let other = room.linked().await;
    assert_eq!(passing(&node, "b", 10).await, 10);
    assert_eq!(passing(&other, "b", 10).await, 0);

    proxy.set(Wire::Cut);
    assert_eq!(passing(&other, "c", 10).await, 10);
    assert_eq!(passing(&node, "c", 100).await, 10);
    assert!(!counts(&node).up);
    room.clear().await;
}

#[tokio::test]
async fn a_redis_that_answers_with_an_error_is_away_until_it_does_not() {
    let Some(mut room) = Room::open().await else {
        return;
    };
    let node = room.linked().await;
    let epoch = format!("{}epoch", room.prefix);
    let () = room.ask(&["DEL", &epoch]).await;
    let () = room.ask(&["RPUSH", &epoch, "no text"]).await;
    assert_eq!(passing(&node, "a", 20).await, 10);
    assert_eq!(
        (counts(&node).outages, counts(&node).fallbacks),
        (1, 20),
        "{:?}",
        counts(&node)
    );
    let () = room.ask(&["DEL", &epoch]).await;
    until(&node, true).await;
    assert_eq!(counts(&node).flushes, 1);
    room.clear().await;
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_and_show_no_password() {
    let url = "redis://user:sesame@:port";
    let refused = Shared::start(&Settings::new(url, SECRET)).unwrap_err();
    assert!(matches!(refused, Error::Url(_)));
    assert!(!format!("{} {refused:?}", chain(&refused)).contains("sesame"));
    let url = "redis://user:sesame@127.0.0.1:1";
    let refused = Shared::start(&Settings::new(url, b"short")).unwrap_err();
    assert!(matches!(refused, Error::Secret(_)));
    let settings = Settings::new(url, SECRET);
    let shared = Shared::start(&settings).unwrap();
    assert!(!format!("{settings:?} {shared:?}").contains("sesame"));
}
