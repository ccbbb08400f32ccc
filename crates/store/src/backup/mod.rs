//! Backups: the database, the notary's key and the files in one file, made beside a running server, and put back
//! into an empty folder.
//!
//! Invariant: a backup is the state of one moment after it was begun. The database is copied in one read
//! transaction. A file's bytes are durable before its row is, never change, and are deleted only after a commit
//! that no longer names them; so bytes that are missing when they are copied were replaced meanwhile, and a
//! fresh copy of the database, whose further bytes are copied in turn, no longer names them. The copy that goes
//! into the backup is one of which all bytes were there.
//!
//! The login key is left out on purpose: whoever holds a backup signs no login token with it, and a restored
//! server makes another.

mod archive;
mod bucket;
mod create;
mod restore;

use std::io;
use std::path::{Path, PathBuf};

use keyward_core::error::Fault;
use serde::{Deserialize, Serialize};

pub use self::bucket::Bucket;
pub use self::create::{Source, create};
pub use self::restore::{Target, restore};
use crate::sqlite::OpenError;

/// The version of the format.
const FORMAT: u32 = 1;

const MANIFEST: &str = "manifest.json";
const DEMO: &str = "demo";
const NOTARY_KEY: &str = "keys/notary.key";
const DATABASE: &str = "keyward.db";
const FILES: &str = "files/";

/// The first entry of a backup.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    program: String,
    /// Microseconds since the epoch.
    created_at: i64,
}

/// What was backed up or restored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many files.
    pub files: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// The files whose bytes are missing or other than their rows say.
    pub broken: Vec<String>,
}

/// Why there is no backup, or nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It must not be done; the text says what to do.
    #[error("{0}")]
    Refused(String),
    /// The backup is not what was written.
    #[error("the backup is damaged in {0}: nothing was restored; use another backup")]
    Damaged(String),
    /// The backup ends before its end.
    #[error("the backup ends too early, in {0}: nothing was restored; use another backup")]
    Short(String),
    /// The disk refused.
    #[error("{path} cannot be used")]
    Disk {
        /// The path, or what it is.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The bucket refused or did not answer.
    #[error(
        "the bucket of the files cannot be used, and nothing was made: try again once `keyward doctor` \
         finds nothing wrong with it"
    )]
    Bucket(#[from] Fault),
    /// The database cannot be copied or read.
    #[error("the database cannot be copied")]
    Database(#[from] rusqlite::Error),
    /// The restored database cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl Error {
    fn disk(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.downcast() {
            Ok(fault) => Self::Bucket(fault),
            Err(source) => Self::Disk {
                path: path.to_owned(),
                source,
            },
        }
    }

    fn reading(source: io::Error) -> Self {
        Self::disk(Path::new("the backup"))(source)
    }

    fn unpacking(source: io::Error) -> Self {
        Self::disk(Path::new("the restored folder"))(source)
    }
}

/// Told how many bytes are done and how many there are about to be.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);
