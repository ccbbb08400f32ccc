//! Files, which operators upload and clients download.
//!
//! Invariant: a file becomes visible only after all its bytes are durable: the row is written after the blob. Blobs
//! that no row names are deleted by a sweep.

mod measured;
mod name;
mod store;
mod unfinished;
mod upload;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, Stream};
use futures_util::{StreamExt, TryStreamExt};

pub(crate) use self::measured::METRICS;
use self::measured::Measured;
pub use self::name::{FileName, FileNameError};
pub use self::store::{
    BlobReader, BlobWriter, Blobs, Finished, NewFile, NoRoom, Room, Store, Usage,
};
use self::unfinished::Unfinished;
pub use self::upload::{Upload, UploadRequest};
use crate::clock::{Clock, Timestamp};
use crate::error::{Code, Fault, Kind, chain};
use crate::id::AccountId;
use crate::page::{BATCH, is_full};
use crate::random::{self, Random};

/// The id of a blob: 32 lower-case hex characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobId(String);

impl BlobId {
    /// Parses an id. Returns `None` for anything but 32 lower-case hex characters, so that an id is safe as a path.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 32 && text.bytes().all(hex)).then(|| Self(text.to_owned()))
    }

    /// A new random id.
    #[must_use]
    pub fn random(random: &dyn Random) -> Self {
        Self(random::hex::<16>(random))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The namespace of a database's blobs in a bucket that several databases share. It is needed because each database
/// sweeps the blobs that it does not name. Its text is 16 lower-case hex characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespace(i64);

impl Namespace {
    /// A new random namespace.
    #[must_use]
    pub fn random(random: &dyn Random) -> Self {
        let mut bytes = [0; 8];
        random.fill(&mut bytes);
        Self(i64::from_le_bytes(bytes))
    }

    /// The namespace that is stored as `number`.
    #[must_use]
    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// The number that is stored for the namespace.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A stored file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name, unique for its owner.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// The SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// Its media type as uploaded.
    pub content_type: String,
    /// When it became visible, to the millisecond.
    pub uploaded_at: Timestamp,
    /// The id of its blob.
    pub blob: BlobId,
}

/// An error of an operation on files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The owner has a file of that name.
    #[error("a file of that name exists already")]
    NameTaken,
    /// It is larger than allowed.
    #[error("the file is larger than {limit} bytes")]
    TooLarge {
        /// What is allowed, in bytes.
        limit: u64,
    },
    /// The owner has the maximum number of files.
    #[error("you have {limit} files, which is the maximum: replace one with overwrite=true")]
    TooMany {
        /// The maximum number of files.
        limit: u32,
    },
    /// The owner's files would exceed the owner's quota of bytes.
    #[error(
        "your files may have {limit} bytes in all: replace one with a smaller one with overwrite=true"
    )]
    QuotaExceeded {
        /// The quota, in bytes.
        limit: u64,
    },
    /// The unfinished uploads of all owners have used up the space for unfinished uploads.
    #[error(
        "other uploads under way take all the space for unfinished uploads: try again when some have ended"
    )]
    Crowded,
    /// The upload exceeded its time limit.
    #[error("the upload took longer than {} seconds", limit.as_secs())]
    TookTooLong {
        /// The time limit.
        limit: Duration,
    },
    /// Since the upload began, its session was closed or its account disabled.
    #[error("the session was closed during the upload")]
    Unauthorized,
    /// There is no such file.
    #[error("there is no such file")]
    Unknown,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Fault),
}

impl Error {
    /// The code an edge answers with.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::NameTaken => Code::FileExists,
            Self::TooLarge { .. } => Code::TooLarge,
            Self::TooMany { .. } => Code::TooManyFiles,
            Self::QuotaExceeded { .. } => Code::QuotaExceeded,
            Self::Crowded => Code::TooManyUploads,
            Self::TookTooLong { .. } => Code::RequestTimeout,
            Self::Unauthorized => Code::InvalidToken,
            Self::Unknown => Code::UnknownFile,
            Self::Store(fault) => fault.code(),
        }
    }

    /// The kind of that code.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.code().kind()
    }
}

/// The limits of files and uploads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The largest file, in bytes.
    pub largest: u64,
    /// The quota of one owner. Its bytes are raised to the size of one largest file if they are fewer.
    pub room: Room,
    /// The maximum bytes of all unfinished uploads together, raised to the size of one largest file if they are fewer.
    pub unfinished: u64,
    /// The time limit of an upload from its beginning to its end.
    pub upload_timeout: Duration,
}

