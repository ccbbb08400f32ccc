//! The storage of blobs: the data folder of one server, or a bucket that several share.
//!
//! Invariant: each database has its own namespace in a bucket, so that no sweep deletes the blobs of another database.

use std::future::pending;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use keyward_core::error::Fault;
use keyward_core::files::{Blobs, Namespace};
use keyward_store::blobs::s3::Options;
use keyward_store::blobs::{LocalBlobs, S3Blobs, stored_in};
use keyward_store::folder::DataFolder;

use crate::data::Data;
use crate::settings::Storage;
use keyward_server::Base;

/// The open storage of blobs.
pub(crate) enum OpenStorage {
    Local(LocalBlobs),
    S3(S3Blobs),
}

impl OpenStorage {
    /// Opens the storage for a server.
    ///
    /// # Errors
    /// The errors of the disk, and a refusal by the bucket. A bucket that does not answer is no error: everything except
    /// files works without it.
    pub(crate) async fn open(
        storage: &Storage,
        folder: &DataFolder,
        data: &Data,
        base: &Base,
    ) -> anyhow::Result<Self> {
        let options = match storage {
            Storage::S3(options) => options,
            Storage::DataDir { min_free } => {
                let blobs = LocalBlobs::open(&folder.files(), *min_free);
                return Ok(Self::Local(blobs.context("the folder of the files")?));
            }
        };
        let fresh = Namespace::random(&*base.random);
        let namespace = data.rows.find_or_create_namespace(fresh).await?;
        let bucket = options.below(namespace);
        let blobs = S3Blobs::open(&bucket, base.clock.clone())?;
        match blobs.ready().await {
            Ok(()) => {}
            Err(fault @ Fault::Unavailable(_)) => {
                let cause = anyhow::Error::from(fault);
                tracing::warn!("files are answered 503 until S3 answers: {cause:#}");
            }
            Err(fault) => return Err(anyhow::Error::from(fault).context(refused(options))),
        }
        warn_of_files_in(&folder.files());
        Ok(Self::S3(blobs))
    }

    /// Its name in the log.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Local(_) => "local",
            Self::S3(_) => "s3",
        }
    }

    /// The bytes.
    pub(crate) fn blobs(&self) -> Arc<dyn Blobs> {
        match self {
            Self::Local(blobs) => Arc::new(blobs.clone()),
            Self::S3(blobs) => Arc::new(blobs.clone()),
        }
    }

    /// Resolves with the cause when this process can no longer make a blob durable.
    pub(crate) async fn failed(&self) -> String {
        match self {
            Self::Local(blobs) => blobs.failed().await,
            // The disks are the bucket's business: it answers or it does not.
            Self::S3(_) => pending().await,
        }
    }
}

/// The advice for a bucket that refuses.
pub(crate) fn refused(options: &Options) -> String {
    format!(
        "the bucket of files.url ({}) refuses: check its name, files.endpoint, the key and its rights \
         (docs/operations.md, \"Files on S3\")",
        options.url
    )
}

/// Warns about files that were uploaded before the bucket was set, because they are not in it.
fn warn_of_files_in(root: &Path) {
    if stored_in(root).next().is_some() {
        tracing::warn!(
            "{} holds files, and files.url names a bucket: those are not found; docs/operations.md says how \
             files are moved",
            root.display()
        );
    }
}
