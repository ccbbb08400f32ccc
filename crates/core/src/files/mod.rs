//! Files: what an operator uploads and clients fetch.
//!
//! Invariant: a file is visible only once all its bytes are durable: first the bytes, then the row
//! that names them. Bytes that no row names are swept.

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
pub use self::name::{BadFileName, FileName};
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

/// The id of stored bytes: 32 lower-case hex characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobId(String);

impl BlobId {
    /// Reads an id; `None` for anything but 32 lower-case hex characters, so that it is safe as a path.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (text.len() == 32 && text.bytes().all(hex)).then(|| Self(text.to_owned()))
    }

    /// One that no other bytes have.
    #[must_use]
    pub fn random(random: &dyn Random) -> Self {
        Self(random::hex::<16>(random))
    }

    /// The text of the id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What keeps the bytes of one database apart from those of others where they are in one place: a
/// database sweeps what it does not name. Its text is 16 lower-case hex characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Namespace(i64);

impl Namespace {
    /// One that no other database has.
    #[must_use]
    pub fn random(random: &dyn Random) -> Self {
        let mut bytes = [0; 8];
        random.fill(&mut bytes);
        Self(i64::from_le_bytes(bytes))
    }

    /// The one that is stored as `number`.
    #[must_use]
    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// The number that it is stored as.
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
    /// Where its bytes are.
    pub blob: BlobId,
}

/// Why something about files cannot be done.
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
    /// The owner has as many files as one may have.
    #[error("there are {limit} files already, which is the most: replace one with overwrite=true")]
    TooMany {
        /// How many one may have.
        limit: u32,
    },
    /// The owner's files would have more bytes than one owner may have.
    #[error(
        "your files may have {limit} bytes in all: replace one by a smaller one with overwrite=true"
    )]
    QuotaExceeded {
        /// How many bytes one may have.
        limit: u64,
    },
    /// The unfinished uploads of all owners have as many bytes as they may have.
    #[error(
        "the uploads under way take all the room there is for them: try again when some have ended"
    )]
    Crowded,
    /// It took longer than an upload may.
    #[error("the upload took longer than {} seconds", limit.as_secs())]
    TookTooLong {
        /// How long an upload may take.
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

/// How much there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The largest file, in bytes.
    pub largest: u64,
    /// What the files of one owner may take; the bytes count at least as one largest file.
    pub room: Room,
    /// How many bytes all unfinished uploads together may have; at least one largest file.
    pub unfinished: u64,
    /// How long an upload may take from its beginning to its end.
    pub upload_timeout: Duration,
}

/// The files of this server.
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
    /// Files within `policy`, named in `store`, their bytes in `blobs`.
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

    /// The present moment, by the clock that dates the files.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The file of that owner and name, in whichever Unicode normalization form the name is given.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Store`].
    pub async fn find(&self, owner: AccountId, name: &str) -> Result<File, Error> {
        self.find_spelled(owner, &name::spellings(name))
            .await?
            .ok_or(Error::Unknown)
    }

    /// The first of the files of those names that there is.
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

    /// An owner's files, by the UTF-8 bytes of their names, a batch at a time. Each batch is of the moment in which it
    /// is read: a file that is there from the list's beginning to its end is in it once.
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
    /// [`Error::Unknown`] when the file was replaced since it was found, [`Error::Store`].
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

    /// The most that is in memory of a file that is read and not taken yet, in bytes.
    #[must_use]
    pub fn read_ahead(&self) -> u64 {
        self.blobs.read_ahead()
    }

    /// Deletes what a crash left: old bytes that no file names; tells how many.
    ///
    /// # Errors
    /// [`Error::Store`]; what was not reached is left for the next sweep.
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
    /// Deletes bytes that nothing names; what fails here is found by the next sweep.
    async fn discard(&self, blob: &BlobId) {
        if let Err(error) = self.blobs.delete(blob).await {
            tracing::warn!(
                blob = blob.as_str(),
                error = chain(&error),
                "unnamed bytes stay until a later sweep"
            );
        }
    }
}
