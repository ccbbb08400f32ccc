//! Blobs in a bucket of a server that speaks S3, as `<prefix>/<id>`.
//!
//! Invariant: an object appears whole and durable or not at all, which S3 promises; what an upload
//! left unfinished is aborted. The bucket may be shared with other nodes.

mod http;
mod options;
mod reader;
mod stale;
mod writer;

use std::collections::HashSet;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use keyward_core::clock::{Clock, Timestamp};
use keyward_core::error::Fault;
use keyward_core::files::{BlobId, BlobReader, BlobWriter, Blobs};
use object_store::aws::AmazonS3;
use object_store::client::HttpClient;
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::sync::Semaphore;

use self::http::fault;
pub use self::options::{BadOptions, Credentials, Options};
use self::reader::Reader;
use self::writer::Writer;

/// How long a request that moves no file may take, its repetitions included.
const ANSWER: Duration = Duration::from_secs(5);
/// How many ids are told at once when old objects are listed.
const BATCH: usize = 1_000;

/// The blobs under one prefix of one bucket.
#[derive(Clone)]
pub struct S3Blobs(Arc<Bucket>);

struct Bucket {
    store: AmazonS3,
    /// For what the store has no method for.
    client: HttpClient,
    prefix: Path,
    /// Bounds the memory of all uploads together: one permit is one part that is on its way.
    room: Arc<Semaphore>,
    /// What is older than this may be swept.
    old_before: Timestamp,
    /// What was begun since the start, until the sweep of what is older has passed.
    begun: Mutex<Option<HashSet<BlobId>>>,
}

impl S3Blobs {
    /// Takes the bucket that `options` name, without asking it anything; [`S3Blobs::ready`] does.
    ///
    /// # Errors
    /// [`BadOptions`].
    pub fn open(options: &Options, clock: &dyn Clock) -> Result<Self, BadOptions> {
        let parts = options.build()?;
        Ok(Self(Arc::new(Bucket {
            store: parts.store,
            client: parts.client,
            prefix: parts.prefix,
            room: Arc::new(Semaphore::new(writer::ROOM)),
            old_before: clock.now().minus(options.sweep_after),
            begun: Mutex::new(Some(HashSet::new())),
        })))
    }

    /// Checks with one small request that the bucket is there and the credentials are good.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] within 5 s when S3 does not answer; [`Fault::Internal`] when it refuses.
    pub async fn ready(&self) -> Result<(), Fault> {
        let nothing = self.0.prefix.clone().join("ready");
        absent_is_none(bounded(self.0.store.get(&nothing)).await?).map(drop)
    }
}

#[async_trait]
impl Blobs for S3Blobs {
    async fn create(&self, id: &BlobId) -> Result<Box<dyn BlobWriter>, Fault> {
        if let Some(begun) = &mut *self.0.begun.lock().unwrap_or_else(PoisonError::into_inner) {
            begun.insert(id.clone());
        }
        Ok(Box::new(Writer::create(Arc::clone(&self.0), id)))
    }

    /// Asks for the whole object at once and reads from that answer, which S3 servers send to its
    /// end even if the object is deleted meanwhile. Only when the connection breaks, too, the rest
    /// is lost.
    async fn open(&self, id: &BlobId) -> Result<Option<Box<dyn BlobReader>>, Fault> {
        let path = self.0.path_of(id);
        let found = absent_is_none(bounded(self.0.store.get(&path)).await?)?;
        Ok(found.map(|object| Box::new(Reader::new(Arc::clone(&self.0), path, object)) as _))
    }

    async fn delete(&self, id: &BlobId) -> Result<(), Fault> {
        self.0.delete(&self.0.path_of(id)).await
    }

    /// Lists once, and aborts stale uploads before it. Objects younger than
    /// [`Options::sweep_after`] are left out: another node may be about to name them.
    fn list_old(&self) -> BoxStream<'static, Result<Vec<BlobId>, Fault>> {
        let bucket = Arc::clone(&self.0);
        stream::once(async move {
            match bucket.abort_stale().await {
                Ok(0) => {}
                Ok(aborted) => tracing::info!(aborted, "aborted uploads that were never finished"),
                Err(error) => tracing::warn!(
                    %error,
                    "parts of uploads that were never finished may stay in the bucket"
                ),
            }
            bucket.list_old()
        })
        .flatten()
        .boxed()
    }
}

impl Bucket {
    fn path_of(&self, id: &BlobId) -> Path {
        self.prefix.clone().join(id.as_str())
    }

    async fn delete(&self, path: &Path) -> Result<(), Fault> {
        absent_is_none(bounded(self.store.delete(path)).await?).map(drop)
    }

    fn list_old(self: Arc<Self>) -> BoxStream<'static, Result<Vec<BlobId>, Fault>> {
        let found = self.store.list(Some(&self.prefix));
        let bucket = Arc::clone(&self);
        found
            .try_filter_map(move |object| {
                let old = bucket.old_id_of(&object);
                async move { Ok(old) }
            })
            .try_chunks(BATCH)
            .map_err(|failed| fault(failed.1))
            .chain(stream::once(async move {
                *self.begun.lock().unwrap_or_else(PoisonError::into_inner) = None;
                Ok(Vec::new())
            }))
            .boxed()
    }

    fn old_id_of(&self, object: &ObjectMeta) -> Option<BlobId> {
        let changed = Timestamp::from_micros(object.last_modified.timestamp_micros());
        self.old_id(&object.location, changed)
    }

    /// The id at `path` if it is one of ours, not younger than `changed` allows and not begun here.
    fn old_id(&self, path: &Path, changed: Timestamp) -> Option<BlobId> {
        let id = BlobId::parse(path.filename()?)?;
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let later = begun.as_ref()?.contains(&id);
        (*path == self.path_of(&id) && changed <= self.old_before && !later).then_some(id)
    }
}

/// Waits for an answer no longer than [`ANSWER`].
async fn bounded<T>(answer: impl Future<Output = T>) -> Result<T, Fault> {
    tokio::time::timeout(ANSWER, answer)
        .await
        .map_err(|_| Fault::Unavailable(format!("S3 did not answer within {ANSWER:?}").into()))
}

fn absent_is_none<T>(result: Result<T, Error>) -> Result<Option<T>, Fault> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(fault(error)),
    }
}
