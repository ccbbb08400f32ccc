//! The data folder holds the database, the keys and the files of one server.
//!
//! Invariant: at most one server runs on a folder. It holds a file lock, which the operating system releases when the
//! process ends, however it ends.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::disk::{create_folder, sync_folder};

const LOCK: &str = "lock";
const DEMO: &str = "demo";
/// Exists while a restore is under way.
const RESTORING: &str = "restoring";

/// How long a server waits for the lock, which [`DataFolder::is_serving`] of another process may hold for a moment.
const PATIENCE: (u32, Duration) = (20, Duration::from_millis(10));

/// The reason why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another server runs on the folder.
    #[error(
        "another server runs on the data folder {0}: stop it, or name another folder with --data-dir"
    )]
    Serving(PathBuf),
    /// A restore into the folder was not finished.
    #[error(
        "a restore into the data folder {0} is under way or was cut off: if none is running, remove \
         what is in the folder and restore again"
    )]
    HalfRestored(PathBuf),
    /// The operating system reported an error.
    #[error("the data folder cannot be used: {path}")]
    Disk {
        /// The path.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// An existing data folder.
#[derive(Clone, Debug)]
pub struct DataFolder {
    path: PathBuf,
}

/// The lock that a server holds while it runs.
#[derive(Debug)]
pub struct ServingLock {
    _file: File,
}

impl DataFolder {
    /// Opens the folder at `path`, or creates it with mode 0700.
    ///
    /// # Errors
    /// [`Error::HalfRestored`], [`Error::Disk`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        create_folder(path).map_err(|source| Error::Disk {
            path: path.to_owned(),
            source,
        })?;
        let folder = Self {
            path: path.to_owned(),
        };
        if folder.restoring().exists() {
            return Err(Error::HalfRestored(folder.path));
        }
        Ok(folder)
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the database, unless the settings name another.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.path.join("keyward.db")
    }

    /// The folder of the keys.
    #[must_use]
    pub fn keys(&self) -> PathBuf {
        self.path.join("keys")
    }

    /// The file of the master key in the data folder `path`, unless the settings name another.
    #[must_use]
    pub fn master_key_in(path: &Path) -> PathBuf {
        path.join("keys").join("master.key")
    }

    /// The folder of the uploaded files' bytes.
    #[must_use]
    pub fn files(&self) -> PathBuf {
        self.path.join("files")
    }

    /// The path of the file that marks a demo.
    pub(crate) fn demo(&self) -> PathBuf {
        self.path.join(DEMO)
    }

    /// The folder of an unfinished restore. While it exists, the data folder is not used.
    pub(crate) fn restoring(&self) -> PathBuf {
        self.path.join(RESTORING)
    }

    /// Locks the folder for a server, until the lock is dropped or the process ends.
    ///
    /// # Errors
    /// [`Error::Serving`] when another server holds the lock, [`Error::Disk`].
    pub fn lock_for_serving(&self) -> Result<ServingLock, Error> {
        let file = self.lock_file()?;
        let (attempts, pause) = PATIENCE;
        for _ in 0..attempts {
            if self.try_lock(&file, FlockOperation::NonBlockingLockExclusive)? {
                return Ok(ServingLock { _file: file });
            }
            thread::sleep(pause);
        }
        Err(Error::Serving(self.path.clone()))
    }

    /// Whether a server runs on this folder, in this process or another.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn is_serving(&self) -> Result<bool, Error> {
        // A shared lock: two processes that ask at the same time do not take each other for a server.
        let file = self.lock_file()?;
        Ok(!self.try_lock(&file, FlockOperation::NonBlockingLockShared)?)
    }

    /// Whether the folder was made by `--demo`.
    #[must_use]
    pub fn is_demo(&self) -> bool {
        self.demo().exists()
    }

    /// Durably marks the folder as made by `--demo`.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn mark_demo(&self) -> Result<(), Error> {
        let path = self.demo();
        let text =
            "This folder was made by keyward serve --demo: its keys and passwords are public.\n";
        fs::write(&path, text)
            .and_then(|()| File::open(&path)?.sync_all())
            .and_then(|()| sync_folder(&self.path))
            .map_err(|source| Error::Disk { path, source })
    }

    /// Whether nothing has been stored in the folder yet.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn is_empty(&self) -> Result<bool, Error> {
        let disk = |source| Error::Disk {
            path: self.path.clone(),
            source,
        };
        for entry in fs::read_dir(&self.path).map_err(disk)? {
            if entry.map_err(disk)?.file_name() != LOCK {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn lock_file(&self) -> Result<File, Error> {
        let path = self.path.join(LOCK);
        OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|source| Error::Disk { path, source })
    }

    fn try_lock(&self, file: &File, operation: FlockOperation) -> Result<bool, Error> {
        match flock(file, operation) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK) => Ok(false),
            Err(error) => Err(Error::Disk {
                path: self.path.join(LOCK),
                source: error.into(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn folder() -> (tempfile::TempDir, DataFolder) {
        let home = tempfile::tempdir().expect("a folder");
        let folder = DataFolder::open(&home.path().join("deep/data")).expect("the data folder");
        (home, folder)
    }

    #[test]
    fn a_new_folder_is_private_and_empty() {
        let (_home, folder) = folder();
        let mode = fs::metadata(folder.path())
            .expect("metadata")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700);
        assert!(folder.is_empty().expect("a listing"));
        fs::write(folder.database(), "").expect("a file");
        assert!(!folder.is_empty().expect("a listing"));
    }

    #[test]
    fn a_second_server_is_refused_until_the_first_has_gone() {
        let (_home, folder) = folder();
        assert!(!folder.is_serving().expect("an answer"));
        let lock = folder.lock_for_serving().expect("the first lock");
        assert!(folder.is_serving().expect("an answer"));
        let refusal = folder.lock_for_serving().expect_err("a second lock");
        assert!(refusal.to_string().contains("deep/data"), "{refusal}");
        drop(lock);
        assert!(!folder.is_serving().expect("an answer"));
        folder.lock_for_serving().expect("a lock after the first");
        assert!(folder.is_empty().expect("the lock does not count"));
    }

    #[test]
    fn a_folder_is_a_demo_only_once_it_is_marked() {
        let (_home, folder) = folder();
        assert!(!folder.is_demo());
        folder.mark_demo().expect("the mark");
        assert!(
            DataFolder::open(folder.path())
                .expect("the folder")
                .is_demo()
        );
    }
}
