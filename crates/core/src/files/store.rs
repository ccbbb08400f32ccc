//! What files need of a store: rows that say what exists, and the bytes beside them.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use std::ops::Range;

use super::{BlobId, File, Namespace};
use crate::error::Fault;
use crate::id::{AccountId, SessionId};
use crate::memory::Account;

/// A file about to become visible.
#[derive(Clone, Debug)]
pub struct NewFile {
    /// Whose it is.
    pub owner: AccountId,
    /// The session of the owner that uploaded it.
    pub session: SessionId,
    /// The names under which the file that it replaces may be stored, most likely first; its own is among them.
    pub spellings: Vec<String>,
    /// What it is.
    pub file: File,
}

/// What became of a finished upload's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finished {
    /// The file is there; the bytes of the one it replaced, if any, are no longer named.
    Stored {
        /// The name it is stored under: its own, or that of the file it replaced.
        name: String,
        /// The replaced file's bytes.
        replaced: Option<BlobId>,
    },
    /// The owner already has a file of that name; nothing was changed.
    NameTaken,
    /// The owner's files take as much as they may; nothing was changed.
    NoRoom(NoRoom),
    /// The session is not open, or the account is gone or disabled; nothing was changed.
    Unauthorized,
}

/// What the files of one owner may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// How many there may be.
    pub files: u32,
    /// How many bytes they may have together.
    pub bytes: u64,
}

/// What files take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How many there are.
    pub files: u32,
    /// How many bytes they have together.
    pub bytes: u64,
}

/// What there is no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// Another file.
    Files,
    /// So many bytes.
    Bytes,
}

impl Room {
    /// How large a file may be that comes beside those of `usage`, or in the place of the one of them that has
    /// `replaced` bytes. One that is no larger than what it replaces always fits.
    ///
    /// # Errors
    /// [`NoRoom::Files`] where there is no room for another file.
    pub fn left(&self, usage: Usage, replaced: Option<u64>) -> Result<u64, NoRoom> {
        if replaced.is_none() && usage.files >= self.files {
            return Err(NoRoom::Files);
        }
        let replaced = replaced.unwrap_or_default();
        let others = usage.bytes.saturating_sub(replaced);
        Ok(self.bytes.saturating_sub(others).max(replaced))
    }

    /// Whether a file of `size` bytes fits: [`left`](Self::left), for the store to ask in its commit.
    ///
    /// # Errors
    /// What there is no room for.
    pub fn check(&self, usage: Usage, replaced: Option<u64>, size: u64) -> Result<(), NoRoom> {
        match size <= self.left(usage, replaced)? {
            true => Ok(()),
            false => Err(NoRoom::Bytes),
        }
    }
}

/// Files at rest: what exists. Each method is one atomic fact, on disk when it returns.
#[async_trait]
pub trait Store: Send + Sync {
    /// Makes a file visible, if its session is still open and its account enabled. It takes the place of the first
    /// file that is stored under one of its spellings, which must be allowed by `overwrite`; what the owner's files
    /// take stays within `room`, whatever finishes at once.
    ///
    /// The times of a file and of the one that it replaces lie in different seconds, if need be ahead of the clock, so
    /// that a date in seconds names one of them (RFC 9110 §8.8.2.2).
    async fn finish_upload(
        &self,
        file: NewFile,
        overwrite: bool,
        room: Room,
    ) -> Result<Finished, Fault>;

    /// The file of that owner and name.
    async fn find_file(&self, owner: AccountId, name: &str) -> Result<Option<File>, Fault>;

    /// What an owner's files take.
    async fn measure_files(&self, owner: AccountId) -> Result<Usage, Fault>;

    /// What the files of all owners take. Reads every file's row.
    async fn measure_all_files(&self) -> Result<Usage, Fault>;

    /// At most `limit` of an owner's files whose names come after `after`, by the UTF-8 bytes of their names. No name
    /// is empty.
    async fn list_files(
        &self,
        owner: AccountId,
        after: &str,
        limit: u32,
    ) -> Result<Vec<File>, Fault>;

    /// Those of `blobs` that no file names.
    async fn list_unnamed_blobs(&self, blobs: Vec<BlobId>) -> Result<Vec<BlobId>, Fault>;

    /// The namespace of the bytes of this database: `fresh` where it has none, and the same ever after.
    async fn find_or_create_namespace(&self, fresh: Namespace) -> Result<Namespace, Fault>;
}

/// Bytes at rest, under ids of our own; names that people give never reach it.
#[async_trait]
pub trait Blobs: Send + Sync {
    /// Begins to write the bytes of `id`, invisible until they are finished. `account` pays for what is in memory of
    /// them.
    async fn create(&self, id: &BlobId, account: Account) -> Result<Box<dyn BlobWriter>, Fault>;

    /// Opens finished bytes; they stay readable to their end even if they are deleted meanwhile.
    async fn open(&self, id: &BlobId) -> Result<Option<Box<dyn BlobReader>>, Fault>;

    /// The most that a reader has in memory of what is not taken yet, in bytes.
    fn read_ahead(&self) -> u64;

    /// Deletes finished bytes; nothing where there are none.
    async fn delete(&self, id: &BlobId) -> Result<(), Fault>;

    /// The finished bytes that no upload under way can be about to name, a batch at a time, for the
    /// sweep of what a crash left unnamed.
    fn list_old(&self) -> BoxStream<'static, Result<Vec<BlobId>, Fault>>;
}

/// Bytes on their way in. Dropped unfinished, they leave nothing.
#[async_trait]
pub trait BlobWriter: Send {
    /// Appends `chunk`; waits while the disk is behind, and for memory. [`Fault::Unavailable`] where there is none.
    async fn write(&mut self, chunk: Bytes) -> Result<(), Fault>;

    /// Makes the bytes durable under their id.
    async fn finish(self: Box<Self>) -> Result<(), Fault>;
}

/// Bytes on their way out.
pub trait BlobReader: Send {
    /// The bytes of `range`, in chunks of bounded size.
    fn read(self: Box<Self>, range: Range<u64>) -> BoxStream<'static, Result<Bytes, Fault>>;
}
