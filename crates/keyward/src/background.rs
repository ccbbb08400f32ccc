//! What a server does beside answering: it learns what other processes closed, forgets what has ended,
//! and sweeps what a crash left.

use std::sync::Arc;
use std::time::Duration;

use keyward_core::error::chain;
use keyward_core::files::Files;
use keyward_core::keys::Ring;
use keyward_core::sessions::Sessions;
use keyward_server::App;
use keyward_store::postgres::ClosureFeed;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How often closures of other processes are asked for: what a command closes is refused within this.
const POLL: Duration = Duration::from_millis(500);
/// The longest pause after errors.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often ended sessions are forgotten.
const FORGET: Duration = Duration::from_secs(3_600);
/// How often the age of the signing keys is looked at.
const ROTATE: Duration = Duration::from_secs(600);
/// How often what a crash left is swept: in a bucket it is left alone at first.
const SWEEP: Duration = Duration::from_secs(6 * 3_600);
/// How long a session stays known after its end, for clocks that are set back.
const MARGIN: Duration = Duration::from_secs(86_400);

/// The tasks beside a server.
pub(crate) struct Background(JoinSet<()>);

impl Background {
    /// Starts them.
    pub(crate) fn start(app: &App, ring: Arc<Ring>, feed: Option<ClosureFeed>) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(follow_closures(app.sessions.clone(), feed));
        tasks.spawn(forget_ended(app.sessions.clone()));
        tasks.spawn(sweep(app.files.clone()));
        tasks.spawn(rotate(ring));
        Self(tasks)
    }

    /// Ends them where they wait.
    pub(crate) async fn stop(mut self) {
        self.0.shutdown().await;
    }
}

async fn follow_closures(sessions: Sessions, feed: Option<ClosureFeed>) {
    let mut pause = POLL;
    loop {
        match &feed {
            // It paces itself, and the database's own pause keeps a lost one from being stormed.
            Some(feed) => feed.changed().await,
            None => sleep(pause).await,
        }
        match sessions.catch_up().await {
            Ok(()) if pause == POLL => {}
            Ok(()) => {
                tracing::info!("closed sessions are read again");
                pause = POLL;
            }
            Err(error) => {
                // Said once, not once a try.
                if pause == POLL {
                    let cause = anyhow::Error::from(error);
                    tracing::error!("closed sessions cannot be read: {cause:#}");
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

async fn forget_ended(sessions: Sessions) {
    loop {
        match sessions.forget_ended(MARGIN).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "forgot sessions that have ended"),
            Err(error) => {
                let cause = anyhow::Error::from(error);
                tracing::error!("ended sessions cannot be forgotten: {cause:#}");
            }
        }
        sleep(FORGET).await;
    }
}

async fn rotate(ring: Arc<Ring>) {
    loop {
        if let Err(error) = ring.keep_schedule().await {
            let cause = chain(&error);
            tracing::error!(cause, "the signing keys could not be rotated");
        }
        sleep(ROTATE).await;
    }
}

async fn sweep(files: Files) {
    loop {
        match files.sweep().await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "removed bytes that no file names"),
            Err(error) => {
                let cause = anyhow::Error::from(error);
                tracing::error!("what a crash left cannot be removed for now: {cause:#}");
            }
        }
        sleep(SWEEP).await;
    }
}
