//! A server that speaks S3 on a port of its own: `s3s` for the protocol, `s3s-fs` for the files. What
//! the latter leaves out, the listing of unfinished uploads, is kept here, and faults on demand.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use futures_util::StreamExt;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use keyward_core::clock::{Clock, ManualClock, SystemClock};
use keyward_core::secret::SecretText;
use keyward_store::blobs::S3Blobs;
use keyward_store::blobs::s3::{Credentials, Options};
use s3s::auth::SimpleAuth;
use s3s::dto::*;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};

pub(crate) const BUCKET: &str = "keyward-files";
pub(crate) const KEY_ID: &str = "tester";
pub(crate) const SECRET: &str = "between-us-alone";
/// How long a test waits for what is to come.
const PATIENCE: Duration = Duration::from_secs(20);
/// As old as what a sweep takes.
pub(crate) const AGE: Duration = Duration::from_secs(25 * 60 * 60);

/// An upload that was begun and neither completed nor aborted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unfinished {
    pub(crate) key: String,
    pub(crate) id: String,
    pub(crate) begun: SystemTime,
}

/// A bucket on a running server; the server ends with the test's runtime.
pub(crate) struct Server {
    pub(crate) endpoint: String,
    pub(crate) bucket: Arc<Bucket>,
    home: TempDir,
}

pub(crate) struct Bucket {
    files: FileSystem,
    pub(crate) unfinished: watch::Sender<Vec<Unfinished>>,
    /// What writes are refused with.
    pub(crate) refusal: Mutex<Option<(u16, &'static str)>>,
    /// After how many bytes every answer breaks off; 0 for never.
    pub(crate) breaks_after: AtomicUsize,
    /// How many answers broke off.
    pub(crate) broken: AtomicUsize,
    /// Whether a first part is taken only after a second.
    pub(crate) reversed: AtomicBool,
    second: Notify,
    /// The tags of parts, which their completion must repeat; `s3s-fs` does not look at them.
    tags: Mutex<HashMap<(String, i32), Option<ETag>>>,
    /// Whether what makes an object appear waits.
    pub(crate) held: watch::Sender<bool>,
    /// How many objects were deleted.
    pub(crate) deletions: watch::Sender<usize>,
    /// How often objects were listed.
    pub(crate) listings: watch::Sender<usize>,
}

impl Server {
    pub(crate) async fn start() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(home.path().join(BUCKET)).expect("a bucket");
        let bucket = Arc::new(Bucket {
            files: FileSystem::new(home.path()).expect("a store"),
            unfinished: watch::Sender::new(Vec::new()),
            refusal: Mutex::new(None),
            breaks_after: AtomicUsize::new(0),
            broken: AtomicUsize::new(0),
            reversed: AtomicBool::new(false),
            second: Notify::new(),
            tags: Mutex::default(),
            held: watch::Sender::new(false),
            deletions: watch::Sender::new(0),
            listings: watch::Sender::new(0),
        });
        let mut service = S3ServiceBuilder::new(Shared(Arc::clone(&bucket)));
        service.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(serve(listener, service.build()));
        Self {
            endpoint,
            bucket,
            home,
        }
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            endpoint: Some(self.endpoint.clone()),
            path_style: true,
            allow_http: true,
            credentials: Credentials::Key {
                id: KEY_ID.into(),
                secret: SecretText::new(SECRET.into()),
            },
            ..Options::new(format!("s3://{BUCKET}/some/prefix"))
        }
    }

    pub(crate) fn open(&self) -> S3Blobs {
        S3Blobs::open(&self.options(), Arc::new(SystemClock::new())).expect("options")
    }

    /// As a node has it open to whose clock all that is there is old.
    pub(crate) fn open_later(&self) -> S3Blobs {
        S3Blobs::open(&self.options(), Arc::new(later())).expect("options")
    }

    pub(crate) fn unfinished(&self) -> Vec<Unfinished> {
        self.bucket.unfinished.borrow().clone()
    }

    /// Waits until so many uploads are unfinished.
    pub(crate) async fn begun(&self, count: usize) {
        let mut unfinished = self.bucket.unfinished.subscribe();
        let begun = unfinished.wait_for(|all| all.len() == count);
        tokio::time::timeout(PATIENCE, begun)
            .await
            .expect("another count of uploads")
            .expect("the server is there");
    }

    /// Waits until no upload is unfinished any more.
    pub(crate) async fn settled(&self) {
        self.begun(0).await;
    }

    /// Waits until objects were listed more often than `before`, which ends the abortion of old uploads.
    pub(crate) async fn swept(&self, before: usize) {
        let mut listings = self.bucket.listings.subscribe();
        let swept = listings.wait_for(|count| *count > before);
        tokio::time::timeout(PATIENCE, swept)
            .await
            .expect("nothing is swept")
            .expect("the server is there");
    }

    /// Makes every object as old as what a sweep takes.
    pub(crate) fn age_objects(&self) {
        let old = SystemClock::new().now().minus(AGE).micros();
        let old = SystemTime::UNIX_EPOCH + Duration::from_micros(old.unsigned_abs());
        for path in files_below(self.home.path()) {
            let file = std::fs::File::options().write(true).open(path);
            file.and_then(|file| file.set_modified(old))
                .expect("a file");
        }
    }

    /// Where objects of that length are.
    pub(crate) fn paths_of(&self, length: u64) -> Vec<PathBuf> {
        let mut paths = files_below(self.home.path());
        paths.retain(|path| path.metadata().expect("metadata").len() == length);
        paths
    }

    /// The names of all files of the server: objects, and parts beside the bucket.
    pub(crate) fn names(&self) -> Vec<String> {
        let name = |path: PathBuf| Some(path.file_name()?.to_str()?.to_owned());
        let files = files_below(self.home.path()).into_iter();
        let mut names: Vec<String> = files.map(|path| name(path).expect("a name")).collect();
        names.retain(|name| !name.ends_with(".json"));
        names.sort_unstable();
        names
    }
}

