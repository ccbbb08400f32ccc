//! An upload, from its first byte until the file is visible.
//!
//! Invariant: authorization is checked again in the commit that makes the file visible. An upload that fails, or whose
//! caller leaves before its last byte, leaves nothing.

use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;

use super::unfinished::{Refused, Taken};
use super::{BlobId, BlobWriter, Error, File, FileName, Files, Finished, NewFile, NoRoom};
use crate::error::Fault;
use crate::id::{AccountId, SessionId};
use crate::memory::Account;

/// The file that an upload is to become.
#[derive(Clone, Debug)]
pub struct UploadRequest {
    /// The owner.
    pub owner: AccountId,
    /// The session of the owner that uploads it.
    pub session: SessionId,
    /// The name of the file.
    pub name: FileName,
    /// Its media type.
    pub content_type: String,
    /// Whether it may replace a file with that name.
    pub overwrite: bool,
    /// The memory account to which its bytes in memory are charged.
    pub memory: Account,
}

impl Files {
    /// Begins an upload; nothing is visible until [`Upload::finish`].
    ///
    /// # Errors
    /// [`Error::NameTaken`] and [`Error::TooMany`], before any bytes are sent; [`Error::Store`].
    pub async fn begin_upload(&self, request: UploadRequest) -> Result<Upload, Error> {
        let begun = self.clock.monotonic();
        let owner = request.owner;
        let found = self.find_spelled(owner, request.name.spellings()).await?;
        if found.is_some() && !request.overwrite {
            return Err(Error::NameTaken);
        }
        let usage = self.store.measure_files(owner).await?;
        let replaced = found.map(|file| file.size);
        let room = self.policy.room.left(usage, replaced);
        let room = room.map_err(|no_room| self.no_room(no_room))?;
        let blob = BlobId::random(&*self.random);
        let writer = self.blobs.create(&blob, request.memory.clone()).await?;
        Ok(Upload {
            files: self.clone(),
            request,
            blob,
            begun,
            writer,
            size: 0,
            room,
            digest: Context::new(&SHA256),
            taken: self.unfinished.begin(owner),
        })
    }

    fn no_room(&self, no_room: NoRoom) -> Error {
        let room = self.policy.room;
        match no_room {
            NoRoom::Files => Error::TooMany { limit: room.files },
            NoRoom::Bytes => Error::QuotaExceeded { limit: room.bytes },
        }
    }
}

/// An upload under way. If it is dropped unfinished, it leaves nothing.
pub struct Upload {
    files: Files,
    request: UploadRequest,
    blob: BlobId,
    /// The start, on the monotonic clock.
    begun: Duration,
    writer: Box<dyn BlobWriter>,
    size: u64,
    /// Its maximum size, given what its owner had stored when it began.
    room: u64,
    digest: Context,
    /// Dropped last, after the bytes are deleted or are counted as a file: fields are dropped in this order.
    taken: Taken,
}

impl Upload {
    /// Appends the next bytes.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::QuotaExceeded`], [`Error::Crowded`] and [`Error::TookTooLong`] as soon as a limit
    /// is exceeded, [`Error::Store`].
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), Error> {
        self.check_time()?;
        let length = chunk.len() as u64;
        self.size = self.size.saturating_add(length);
        let limit = self.files.policy.largest;
        if self.size > limit {
            return Err(Error::TooLarge { limit });
        }
        self.taken
            .grow(length, self.room)
            .map_err(|refused| match refused {
                Refused::All => Error::Crowded,
                Refused::Owner => self.files.no_room(NoRoom::Bytes),
            })?;
        self.digest.update(&chunk);
        self.files.measured.uploaded.increment(length);
        Ok(self.writer.write(chunk).await?)
    }

    /// Makes the bytes durable, then the file visible. This runs in its own task and completes even if the caller stops
    /// waiting, so that no blob is left without a row.
    ///
    /// # Errors
    /// [`Error::NameTaken`] if another upload of that name finished first, [`Error::TooMany`] and
    /// [`Error::QuotaExceeded`] if other uploads used up the quota, [`Error::Unauthorized`], [`Error::TookTooLong`],
    /// [`Error::Store`].
    pub async fn finish(self) -> Result<File, Error> {
        let finished = tokio::spawn(self.complete()).await;
        finished.map_err(|ended| Fault::Internal(ended.into()))?
    }

    async fn complete(self) -> Result<File, Error> {
        self.check_time()?;
        let Self {
            files,
            request,
            blob,
            writer,
            size,
            digest,
            taken,
            ..
        } = self;
        writer.finish().await?;
        let (name, spellings) = request.name.into_spellings();
        let mut file = File {
            name,
            size,
            sha256: sha256_of(digest),
            content_type: request.content_type,
            uploaded_at: files.clock.now().to_millis(),
            blob: blob.clone(),
        };
        let row = NewFile {
            owner: request.owner,
            session: request.session,
            spellings,
            file: file.clone(),
        };
        let (overwrite, room) = (request.overwrite, files.policy.room);
        let refused = match files.store.finish_upload(row, overwrite, room).await {
            Ok(Finished::Stored { name, replaced }) => {
                file.name = name;
                if let Some(replaced) = replaced {
                    files.discard(&replaced).await;
                }
                drop(taken);
                return Ok(file);
            }
            Ok(Finished::NameTaken) => Error::NameTaken,
            Ok(Finished::NoRoom(no_room)) => files.no_room(no_room),
            Ok(Finished::Unauthorized) => Error::Unauthorized,
            // Nothing was stored, and the blob takes space that the disk needs.
            Err(full @ Fault::Full(_)) => full.into(),
            // The row may have been stored nevertheless.
            Err(fault) => return Err(fault.into()),
        };
        files.discard(&blob).await;
        Err(refused)
    }

    fn check_time(&self) -> Result<(), Error> {
        let limit = self.files.policy.upload_timeout;
        let taken = self.files.clock.monotonic().saturating_sub(self.begun);
        match taken > limit {
            true => Err(Error::TookTooLong { limit }),
            false => Ok(()),
        }
    }
}

/// Ends a SHA-256; the output of that algorithm is always 32 bytes.
fn sha256_of(digest: Context) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.finish().as_ref());
    bytes
}
