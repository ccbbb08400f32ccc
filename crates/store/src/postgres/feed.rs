//! Notifications of closed sessions: `LISTEN` on a separate connection, and a steady poll beside it.
//!
//! Invariant: a notification only makes a server read the feed sooner. The poll reads it in any case, so a lost
//! notification, or a database without notifications, delays a closure but does not lose it.

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

/// How often the listening connection is checked, and how long a check may take.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// The factor by which the poll is slower while notifications work. The slower interval is still only half of the time
/// in which a closure must reach every server, so lost notifications do no harm.
const LISTENING_FACTOR: u32 = 2;

/// Reports when another server may have closed sessions.
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

    /// Waits until the feed should be read: after a notification, after the listening connection was opened or lost, or
    /// after the interval of the poll.
    pub async fn changed(&self) {
        let wait = if self.is_listening() {
            self.poll * LISTENING_FACTOR
        } else {
            self.poll
        };
        // After a notification and after a timeout alike, the feed is read next.
        _ = timeout(wait, self.state.changed.notified()).await;
    }

    /// Whether notifications work at present.
    #[must_use]
    pub fn is_listening(&self) -> bool {
        self.state.listening.load(Ordering::Acquire)
    }

    /// When the listening connection last had a response.
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

/// Whether the database supports notifications. The test notification is rolled back.
pub(super) async fn can_tell(db: &Client) -> bool {
    let asked = db
        .batch_execute("BEGIN; SELECT pg_notify('keyward_closures', '0'); ROLLBACK")
        .await;
    if let Err(error) = &asked {
        tracing::info!(
            cause = describe(error),
            "the database has no LISTEN/NOTIFY: polling for closed sessions"
        );
        // After an error, the batch did not reach its ROLLBACK.
        _ = db.batch_execute("ROLLBACK").await;
    }
    asked.is_ok()
}

async fn follow(connector: Connector, state: Arc<State>) {
    let mut failures = 0;
    loop {
        let ended = listen(&connector, &state).await;
        // After the loss of a working connection the next attempt comes soon. After failed attempts the pauses grow.
        failures = if state.listening.load(Ordering::Acquire) {
            state.set_listening(false);
            tracing::warn!(
                cause = ended,
                "the connection for notifications of closed sessions is lost: polling"
            );
            1
        } else {
            failures + 1
        };
        sleep(pause(failures)).await;
    }
}

/// Listens until the connection fails, and returns the cause.
async fn listen(connector: &Connector, state: &Arc<State>) -> String {
    let opened = timeout(HEARTBEAT, connector.open()).await;
    let (client, mut connection) = match opened {
        Ok(Ok(opened)) => opened,
        Ok(Err(cause)) => return cause.to_string(),
        Err(_) => return "it does not respond".into(),
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
    tracing::debug!("listening for notifications of closed sessions");
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
        Err(_) => Err("it does not respond".into()),
    }
}

struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
