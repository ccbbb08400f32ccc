//! Reads a blob through the descriptor with which it was opened, so that reading goes on even if the blob is deleted.

use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use keyward_core::error::Fault;
use keyward_core::files::BlobReader;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};

use crate::disk::blocking;

/// The largest chunk, in bytes.
const CHUNK: usize = 64 << 10;
/// How many chunks are being read or are waiting at once: one is read while another is sent.
const AHEAD: usize = 2;
/// The memory held for a client that does not read: those chunks, and two in the connection.
pub(super) const READ_AHEAD: u64 = (CHUNK * (AHEAD + 2)) as u64;

pub(super) struct Reader {
    file: Arc<OwnedFd>,
}

impl Reader {
    pub(super) fn new(file: OwnedFd) -> Self {
        Self {
            file: Arc::new(file),
        }
    }
}

impl BlobReader for Reader {
    fn read(self: Box<Self>, range: Range<u64>) -> BoxStream<'static, Result<Bytes, Fault>> {
        let end = range.end;
        stream::iter(range.step_by(CHUNK))
            .map(move |start| {
                let file = Arc::clone(&self.file);
                let length = usize::try_from(end - start).map_or(CHUNK, |rest| rest.min(CHUNK));
                // The allocator returns memory to the arena of the thread that allocated it. Blocking threads are many,
                // and the free memory in the arena of one is not used by another, so the chunk is not allocated on one
                // of them.
                let chunk = Vec::with_capacity(length);
                blocking(move || read_chunk(&file, start, chunk, length))
            })
            .buffered(AHEAD)
            .boxed()
    }
}

fn read_chunk(file: &OwnedFd, start: u64, mut chunk: Vec<u8>, length: usize) -> io::Result<Bytes> {
    while chunk.len() < length {
        let offset = start + chunk.len() as u64;
        match pread(file, spare_capacity(&mut chunk), offset) {
            Ok(0) => {
                let text = "the stored bytes are fewer than the database says";
                return Err(io::Error::new(ErrorKind::UnexpectedEof, text));
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // The vector may have more capacity than requested, and reading fills all of it.
    chunk.truncate(length);
    Ok(chunk.into())
}
