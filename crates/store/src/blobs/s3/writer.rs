//! Writes an object. A separate task sends the parts, so that an abandoned upload is always aborted.
//!
//! Invariant: the object appears only after the writer has marked the last part.

use std::mem;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use keyward_core::error::{Fault, chain};
use keyward_core::files::{BlobId, BlobWriter};
use keyward_core::memory::{Account, Exhausted, FREE, Reservation};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{Error, MultipartId, ObjectStoreExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::http::fault;
use super::{Bucket, bounded};

/// The size of every part but the last, in bytes. S3 requires at least 5 MiB and at most 10,000 parts, and some servers
/// require parts of equal size.
const PART: usize = 8 << 20;
/// The largest object, in bytes.
pub const LARGEST: u64 = 10_000 * PART as u64;
/// A part is collected in blocks of this many bytes. Allocations of one size do not fragment memory, and a connection
/// copies a whole block at once.
const BLOCK: usize = 256 << 10;
/// How many parts of an object are sent concurrently.
const AHEAD: usize = 2;
/// How long a part may take to fill while other uploads wait for its memory.
const SLOW: Duration = Duration::from_secs(60);

struct Part {
    blocks: Vec<Bytes>,
    last: bool,
    _reservation: Option<Reservation>,
}

pub(super) struct Writer {
    bucket: Arc<Bucket>,
    /// The full blocks of the current part.
    blocks: Vec<Bytes>,
    block: BytesMut,
    account: Account,
    /// The reservation for the current part, once that is larger than [`FREE`], and when the reservation was made.
    reservation: Option<(Reservation, Duration)>,
    parts: mpsc::Sender<Part>,
    task: Option<JoinHandle<Result<(), Fault>>>,
}

impl Writer {
    pub(super) fn create(bucket: Arc<Bucket>, id: &BlobId, account: Account) -> Self {
        let (parts, received) = mpsc::channel(1);
        let task = send_all(Arc::clone(&bucket), bucket.path_of(id), received);
        Self {
            bucket,
            blocks: Vec::new(),
            block: BytesMut::new(),
            account,
            reservation: None,
            parts,
            task: Some(tokio::spawn(task)),
        }
    }

    /// Passes a full part to the task. The part stays in `self` until the task has room for it, so nothing is lost if
    /// the caller stops waiting.
    async fn flush(&mut self) -> Result<(), Fault> {
        if let Ok(place) = self.parts.reserve().await {
            place.send(Part {
                blocks: mem::take(&mut self.blocks),
                last: false,
                _reservation: self.reservation.take().map(|(reservation, _)| reservation),
            });
            return Ok(());
        }
        self.outcome().await
    }

    /// Reserves memory for a whole part before it is collected, so that a waiting upload holds almost none. A part that
    /// fills too slowly is abandoned if other uploads wait for memory.
    async fn make_room(&mut self) -> Result<(), Fault> {
        let now = self.bucket.clock.monotonic();
        match &self.reservation {
            None => {
                let reservation = self.account.reserve_soon(PART as u64).await?;
                self.reservation = Some((reservation, self.bucket.clock.monotonic()));
            }
            Some((_, begun)) if now > *begun + SLOW && self.account.is_contended() => {
                return Err(Exhausted.into());
            }
            Some(_) => {}
        }
        Ok(())
    }

    async fn outcome(&mut self) -> Result<(), Fault> {
        match self.task.take() {
            Some(task) => task.await.map_err(|ended| Fault::Internal(ended.into()))?,
            None => Err(Fault::Internal("an earlier write failed".into())),
        }
    }
}

#[async_trait]
impl BlobWriter for Writer {
    async fn write(&mut self, mut chunk: Bytes) -> Result<(), Fault> {
        while !chunk.is_empty() {
            if !self.blocks.is_empty() || self.block.len() + chunk.len() > FREE {
                self.make_room().await?;
            }
            let fits = chunk.len().min(BLOCK - self.block.len());
            if self.block.len() + fits > FREE {
                // Does nothing if the capacity is already there.
                self.block.reserve(BLOCK - self.block.len());
            }
            self.block.extend_from_slice(&chunk.split_to(fits));
            if self.block.len() == BLOCK {
                self.blocks.push(mem::take(&mut self.block).freeze());
            }
            if self.blocks.len() >= PART / BLOCK {
                self.flush().await?;
            }
        }
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<(), Fault> {
        let rest = mem::take(&mut self.block).freeze();
        let mut blocks = mem::take(&mut self.blocks);
        blocks.extend((!rest.is_empty()).then_some(rest));
        let part = Part {
            blocks,
            last: true,
            _reservation: self.reservation.take().map(|(reservation, _)| reservation),
        };
        // If the task accepts no more parts, it has already ended, and its outcome follows.
        let _ = self.parts.send(part).await;
        self.outcome().await
    }
}

/// Sends an object from its first part to its last.
async fn send_all(
    bucket: Arc<Bucket>,
    path: Path,
    mut parts: mpsc::Receiver<Part>,
) -> Result<(), Fault> {
    match parts.recv().await {
        None => return Ok(()),
        Some(only) if only.last => {
            bucket
                .store
                .put(&path, only.blocks.into_iter().collect())
                .await
                .map_err(fault)?;
        }
        Some(first) => send_parts(Arc::clone(&bucket), &path, first, &mut parts).await?,
    }
    // If the writer is gone, nothing will name the object.
    if parts.is_closed() {
        bucket.delete(&path).await?;
    }
    Ok(())
}

async fn send_parts(
    bucket: Arc<Bucket>,
    path: &Path,
    first: Part,
    parts: &mut mpsc::Receiver<Part>,
) -> Result<(), Fault> {
    let begun = bucket.clock.monotonic();
    let id = bucket.store.create_multipart(path).await.map_err(fault)?;
    let upload = Arc::new(Upload {
        bucket,
        path: path.clone(),
        id,
        begun,
    });
    let sending = Arc::clone(&upload);
    let sent: Result<Vec<PartId>, Fault> = stream::iter([Ok(first)])
        .chain(until_last(parts))
        .enumerate()
        .map(move |(index, part)| send_part(Arc::clone(&sending), index, part))
        .buffered(AHEAD)
        .try_collect()
        .await;
    let completed = match sent {
        Ok(sent) => upload.complete(sent).await,
        Err(error) => Err(error),
    };
    if completed.is_err() {
        upload.bucket.abort(path, &upload.id).await;
    }
    completed
}

/// The parts up to the last one. If the writer is dropped earlier, the stream ends with an error.
fn until_last(parts: &mut mpsc::Receiver<Part>) -> impl Stream<Item = Result<Part, Fault>> {
    let mut ended = false;
    stream::poll_fn(move |context| {
        if ended {
            return Poll::Ready(None);
        }
        let Some(part) = ready!(parts.poll_recv(context)) else {
            ended = true;
            return Poll::Ready(Some(Err(Fault::Internal(
                "the upload was abandoned".into(),
            ))));
        };
        ended = part.last;
        Poll::Ready((!part.blocks.is_empty()).then_some(Ok(part)))
    })
}

/// Sends a part, and then frees its memory.
async fn send_part(
    upload: Arc<Upload>,
    index: usize,
    part: Result<Part, Fault>,
) -> Result<PartId, Fault> {
    let Part {
        blocks,
        _reservation,
        ..
    } = part?;
    let store = &upload.bucket.store;
    let sent = store.put_part(
        &upload.path,
        &upload.id,
        index,
        blocks.into_iter().collect(),
    );
    sent.await.map_err(fault)
}

struct Upload {
    bucket: Arc<Bucket>,
    path: Path,
    id: MultipartId,
    begun: Duration,
}

impl Upload {
    /// Completes the multipart upload, unless a sweep might delete the object before it is named. If the response was
    /// lost, the retry finds the object instead of the upload.
    async fn complete(&self, parts: Vec<PartId>) -> Result<(), Fault> {
        let longest = self.bucket.longest_upload;
        if self.bucket.clock.monotonic() > self.begun + longest {
            let text = format!("the upload took longer than {longest:?}");
            return Err(Fault::Unavailable(text.into()));
        }
        let store = &self.bucket.store;
        let completed = match store.complete_multipart(&self.path, &self.id, parts).await {
            Err(Error::NotFound { .. }) => store.head(&self.path).await.map(drop),
            other => other.map(drop),
        };
        completed.map_err(fault)
    }
}

impl Bucket {
    /// Discards the parts of an upload. If that fails, a later sweep does it.
    pub(super) async fn abort(&self, path: &Path, id: &MultipartId) {
        match bounded(self.store.abort_multipart(path, id)).await {
            Ok(Ok(()) | Err(Error::NotFound { .. })) => {}
            Ok(Err(error)) => {
                tracing::warn!(%path, error = chain(&error), "could not discard the parts of an upload: a later sweep will");
            }
            Err(error) => {
                tracing::warn!(%path, error = chain(&error), "could not discard the parts of an upload: a later sweep will");
            }
        }
    }
}
