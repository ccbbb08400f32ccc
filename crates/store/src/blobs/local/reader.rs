//! Reading a blob through the descriptor it was opened with, so that it outlives its name.

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
/// How many chunks are read or waiting at once: one is read while the other is sent.
const AHEAD: usize = 2;
/// What is in memory of a file whose reader stalls: those, and two chunks in the connection.
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
                // Memory goes back to where its thread took it. There are more threads that block than others, and
                // what each has kept is of no use to another.
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
                let text = "the stored bytes are shorter than their row says";
                return Err(io::Error::new(ErrorKind::UnexpectedEof, text));
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // The allocator may have given more room than was asked for, and it is filled too.
    chunk.truncate(length);
    Ok(chunk.into())
}