/// A clock so far ahead that what is written is old.
pub(crate) fn later() -> ManualClock {
    ManualClock::new(SystemClock::new().now().plus(AGE))
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a listing");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .flat_map(|path| match path.is_dir() {
            true => files_below(&path),
            false => vec![path],
        })
        .collect()
}

async fn serve(listener: TcpListener, service: S3Service) {
    while let Ok((socket, _)) = listener.accept().await {
        let connection =
            http1::Builder::new().serve_connection(TokioIo::new(socket), service.clone());
        tokio::spawn(async move {
            let _ = connection.await;
        });
    }
}

struct Shared(Arc<Bucket>);

impl Bucket {
    /// Refuses a write where that is asked for, after its bytes: a client that is still sending
    /// them may miss an earlier answer.
    async fn refuse(&self, body: &mut Option<StreamingBlob>) -> S3Result<()> {
        let refusal = *self.refusal.lock().expect("the refusal");
        match refusal {
            None => Ok(()),
            Some((status, code)) => {
                if let Some(body) = body {
                    while body.next().await.is_some() {}
                }
                let mut error = S3Error::new(S3ErrorCode::Custom(code.into()));
                error.set_status_code(status.try_into().expect("a status"));
                error.set_message(format!("signed by {KEY_ID} with {SECRET}"));
                Err(error)
            }
        }
    }

    async fn released(&self) {
        let mut held = self.held.subscribe();
        held.wait_for(|held| !held)
            .await
            .expect("the server is there");
    }

    fn forget(&self, upload: &str) {
        self.unfinished
            .send_modify(|unfinished| unfinished.retain(|other| other.id != upload));
    }

    /// Breaks an answer off where that is asked for.
    fn broken(self: &Arc<Self>, body: StreamingBlob) -> StreamingBlob {
        let limit = self.breaks_after.load(Ordering::SeqCst);
        if limit == 0 {
            return body;
        }
        let bucket = Arc::clone(self);
        let mut sent = 0;
        StreamingBlob::wrap(body.map(move |chunk| {
            let chunk = chunk.map_err(std::io::Error::other)?;
            sent += chunk.len();
            if sent > limit {
                bucket.broken.fetch_add(1, Ordering::SeqCst);
                return Err(std::io::Error::other("the line is dead"));
            }
            Ok(chunk)
        }))
    }
}

