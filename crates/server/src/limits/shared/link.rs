//! The connection to Redis: one for a node, made in the background, given up as soon as a call fails.
//!
//! Invariant: no request waits for a connection, and none waits for an answer beyond the deadline.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keyward_core::error::chain;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError};
use tokio::sync::watch;
use tokio::time::{Instant, error::Elapsed, sleep, timeout};

use super::gcra::{Bucket, Gcra};

/// How long a connection may take to be made, names, TLS and password included.
const CONNECT: Duration = Duration::from_secs(1);
/// The pauses between attempts: doubled from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// What goes wrong with Redis.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("no answer in time")]
    Slow(#[from] Elapsed),
    #[error(transparent)]
    Redis(#[from] RedisError),
}

/// What is known about Redis, and the connection while there is one.
pub(super) struct Link {
    client: Client,
    pub(super) gcra: Gcra,
    deadline: Duration,
    /// The connection with its number, by which only the one that failed is given up.
    current: watch::Sender<Option<(u64, MultiplexedConnection)>>,
    outages: AtomicU64,
}

impl Link {
    /// A link without a connection until it is [kept](Self::keep).
    pub(super) fn new(client: Client, gcra: Gcra, deadline: Duration) -> Self {
        Self {
            client,
            gcra,
            deadline,
            current: watch::Sender::new(None),
            outages: AtomicU64::new(0),
        }
    }

    /// Counts one request on Redis: how long it is to wait, zero if it passes; `None` if Redis does not say.
    pub(super) async fn count(&self, bucket: &Bucket) -> Option<Duration> {
        let (number, mut connection) = self.current.borrow().clone()?;
        let counted = timeout(self.deadline, self.gcra.count(&mut connection, bucket));
        match flat(counted.await) {
            Ok(wait) => Some(wait),
            Err(trouble) => {
                self.give_up(number, &trouble);
                None
            }
        }
    }

    /// Connects, and connects again after each failure, for as long as it is polled.
    pub(super) async fn keep(&self) {
        let (mut pause, mut said) = (FIRST_PAUSE, false);
        for number in 0.. {
            match self.connect().await {
                Ok(connection) => {
                    tracing::info!("rate limits are shared on Redis");
                    self.current.send_replace(Some((number, connection)));
                    let since = Instant::now();
                    self.wait_until(false).await;
                    said = true;
                    // A Redis that keeps failing is not asked, nor spoken of, ever so often.
                    if since.elapsed() > LAST_PAUSE {
                        pause = FIRST_PAUSE;
                    }
                }
                Err(trouble) if !said => {
                    said = true;
                    self.say_away(&trouble);
                }
                Err(_) => {}
            }
            sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// Whether Redis counts.
    pub(super) fn is_up(&self) -> bool {
        self.current.borrow().is_some()
    }

    /// Returns when Redis counts, or when it does not.
    pub(super) async fn wait_until(&self, up: bool) {
        // The sender lives as long as `self`, so this cannot fail.
        let mut current = self.current.subscribe();
        let _ = current.wait_for(|current| current.is_some() == up).await;
    }

    /// How often Redis went from counting to not counting; being away at the start counts as well.
    pub(super) fn outages(&self) -> u64 {
        self.outages.load(Ordering::Relaxed)
    }

    /// A connection on which counting works within the deadline.
    async fn connect(&self) -> Result<MultiplexedConnection, Trouble> {
        let unlimited = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let connected = timeout(CONNECT, async {
            let made = self
                .client
                .get_multiplexed_async_connection_with_config(&unlimited);
            let mut connection = made.await?;
            self.gcra.probe(&mut connection).await?;
            Ok(connection)
        });
        let mut connection = flat(connected.await)?;
        flat(timeout(self.deadline, self.gcra.probe(&mut connection)).await)?;
        Ok(connection)
    }

    fn give_up(&self, number: u64, trouble: &Trouble) {
        let given_up = self.current.send_if_modified(|current| {
            let is_it = matches!(current, Some((current, _)) if *current == number);
            if is_it {
                *current = None;
            }
            is_it
        });
        if given_up {
            self.say_away(trouble);
        }
    }

    fn say_away(&self, trouble: &Trouble) {
        self.outages.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(
            error = chain(trouble),
            "Redis is unreachable; each node counts rate limits alone"
        );
    }
}

fn flat<T>(outcome: Result<Result<T, RedisError>, Elapsed>) -> Result<T, Trouble> {
    Ok(outcome??)
}
