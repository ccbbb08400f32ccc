//! Writing an object: one task of its own sends the parts, so that an upload that is given up in
//! the middle of anything is aborted.
//!
//! Invariant: the object appears only after the writer has said that all of it was sent.

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

/// The size of every part but the last, in bytes: S3 takes 5 MiB at least and 10,000 parts at
/// most, and some servers want equal ones.
const PART: usize = 8 << 20;
/// The largest object, in bytes.
pub const LARGEST: u64 = 10_000 * PART as u64;
/// A part is collected in blocks of this size, in bytes: memory that is given back and taken again in
/// pieces of one size stays as little as it is, and a connection copies what it is given at once.
const BLOCK: usize = 256 << 10;
/// How many parts of one object are sent at once.
const AHEAD: usize = 2;
/// How long a part may be collected while others wait for its memory.
const SLOW: Duration = Duration::from_secs(60);

struct Part {
    blocks: Vec<Bytes>,
    last: bool,
    _reservation: Option<Reservation>,
}

pub(super) struct Writer {
    bucket: Arc<Bucket>,
    /// The full blocks of a part, and the one that is being filled.
    blocks: Vec<Bytes>,
    block: BytesMut,
    account: Account,
    /// For the part that is collected, where it is more than is free, and when that began.
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

    /// Hands a full part to the task. It stays where it is until there is room for it, so that a
    /// caller that gives up waiting loses nothing.
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

    /// Makes room for a whole part before any of it is collected, so that nobody who waits for room holds some. Where
    /// others wait, a part that is collected slowly is given up for them.
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
            None => Err(Fault::Internal("an earlier write has failed".into())),
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
                // Nothing where it is there already.
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
        // A task that takes no more has an outcome already.
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
    // The writer waits for the answer, unless its caller has gone: then no file will name this.
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

/// The parts that are received, to the last; an error where the writer is dropped before.
fn until_last(parts: &mut mpsc::Receiver<Part>) -> impl Stream<Item = Result<Part, Fault>> {
    let mut ended = false;
    stream::poll_fn(move |context| {
        if ended {
            return Poll::Ready(None);
        }
        let Some(part) = ready!(parts.poll_recv(context)) else {
            ended = true;
            return Poll::Ready(Some(Err(Fault::Internal("the upload was given up".into()))));
        };
        ended = part.last;
        Poll::Ready((!part.blocks.is_empty()).then_some(Ok(part)))
    })
}

/// A part's memory is free again when it was sent.
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
    /// Makes one object of the parts, unless a sweep might take it before it is named. Where the
    /// answer was lost, its repetition finds no upload, but the object.
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
    /// Discards the parts of an upload; what fails here is found by a later sweep.
    pub(super) async fn abort(&self, path: &Path, id: &MultipartId) {
        match bounded(self.store.abort_multipart(path, id)).await {
            Ok(Ok(()) | Err(Error::NotFound { .. })) => {}
            Ok(Err(error)) => {
                tracing::warn!(%path, error = chain(&error), "parts of an upload stay for now");
            }
            Err(error) => {
                tracing::warn!(%path, error = chain(&error), "parts of an upload stay for now");
            }
        }
    }
}