/// The operations on files.
#[derive(Clone)]
pub struct Files {
    store: Arc<dyn Store>,
    blobs: Arc<dyn Blobs>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    policy: Policy,
    unfinished: Arc<Unfinished>,
    measured: Measured,
}

impl Files {
    /// Files within the limits of `policy`, with their rows in `store` and their bytes in `blobs`.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        blobs: Arc<dyn Blobs>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        policy: Policy,
    ) -> Self {
        // Otherwise no file of the largest size could be uploaded.
        let policy = Policy {
            room: Room {
                bytes: policy.room.bytes.max(policy.largest),
                ..policy.room
            },
            unfinished: policy.unfinished.max(policy.largest),
            ..policy
        };
        Self {
            store,
            blobs,
            clock,
            random,
            policy,
            unfinished: Arc::new(Unfinished::new(policy.unfinished)),
            measured: Measured::new(),
        }
    }

    /// The current time, by the clock that dates the files.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The owner's file with that name, in any Unicode normalization form.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Store`].
    pub async fn find(&self, owner: AccountId, name: &str) -> Result<File, Error> {
        self.find_spelled(owner, &name::spellings(name))
            .await?
            .ok_or(Error::Unknown)
    }

    /// The first existing file among those names.
    async fn find_spelled(
        &self,
        owner: AccountId,
        spellings: &[String],
    ) -> Result<Option<File>, Fault> {
        for spelling in spellings {
            if let Some(file) = self.store.find_file(owner, spelling).await? {
                return Ok(Some(file));
            }
        }
        Ok(None)
    }

    /// An owner's files, ordered by the UTF-8 bytes of their names, read in batches. Each batch shows the files at the
    /// time it is read: a file that exists from the first batch to the last is listed exactly once.
    ///
    /// # Errors
    /// [`Error::Store`], which ends the list.
    pub fn list(
        &self,
        owner: AccountId,
    ) -> impl Stream<Item = Result<Vec<File>, Error>> + Send + use<> {
        let store = Arc::clone(&self.store);
        stream::try_unfold(Some(String::new()), move |after| {
            let store = Arc::clone(&store);
            async move {
                let Some(after) = after else {
                    return Ok(None);
                };
                let batch = store.list_files(owner, &after, BATCH).await?;
                let last = batch.last().filter(|_| is_full(&batch, BATCH));
                let after = last.map(|last| last.name.clone());
                Ok(Some((batch, after)))
            }
        })
    }

    /// The bytes of `range` of a file, which must lie within its size.
    ///
    /// # Errors
    /// [`Error::Unknown`] if the file was replaced since it was found, [`Error::Store`].
    pub async fn open(
        &self,
        file: &File,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, Fault>>, Error> {
        let found = self.blobs.open(&file.blob).await?;
        let bytes = found.ok_or(Error::Unknown)?.read(range);
        let downloaded = self.measured.downloaded.clone();
        Ok(bytes
            .inspect_ok(move |bytes| downloaded.increment(bytes.len() as u64))
            .boxed())
    }

    /// What the stored files of all owners take. Reads every file's row.
    ///
    /// # Errors
    /// The store's.
    pub async fn measure_all(&self) -> Result<Usage, Fault> {
        self.store.measure_all_files().await
    }

    /// The bytes of all unfinished uploads.
    #[must_use]
    pub fn unfinished(&self) -> u64 {
        self.unfinished.bytes()
    }

    /// The maximum bytes in memory of a file that is being read for a client.
    #[must_use]
    pub fn read_ahead(&self) -> u64 {
        self.blobs.read_ahead()
    }

    /// Deletes the blobs that a crash left: old ones that no file names. Returns their number.
    ///
    /// # Errors
    /// [`Error::Store`]; the next sweep finds the blobs that remain.
    pub async fn sweep(&self) -> Result<usize, Error> {
        let mut swept = 0;
        let mut batches = self.blobs.list_old();
        while let Some(batch) = batches.next().await {
            for blob in self.store.list_unnamed_blobs(batch?).await? {
                self.blobs.delete(&blob).await?;
                swept += 1;
            }
        }
        Ok(swept)
    }
}

impl Files {
    /// Deletes blobs that no file names. If that fails, the next sweep deletes them.
    async fn discard(&self, blob: &BlobId) {
        if let Err(error) = self.blobs.delete(blob).await {
            tracing::warn!(
                blob = blob.as_str(),
                error = chain(&error),
                "a blob that no file names could not be deleted: a later sweep deletes it"
            );
        }
    }
}
