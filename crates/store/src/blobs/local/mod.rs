//! Blobs in a folder of the local disk: `<first two digits>/<id>`, and `tmp/<id>` while unfinished.
//!
//! Invariant: a blob with its final name is complete and durable, and so are the directory entries above it.
//! [`LocalBlobs::failed`] reports a failed sync. Symbolic links are not followed.

mod reader;
mod reserve;
mod writer;

use std::collections::HashSet;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use keyward_core::error::Fault;
use keyward_core::files::{BlobId, BlobReader, BlobWriter, Blobs};
use keyward_core::memory::Account;
use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, fsync, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;
use tokio::sync::watch;

use self::reader::Reader;
use self::reserve::Reserve;
use self::writer::Writer;
use crate::disk::{blocking, create_folder, fault, is_full};

/// The name of the folder of unfinished blobs.
const TEMPORARY: &str = "tmp";

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Blobs in a folder that only this process uses.
#[derive(Clone)]
pub struct LocalBlobs(Arc<Folders>);

struct Folders {
    root: OwnedFd,
    temporary: OwnedFd,
    reserve: Reserve,
    /// The sub-folders whose directory entries are known to be durable.
    durable: Mutex<HashSet<String>>,
    /// The blobs whose writing began since the start; `None` once the sweep of older blobs is over.
    begun: Mutex<Option<HashSet<BlobId>>>,
    /// The error of a failed sync, after which nothing can be made durable.
    failure: watch::Sender<Option<String>>,
}

impl LocalBlobs {
    /// Opens the folder at `root`, or creates it, and removes unfinished blobs that a crash left in it. A write that
    /// would leave less than `min_free` bytes free on the file system is refused, so that other writers there have
    /// room. This call blocks. No other process may use the folder.
    ///
    /// # Errors
    /// Errors of the disk.
    pub fn open(root: &Path, min_free: u64) -> io::Result<Self> {
        create_folder(root)?;
        let root = openat(CWD, root, FOLDER & !OFlags::NOFOLLOW, Mode::empty())?;
        make_folder(&root, TEMPORARY)?;
        let temporary = openat(&root, TEMPORARY, FOLDER, Mode::empty())?;
        for name in names(&temporary)? {
            unlinkat(&temporary, name, AtFlags::empty())?;
        }
        Ok(Self(Arc::new(Folders {
            root,
            reserve: Reserve::new(temporary.try_clone()?, min_free),
            temporary,
            durable: Mutex::default(),
            begun: Mutex::new(Some(HashSet::new())),
            failure: watch::Sender::default(),
        })))
    }

    /// Resolves, with the cause, when a sync fails for any reason but a full disk. The kernel may have dropped the
    /// data, and a later sync would not report that, so the process should stop.
    pub async fn failed(&self) -> String {
        let mut failure = self.0.failure.subscribe();
        // `self` holds the sender, so waiting ends only with a cause.
        let found = failure.wait_for(Option::is_some).await;
        found
            .ok()
            .and_then(|cause| cause.clone())
            .unwrap_or_default()
    }
}

#[async_trait]
impl Blobs for LocalBlobs {
    async fn create(&self, id: &BlobId, account: Account) -> Result<Box<dyn BlobWriter>, Fault> {
        let (folders, id) = (Arc::clone(&self.0), id.clone());
        let writer = blocking(move || Writer::create(folders, id, account)).await?;
        Ok(Box::new(writer))
    }

    fn read_ahead(&self) -> u64 {
        reader::READ_AHEAD
    }

    async fn open(&self, id: &BlobId) -> Result<Option<Box<dyn BlobReader>>, Fault> {
        let (folders, id) = (Arc::clone(&self.0), id.clone());
        let file = blocking(move || absent_is_none(folders.open(&id))).await?;
        Ok(file.map(|file| Box::new(Reader::new(file)) as Box<dyn BlobReader>))
    }

    async fn delete(&self, id: &BlobId) -> Result<(), Fault> {
        let (folders, id) = (Arc::clone(&self.0), id.clone());
        blocking(move || absent_is_none(folders.delete(&id)))
            .await
            .map(drop)
    }

    /// The blobs that existed at the start. They are listed once: after the stream has ended, they are no longer
    /// distinguished from later ones.
    fn list_old(&self) -> BoxStream<'static, Result<Vec<BlobId>, Fault>> {
        let folders = Arc::clone(&self.0);
        stream::iter(0..=u8::MAX)
            .then(move |prefix| {
                let folders = Arc::clone(&folders);
                blocking(move || folders.list_old(prefix))
            })
            .boxed()
    }
}

