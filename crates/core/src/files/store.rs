//! The stores of files: rows in the database, and blobs beside them.

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
    /// The owner.
    pub owner: AccountId,
    /// The session of the owner that uploaded it.
    pub session: SessionId,
    /// The names under which the file that it replaces may be stored, most likely first; its own is among them.
    pub spellings: Vec<String>,
    /// The file.
    pub file: File,
}

/// The outcome of finishing an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finished {
    /// The file is visible. If it replaced a file, the replaced blob is no longer named.
    Stored {
        /// The name it is stored under: its own, or that of the file it replaced.
        name: String,
        /// The blob of the replaced file.
        replaced: Option<BlobId>,
    },
    /// The owner already has a file with that name; nothing was changed.
    NameTaken,
    /// The owner's quota is used up; nothing was changed.
    NoRoom(NoRoom),
    /// The session is not open, or the account is gone or disabled; nothing was changed.
    Unauthorized,
}

/// The quota of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The maximum number of files.
    pub files: u32,
    /// The maximum bytes of all files together.
    pub bytes: u64,
}

/// The number and bytes of files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The number of files.
    pub files: u32,
    /// The bytes of all files together.
    pub bytes: u64,
}

/// The part of the quota that is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoRoom {
    /// The number of files.
    Files,
    /// The bytes; this is the quota.
    Bytes,
}

impl Room {
    /// The maximum size of a file that is added to those of `usage`, or that replaces one of them of `replaced` bytes.
    /// A file no larger than the one it replaces always fits.
    ///
    /// # Errors
    /// [`NoRoom::Files`] if the owner has the maximum number of files.
    pub fn left(&self, usage: Usage, replaced: Option<u64>) -> Result<u64, NoRoom> {
        if replaced.is_none() && usage.files >= self.files {
            return Err(NoRoom::Files);
        }
        let replaced = replaced.unwrap_or_default();
        let others = usage.bytes.saturating_sub(replaced);
        Ok(self.bytes.saturating_sub(others).max(replaced))
    }

    /// Whether a file of `size` bytes fits: [`left`](Self::left), called by the store in its commit.
    ///
    /// # Errors
    /// The part of the quota that is used up.
    pub fn check(&self, usage: Usage, replaced: Option<u64>, size: u64) -> Result<(), NoRoom> {
        match size <= self.left(usage, replaced)? {
            true => Ok(()),
            false => Err(NoRoom::Bytes),
        }
    }
}

/// Stored files. Each method is atomic, and its effect is on disk when it returns.
#[async_trait]
pub trait Store: Send + Sync {
    /// Makes a file visible, if its session is still open and its account enabled. If `overwrite` allows it, the file
    /// replaces the first file that is stored under one of its spellings. The owner's files stay within the quota
    /// `room`, also when several uploads finish at once.
    ///
    /// The times of a file and of the file that it replaces differ in their second, if necessary by setting the time
    /// ahead of the clock, so that a date in seconds is a strong validator (RFC 9110 §8.8.2.2).
    async fn finish_upload(
        &self,
        file: NewFile,
        overwrite: bool,
        room: Room,
    ) -> Result<Finished, Fault>;

    /// The owner's file with that name.
    async fn find_file(&self, owner: AccountId, name: &str) -> Result<Option<File>, Fault>;

    /// The number and bytes of an owner's files.
    async fn measure_files(&self, owner: AccountId) -> Result<Usage, Fault>;

    /// The number and bytes of all owners' files. Reads the row of every file.
    async fn measure_all_files(&self) -> Result<Usage, Fault>;

    /// At most `limit` of an owner's files whose names come after `after`, by the UTF-8 bytes of their names. No name
    /// is empty.
    async fn list_files(
        &self,
        owner: AccountId,
        after: &str,
        limit: u32,
    ) -> Result<Vec<File>, Fault>;

    /// The `blobs` that no file names.
    async fn list_unnamed_blobs(&self, blobs: Vec<BlobId>) -> Result<Vec<BlobId>, Fault>;

    /// The namespace of this database's blobs. If the database has none, `fresh` is stored and never changes.
    async fn find_or_create_namespace(&self, fresh: Namespace) -> Result<Namespace, Fault>;
}

/// Stored blobs, under ids that Keyward draws; file names never reach this trait.
#[async_trait]
pub trait Blobs: Send + Sync {
    /// Begins to write a blob, which is invisible until it is finished. Its bytes in memory are charged to `account`.
    async fn create(&self, id: &BlobId, account: Account) -> Result<Box<dyn BlobWriter>, Fault>;

    /// Opens a finished blob. It stays readable to its end even if it is deleted meanwhile.
    async fn open(&self, id: &BlobId) -> Result<Option<Box<dyn BlobReader>>, Fault>;

    /// The maximum bytes that a reader holds in memory.
    fn read_ahead(&self) -> u64;

    /// Deletes a finished blob; does nothing if there is none.
    async fn delete(&self, id: &BlobId) -> Result<(), Fault>;

    /// The finished blobs that no upload under way may still name, in batches, for the sweep of blobs that a crash
    /// left.
    fn list_old(&self) -> BoxStream<'static, Result<Vec<BlobId>, Fault>>;
}

/// A blob that is being written. If it is dropped unfinished, it leaves nothing.
#[async_trait]
pub trait BlobWriter: Send {
    /// Appends `chunk`. Waits for the disk and for memory; fails with [`Fault::Unavailable`] if there is no memory.
    async fn write(&mut self, chunk: Bytes) -> Result<(), Fault>;

    /// Makes the blob durable under its id.
    async fn finish(self: Box<Self>) -> Result<(), Fault>;
}

/// A blob that is being read.
pub trait BlobReader: Send {
    /// The bytes of `range`, in chunks of bounded size.
    fn read(self: Box<Self>, range: Range<u64>) -> BoxStream<'static, Result<Bytes, Fault>>;
}
