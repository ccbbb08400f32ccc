//! Connections to the database: how they are opened and set up.
//!
//! Invariant: a commit on any connection is on disk when it is acknowledged, whatever the server's default is. After an
//! outage the database is not flooded: few connections are opened at once, after a pause with jitter.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use deadpool_postgres::ClientWrapper;
use keyward_core::error::Source;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, SimpleQueryMessage, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::Address;
use super::error::{Error, describe};
use super::{Options, tls};

/// How many connections may be opened at once.
const CONNECTING: usize = 4;

/// The pause after the first failed attempt, and the longest pause.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;

/// Opens connections.
#[derive(Clone)]
pub(super) struct Connector {
    config: Config,
    tls: MakeRustlsConnect,
    patience: Duration,
    setup: Arc<str>,
    gate: Arc<Gate>,
}

impl Connector {
    pub(super) fn new(address: Address, options: Options) -> Result<Self, Source> {
        let Address { mut config, trust } = address;
        if config.get_application_name().is_none() {
            config.application_name("keyward");
        }
        config.keepalives_idle(Duration::from_secs(10));
        Ok(Self {
            tls: MakeRustlsConnect::new(tls::client_config(&trust)?),
            config,
            patience: options.connect,
            setup: setup(options.patience).into(),
            gate: Arc::new(Gate::new()),
        })
    }

    /// Opens a connection that is ready for use. Fails at once if the database was just found unreachable.
    pub(super) async fn connect(&self) -> Result<ClientWrapper, Source> {
        let _turn = self.gate.turn(self.patience).await?;
        let made = timeout(self.patience, async {
            let (client, connection) = self.open().await?;
            let task = tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(cause = describe(&error), "a database connection broke");
                }
            });
            let client = ClientWrapper::new(client, task);
            client.batch_execute(&self.setup).await?;
            match is_standby(&client).await {
                Ok(true) => Err(Error::Standby.to_string().into()),
                // An engine that does not know the question has no standbys of that kind.
                Ok(false) | Err(_) => Ok(client),
            }
        });
        let made = made
            .await
            .unwrap_or_else(|_| Err("it does not answer".into()));
        self.gate.learn(made.as_ref().err());
        made
    }

    /// Opens a connection that the caller drives, with the settings of the server.
    pub(super) async fn open(&self) -> Result<(Client, Connection<Socket, Stream>), Source> {
        let opened = self.config.connect(self.tls.clone()).await;
        opened.map_err(|error| {
            let cause = describe(&error);
            match tls::advice(&error) {
                Some(advice) => format!("{cause}: {advice}").into(),
                None => cause.into(),
            }
        })
    }

    /// Makes a connection with no settings but the server's own, which ends when the result is dropped.
    pub(super) async fn plain(&self, patience: Duration) -> Result<ClientWrapper, Source> {
        let opened = timeout(patience, self.open()).await;
        let (client, connection) = opened.unwrap_or_else(|_| Err("it does not answer".into()))?;
        Ok(ClientWrapper::new(
            client,
            tokio::spawn(async move {
                // Whoever uses the connection sees the error as well.
                let _ = connection.await;
            }),
        ))
    }

    /// Fails at once while the database is known to be unreachable.
    pub(super) fn check(&self) -> Result<(), Source> {
        self.gate.check()
    }
}

impl Manager for Connector {
    type Type = ClientWrapper;
    type Error = Source;

    async fn create(&self) -> Result<ClientWrapper, Source> {
        self.connect().await
    }

    async fn recycle(&self, client: &mut ClientWrapper, _: &Metrics) -> RecycleResult<Source> {
        if client.is_closed() {
            return Err(RecycleError::message("the connection is closed"));
        }
        Ok(())
    }
}

/// Whether the server is in recovery, which means that it is read-only and lags behind its primary.
///
/// # Errors
/// If the database does not know the function.
pub(super) async fn is_standby(client: &Client) -> Result<bool, tokio_postgres::Error> {
    let asked = client.simple_query("SELECT pg_is_in_recovery()").await?;
    let is_true = |message: &SimpleQueryMessage| matches!(message, SimpleQueryMessage::Row(row) if row.get(0) == Some("t"));
    Ok(asked.iter().any(is_true))
}

