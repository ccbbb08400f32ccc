//! The check for closed sessions, by the number of closed sessions (every tenth session is closed), and the memory of
//! the set.

use std::io::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use divan::{Bencher, black_box};
use keyward_core::accounts::Accounts;
use keyward_core::accounts::passwords::{Passwords, Policy};
use keyward_core::clock::{Clock, SystemClock, Timestamp};
use keyward_core::error::Fault;
use keyward_core::id::{AccountId, SessionId};
use keyward_core::page::Page;
use keyward_core::random::SystemRandom;
use keyward_core::sessions::{
    Closures, Feed, Forgotten, Identity, NewSession, PasswordChange, Place, Reason, Rotate,
    Rotation, Session, Sessions, Store, Tag,
};
use keyward_store::sqlite::{Options, Sqlite};

/// The difference between the ids of successive closed sessions.
const STEP: i64 = 10;

const SIZES: [i64; 3] = [1_000, 100_000, 10_000_000];

/// Prints by how much the resident memory of this process grows when a set is loaded.
pub(crate) fn print_memory() {
    // A first load also allocates memory that the process keeps, so it is not measured.
    drop(loaded(1));
    for closed in SIZES {
        let before = resident_kib();
        let sessions = loaded(closed);
        let grown = resident_kib().saturating_sub(before);
        assert_eq!(sessions.closed().len(), closed.unsigned_abs());
        let mut out = std::io::stdout().lock();
        writeln!(
            out,
            "resident memory of {closed} closed sessions: {grown} KiB"
        )
        .unwrap();
    }
}

#[divan::bench(args = SIZES)]
fn refuses(bencher: Bencher<'_, '_>, closed: i64) {
    let sessions = loaded(closed);
    let mut id = 1;
    bencher.bench_local(|| {
        // The ids jump around, so that no part of a large set stays in the processor's cache.
        id = (id * 48_271 + 11) % (closed * STEP);
        black_box(sessions.closed().refuses(SessionId(id)))
    });
}

/// Sessions with a set loaded as a server does it.
fn loaded(closed: i64) -> Sessions {
    let folder = tempfile::tempdir().unwrap();
    let rows = Sqlite::open(&folder.path().join("rows.db"), Options::default()).unwrap();
    let policy = Policy {
        memory_kib: 8_192,
        passes: 3,
        threads: 1,
        queue: 1,
    };
    let passwords = Passwords::start(policy, Arc::new(SystemRandom)).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let accounts = Accounts::new(Arc::new(rows), passwords, clock.clone());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime
        .block_on(Sessions::load(
            Arc::new(Closed(closed)),
            accounts,
            clock,
            Arc::new(SystemRandom),
        ))
        .unwrap()
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

/// A store with a feed of so many closed sessions, and nothing else.
struct Closed(i64);

fn only_the_feed<T>() -> Result<T, Fault> {
    Err(Fault::Internal("there is only the feed".into()))
}

#[async_trait]
impl Feed for Closed {
    async fn list_closures(&self, place: Place, limit: u32) -> Result<Closures, Fault> {
        let last = self.0.min(place.seq + i64::from(limit));
        Ok(Closures {
            sessions: (place.seq..last).map(|seq| SessionId(seq * STEP)).collect(),
            place: Place { seq: last, ..place },
            follows: true,
            identity: Identity {
                tag: Some(Tag::from_number(1)),
                ..Identity::default()
            },
        })
    }

    async fn find_forgotten(&self) -> Result<Option<Forgotten>, Fault> {
        Ok(None)
    }

    async fn keep_tag(&self, _: Tag) -> Result<(), Fault> {
        Ok(())
    }

    async fn begin_epoch(&self, _: i64, _: Tag) -> Result<i64, Fault> {
        only_the_feed()
    }

    async fn remember_doubt(&self, _: Timestamp) -> Result<(), Fault> {
        only_the_feed()
    }

    async fn close_sessions(
        &self,
        _: Vec<SessionId>,
        _: Reason,
        _: Timestamp,
    ) -> Result<Vec<SessionId>, Fault> {
        only_the_feed()
    }

    async fn forget_ended_sessions(
        &self,
        _: Timestamp,
        _: Timestamp,
        _: u32,
    ) -> Result<Vec<SessionId>, Fault> {
        only_the_feed()
    }
}

#[async_trait]
impl Store for Closed {
    async fn open_session(&self, _: NewSession) -> Result<Option<Session>, Fault> {
        only_the_feed()
    }

    async fn rotate_refresh_token(&self, _: Rotate) -> Result<Rotation, Fault> {
        only_the_feed()
    }

    async fn find_session(&self, _: SessionId) -> Result<Option<Session>, Fault> {
        only_the_feed()
    }

    async fn list_sessions(
        &self,
        _: Option<AccountId>,
        _: Timestamp,
        _: Page,
    ) -> Result<Vec<Session>, Fault> {
        only_the_feed()
    }

    async fn count_open_sessions(&self, _: Timestamp) -> Result<[u64; 3], Fault> {
        only_the_feed()
    }

    async fn close_session(&self, _: SessionId, _: Reason, _: Timestamp) -> Result<bool, Fault> {
        only_the_feed()
    }

    async fn change_password(
        &self,
        _: PasswordChange,
        _: Timestamp,
    ) -> Result<Option<Vec<SessionId>>, Fault> {
        only_the_feed()
    }

    async fn disable_account(
        &self,
        _: AccountId,
        _: Timestamp,
    ) -> Result<Option<Vec<SessionId>>, Fault> {
        only_the_feed()
    }
}
