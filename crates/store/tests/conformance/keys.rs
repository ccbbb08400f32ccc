//! The ring of signing keys, with several servers on one database.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use keyward_core::clock::{Clock, ManualClock, Timestamp};
use keyward_core::keys::{
    Chain, Error, KeyChange, Kid, Legacy, LegacyKeys, MasterKey, MasterKeys, Parts, Policy,
    Purpose, Ring, State, StoredKey,
};
use keyward_core::random::SeededRandom;
use keyward_core::secret::SecretText;
use keyward_core::sessions::Place;
use keyward_jose::jws::{self, EncodedHeader, Limits};
use keyward_jose::{Algorithm, HmacKey};
use keyward_store::key_files::{LegacyKeyFiles, MasterKeyFile};

use crate::backend::{Backend, Node, at, at_once};

const ANNOUNCE: Duration = Duration::from_secs(600);
const ACCESS: Duration = Duration::from_secs(3_600);
const REFRESH: Duration = Duration::from_secs(30 * 86_400);
/// What the end of a key allows for the difference of two clocks.
const CLOCKS_APART: Duration = Duration::from_secs(60);

fn policy() -> Policy {
    Policy {
        algorithm: Algorithm::HS256,
        access: None,
        notary: None,
        access_lifetime: ACCESS,
        refresh_lifetime: REFRESH,
        announce: ANNOUNCE,
        rotate_every: Some(Duration::from_secs(90 * 86_400)),
    }
}

fn parts(node: &Node, clock: &Arc<ManualClock>, master: &Path, seed: u64) -> Parts {
    Parts {
        store: node.rows.clone(),
        master: Arc::new(MasterKeyFile::new(master.to_owned())),
        policy: policy(),
        clock: clock.clone(),
        random: Arc::new(SeededRandom::new(seed)),
    }
}

/// Two servers on one database, with one master key.
struct Pair {
    here: Ring,
    there: Ring,
    clock: Arc<ManualClock>,
    node: Node,
}

