//! The data of one server: its folder and its database, opened by a server or by a command beside one.
//!
//! Invariant: a folder with public keys is never served but by `--demo`, nor another by it; and a
//! command never changes the shape of a database that a running server uses.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use keyward_store::folder::{DataFolder, ServingLock};
use keyward_store::sqlite::{Options, Sqlite};

use crate::settings::{Database, Settings};

/// An open data folder and database.
pub(crate) struct Data {
    pub(crate) folder: DataFolder,
    pub(crate) store: Arc<Sqlite>,
    served_by: ServedBy,
}

/// Who serves the folder.
enum ServedBy {
    This { _lock: ServingLock },
    Another,
    Nobody,
}

impl Data {
    /// Opens the data for the one server that may run on it, making and migrating what must be.
    ///
    /// # Errors
    /// When another server runs on it, it belongs to the other kind of server, or the disk refuses.
    pub(crate) fn open_to_serve(settings: &Settings, demo: bool) -> anyhow::Result<Self> {
        let folder = DataFolder::open(&settings.data_dir)?;
        let lock = folder.lock_for_serving()?;
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
        let store = Sqlite::open(&database(settings, &folder), Options::default())?;
        let served_by = ServedBy::This { _lock: lock };
        Ok(Self {
            folder,
            store: Arc::new(store),
            served_by,
        })
    }

    /// Opens the data for a command, beside the server that may run on it.
    ///
    /// # Errors
    /// When there is none and none is to be made, or it cannot be used as it is.
    pub(crate) fn open_beside(settings: &Settings, create: bool) -> anyhow::Result<Self> {
        let shown = settings.data_dir.display();
        if !create && !settings.data_dir.exists() {
            bail!("there is no data folder {shown}: name it with --data-dir");
        }
        let folder = DataFolder::open(&settings.data_dir)?;
        let path = database(settings, &folder);
        if !create && !path.exists() {
            let shown = path.display();
            bail!("there is no database {shown}: name its folder with --data-dir");
        }
        let serving = folder.is_serving()?;
        let options = Options {
            migrate: !serving,
            ..Options::default()
        };
        let store = Sqlite::open(&path, options).context("the command was not run")?;
        let served_by = if serving {
            ServedBy::Another
        } else {
            ServedBy::Nobody
        };
        Ok(Self {
            folder,
            store: Arc::new(store),
            served_by,
        })
    }

    /// Whether another process serves the folder.
    pub(crate) fn is_served_by_another(&self) -> bool {
        matches!(self.served_by, ServedBy::Another)
    }

    /// Finishes the writes and closes the database.
    pub(crate) async fn close(&self) {
        self.store.close().await;
    }
}

fn database(settings: &Settings, folder: &DataFolder) -> PathBuf {
    match &settings.database {
        Database::InDataDir => folder.database(),
        Database::Sqlite(path) => path.clone(),
    }
}
