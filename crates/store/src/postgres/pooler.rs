//! Finds out whether the database is reached through a pooler that gives each transaction another session of the
//! server, as PgBouncer does with `pool_mode = transaction`.
//!
//! Such a database is refused, because what Keyward sets on its sessions would hold for other clients and not for
//! itself: that a commit is on disk before it is answered (`synchronous_commit`), that reads see what is committed, and
//! that no statement runs for ever. When a pooler is set to this while servers run, a statement that is prepared in one
//! session is missing in the next, which the pool notices.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use keyward_core::error::Source;
use tokio::time::timeout;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Error, SimpleQueryMessage};

use super::connect::Connector;
use super::error::describe;

/// How long the comparison may take. A database that is merely slow must not be taken for a pooler.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most names that are skipped, some hundred times as many as a process uses.
const NAMES: u64 = 1 << 18;

/// Whether two connections of Keyward can get each other's sessions. Nothing is set on either.
///
/// Each begins a transaction, which takes a session for itself. After that the sessions are idle, and a pooler that
/// shares them gives them to whichever connection begins first: it takes either the one that was used last or the one
/// that was idle longest. So both orders are tried.
///
/// # Errors
/// When the database cannot be reached.
pub(super) async fn shares_sessions(connector: &Connector) -> Result<bool, Source> {
    let (a, b) = (
        connector.plain(PATIENCE).await?,
        connector.plain(PATIENCE).await?,
    );
    let asked = timeout(PATIENCE, compare(&a, &b)).await;
    match asked {
        Ok(Ok(shares)) => Ok(shares),
        Ok(Err(error)) => match error.code() {
            // A pooler that gives each statement another session refuses transactions.
            Some(&SqlState::PROTOCOL_VIOLATION) => Ok(true),
            // An engine of another kind.
            Some(&SqlState::UNDEFINED_FUNCTION) => Ok(false),
            _ => Err(describe(&error).into()),
        },
        // A pool with room for one session alone keeps the second transaction waiting.
        Err(_) => Ok(true),
    }
}

async fn compare(a: &Client, b: &Client) -> Result<bool, Error> {
    let first = (begin(a).await?, begin(b).await?);
    end(a, b).await?;
    let in_order = (begin(a).await?, begin(b).await?);
    end(a, b).await?;
    let reversed = (begin(b).await?, begin(a).await?);
    end(a, b).await?;
    Ok(in_order != first || reversed != (first.1, first.0))
}

/// Begins a transaction, and returns the session that it has.
async fn begin(client: &Client) -> Result<Option<String>, Error> {
    let answer = client
        .simple_query("BEGIN; SELECT pg_backend_pid()")
        .await?;
    Ok(answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}

/// Skips names of prepared statements, a random number of them, so that other processes have other names. The driver
/// numbers the statements of each process from zero. With the same names, a process that got the session of another
/// would run that one's statements without an error.
pub(super) async fn skip_names(client: &Client) {
    static IS_DONE: AtomicBool = AtomicBool::new(false);
    if IS_DONE.swap(true, Ordering::Relaxed) {
        return;
    }
    for _ in 0..RandomState::new().hash_one(0) % NAMES {
        // A statement with a NUL gets a name, and is refused before it is sent.
        let _ = client.prepare("\0").await;
    }
}

async fn end(a: &Client, b: &Client) -> Result<(), Error> {
    a.batch_execute("COMMIT").await?;
    b.batch_execute("COMMIT").await
}