impl Pair {
    async fn on(backend: &Backend) -> Self {
        let clock = Arc::new(ManualClock::new(at(0)));
        let master = master_of(backend);
        let other = backend.another_node().await;
        Self {
            here: open(parts(&backend.node, &clock, &master, 1)).await,
            there: open(parts(&other, &clock, &master, 2)).await,
            node: backend.node.clone(),
            clock,
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Both read the feed.
    async fn catch_up(&self) {
        let feed = self.node.rows.list_closures(Place::default(), 0).await;
        let version = feed.expect("the feed").identity.keys;
        for ring in [&self.here, &self.there] {
            ring.catch_up(version).await.expect("the keys");
        }
    }

    /// The key that signs access tokens, which must be the same on both.
    fn signing(&self) -> Kid {
        let of = |ring: &Ring| ring.keys().access().signing(self.now()).kid();
        assert_eq!(of(&self.here), of(&self.there));
        of(&self.here)
    }

    /// Whether both accept a token.
    fn accept(&self, token: &str) -> bool {
        let by = |ring: &Ring| verify(ring.keys().access(), token, self.now()).is_some();
        assert_eq!(by(&self.here), by(&self.there));
        by(&self.here)
    }

    fn sign(&self) -> String {
        self.here.keys().access().signing(self.now()).sign(b"{}")
    }
}

fn master_of(backend: &Backend) -> std::path::PathBuf {
    backend.home().join("keys/master.key")
}

/// Opens a ring where no earlier version has left keys.
async fn open(parts: Parts) -> Ring {
    try_open(parts).await.expect("a ring")
}

async fn try_open(parts: Parts) -> Result<Ring, Error> {
    let nothing = tempfile::tempdir().expect("a folder");
    Ring::open(parts, &LegacyKeyFiles::new(nothing.path())).await
}

fn verify(chain: &Chain, token: &str, now: Timestamp) -> Option<Kid> {
    let limits = Limits::default();
    chain.verify(token, &limits, now).ok().map(|(_, kid)| kid)
}

fn states(ring: &Ring, purpose: Purpose) -> Vec<State> {
    let rows = ring.list().into_iter();
    rows.filter(|(key, _)| key.purpose == purpose)
        .map(|(_, state)| state)
        .collect()
}

async fn stored(node: &Node) -> Vec<StoredKey> {
    let mut keys = node.rows.list_keys().await.expect("the keys").keys;
    keys.sort_by_key(|key| key.kid);
    keys
}

pub(crate) async fn keys_are_changed_from_their_present_version_alone(backend: &Backend) {
    let rows = &backend.node.rows;
    let empty = rows.list_keys().await.expect("the keys");
    assert_eq!((empty.version, empty.is_upgraded), (0, false));
    let clock = Arc::new(ManualClock::new(at(0)));
    open(parts(&backend.node, &clock, &master_of(backend), 1)).await;
    let made = rows.list_keys().await.expect("the keys");
    assert_eq!(made.keys.len(), Purpose::ALL.len());

    let key = StoredKey {
        signs_until: Some(at(1)),
        verifies_until: Some(at(2)),
        lifetime: Duration::from_secs(3),
        ..made.keys[0].clone()
    };
    let change = KeyChange {
        version: made.version ^ 1,
        put: vec![key.clone()],
        removed: vec![made.keys[1].kid],
    };
    for version in [0, made.version.wrapping_add(1)] {
        let refused = rows.change_keys(version, change.clone()).await;
        assert!(!refused.expect("the store"), "from {version}");
    }
    assert_eq!(rows.list_keys().await.expect("the keys"), made);
    let changed = rows.change_keys(made.version, change).await;
    assert!(changed.expect("the store"));
    let other = backend.another_node().await;
    let now = stored(&other).await;
    assert_eq!(now.len(), 3);
    assert!(now.contains(&key) && !now.contains(&made.keys[1]));
    let feed = other.rows.list_closures(Place::default(), 0).await;
    assert_eq!(feed.expect("the feed").identity.keys, made.version ^ 1);
}

pub(crate) async fn of_fifty_changes_from_one_version_one_succeeds(backend: &Backend) {
    let changed = at_once(50, |index| {
        let node = backend.node.clone();
        async move {
            let version = i64::try_from(index).expect("a number") + 1;
            let change = KeyChange {
                version,
                ..KeyChange::default()
            };
            node.rows.change_keys(0, change).await.expect("the store")
        }
    })
    .await;
    assert_eq!(changed.iter().filter(|changed| **changed).count(), 1);
}

pub(crate) async fn servers_that_start_at_once_have_the_same_keys(backend: &Backend) {
    let clock = Arc::new(ManualClock::new(at(0)));
    let rings = at_once(12, |index| {
        let (node, clock) = (backend.node.clone(), clock.clone());
        let parts = parts(&node, &clock, &master_of(backend), index as u64);
        async move { open(parts).await }
    })
    .await;
    let token = rings[0].keys().access().signing(at(0)).sign(b"{}");
    for ring in &rings {
        ring.ask().await.expect("the keys");
        assert!(verify(ring.keys().access(), &token, at(0)).is_some());
        assert!(verify(ring.keys().refresh(), &token, at(0)).is_none());
    }
    assert_eq!(stored(&backend.node).await.len(), Purpose::ALL.len());
}

pub(crate) async fn a_new_key_is_announced_signs_and_lets_the_tokens_of_the_old_one_expire(
    backend: &Backend,
) {
    let pair = Pair::on(backend).await;
    let (old, first) = (pair.signing(), pair.sign());
    pair.there.rotate(Purpose::Access).await.expect("rotated");
    // Asked again, it announces no second one.
    pair.there.rotate(Purpose::Access).await.expect("rotated");
    pair.catch_up().await;
    assert_eq!(
        states(&pair.here, Purpose::Access),
        [State::Announced, State::Active]
    );
    pair.clock.advance(ANNOUNCE - Duration::from_micros(1));
    assert_eq!(pair.signing(), old);
    let last = pair.sign();
    pair.clock.advance(Duration::from_micros(1));
    let new = pair.signing();
    assert_ne!(new, old);
    assert_eq!(
        states(&pair.here, Purpose::Access),
        [State::Active, State::Retired]
    );
    assert!(pair.accept(&first) && pair.accept(&last) && pair.accept(&pair.sign()));
    pair.clock
        .advance(ACCESS + CLOCKS_APART - Duration::from_micros(1));
    assert!(pair.accept(&last));
    pair.clock.advance(Duration::from_micros(1));
    assert!(!pair.accept(&last) && pair.accept(&pair.sign()));
    // A restart finds the same, and the row of the old key goes after a day.
    let clock = &pair.clock;
    let again = open(parts(&pair.node, clock, &master_of(backend), 3)).await;
    assert_eq!(again.keys().access().signing(clock.now()).kid(), new);
    clock.advance(Duration::from_secs(86_401));
    pair.here.keep_schedule().await.expect("the keys");
    assert!(!stored(&pair.node).await.iter().any(|key| key.kid == old));
}

pub(crate) async fn a_retired_key_is_refused_at_once_and_another_signs(backend: &Backend) {
    let pair = Pair::on(backend).await;
    let (leaked, token) = (pair.signing(), pair.sign());
    let unknown = Kid::from_number(leaked.number() ^ 1);
    let refused = pair.here.retire(unknown).await;
    assert!(matches!(refused, Err(Error::Unknown(kid)) if kid == unknown));
    pair.there.retire(leaked).await.expect("retired");
    pair.catch_up().await;
    assert!(!pair.accept(&token) && pair.signing() != leaked);
    assert!(pair.accept(&pair.sign()));

    // The successor of a key that is announced takes over at once when the key is retired, and goes on.
    pair.here.rotate(Purpose::Access).await.expect("rotated");
    let present = pair.here.keys().access().signing(pair.now()).kid();
    pair.here.retire(present).await.expect("retired");
    pair.catch_up().await;
    assert!(pair.accept(&pair.sign()));
    pair.clock.advance(ANNOUNCE);
    assert!(pair.accept(&pair.sign()));
}

pub(crate) async fn what_the_database_lost_of_the_keys_is_written_again(backend: &Backend) {
    let pair = Pair::on(backend).await;
    let (leaked, before) = (pair.signing(), stored(&pair.node).await);
    let token = pair.sign();
    pair.here.retire(leaked).await.expect("retired");
    pair.here.rotate(Purpose::Refresh).await.expect("rotated");
    pair.catch_up().await;
    let after = stored(&pair.node).await;
    let kept: Vec<String> = before
        .iter()
        .map(|key| key.kid.number().to_string())
        .collect();
    let lose = format!(
        "DELETE FROM keys WHERE kid NOT IN ({}); UPDATE keys SET signs_until = NULL, verifies_until = NULL;
        UPDATE meta SET value = 1 WHERE key = 'keys'",
        kept.join(", ")
    );
    backend.go_back(&lose).await;
    assert_ne!(stored(&pair.node).await, after);
    pair.catch_up().await;
    assert!(!pair.accept(&token) && pair.accept(&pair.sign()));
    assert_eq!(stored(&pair.node).await, after);
    let later = open(parts(&pair.node, &pair.clock, &master_of(backend), 3)).await;
    assert!(verify(later.keys().access(), &token, pair.now()).is_none());
}

pub(crate) async fn the_schedule_rotates_keys_of_tokens_once(backend: &Backend) {
    let pair = Pair::on(backend).await;
    let age = Duration::from_secs(90 * 86_400);
    pair.clock.advance(age - Duration::from_micros(1));
    pair.here.keep_schedule().await.expect("the keys");
    assert_eq!(stored(&pair.node).await.len(), 4);
    pair.clock.advance(Duration::from_micros(1));
    for ring in [&pair.here, &pair.there, &pair.here] {
        ring.keep_schedule().await.expect("the keys");
    }
    pair.catch_up().await;
    for purpose in Purpose::ALL {
        let expected = match purpose.is_scheduled() {
            true => &[State::Announced, State::Active][..],
            false => &[State::Active],
        };
        assert_eq!(states(&pair.there, purpose), expected, "{purpose:?}");
    }
}

pub(crate) async fn so_many_keys_of_a_purpose_verify_and_no_more(backend: &Backend) {
    let pair = Pair::on(backend).await;
    for _ in 1..Chain::LARGEST {
        pair.here.rotate(Purpose::Refresh).await.expect("rotated");
        pair.clock.advance(ANNOUNCE);
    }
    let refused = pair.here.rotate(Purpose::Refresh).await;
    assert!(matches!(refused, Err(Error::TooMany { .. })), "{refused:?}");
    let token = pair.here.keys().refresh().signing(pair.now()).sign(b"{}");
    pair.catch_up().await;
    assert!(verify(pair.there.keys().refresh(), &token, pair.now()).is_some());
}

pub(crate) async fn a_key_verifies_as_long_as_the_longest_token_that_it_signs(backend: &Backend) {
    let pair = Pair::on(backend).await;
    let token = pair.sign();
    let long = 10 * ACCESS;
    pair.there.rotate(Purpose::Access).await.expect("rotated");
    pair.there
        .allow_lifetime(Purpose::Access, long)
        .await
        .expect("the keys");
    pair.catch_up().await;
    pair.clock
        .advance(ANNOUNCE + long + CLOCKS_APART - Duration::from_micros(1));
    assert!(pair.accept(&token));
    pair.clock.advance(Duration::from_micros(1));
    assert!(!pair.accept(&token));

    // A server whose settings allow longer tokens says so when it starts.
    let mut longer = parts(&pair.node, &pair.clock, &master_of(backend), 3);
    longer.policy.access_lifetime = 2 * long;
    open(longer).await;
    let longest = stored(&pair.node)
        .await
        .iter()
        .map(|key| key.lifetime)
        .max();
    assert_eq!(longest, Some(REFRESH.max(2 * long)));
}

pub(crate) async fn another_algorithm_gets_a_key_of_its_own(backend: &Backend) {
    let pair = Pair::on(backend).await;
    let token = pair.sign();
    let mut other = parts(&pair.node, &pair.clock, &master_of(backend), 3);
    other.policy.algorithm = Algorithm::HS512;
    let ring = open(other).await;
    pair.clock.advance(ANNOUNCE);
    let keys = ring.keys();
    let key = keys.access().signing(pair.now());
    assert_eq!(key.hmac().algorithm(), Algorithm::HS512);
    assert!(verify(keys.access(), &token, pair.now()).is_some());
    pair.catch_up().await;
    assert!(pair.accept(&key.sign(b"{}")));
}

pub(crate) async fn without_its_master_key_no_key_is_opened_and_none_is_made(backend: &Backend) {
    let pair = Pair::on(backend).await;
    let before = stored(&pair.node).await;
    let elsewhere = backend.home().join("elsewhere/master.key");
    let stranger = || parts(&pair.node, &pair.clock, &elsewhere, 3);
    for _ in 0..2 {
        let refused = try_open(stranger()).await.err().expect("a refusal");
        assert!(matches!(refused, Error::Locked { .. }), "{refused:?}");
        assert!(refused.to_string().contains("elsewhere/master.key"));
        // The second time with another master key.
        let other = MasterKey::random(&SeededRandom::new(9));
        MasterKeyFile::new(elsewhere.clone())
            .create(other)
            .await
            .expect("a file");
    }
    assert_eq!(stored(&pair.node).await, before);
    // If it is lost, everything is replaced.
    let (token, replaced) = (pair.sign(), Ring::replace_all(stranger()).await);
    let replaced = replaced.expect("a ring");
    assert!(verify(replaced.keys().access(), &token, pair.now()).is_none());
    open(stranger()).await;
}

pub(crate) async fn a_row_that_was_changed_is_not_opened(backend: &Backend) {
    let pair = Pair::on(backend).await;
    let swap = "UPDATE keys SET purpose = 'refresh' WHERE purpose = 'access'";
    backend.go_back(swap).await;
    let opened = try_open(parts(&pair.node, &pair.clock, &master_of(backend), 3)).await;
    let refused = opened.err().expect("a refusal");
    assert!(matches!(refused, Error::Altered(_)), "{refused:?}");
}

pub(crate) async fn the_master_key_is_replaced_beneath_running_servers(backend: &Backend) {
    let pair = Pair::on(backend).await;
    let (token, master) = (pair.sign(), master_of(backend));
    let old = std::fs::read_to_string(&master).expect("the file");
    let new = MasterKey::random(&SeededRandom::new(9));
    std::fs::write(&master, format!("{}\n{old}", *new.to_text())).expect("the file");
    assert_eq!(pair.here.reseal().await.expect("resealed"), 4);
    assert_eq!(pair.here.reseal().await.expect("resealed"), 0);
    // Every row is sealed by the new one alone.
    std::fs::write(&master, new.to_text().as_bytes()).expect("the file");
    let again = open(parts(&pair.node, &pair.clock, &master, 3)).await;
    assert!(verify(again.keys().access(), &token, pair.now()).is_some());
    pair.catch_up().await;
    assert!(pair.accept(&token));
    pair.there.rotate(Purpose::Access).await.expect("rotated");
    pair.catch_up().await;
    pair.clock.advance(ANNOUNCE);
    assert!(pair.accept(&pair.sign()));
}

/// What an earlier version left.
struct Left(LegacyKeys);

#[async_trait::async_trait]
impl Legacy for Left {
    async fn find(&self) -> Result<LegacyKeys, keyward_core::error::Fault> {
        Ok(self.0.clone())
    }

    async fn remove(&self) -> Result<(), keyward_core::error::Fault> {
        Ok(())
    }
}

pub(crate) async fn the_keys_of_an_earlier_version_go_on(backend: &Backend) {
    let upgraded = "INSERT INTO meta (key, value) VALUES ('upgraded', 1)";
    backend.go_back(upgraded).await;
    let clock = Arc::new(ManualClock::new(at(0)));
    let text = |byte: &str| Some(SecretText::new(byte.repeat(128)));
    let left = Left(LegacyKeys {
        login: text("a"),
        notary: text("b"),
    });
    let opens = || Ring::open(parts(&backend.node, &clock, &master_of(backend), 1), &left);
    let ring = opens().await.expect("a ring");
    let secret = "a".repeat(128);
    let login = HmacKey::new(Algorithm::HS256, secret.as_bytes()).expect("a key");
    let mut derived = login
        .sign(b"keyward refresh token key v1")
        .as_ref()
        .to_vec();
    derived.resize(64, 0);
    let derived = HmacKey::new(Algorithm::HS256, &derived).expect("a key");
    let sign = |key: &HmacKey, typ: &str| {
        let header = EncodedHeader::new(&format!(r#"{{"alg":"HS256","typ":"{typ}"}}"#));
        jws::sign(key, &header.expect("a header"), b"{}")
    };
    let (access, refresh) = (sign(&login, "JWT"), sign(&derived, "rt+jwt"));
    let now = || clock.now();
    assert!(verify(ring.keys().access(), &access, now()).is_some());
    assert!(verify(ring.keys().refresh(), &refresh, now()).is_some());
    // For an hour servers of the earlier version may run beside this one.
    assert_eq!(ring.keys().refresh().signing(now()).sign(b"{}"), refresh);
    assert_eq!(ring.keys().access().signing(now()).sign(b"{}"), access);
    clock.advance(Duration::from_secs(3_600));
    assert_ne!(ring.keys().refresh().signing(now()).sign(b"{}"), refresh);
    clock.advance(REFRESH);
    assert!(verify(ring.keys().refresh(), &refresh, now()).is_some());
    clock.advance(CLOCKS_APART);
    assert!(verify(ring.keys().refresh(), &refresh, now()).is_none());
    // The next start takes nothing over a second time.
    let before = stored(&backend.node).await;
    opens().await.expect("a ring");
    assert_eq!(stored(&backend.node).await, before);
}