impl Folders {
    fn open(&self, id: &BlobId) -> io::Result<OwnedFd> {
        let folder = self.folder_of(id)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(openat(&folder, id.as_str(), flags, Mode::empty())?)
    }

    fn delete(&self, id: &BlobId) -> io::Result<()> {
        let folder = self.folder_of(id)?;
        Ok(unlinkat(&folder, id.as_str(), AtFlags::empty())?)
    }

    /// Gives a synced temporary file its final name, durably.
    fn publish(&self, id: &BlobId) -> io::Result<()> {
        self.ensure_folder_of(id)?;
        let folder = self.folder_of(id)?;
        renameat(&self.temporary, id.as_str(), &folder, id.as_str())?;
        self.sync(&folder)
    }

    fn sync(&self, file: impl AsFd) -> io::Result<()> {
        let synced = fsync(file).map_err(io::Error::from);
        if let Err(error) = &synced
            && !is_full(error)
        {
            self.failure.send_replace(Some(error.to_string()));
        }
        synced
    }

    fn discard(&self, id: &BlobId) {
        // A published blob has no temporary name any more. A file that stays is removed at the next start.
        let _ = unlinkat(&self.temporary, id.as_str(), AtFlags::empty());
    }

    /// Makes the sub-folder durable before an upload into it is acknowledged. Even an existing one may not be durable:
    /// another upload may have just created it, or a process that was killed before the sync.
    fn ensure_folder_of(&self, id: &BlobId) -> io::Result<()> {
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        if !durable.contains(prefix_of(id)) {
            make_folder(&self.root, prefix_of(id))?;
            self.sync(&self.root)?;
            durable.insert(prefix_of(id).to_owned());
        }
        Ok(())
    }

    fn folder_of(&self, id: &BlobId) -> io::Result<OwnedFd> {
        Ok(openat(&self.root, prefix_of(id), FOLDER, Mode::empty())?)
    }

    fn begun(&self) -> MutexGuard<'_, Option<HashSet<BlobId>>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn list_old(&self, prefix: u8) -> io::Result<Vec<BlobId>> {
        if self.begun().is_none() {
            return Ok(Vec::new());
        }
        let folder = openat(&self.root, format!("{prefix:02x}"), FOLDER, Mode::empty());
        let found = match absent_is_none(folder.map_err(io::Error::from))? {
            Some(folder) => names(&folder)?,
            None => Vec::new(),
        };
        let mut begun = self.begun();
        let Some(later) = begun.as_ref() else {
            return Ok(Vec::new());
        };
        let old = found
            .iter()
            .filter_map(|name| BlobId::parse(name))
            .filter(|id| !later.contains(id))
            .collect();
        if prefix == u8::MAX {
            *begun = None;
        }
        Ok(old)
    }
}

/// The path of the finished blob `id` below `root`.
pub(crate) fn path_of(root: &Path, id: &BlobId) -> PathBuf {
    root.join(prefix_of(id)).join(id.as_str())
}

/// The size of the blob `id` below `root`, in bytes.
#[must_use]
pub fn size_of(root: &Path, id: &BlobId) -> Option<u64> {
    let found = path_of(root, id).symlink_metadata().ok()?;
    Some(found.len())
}

/// The blobs stored below `root`. Folders that cannot be read are skipped.
pub fn stored_in(root: &Path) -> impl Iterator<Item = BlobId> {
    (0..=u8::MAX)
        .filter_map(|prefix| root.join(format!("{prefix:02x}")).read_dir().ok())
        .flatten()
        .filter_map(|entry| BlobId::parse(entry.ok()?.file_name().to_str()?))
}

fn prefix_of(id: &BlobId) -> &str {
    id.as_str().get(..2).unwrap_or_default()
}

fn make_folder(parent: &OwnedFd, name: &str) -> io::Result<()> {
    match mkdirat(parent, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The names in a folder, without `.` and `..`. Names that are not UTF-8 are converted lossily, which is harmless
/// because Keyward's own names are ASCII.
fn names(folder: &OwnedFd) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy();
        if name != "." && name != ".." {
            names.push(name.into_owned());
        }
    }
    Ok(names)
}

fn absent_is_none<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The fault of a blocking task that panicked or was cancelled.
fn ended(error: tokio::task::JoinError) -> Fault {
    fault(io::Error::other(error))
}
