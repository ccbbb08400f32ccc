//! Every row trait of core, and the signing keys, on PostgreSQL 14 or later or an engine that speaks its language.
//!
//! Invariant: when a method reports success, its commit is synced. Each method is one statement or one transaction at
//! READ COMMITTED, and is correct at SERIALIZABLE too.

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

pub use self::address::UrlError;
pub use self::durability::{Durability, durability};
pub use self::feed::ClosureFeed;
pub(crate) use self::measured::METRICS;
pub use self::pool::PoolStatus;
use address::Address;
use connect::Connector;
use pool::Pool;

/// The options of a database.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The maximum number of connections.
    pub connections: usize,
    /// How many calls may wait for a connection. Further ones are refused as unavailable.
    pub queue: usize,
    /// The time limit for connecting.
    pub connect: Duration,
    /// The time limit of a method, including waiting and connecting. After it the call fails as unavailable.
    pub patience: Duration,
    /// How often the feed of closed sessions is read if the database does not notify.
    pub poll: Duration,
    /// Whether the database is migrated if necessary. Otherwise a database that needs a migration is refused.
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

/// The reason why a database was not opened. The text says what to do, and contains no password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The URL is not that of a database.
    #[error("the database URL cannot be used")]
    Url(#[from] UrlError),
    /// A later version of Keyward has migrated the database.
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
    /// The database needs a migration, which the options do not allow.
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
    /// The database contains tables of another program.
    #[error(
        "the database {name} holds tables that Keyward did not make: name another database, or another \
         schema with ?options=-csearch_path%3DSCHEMA"
    )]
    Foreign {
        /// The database.
        name: String,
    },
    /// The encoding of the database is not UTF-8.
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
    /// The role may not create tables.
    #[error(
        "the role of the URL may not create tables in the database {name}: make it the owner of the database, or give it a \
         schema with CREATE SCHEMA keyward AUTHORIZATION …, and name that with ?options=-csearch_path%3Dkeyward"
    )]
    Forbidden {
        /// The database.
        name: String,
        /// What the database said.
        #[source]
        source: Source,
    },
    /// The database could not be reached or migrated.
    #[error("the database {name} cannot be opened")]
    Failed {
        /// The database.
        name: String,
        /// The cause.
        #[source]
        source: Source,
    },
}

/// Checks that `url` is a well-formed URL of a database, `postgres://…`, without connecting.
///
/// # Errors
/// [`UrlError`].
pub fn check_url(url: &str) -> Result<(), UrlError> {
    Address::parse(url).map(drop)
}

/// A store in one PostgreSQL database, which any number of servers share.
pub struct Postgres {
    pool: Pool,
    connector: Connector,
    options: Options,
    /// Whether the database supports notifications.
    tells: bool,
    /// Whether the database has `pg_is_in_recovery()`.
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
        // First, so that nothing is set on sessions of a pool that is refused.
        if pooler::shares_sessions(&connector).await.map_err(failed)? {
            return Err(OpenError::Pooled { name });
        }
        let mut db = connector.connect().await.map_err(failed)?;
        pooler::skip_names(&db).await;
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

    /// The current numbers of connections.
    #[must_use]
    pub fn pool_status(&self) -> PoolStatus {
        self.pool.status()
    }

    /// Refuses further work, and closes each connection when it becomes idle.
    pub fn close(&self) {
        self.pool.close();
    }
}