#[async_trait]
impl S3 for Shared {
    async fn get_object(
        &self,
        req: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        if req.input.bucket != BUCKET {
            return Err(S3Error::new(S3ErrorCode::NoSuchBucket));
        }
        let mut found = self.0.files.get_object(req).await?;
        found.output.body = found.output.body.map(|body| self.0.broken(body));
        Ok(found)
    }

    async fn head_object(
        &self,
        req: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        self.0.files.head_object(req).await
    }

    async fn put_object(
        &self,
        mut req: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        self.0.refuse(&mut req.input.body).await?;
        self.0.released().await;
        self.0.files.put_object(req).await
    }

    async fn delete_object(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let answer = self.0.files.delete_object(req).await?;
        self.0.deletions.send_modify(|count| *count += 1);
        Ok(answer)
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let answer = self.0.files.list_objects_v2(req).await?;
        self.0.listings.send_modify(|count| *count += 1);
        Ok(answer)
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let created = self.0.files.create_multipart_upload(req).await?;
        let since = Duration::from_micros(SystemClock::new().now().micros().unsigned_abs());
        let upload = Unfinished {
            key: created.output.key.clone().expect("a key"),
            id: created.output.upload_id.clone().expect("an id"),
            begun: SystemTime::UNIX_EPOCH + since,
        };
        self.0.unfinished.send_modify(|all| all.push(upload));
        Ok(created)
    }

    async fn upload_part(
        &self,
        mut req: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        self.0.refuse(&mut req.input.body).await?;
        let (upload, number) = (req.input.upload_id.clone(), req.input.part_number);
        if number == 1 && self.0.reversed.load(Ordering::SeqCst) {
            self.0.second.notified().await;
        }
        let answer = self.0.files.upload_part(req).await;
        if number == 2 {
            self.0.second.notify_one();
        }
        if let Ok(answer) = &answer {
            let tag = answer.output.e_tag.clone();
            let mut tags = self.0.tags.lock().expect("the tags");
            tags.insert((upload, number), tag);
        }
        answer
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let id = req.input.upload_id.clone();
        let parts = req.input.multipart_upload.as_ref();
        for part in parts
            .and_then(|all| all.parts.as_ref())
            .into_iter()
            .flatten()
        {
            let tags = self.0.tags.lock().expect("the tags");
            let number = part.part_number.expect("a number");
            if tags.get(&(id.clone(), number)) != Some(&part.e_tag) {
                return Err(S3Error::new(S3ErrorCode::InvalidPart));
            }
        }
        self.0.released().await;
        let answer = self.0.files.complete_multipart_upload(req).await?;
        self.0.forget(&id);
        Ok(answer)
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let id = req.input.upload_id.clone();
        let answer = self.0.files.abort_multipart_upload(req).await?;
        self.0.forget(&id);
        Ok(answer)
    }

    /// A page of one upload, so that the pages are followed.
    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let (prefix, after) = (req.input.prefix, req.input.upload_id_marker);
        let mut all = self.0.unfinished.borrow().clone();
        all.retain(|upload| {
            upload
                .key
                .starts_with(prefix.as_deref().unwrap_or_default())
        });
        all.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        all.retain(|upload| after.as_ref().is_none_or(|after| upload.id > *after));
        let first = all.first().cloned();
        Ok(S3Response::new(ListMultipartUploadsOutput {
            is_truncated: Some(all.len() > 1),
            next_key_marker: first.as_ref().map(|upload| upload.key.clone()),
            next_upload_id_marker: first.as_ref().map(|upload| upload.id.clone()),
            uploads: first.map(|upload| {
                vec![MultipartUpload {
                    initiated: Some(upload.begun.into()),
                    key: Some(upload.key),
                    upload_id: Some(upload.id),
                    ..MultipartUpload::default()
                }]
            }),
            ..ListMultipartUploadsOutput::default()
        }))
    }
}
