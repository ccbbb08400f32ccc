//! Blobs in an S3 bucket, as `<prefix>/<id>`.
//!
//! Invariant: an object appears complete and durable or not at all, as S3 guarantees, and unfinished uploads are
//! aborted. Other nodes may use the bucket too: a sweep deletes only objects that are older than the longest upload.

mod http;
mod options;
mod reader;
mod stale;
mod writer;

use std::future::{Future, ready};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt, TryStreamExt};
use keyward_core::clock::{Clock, Timestamp};
use keyward_core::error::{Fault, chain};
use keyward_core::files::{BlobId, BlobReader, BlobWriter, Blobs};
use keyward_core::memory::Account;
use object_store::aws::AmazonS3;
use object_store::client::HttpClient;
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt};

use self::http::fault;
pub use self::options::{Credentials, Options, OptionsError};
use self::reader::Reader;
pub use self::writer::LARGEST;
use self::writer::Writer;

/// The time limit of a request that transfers no file, including its retries.
const ANSWER: Duration = Duration::from_secs(5);
/// How many objects a batch of a list has.
const BATCH: usize = 1_000;

/// The blobs under one prefix of one bucket.
#[derive(Clone)]
pub struct S3Blobs(Arc<Bucket>);

struct Bucket {
    store: AmazonS3,
    /// For requests that `store` has no method for.
    client: HttpClient,
    prefix: Path,
    clock: Arc<dyn Clock>,
    sweep_after: Duration,
    longest_upload: Duration,
}

impl S3Blobs {
    /// Prepares the use of the bucket in `options`, without a request. [`S3Blobs::ready`] makes the first one.
    ///
    /// # Errors
    /// [`OptionsError`].
    pub fn open(options: &Options, clock: Arc<dyn Clock>) -> Result<Self, OptionsError> {
        let parts = options.build()?;
        Ok(Self(Arc::new(Bucket {
            store: parts.store,
            client: parts.client,
            prefix: parts.prefix,
            clock,
            sweep_after: options.sweep_after,
            longest_upload: options.longest_upload,
        })))
    }

    /// Checks with one small request that the bucket exists and the credentials are accepted.
    ///
    /// # Errors
    /// [`Fault::Unavailable`] within 5 s if S3 does not respond, [`Fault::Internal`] if it refuses the request.
    pub async fn ready(&self) -> Result<(), Fault> {
        let nothing = self.0.prefix.clone().join("ready");
        absent_is_none(bounded(self.0.store.get(&nothing)).await?).map(drop)
    }

    /// The whole object with that id and its size in bytes; `None` if it does not exist.
    ///
    /// # Errors
    /// Those of [`Blobs::open`].
    pub async fn open_whole(
        &self,
        id: &BlobId,
    ) -> Result<Option<(u64, BoxStream<'static, Result<Bytes, Fault>>)>, Fault> {
        let reader = self.reader(id).await?;
        Ok(reader.map(|reader| {
            let size = reader.size();
            (size, Box::new(reader).read(0..size))
        }))
    }

    async fn reader(&self, id: &BlobId) -> Result<Option<Reader>, Fault> {
        let path = self.0.path_of(id);
        let found = absent_is_none(bounded(self.0.store.get(&path)).await?)?;
        Ok(found.map(|object| Reader::new(Arc::clone(&self.0), path, object)))
    }

    /// Every object, with its size in bytes.
    pub fn list(&self) -> BoxStream<'static, Result<Vec<(BlobId, u64)>, Fault>> {
        let bucket = Arc::clone(&self.0);
        self.0
            .list(move |object| Some((bucket.id_at(&object.location)?, object.size)))
    }
}

#[async_trait]
impl Blobs for S3Blobs {
    async fn create(&self, id: &BlobId, account: Account) -> Result<Box<dyn BlobWriter>, Fault> {
        Ok(Box::new(Writer::create(Arc::clone(&self.0), id, account)))
    }

    fn read_ahead(&self) -> u64 {
        reader::READ_AHEAD
    }

    /// Requests the whole object at once and reads from that response, which S3 servers send to its end even if the
    /// object is deleted meanwhile. The rest is lost only if the connection breaks as well.
    async fn open(&self, id: &BlobId) -> Result<Option<Box<dyn BlobReader>>, Fault> {
        let reader = self.reader(id).await?;
        Ok(reader.map(|reader| Box::new(reader) as _))
    }

    async fn delete(&self, id: &BlobId) -> Result<(), Fault> {
        self.0.delete(&self.0.path_of(id)).await
    }

    /// Aborts stale uploads before it lists. Objects younger than [`Options::sweep_after`] are left out: this node or
    /// another may be about to name them.
    fn list_old(&self) -> BoxStream<'static, Result<Vec<BlobId>, Fault>> {
        let bucket = Arc::clone(&self.0);
        stream::once(async move {
            match bucket.abort_stale().await {
                Ok(0) => {}
                Ok(aborted) => tracing::info!(aborted, "aborted unfinished uploads"),
                Err(error) => tracing::warn!(
                    error = chain(&error),
                    "could not abort unfinished uploads: their parts may stay in the bucket"
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
        let bucket = Arc::clone(&self);
        self.list(move |object| {
            let changed = Timestamp::from_micros(object.last_modified.timestamp_micros());
            bucket
                .id_at(&object.location)
                .filter(|_| bucket.is_old(changed))
        })
    }

    /// The objects below the prefix, mapped by `pick`, which leaves some out.
    fn list<T: Send + 'static>(
        &self,
        pick: impl Fn(&ObjectMeta) -> Option<T> + Send + 'static,
    ) -> BoxStream<'static, Result<Vec<T>, Fault>> {
        self.store
            .list(Some(&self.prefix))
            .try_filter_map(move |object| ready(Ok(pick(&object))))
            .try_chunks(BATCH)
            .map_err(|failed| fault(failed.1))
            .boxed()
    }

    /// The blob id at `path`; `None` for an object that is not a blob.
    fn id_at(&self, path: &Path) -> Option<BlobId> {
        let id = BlobId::parse(path.filename()?)?;
        (*path == self.path_of(&id)).then_some(id)
    }

    /// Whether an upload that began, or wrote its object, at `time` must be over.
    fn is_old(&self, time: Timestamp) -> bool {
        time <= self.clock.now().minus(self.sweep_after)
    }
}

/// Waits for a response for at most [`ANSWER`].
async fn bounded<T>(answer: impl Future<Output = T>) -> Result<T, Fault> {
    tokio::time::timeout(ANSWER, answer)
        .await
        .map_err(|_| Fault::Unavailable(format!("S3 did not respond within {ANSWER:?}").into()))
}

fn absent_is_none<T>(result: Result<T, Error>) -> Result<Option<T>, Fault> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(fault(error)),
    }
}
