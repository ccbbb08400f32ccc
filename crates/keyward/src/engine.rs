//! The database engine: SQLite for one server, PostgreSQL for any number of servers.

use std::future::pending;
use std::path::Path;
use std::sync::Arc;

use keyward_core::keys;
use keyward_core::rows::Rows;
use keyward_core::secret::SecretText;
use keyward_store::folder::DataFolder;
use keyward_store::key_files::KeyFiles;
use keyward_store::postgres::{self, ClosureFeed, Postgres};
use keyward_store::sqlite::{self, Sqlite};

/// An open database.
#[derive(Clone)]
pub(crate) enum Engine {
    /// SQLite, with the keys in files beside it.
    Sqlite(Arc<Sqlite>, Arc<KeyFiles>),
    /// PostgreSQL, with the keys in the database, because its servers share them.
    Postgres(Arc<Postgres>),
}

impl Engine {
    /// Opens the SQLite database at `path`, whose keys are in `folder`.
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
        let keys = KeyFiles::new(folder.keys());
        Ok(Self::Sqlite(
            Arc::new(Sqlite::open(path, options)?),
            Arc::new(keys),
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

    /// Where the signing keys are.
    pub(crate) fn keys(&self) -> Arc<dyn keys::Store> {
        match self {
            Self::Sqlite(_, keys) => keys.clone(),
            Self::Postgres(store) => store.clone(),
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
