//! Disk space that uploads leave free for everything else.
//!
//! Invariant: a block is written only if the reserve is still free afterwards, concurrent blocks included.

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::fstatvfs;

/// The reserve of a file system.
pub(super) struct Reserve {
    /// A folder on the file system.
    folder: OwnedFd,
    min_free: u64,
    /// The bytes of the blocks being written, which the file system may not count as used yet.
    writing: AtomicU64,
}

impl Reserve {
    pub(super) fn new(folder: OwnedFd, min_free: u64) -> Self {
        Self {
            folder,
            min_free,
            writing: AtomicU64::new(0),
        }
    }

    /// Runs `write`, which writes `length` bytes, if the reserve stays free. This call blocks.
    ///
    /// # Errors
    /// [`ErrorKind::StorageFull`] without having called `write`, or an error of `write`.
    pub(super) fn write<T>(
        &self,
        length: usize,
        write: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let length = length as u64;
        let writing = self.writing.fetch_add(length, Ordering::Relaxed) + length;
        let written = self.check(writing).and_then(|()| write());
        self.writing.fetch_sub(length, Ordering::Relaxed);
        written
    }

    fn check(&self, writing: u64) -> io::Result<()> {
        if self.min_free == 0 {
            return Ok(());
        }
        let system = fstatvfs(&self.folder)?;
        let free = system.f_bavail.saturating_mul(system.f_frsize);
        let needed = self.min_free.saturating_add(writing);
        // On a file system that does not report its size, nothing can be reserved.
        if system.f_blocks == 0 || free >= needed {
            return Ok(());
        }
        let text = format!(
            "the disk of the files has {free} bytes free, and uploads must leave {} free (files.min_free)",
            self.min_free
        );
        Err(io::Error::new(ErrorKind::StorageFull, text))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn nothing_is_written_that_would_reach_into_the_reserve() {
        let folder = tempfile::tempdir().expect("a folder");
        let reserve = |min_free| {
            let folder = File::open(folder.path()).expect("the folder");
            Reserve::new(folder.into(), min_free)
        };
        let system = fstatvfs(File::open(folder.path()).expect("the folder")).expect("room");
        let all = system.f_blocks * system.f_frsize;
        let full = reserve(all + 1);
        let refused = full.write(0, || -> io::Result<()> { panic!("it was written") });
        let refused = refused.expect_err("no room");
        assert_eq!(refused.kind(), ErrorKind::StorageFull);
        assert!(refused.to_string().contains("files.min_free"), "{refused}");
        // Concurrent writes count until they are done.
        let tight = reserve(1);
        let size = usize::try_from(all).expect("64 bits");
        let inner = tight.write(1, || {
            tight.write(size, || -> io::Result<()> { panic!("it was written") })
        });
        assert_eq!(inner.expect_err("no room").kind(), ErrorKind::StorageFull);
        assert_eq!(tight.writing.load(Ordering::Relaxed), 0);
        assert!(tight.write(1, || Ok(())).is_ok());
        assert!(reserve(0).write(size, || Ok(())).is_ok());
    }
}
