//! Backup and restore. A backup is one file with the database, the notary's key and the uploaded files. It is made
//! while the server runs, and restored into an empty folder.
//!
//! Invariant: a backup holds the state of one moment after it was begun. The database is copied in one read
//! transaction. A blob is durable before the row that names it, never changes, and is deleted only after a commit that
//! no longer names it. If a blob is missing when it is to be copied, its file was therefore replaced or deleted, and
//! the database is copied again. The backup contains a copy of the database whose blobs were all found.
//!
//! The master key is left out on purpose: the other keys in the database stay sealed, so a stolen backup cannot sign
//! login tokens. A restored server makes new ones.

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

/// A summary of what was backed up or restored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many files.
    pub files: u64,
    /// Their total size, in bytes.
    pub bytes: u64,
    /// The files whose blob is missing or differs from its row.
    pub broken: Vec<String>,
}

/// Why a backup or a restore failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A precondition does not hold. The text says what to do.
    #[error("{0}")]
    Refused(String),
    /// The backup was changed after it was written.
    #[error("the backup is damaged in {0}: nothing was restored; use another backup")]
    Damaged(String),
    /// The backup is truncated.
    #[error("the backup ends too early, in {0}: nothing was restored; use another backup")]
    Short(String),
    /// The operating system reported an error.
    #[error("{path} cannot be used")]
    Disk {
        /// The path, or a description of it.
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

/// Called with the number of bytes done and the expected total.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);
