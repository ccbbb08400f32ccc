//! The database engine: SQLite for one server, PostgreSQL for any number of servers.

use std::future::pending;
use std::path::Path;
use std::sync::Arc;

use keyward_core::keys;
use keyward_core::rows::Rows;
use keyward_core::secret::SecretText;
use keyward_store::folder::DataFolder;
use keyward_store::key_files::LegacyKeyFiles;
use keyward_store::postgres::{self, ClosureFeed, Postgres};
use keyward_store::sqlite::{self, Sqlite};

/// An open database.
#[derive(Clone)]
pub(crate) enum Engine {
    /// SQLite, with the folder of the files in which 0.1.0 kept its keys.
    Sqlite(Arc<Sqlite>, Arc<LegacyKeyFiles>),
    /// PostgreSQL.
    Postgres(Arc<Postgres>),
}

impl Engine {
    /// Opens the SQLite database at `path`, with the data folder `folder`.
    ///
    /// # Errors
    /// [`sqlite::OpenError`].
    pub(crate) fn open_sqlite(
        path: &Path,
        folder: &DataFolder,
        migrate: bool,
    ) -> Result<Self, sqlite::OpenError> {
        let options = sqlite::Options {
            migrate,
            ..sqlite::Options::default()
        };
        let left = LegacyKeyFiles::new(&folder.keys());
        Ok(Self::Sqlite(
            Arc::new(Sqlite::open(path, options)?),
            Arc::new(left),
        ))
    }

    /// Opens the PostgreSQL database at `url`.
    ///
    /// # Errors
    /// [`postgres::OpenError`].
    pub(crate) async fn open_postgres(
        url: &SecretText,
        migrate: bool,
    ) -> Result<Self, postgres::OpenError> {
        let options = postgres::Options {
            migrate,
            ..postgres::Options::default()
        };
        let store = Postgres::open(url.expose(), options).await?;
        Ok(Self::Postgres(Arc::new(store)))
    }

    /// Its name in the log.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Sqlite(..) => "sqlite",
            Self::Postgres(_) => "postgresql",
        }
    }

    /// Its rows.
    pub(crate) fn rows(&self) -> Arc<dyn Rows> {
        match self {
            Self::Sqlite(store, _) => store.clone(),
            Self::Postgres(store) => store.clone(),
        }
    }

    /// Where an earlier version left its keys.
    pub(crate) fn legacy_keys(&self) -> &dyn keys::Legacy {
        match self {
            Self::Sqlite(_, left) => &**left,
            Self::Postgres(store) => &**store,
        }
    }

    /// The notifications of closures by other servers, if other servers can exist.
    pub(crate) fn follow_closures(&self) -> Option<ClosureFeed> {
        match self {
            Self::Sqlite(..) => None,
            Self::Postgres(store) => Some(store.follow_closures()),
        }
    }

    /// Resolves with the cause when this process can no longer make a write durable.
    pub(crate) async fn failed(&self) -> String {
        match self {
            Self::Sqlite(store, _) => store.failed().await,
            // The disk is PostgreSQL's business: it recovers, or it stops answering.
            Self::Postgres(_) => pending().await,
        }
    }

    /// Finishes the waiting writes and closes the database.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(store, _) => store.close().await,
            Self::Postgres(store) => store.close(),
        }
    }
}
