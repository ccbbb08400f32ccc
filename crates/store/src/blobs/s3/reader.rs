//! Reads an object from the response to the request that opened it, or from the middle by a second request.
//!
//! Invariant: all bytes come from the same object, which its entity tag proves.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use keyward_core::error::Fault;
use keyward_core::files::BlobReader;
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, GetResult, ObjectStore, Result as StoreResult};

use super::http::fault;
use super::{Bucket, bounded};

/// The memory held for a client that does not read: the buffer of the connection to S3, and the bytes taken from it.
pub(super) const READ_AHEAD: u64 = 768 << 10;
/// How often in a row a response may break off without any progress.
const ATTEMPTS: u32 = 3;

pub(super) struct Reader {
    object: Object,
    answer: BoxStream<'static, StoreResult<Bytes>>,
}

struct Object {
    bucket: Arc<Bucket>,
    path: Path,
    size: u64,
    tag: Option<String>,
}

impl Reader {
    pub(super) fn new(bucket: Arc<Bucket>, path: Path, found: GetResult) -> Self {
        let object = Object {
            bucket,
            path,
            size: found.meta.size,
            tag: found.meta.e_tag.clone(),
        };
        let answer = found.into_stream();
        Self { object, answer }
    }

    /// The size of the object, in bytes.
    pub(super) fn size(&self) -> u64 {
        self.object.size
    }
}

impl BlobReader for Reader {
    /// Chunks have the sizes in which the connection delivers them, at most its buffer of half a MiB.
    fn read(self: Box<Self>, range: Range<u64>) -> BoxStream<'static, Result<Bytes, Fault>> {
        let start = Reading {
            object: self.object,
            answer: self.answer,
            at: 0,
            next: range.start,
            end: range.end,
            failures: 0,
        };
        stream::try_unfold(start, |mut reading| async move {
            let chunk = reading.chunk().await?;
            Ok(chunk.map(|chunk| (chunk, reading)))
        })
        .boxed()
    }
}

struct Reading {
    object: Object,
    answer: BoxStream<'static, StoreResult<Bytes>>,
    /// The offset in the object of the next byte of the response.
    at: u64,
    next: u64,
    end: u64,
    failures: u32,
}

impl Reading {
    async fn chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        if self.end > self.object.size {
            let text = "the stored bytes are fewer than the database says";
            return Err(Fault::Internal(text.into()));
        }
        if self.at == 0 && self.next > 0 && self.next < self.end {
            self.skip_to_next().await?;
        }
        while self.next < self.end {
            match self.answer.next().await {
                Some(Ok(bytes)) => {
                    let chunk = self.wanted(bytes);
                    if !chunk.is_empty() {
                        self.failures = 0;
                        return Ok(Some(chunk));
                    }
                }
                Some(Err(error)) => self.resume(fault(error)).await?,
                None => {
                    let text = "the response ended before the object did";
                    self.resume(Fault::Unavailable(text.into())).await?;
                }
            }
        }
        Ok(None)
    }

    /// The part of `bytes` that belongs to the requested range.
    fn wanted(&mut self, mut bytes: Bytes) -> Bytes {
        let from = self.at.max(self.next).min(self.at + bytes.len() as u64);
        let to = self.end.min(self.at + bytes.len() as u64).max(from);
        let start = usize::try_from(from - self.at).unwrap_or(bytes.len());
        let length = usize::try_from(to - from).unwrap_or_default();
        self.at += bytes.len() as u64;
        self.next = self.next.max(to);
        bytes = bytes.split_off(start);
        bytes.truncate(length);
        bytes
    }

    /// Requests the object from the middle. If the object was deleted after it was opened, its beginning is read and
    /// discarded instead.
    async fn skip_to_next(&mut self) -> Result<(), Fault> {
        match self.object.ask(self.next..self.end).await? {
            Ok(found) => self.continue_with(found),
            Err(Error::NotFound { .. } | Error::Precondition { .. }) => {}
            Err(error) => return Err(fault(error)),
        }
        Ok(())
    }

    /// Continues with a second request after the response broke off with `failure`.
    async fn resume(&mut self, failure: Fault) -> Result<(), Fault> {
        self.failures += 1;
        if self.failures > ATTEMPTS {
            return Err(failure);
        }
        let found = self.object.ask(self.next..self.end).await?;
        self.continue_with(found.map_err(fault)?);
        Ok(())
    }

    fn continue_with(&mut self, found: GetResult) {
        self.at = self.next;
        self.answer = found.into_stream();
    }
}

impl Object {
    /// The bytes of `range`, if the object is still the same.
    async fn ask(&self, range: Range<u64>) -> Result<StoreResult<GetResult>, Fault> {
        let options = GetOptions {
            range: Some(GetRange::Bounded(range)),
            if_match: self.tag.clone(),
            ..GetOptions::default()
        };
        bounded(self.bucket.store.get_opts(&self.path, options)).await
    }
}
