//! Helpers for the local disk: private folders, durable directory entries, and translating errors.

use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use keyward_core::error::Fault;

/// Creates a folder and its missing parents with mode 0700. They are durable when this returns.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = parent_of(path);
    create_folder(parent)?;
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => sync_folder(parent),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes the entries of a folder durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// The folder that holds `path`.
pub(crate) fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}

/// Translates an error of the disk for the caller.
pub(crate) fn fault(error: io::Error) -> Fault {
    if is_full(&error) {
        Fault::Full(error.into())
    } else {
        Fault::Internal(error.into())
    }
}

/// Whether the disk is full or the disk quota of this user is used up.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded
    )
}

/// Runs work that may wait for the disk on a blocking thread.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|ended| Fault::Internal(ended.into()))?
        .map_err(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_room_and_an_exhausted_quota_are_told_from_a_broken_disk() {
        for errno in [rustix::io::Errno::NOSPC, rustix::io::Errno::DQUOT] {
            assert!(matches!(fault(errno.into()), Fault::Full(_)), "{errno}");
        }
        let broken = fault(rustix::io::Errno::IO.into());
        assert!(matches!(broken, Fault::Internal(_)));
    }
}