/// What a session is told. `synchronous_commit` is set even where it is on already, so that a later change of the
/// server's default does not reach it; anything but `off` waits for the disk and is left to the operator. So is
/// SERIALIZABLE, under which everything is right as well; REPEATABLE READ is not enough.
fn setup(patience: Duration) -> String {
    let patience = patience.as_millis();
    format!(
        "SELECT set_config('default_transaction_isolation',
            CASE current_setting('default_transaction_isolation')
                WHEN 'serializable' THEN 'serializable' ELSE 'read committed' END,
            false);
        SELECT set_config('synchronous_commit',
            CASE current_setting('synchronous_commit')
                WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END,
            false);
        SET statement_timeout = {patience};
        SET idle_in_transaction_session_timeout = {patience}"
    )
}

/// Lets few connections be opened at once, and none for a while after a failure.
struct Gate {
    turns: Semaphore,
    outage: Mutex<Option<Outage>>,
}

struct Outage {
    failures: u32,
    until: Instant,
    cause: String,
}

impl Gate {
    fn new() -> Self {
        Self {
            turns: Semaphore::new(CONNECTING),
            outage: Mutex::default(),
        }
    }

    /// Waits for a turn to connect, which must not last longer than `patience`. During an outage one attempt is made at
    /// a time, and the others are refused.
    async fn turn(&self, patience: Duration) -> Result<SemaphorePermit<'_>, Source> {
        let turn = self.turns.acquire().await?;
        match &mut *self.outage() {
            Some(outage) if Instant::now() < outage.until => Err(outage.cause.clone().into()),
            Some(outage) => {
                outage.until = Instant::now() + patience;
                Ok(turn)
            }
            None => Ok(turn),
        }
    }

    fn check(&self) -> Result<(), Source> {
        match &*self.outage() {
            Some(outage) if Instant::now() < outage.until => Err(outage.cause.clone().into()),
            _ => Ok(()),
        }
    }

    fn learn(&self, failure: Option<&Source>) {
        let mut outage = self.outage();
        let Some(failure) = failure else {
            if outage.take().is_some() {
                tracing::info!("the database can be reached again");
            }
            return;
        };
        let cause = failure.to_string();
        let failures = outage.as_ref().map_or(0, |outage| outage.failures) + 1;
        if failures == 1 {
            tracing::error!(cause, "the database cannot be reached");
        }
        *outage = Some(Outage {
            failures,
            until: Instant::now() + pause(failures),
            cause,
        });
    }

    fn outage(&self) -> std::sync::MutexGuard<'_, Option<Outage>> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pause after that many failures. It doubles each time, and half of it is random, so that several servers do not
/// reconnect in step.
pub(super) fn pause(failures: u32) -> Duration {
    let (first, longest) = PAUSE;
    let whole = first
        .saturating_mul(1 << failures.saturating_sub(1).min(10))
        .min(longest);
    // A fresh `RandomState` is seeded at random, which is enough for a pause.
    let random = RandomState::new().hash_one(failures) % 1_024;
    whole.mul_f64(0.5 + 0.5 * (f64::from(u32::try_from(random).unwrap_or(0)) / 1_024.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_to_a_second_and_differs_from_server_to_server() {
        for failures in 1..100 {
            let longest = Duration::from_millis(50 << (failures - 1).min(10)).min(PAUSE.1);
            let pause = pause(failures);
            assert!(
                pause <= longest && pause >= longest / 2,
                "{failures}: {pause:?}"
            );
        }
        let pauses: std::collections::HashSet<_> = (0..20).map(|_| pause(9)).collect();
        assert!(pauses.len() > 1);
    }

    #[tokio::test(start_paused = true)]
    async fn in_an_outage_one_at_a_time_tries_after_a_pause() {
        let patience = Duration::from_secs(5);
        let gate = Gate::new();
        assert!(gate.turn(patience).await.is_ok() && gate.turn(patience).await.is_ok());
        gate.learn(Some(&"refused".into()));
        assert_eq!(gate.check().expect_err("a pause").to_string(), "refused");
        assert!(gate.turn(patience).await.is_err());
        tokio::time::advance(PAUSE.0).await;
        assert!(gate.turn(patience).await.is_ok());
        assert!(gate.check().is_err() && gate.turn(patience).await.is_err());
        // The attempt may have been abandoned.
        tokio::time::advance(patience).await;
        assert!(gate.turn(patience).await.is_ok());
        gate.learn(None);
        assert!(gate.turn(patience).await.is_ok() && gate.turn(patience).await.is_ok());
    }
}
