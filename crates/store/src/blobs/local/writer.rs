//! Writing a blob: a blocking thread writes one block while the caller hashes and receives the next.

use std::fs::File;
use std::io::{self, Write};
use std::mem;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use keyward_core::error::Fault;
use keyward_core::files::{BlobId, BlobWriter};
use keyward_core::memory::{Account, FREE, Reservation};
use rustix::fs::{Mode, OFlags, openat};
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, spawn_blocking};

use super::{Folders, ended};
use crate::disk::{blocking, fault};

/// How many bytes are collected before they are written. One more block may be in the middle of being written.
const BLOCK: usize = 256 << 10;
/// Extra capacity, in bytes, for a chunk that extends beyond a block.
const CHUNK: usize = 64 << 10;

pub(super) struct Writer {
    folders: Arc<Folders>,
    id: BlobId,
    /// A copy, since a small chunk may keep a large buffer alive.
    collected: Vec<u8>,
    account: Account,
    /// The reservation for `collected`, once it is larger than [`FREE`].
    reservation: Option<Reservation>,
    disk: Disk,
}

enum Disk {
    Idle(File),
    Writing(JoinHandle<io::Result<File>>),
    Failed,
}

impl Writer {
    pub(super) fn create(folders: Arc<Folders>, id: BlobId, account: Account) -> io::Result<Self> {
        if let Some(begun) = &mut *folders.begun() {
            begun.insert(id.clone());
        }
        // Checked before the first bytes arrive, so that the client need not send them.
        folders.reserve.write(0, || Ok(()))?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let file = openat(&folders.temporary, id.as_str(), flags, mode)?;
        Ok(Self {
            folders,
            id,
            collected: Vec::new(),
            account,
            reservation: None,
            disk: Disk::Idle(file.into()),
        })
    }

    /// Starts writing the collected bytes, after the previous block is written.
    async fn flush(&mut self) -> Result<(), Fault> {
        let mut file = self.idle().await?;
        let block = mem::take(&mut self.collected);
        let folders = Arc::clone(&self.folders);
        let reservation = self.reservation.take();
        self.disk = Disk::Writing(spawn_blocking(move || {
            let reserve = &folders.reserve;
            reserve.write(block.len(), || file.write_all(&block))?;
            drop((block, reservation));
            Ok(file)
        }));
        Ok(())
    }

    /// Waits until the disk is idle and takes the file. The task stays in `self.disk` until it is done, so nothing is
    /// lost if the caller stops waiting.
    async fn idle(&mut self) -> Result<File, Fault> {
        if let Disk::Writing(task) = &mut self.disk {
            let written = task.await.map_err(ended);
            self.disk = Disk::Failed;
            return written?.map_err(fault);
        }
        match mem::replace(&mut self.disk, Disk::Failed) {
            Disk::Idle(file) => Ok(file),
            Disk::Writing(_) | Disk::Failed => {
                Err(Fault::Internal("an earlier write failed".into()))
            }
        }
    }
}

#[async_trait]
impl BlobWriter for Writer {
    async fn write(&mut self, chunk: Bytes) -> Result<(), Fault> {
        let length = self.collected.len() + chunk.len();
        if length > FREE && self.reservation.is_none() {
            let room = length.max(BLOCK + CHUNK);
            self.reservation = Some(self.account.reserve_soon(room as u64).await?);
            self.collected.reserve_exact(room - self.collected.len());
        }
        self.collected.extend_from_slice(&chunk);
        if self.collected.len() < BLOCK {
            return Ok(());
        }
        self.flush().await
    }

    async fn finish(mut self: Box<Self>) -> Result<(), Fault> {
        self.flush().await?;
        let file = self.idle().await?;
        let (folders, id) = (Arc::clone(&self.folders), self.id.clone());
        blocking(move || {
            folders.sync(&file)?;
            folders.publish(&id)
        })
        .await
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.folders.discard(&self.id);
        // Closing the last descriptor of a large unlinked file frees its blocks, which may block.
        if let (Disk::Idle(file), Ok(runtime)) = (
            mem::replace(&mut self.disk, Disk::Failed),
            Handle::try_current(),
        ) {
            drop(runtime.spawn_blocking(move || drop(file)));
        }
    }
}
