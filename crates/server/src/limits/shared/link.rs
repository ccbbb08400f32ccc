//! The connection to Redis: one per node, opened in the background, and closed as soon as a call fails.
//!
//! Invariant: no request waits for a connection, and none waits for a response beyond the deadline.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use keyward_core::error::chain;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ErrorKind, RedisError};
use tokio::sync::watch;
use tokio::time::{Instant, error::Elapsed, sleep, timeout};

use super::gcra::{Bucket, Gcra};

/// The time limit for connecting, including DNS, TLS and authentication.
pub(super) const CONNECT: Duration = Duration::from_secs(1);
/// The first pause between attempts. Each further one is twice as long, up to `LAST_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// The reason why a call to Redis failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It did not answer.
    #[error("no response in time")]
    Slow(#[from] Elapsed),
    /// It could not be reached, or refused the call.
    #[error(transparent)]
    Redis(#[from] RedisError),
}

impl CallError {
    /// What to do.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        let Self::Redis(error) = self else {
            return "see whether it is overloaded, or far away";
        };
        let text = error.to_string();
        match error.code() {
            _ if error.code() == Some("NOPERM")
                || text.contains("The user executing the script") =>
            {
                "give the user in the URL the rights +eval +evalsha +get +set +time on the keys ~keyward:limit:*"
            }
            Some("NOAUTH" | "WRONGPASS") => "correct the user and the password in the URL",
            _ if error.kind() == ErrorKind::AuthenticationFailed => {
                "correct the user and the password in the URL"
            }
            _ if text.contains("certificate") => {
                "its certificate must be for the host in the URL, valid now, and issued by an authority of the operating system \
                 or of the file that SSL_CERT_FILE names"
            }
            _ => "start it, or correct the URL",
        }
    }
}

/// The connection to Redis, if there is one, and its state.
pub(super) struct Link {
    client: Client,
    pub(super) gcra: Gcra,
    deadline: Duration,
    /// The connection with its number, so that only the one that failed is closed.
    current: watch::Sender<Option<(u64, MultiplexedConnection)>>,
    outages: AtomicU64,
}

impl Link {
    /// A link that has no connection until [`keep`](Self::keep) runs.
    pub(super) fn new(client: Client, gcra: Gcra, deadline: Duration) -> Self {
        Self {
            client,
            gcra,
            deadline,
            current: watch::Sender::new(None),
            outages: AtomicU64::new(0),
        }
    }

    /// Counts one request on Redis. Returns how long to wait, or zero if the request passes; `None` if Redis does not
    /// respond.
    pub(super) async fn count(&self, bucket: &Bucket) -> Option<Duration> {
        let (number, mut connection) = self.current.borrow().clone()?;
        let counted = timeout(self.deadline, self.gcra.count(&mut connection, bucket));
        match flat(counted.await) {
            Ok(wait) => Some(wait),
            Err(error) => {
                self.give_up(number, &error);
                None
            }
        }
    }

    /// Connects, and reconnects after each failure, as long as it is polled.
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
                    // If Redis keeps failing, the pauses between attempts and between log lines stay long.
                    if since.elapsed() > LAST_PAUSE {
                        pause = FIRST_PAUSE;
                    }
                }
                Err(error) if !said => {
                    said = true;
                    self.say_away(&error);
                }
                Err(_) => {}
            }
            sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    /// Whether Redis is reachable.
    pub(super) fn is_up(&self) -> bool {
        self.current.borrow().is_some()
    }

    /// Waits until Redis is reachable (`up`) or unreachable.
    pub(super) async fn wait_until(&self, up: bool) {
        // `self` holds the sender, so this cannot fail.
        let mut current = self.current.subscribe();
        let _ = current.wait_for(|current| current.is_some() == up).await;
    }

    /// How often Redis became unreachable. Being unreachable at the start counts as well.
    pub(super) fn outages(&self) -> u64 {
        self.outages.load(Ordering::Relaxed)
    }

    /// Opens a connection and checks that counting works within the deadline.
    pub(super) async fn connect(&self) -> Result<MultiplexedConnection, CallError> {
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

    fn give_up(&self, number: u64, error: &CallError) {
        let given_up = self.current.send_if_modified(|current| {
            let is_it = matches!(current, Some((current, _)) if *current == number);
            if is_it {
                *current = None;
            }
            is_it
        });
        if given_up {
            self.say_away(error);
        }
    }

    fn say_away(&self, error: &CallError) {
        self.outages.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(
            error = chain(error),
            advice = error.advice(),
            "Redis is unreachable; each node counts rate limits alone"
        );
    }
}

fn flat<T>(outcome: Result<Result<T, RedisError>, Elapsed>) -> Result<T, CallError> {
    Ok(outcome??)
}
