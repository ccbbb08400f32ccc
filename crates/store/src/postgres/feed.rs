//! Being told of closed sessions: `LISTEN` on a connection of its own, and a steady poll beside it.
//!
//! Invariant: being told is only ever a reason to read the feed sooner. Whoever waits is woken by the poll as
//! well, so a lost notification, or an engine that has none, costs time and no closure.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::poll_fn;
use keyward_core::error::Source;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::{AsyncMessage, Client};

use super::connect::{Connector, pause};
use super::error::describe;

/// How often the connection that listens is asked whether it is alive, and how long it may take to say so.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How much longer the poll may wait while the database tells of changes: half of what a closure may take to
/// reach every server, so that a database which only pretends to tell is none the later.
const TOLD: u32 = 2;

/// Tells when sessions may have been closed by another server.
pub struct ClosureFeed {
    state: Arc<State>,
    poll: Duration,
    task: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    changed: Notify,
    listening: AtomicBool,
    last_contact: Mutex<Option<Instant>>,
}

impl ClosureFeed {
    pub(super) fn start(connector: Connector, tells: bool, poll: Duration) -> Self {
        let state = Arc::<State>::default();
        let task = tells.then(|| tokio::spawn(follow(connector, Arc::clone(&state))));
        Self { state, poll, task }
    }

    /// Waits until the feed is worth reading: at once when the database tells of a closure or the connection to it
    /// was made or lost, and otherwise after the poll's interval.
    pub async fn changed(&self) {
        let wait = if self.is_listening() {
            self.poll * TOLD
        } else {
            self.poll
        };
        // Either way the feed is read next.
        _ = timeout(wait, self.state.changed.notified()).await;
    }

    /// Whether the database tells of closures at present.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        self.state.listening.load(Ordering::Acquire)
    }

    /// When the database was last heard of on the connection that listens.
    #[must_use]
    pub fn last_contact(&self) -> Option<std::time::Instant> {
        let last = self.state.last_contact.lock();
        last.unwrap_or_else(PoisonError::into_inner)
            .map(Instant::into_std)
    }
}

impl Drop for ClosureFeed {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl State {
    fn heard(&self) {
        let mut last = self
            .last_contact
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *last = Some(Instant::now());
    }

    fn set_listening(&self, listening: bool) {
        self.listening.store(listening, Ordering::Release);
        self.changed.notify_one();
    }
}

/// Whether the database has what tells of changes; what this asks is undone.
pub(super) async fn can_tell(db: &Client) -> bool {
    let asked = db
        .batch_execute("BEGIN; SELECT pg_notify('keyward_closures', '0'); ROLLBACK")
        .await;
    if let Err(error) = &asked {
        tracing::info!(
            cause = describe(error),
            "the database does not tell of changes: closed sessions are polled for"
        );
        // The batch ended before its ROLLBACK.
        _ = db.batch_execute("ROLLBACK").await;
    }
    asked.is_ok()
}

async fn follow(connector: Connector, state: Arc<State>) {
    let mut failures = 0;
    loop {
        let ended = listen(&connector, &state).await;
        // A connection that had worked was lost; one that never did is tried ever less often.
        failures = if state.listening.load(Ordering::Acquire) {
            state.set_listening(false);
            tracing::warn!(
                cause = ended,
                "the feed of closed sessions is lost: polling"
            );
            1
        } else {
            failures + 1
        };
        sleep(pause(failures)).await;
    }
}

/// Listens until the connection fails, and tells why.
async fn listen(connector: &Connector, state: &Arc<State>) -> String {
    let opened = timeout(HEARTBEAT, connector.open()).await;
    let (client, mut connection) = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(cause)) => return cause.to_string(),
        Err(_) => return "it does not answer".into(),
    };
    let hearing = Arc::clone(state);
    let driver = tokio::spawn(async move {
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if matches!(message, AsyncMessage::Notification(_)) {
                hearing.heard();
                hearing.changed.notify_one();
            }
        }
    });
    let _driver = AbortOnDrop(driver);
    if let Err(cause) = ask(&client, "LISTEN keyward_closures").await {
        return cause.to_string();
    }
    tracing::debug!("the database tells of closed sessions");
    state.heard();
    state.set_listening(true);
    loop {
        sleep(HEARTBEAT).await;
        match ask(&client, "SELECT 1").await {
            Ok(()) => state.heard(),
            Err(cause) => return cause.to_string(),
        }
    }
}

async fn ask(client: &Client, sql: &str) -> Result<(), Source> {
    match timeout(HEARTBEAT, client.batch_execute(sql)).await {
        Ok(answered) => answered.map_err(|error| describe(&error).into()),
        Err(_) => Err("it does not answer".into()),
    }
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
