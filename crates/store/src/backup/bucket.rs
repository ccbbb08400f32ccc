//! Blocking access to the blobs in a bucket, for backup and restore.

use std::collections::HashMap;
use std::io::{self, Read, Write};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use keyward_core::error::Fault;
use keyward_core::files::{BlobId, BlobWriter, Blobs};
use keyward_core::memory::Account;
use tokio::runtime::Runtime;

use crate::blobs::S3Blobs;

/// The bucket that keeps the blobs instead of the data folder.
#[derive(Clone, Copy)]
pub struct Bucket<'a> {
    /// The blobs of one database.
    pub blobs: &'a S3Blobs,
    /// The runtime that waits for the bucket.
    pub runtime: &'a Runtime,
}

impl<'a> Bucket<'a> {
    /// A blob and its size; `None` if it does not exist.
    pub(super) fn open(self, id: &BlobId) -> Result<Option<(Download<'a>, u64)>, Fault> {
        let found = self.runtime.block_on(self.blobs.open_whole(id))?;
        Ok(found.map(|(size, bytes)| {
            let download = Download {
                runtime: self.runtime,
                bytes,
                chunk: Bytes::new(),
            };
            (download, size)
        }))
    }
}

/// A download from the bucket.
pub(super) struct Download<'a> {
    runtime: &'a Runtime,
    bytes: BoxStream<'static, Result<Bytes, Fault>>,
    chunk: Bytes,
}

impl Read for Download<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.runtime.block_on(self.bytes.next()) {
                Some(chunk) => self.chunk = chunk.map_err(io::Error::other)?,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.chunk.len());
        buffer[..length].copy_from_slice(&self.chunk.split_to(length));
        Ok(length)
    }
}

/// The blobs that a restore has uploaded, with their sizes.
pub(super) struct Uploads<'a> {
    bucket: Bucket<'a>,
    sizes: HashMap<BlobId, u64>,
}

impl<'a> Uploads<'a> {
    pub(super) fn new(bucket: Bucket<'a>) -> Self {
        Self {
            bucket,
            sizes: HashMap::new(),
        }
    }

    pub(super) fn size_of(&self, id: &BlobId) -> Option<u64> {
        self.sizes.get(id).copied()
    }

    /// Uploads the output of `write` under `id`, if `write` succeeds.
    pub(super) fn put<E: From<Fault>>(
        &mut self,
        id: BlobId,
        size: u64,
        write: impl FnOnce(&mut dyn Write) -> Result<(), E>,
    ) -> Result<(), E> {
        let Bucket { blobs, runtime } = self.bucket;
        let writer = runtime.block_on(blobs.create(&id, Account::unbounded()))?;
        let mut upload = Upload { runtime, writer };
        write(&mut upload)?;
        // Recorded first: the upload may have succeeded although its response is lost.
        self.sizes.insert(id, size);
        Ok(runtime.block_on(upload.writer.finish())?)
    }

    /// Deletes everything that was uploaded. Returns whether all of it is gone.
    pub(super) fn remove(&self) -> bool {
        let Bucket { blobs, runtime } = self.bucket;
        self.sizes
            .keys()
            .all(|id| runtime.block_on(blobs.delete(id)).is_ok())
    }
}

struct Upload<'a> {
    runtime: &'a Runtime,
    writer: Box<dyn BlobWriter>,
}

impl Write for Upload<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let chunk = Bytes::copy_from_slice(bytes);
        let written = self.runtime.block_on(self.writer.write(chunk));
        written.map(|()| bytes.len()).map_err(io::Error::other)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
