//! The bytes of files in a bucket, for a thread that waits for them.

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

/// A bucket that keeps the bytes in the place of the data folder.
#[derive(Clone, Copy)]
pub struct Bucket<'a> {
    /// The bytes of one database.
    pub blobs: &'a S3Blobs,
    /// What waits for the answers.
    pub runtime: &'a Runtime,
}

impl<'a> Bucket<'a> {
    /// Bytes and how many there are, unless they are not there.
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

/// Bytes on their way from a bucket.
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

/// What a restore has put into a bucket, with the size of each.
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

    /// Puts what `write` writes under `id`, if it succeeds.
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
        // Also where the answer is lost something may be there.
        self.sizes.insert(id, size);
        Ok(runtime.block_on(upload.writer.finish())?)
    }

    /// Removes everything again, as far as the bucket lets it; tells whether all of it is gone.
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
