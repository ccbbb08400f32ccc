//! Every row trait of core, and the signing keys, on PostgreSQL 14 or later or an engine that speaks its language.
//!
//! Invariant: what a method has answered for is committed with a synced log, and each method is one
//! statement or one transaction at READ COMMITTED that is right at SERIALIZABLE too.

mod accounts;
mod address;
mod closures;
mod connect;
mod customers;
mod durability;
mod epoch;
mod error;
mod feed;
mod files;
mod health;
mod keys;
mod measured;
mod migrate;
mod pool;
mod pooler;
mod sessions;
mod tls;

use std::time::Duration;

use keyward_core::error::Source;

pub use self::address::BadUrl;
pub use self::durability::{Durability, durability};
pub use self::feed::ClosureFeed;
pub(crate) use self::measured::METRICS;
pub use self::pool::PoolStatus;
use address::Address;
use connect::Connector;
use pool::Pool;

/// How a database is used.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many connections at most.
    pub connections: usize,
    /// How many may wait for one; one more is refused as unavailable.
    pub queue: usize,
    /// How long making a connection may take.
    pub connect: Duration,
    /// How long a method may take, waiting and connecting included; then it is unavailable.
    pub patience: Duration,
    /// How often the feed of closed sessions is read where the database does not tell of changes.
    pub poll: Duration,
    /// Whether the database is migrated where it must be; else one that would have to be is refused.
    pub migrate: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            connections: 16,
            queue: 1_024,
            connect: Duration::from_millis(1_200),
            patience: Duration::from_millis(1_500),
            poll: Duration::from_millis(250),
            migrate: true,
        }
    }
}

/// Why a database was not opened. The text says what to do, and tells no password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL does not name a database.
    #[error("the database URL cannot be used")]
    Url(#[from] BadUrl),
    /// A later version of the program has migrated it.
    #[error(
        "the database {name} is at version {found}, but this program knows only up to {known}: \
         run the newer program that wrote it, or restore a backup"
    )]
    Newer {
        /// The database.
        name: String,
        /// The version it is at.
        found: i64,
        /// The latest version this program knows.
        known: i64,
    },
    /// It must not be migrated now, and would have to be.
    #[error(
        "the database {name} is at version {found}, but this program works with {known}: start a server of \
         this version on it, which migrates it, or use the program that runs on it"
    )]
    Older {
        /// The database.
        name: String,
        /// The version it is at; 0 when Keyward has not used it yet.
        found: i64,
        /// The version this program works with.
        known: i64,
    },
    /// An applied migration is not the one this program carries.
    #[error(
        "migration {version} of the database {name} was applied as another text than this program \
         carries: run the program that wrote it, or restore a backup"
    )]
    Altered {
        /// The database.
        name: String,
        /// The migration.
        version: i64,
    },
    /// It holds something else's tables.
    #[error(
        "the database {name} holds tables that Keyward did not make: name another database, or another \
         schema with ?options=-csearch_path%3DSCHEMA"
    )]
    Foreign {
        /// The database.
        name: String,
    },
    /// It cannot hold every text.
    #[error(
        "the database {name} is encoded as {encoding}: make one with CREATE DATABASE … ENCODING 'UTF8' \
         TEMPLATE template0"
    )]
    Encoding {
        /// The database.
        name: String,
        /// Its encoding.
        encoding: String,
    },
    /// A pooler gives each transaction another session.
    #[error(
        "the database {name} is reached through a pooler that gives each transaction another session, so that settings \
         of a session, such as the one that keeps acknowledged commits on disk, do not hold: use pool_mode=session \
         for this database in PgBouncer, with room for all connections of all servers, or name PostgreSQL itself"
    )]
    Pooled {
        /// The database.
        name: String,
    },
    /// It could not be reached or migrated.
    #[error("the database {name} cannot be opened")]
    Failed {
        /// The database.
        name: String,
        /// The cause.
        #[source]
        source: Source,
    },
}

/// Tells whether `url` has the form of a database's URL, `postgres://…`, without connecting to it.
///
/// # Errors
/// [`BadUrl`].
pub fn check_url(url: &str) -> Result<(), BadUrl> {
    Address::parse(url).map(drop)
}

/// The rows of Keyward in one PostgreSQL database, shared by any number of servers.
pub struct Postgres {
    pool: Pool,
    connector: Connector,
    options: Options,
    /// Whether the database can tell of changes.
    tells: bool,
    /// Whether the server can say that it is a standby.
    knows_recovery: bool,
}

impl Postgres {
    /// Opens the database at `url`, `postgres://…`, and migrates it; several servers may do so at once.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(url: &str, options: Options) -> Result<Self, OpenError> {
        let address = Address::parse(url)?;
        let name = address.name();
        let failed = |source: Source| OpenError::Failed {
            name: name.clone(),
            source,
        };
        let connector = Connector::new(address, options).map_err(failed)?;
        let mut db = connector.connect().await.map_err(failed)?;
        if pooler::shares_sessions(&connector).await.map_err(failed)? {
            return Err(OpenError::Pooled { name });
        }
        if !options.migrate {
            migrate::refuse_older(&db, &name).await?;
        }
        migrate::migrate(&mut db, &name).await?;
        let tells = feed::can_tell(&db).await;
        let knows_recovery = connect::is_standby(&db).await.is_ok();
        drop(db);
        Ok(Self {
            pool: Pool::new(connector.clone(), options).map_err(failed)?,
            connector,
            options,
            tells,
            knows_recovery,
        })
    }

    /// Follows the feed of closed sessions on a connection of its own, until it is dropped.
    #[must_use]
    pub fn follow_closures(&self) -> ClosureFeed {
        ClosureFeed::start(self.connector.clone(), self.tells, self.options.poll)
    }

    /// The connections at present.
    #[must_use]
    pub fn pool_status(&self) -> PoolStatus {
        self.pool.status()
    }

    /// Takes no more work, and closes each connection when it is idle.
    pub fn close(&self) {
        self.pool.close();
    }
}
