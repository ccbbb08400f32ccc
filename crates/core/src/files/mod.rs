//! Files: what an operator uploads and clients fetch (contract 3).
//!
//! Invariant: a file is visible only once all its bytes are durable: first the bytes, then the row
//! that names them. Bytes that no row names are swept.

mod name;
mod store;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;

pub use self::name::{BadFileName, FileName};
pub use self::store::{BlobReader, BlobWriter, Blobs, Finished, Store};
use crate::clock::{Clock, Timestamp};
use crate::error::{Code, Fault, Kind, chain};
use crate::id::AccountId;
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

/// A file about to become visible.
#[derive(Clone, Debug)]
pub struct NewFile {
    /// Whose it is.
    pub owner: AccountId,
    /// What it is.
    pub file: File,
}

/// What an upload is to become.
#[derive(Clone, Debug)]
pub struct UploadRequest {
    /// Whose file it will be.
    pub owner: AccountId,
    /// Under which name.
    pub name: FileName,
    /// Of which media type.
    pub content_type: String,
    /// Whether a file of that name is replaced.
    pub overwrite: bool,
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
    /// How many files an owner may have.
    pub most: u32,
}

/// The files of this server.
#[derive(Clone)]
pub struct Files {
    store: Arc<dyn Store>,
    blobs: Arc<dyn Blobs>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    policy: Policy,
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
        Self {
            store,
            blobs,
            clock,
            random,
            policy,
        }
    }

    /// Begins an upload; nothing is visible until [`Upload::finish`].
    ///
    /// # Errors
    /// [`Error::NameTaken`] and [`Error::TooMany`] already here, so that the bytes need not be sent; [`Error::Store`].
    pub async fn begin_upload(&self, request: UploadRequest) -> Result<Upload, Error> {
        let UploadRequest { owner, name, .. } = &request;
        let limit = self.policy.most;
        match self.store.find_file(*owner, name.as_str()).await? {
            Some(_) if request.overwrite => {}
            Some(_) => return Err(Error::NameTaken),
            None if self.store.count_files(*owner).await? >= limit => {
                return Err(Error::TooMany { limit });
            }
            None => {}
        }
        let blob = BlobId::random(&*self.random);
        let writer = self.blobs.create(&blob).await?;
        Ok(Upload {
            files: self.clone(),
            request,
            blob,
            writer,
            size: 0,
            digest: Context::new(&SHA256),
        })
    }

    /// The file of that owner and name.
    ///
    /// # Errors
    /// [`Error::Unknown`], [`Error::Store`].
    pub async fn find(&self, owner: AccountId, name: &str) -> Result<File, Error> {
        self.store
            .find_file(owner, name)
            .await?
            .ok_or(Error::Unknown)
    }

    /// An owner's files, by the UTF-8 bytes of their names.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn list(&self, owner: AccountId) -> Result<Vec<File>, Error> {
        Ok(self.store.list_files(owner).await?)
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
        Ok(self
            .blobs
            .open(&file.blob)
            .await?
            .ok_or(Error::Unknown)?
            .read(range))
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

/// An upload under way. Dropped unfinished, it leaves nothing.
pub struct Upload {
    files: Files,
    request: UploadRequest,
    blob: BlobId,
    writer: Box<dyn BlobWriter>,
    size: u64,
    digest: Context,
}

impl Upload {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`Error::TooLarge`] as soon as the limit is passed, [`Error::Store`].
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), Error> {
        self.size = self.size.saturating_add(chunk.len() as u64);
        let limit = self.files.policy.largest;
        if self.size > limit {
            return Err(Error::TooLarge { limit });
        }
        self.digest.update(&chunk);
        Ok(self.writer.write(chunk).await?)
    }

    /// Makes the bytes durable, then the file visible.
    ///
    /// # Errors
    /// [`Error::NameTaken`] when another upload of that name came first, [`Error::TooMany`] when another took the
    /// last place, [`Error::Store`].
    pub async fn finish(self) -> Result<File, Error> {
        let Self {
            files,
            request,
            blob,
            writer,
            size,
            digest,
        } = self;
        writer.finish().await?;
        let file = File {
            name: request.name.into_string(),
            size,
            sha256: sha256_of(digest),
            content_type: request.content_type,
            uploaded_at: files.clock.now().to_millis(),
            blob: blob.clone(),
        };
        let row = NewFile {
            owner: request.owner,
            file: file.clone(),
        };
        let limit = files.policy.most;
        let finished = files
            .store
            .finish_upload(row, request.overwrite, limit)
            .await?;
        match finished {
            Finished::Stored {
                replaced: Some(old),
            } => files.discard(&old).await,
            Finished::Stored { replaced: None } => {}
            Finished::NameTaken => {
                files.discard(&blob).await;
                return Err(Error::NameTaken);
            }
            Finished::TooMany => {
                files.discard(&blob).await;
                return Err(Error::TooMany { limit });
            }
        }
        Ok(file)
    }
}

/// Ends a SHA-256; the output of that algorithm is always 32 bytes.
fn sha256_of(digest: Context) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.finish().as_ref());
    bytes
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
