//! The data folder and the database of a server, opened by that server or by a command.
//!
//! Invariant: only `--demo` serves a folder with public keys, and it serves no other. A command never migrates a
//! database that a running server uses.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use keyward_core::rows::Rows;
use keyward_store::folder::{DataFolder, ServingLock};
use keyward_store::postgres::OpenError;

use crate::engine::Engine;
use crate::settings::{Database, Settings};

/// An open database.
pub(crate) struct Data {
    pub(crate) rows: Arc<dyn Rows>,
    pub(crate) engine: Engine,
    /// Whether it was made by `--demo`.
    pub(crate) is_demo: bool,
    servers: Servers,
    _lock: Option<ServingLock>,
}

/// Which other processes may serve the same data.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Servers {
    None,
    One,
    Any,
}

impl Data {
    /// Opens the data for a server, and creates or migrates it as needed. At most one server runs on a folder; any
    /// number share a PostgreSQL database.
    ///
    /// # Errors
    /// When another server runs on the folder, when a demo's folder is opened without `--demo` or the reverse, and the
    /// errors of the disk and the database.
    pub(crate) async fn open_to_serve(
        settings: &Settings,
        demo: bool,
    ) -> anyhow::Result<(DataFolder, Self)> {
        let folder = DataFolder::open(&settings.data_dir)?;
        let lock = folder.lock_for_serving()?;
        take_as(&folder, demo)?;
        let (engine, servers) = match &settings.database {
            Database::Postgres(url) => (Engine::open_postgres(url, true).await?, Servers::Any),
            Database::Sqlite(path) => (Engine::open_sqlite(path, &folder, true)?, Servers::None),
            Database::InDataDir => {
                let path = folder.database();
                (Engine::open_sqlite(&path, &folder, true)?, Servers::None)
            }
        };
        let data = Self {
            is_demo: folder.is_demo(),
            _lock: Some(lock),
            ..Self::of(engine, servers)
        };
        Ok((folder, data))
    }

    /// Opens the data for a command. Servers may run on it meanwhile.
    ///
    /// # Errors
    /// When there is no data and none is to be made, or when it cannot be used as it is.
    pub(crate) async fn open_beside(settings: &Settings, create: bool) -> anyhow::Result<Self> {
        let refused = "the command was not run";
        if let Database::Postgres(url) = &settings.database {
            // Servers may run on any database but an empty one.
            let opened = match Engine::open_postgres(url, false).await {
                Err(OpenError::Older { found: 0, .. }) if create => {
                    Engine::open_postgres(url, true).await
                }
                opened => opened,
            };
            return Ok(Self::of(opened.context(refused)?, Servers::Any));
        }
        if !create {
            existing(settings)?;
        }
        let folder = DataFolder::open(&settings.data_dir)?;
        let path = database(settings, &folder);
        let serving = folder.is_serving()?;
        let engine = Engine::open_sqlite(&path, &folder, !serving).context(refused)?;
        let servers = if serving { Servers::One } else { Servers::None };
        Ok(Self {
            is_demo: folder.is_demo(),
            ..Self::of(engine, servers)
        })
    }

    /// Which other processes may serve the same data.
    pub(crate) fn servers(&self) -> Servers {
        self.servers
    }

    /// Finishes the writes and closes the database.
    pub(crate) async fn close(&self) {
        self.engine.close().await;
    }

    fn of(engine: Engine, servers: Servers) -> Self {
        Self {
            rows: engine.rows(),
            engine,
            is_demo: false,
            servers,
            _lock: None,
        }
    }
}

/// Keeps demo folders and ordinary folders apart. Marks an empty folder.
fn take_as(folder: &DataFolder, demo: bool) -> anyhow::Result<()> {
    let shown = folder.path().display();
    match (demo, folder.is_demo()) {
        (true, true) | (false, false) => {}
        (true, false) if folder.is_empty()? => folder.mark_demo()?,
        (true, false) => bail!(
            "the data folder {shown} was not made by --demo, which would make its keys public: \
             name an empty folder with --data-dir, or leave out --demo"
        ),
        (false, true) => bail!(
            "the data folder {shown} was made by --demo, so its keys and passwords are public: \
             name another folder with --data-dir, or serve it with --demo"
        ),
    }
    Ok(())
}

/// The path of the database, which must exist, as its folder must.
///
/// # Errors
/// Which of them is missing, or why the folder cannot be used.
pub(crate) fn existing(settings: &Settings) -> anyhow::Result<PathBuf> {
    refuse_postgres(settings)?;
    let shown = settings.data_dir.display();
    if !settings.data_dir.exists() {
        bail!("there is no data folder {shown}: name it with --data-dir");
    }
    let path = database(settings, &DataFolder::open(&settings.data_dir)?);
    if !path.exists() {
        let shown = path.display();
        bail!("there is no database {shown}: name its folder with --data-dir");
    }
    Ok(path)
}

/// Refuses a command that works on files of this machine only.
///
/// # Errors
/// With PostgreSQL.
pub(crate) fn refuse_postgres(settings: &Settings) -> anyhow::Result<()> {
    if let Database::Postgres(_) = settings.database {
        bail!("this command works on SQLite only; PostgreSQL has its own tools, such as pg_dump");
    }
    Ok(())
}

/// The path of the database, whether it exists or not.
pub(crate) fn database(settings: &Settings, folder: &DataFolder) -> PathBuf {
    match &settings.database {
        Database::Sqlite(path) => path.clone(),
        Database::InDataDir | Database::Postgres(_) => folder.database(),
    }
}
