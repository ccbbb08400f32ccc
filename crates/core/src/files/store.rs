//! What files need of a store: rows that say what exists, and the bytes beside them.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use std::ops::Range;

use super::{BlobId, File, Namespace, NewFile};
use crate::error::Fault;
use crate::id::AccountId;

/// What became of a finished upload's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finished {
    /// The file is there; the bytes of the one it replaced, if any, are no longer named.
    Stored {
        /// The replaced file's bytes.
        replaced: Option<BlobId>,
    },
    /// The owner already has a file of that name; nothing was changed.
    NameTaken,
    /// The owner has as many files as it may have; nothing was changed.
    TooMany,
}

/// Files at rest: what exists. Each method is one atomic fact, on disk when it returns.
#[async_trait]
pub trait Store: Send + Sync {
    /// Makes a file visible; one of the same owner and name is replaced only where `overwrite`, and another is added
    /// only where there are less than `most`, whatever finishes at once.
    async fn finish_upload(
        &self,
        file: NewFile,
        overwrite: bool,
        most: u32,
    ) -> Result<Finished, Fault>;

    /// The file of that owner and name.
    async fn find_file(&self, owner: AccountId, name: &str) -> Result<Option<File>, Fault>;

    /// How many files an owner has.
    async fn count_files(&self, owner: AccountId) -> Result<u32, Fault>;

    /// An owner's files, by the UTF-8 bytes of their names.
    async fn list_files(&self, owner: AccountId) -> Result<Vec<File>, Fault>;

    /// Those of `blobs` that no file names.
    async fn list_unnamed_blobs(&self, blobs: Vec<BlobId>) -> Result<Vec<BlobId>, Fault>;

    /// The namespace of the bytes of this database: `fresh` where it has none, and the same ever after.
    async fn find_or_create_namespace(&self, fresh: Namespace) -> Result<Namespace, Fault>;
}

/// Bytes at rest, under ids of our own; names that people give never reach it.
#[async_trait]
pub trait Blobs: Send + Sync {
    /// Begins to write the bytes of `id`, invisible until they are finished.
    async fn create(&self, id: &BlobId) -> Result<Box<dyn BlobWriter>, Fault>;

    /// Opens finished bytes; they stay readable to their end even if they are deleted meanwhile.
    async fn open(&self, id: &BlobId) -> Result<Option<Box<dyn BlobReader>>, Fault>;

    /// Deletes finished bytes; nothing where there are none.
    async fn delete(&self, id: &BlobId) -> Result<(), Fault>;

    /// The finished bytes that no upload under way can be about to name, a batch at a time, for the
    /// sweep of what a crash left unnamed.
    fn list_old(&self) -> BoxStream<'static, Result<Vec<BlobId>, Fault>>;
}

/// Bytes on their way in. Dropped unfinished, they leave nothing.
#[async_trait]
pub trait BlobWriter: Send {
    /// Appends `chunk`; waits while the disk is behind.
    async fn write(&mut self, chunk: Bytes) -> Result<(), Fault>;

    /// Makes the bytes durable under their id.
    async fn finish(self: Box<Self>) -> Result<(), Fault>;
}

/// Bytes on their way out.
pub trait BlobReader: Send {
    /// The bytes of `range`, in chunks of bounded size.
    fn read(self: Box<Self>, range: Range<u64>) -> BoxStream<'static, Result<Bytes, Fault>>;
}
