//! The bytes of files: in the data folder of one server, or in a bucket that several share.
//!
//! Invariant: in a bucket each database has a namespace of its own, so that none sweeps what another names.

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
use crate::services::Services;
use crate::settings::Storage;

/// The open bytes of files.
pub(crate) enum OpenStorage {
    Local(LocalBlobs),
    S3(S3Blobs),
}

impl OpenStorage {
    /// Opens them for a server.
    ///
    /// # Errors
    /// When the disk or the bucket refuses. A bucket that does not answer is taken as it is: all but files goes
    /// on without it.
    pub(crate) async fn open(
        storage: &Storage,
        folder: &DataFolder,
        data: &Data,
        services: &Services,
    ) -> anyhow::Result<Self> {
        let options = match storage {
            Storage::S3(options) => options,
            Storage::DataDir { min_free } => {
                let blobs = LocalBlobs::open(&folder.files(), *min_free);
                return Ok(Self::Local(blobs.context("the folder of the files")?));
            }
        };
        let fresh = Namespace::random(&*services.random);
        let namespace = data.rows.find_or_create_namespace(fresh).await?;
        let bucket = options.below(namespace);
        let blobs = S3Blobs::open(&bucket, services.clock.clone())?;
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

    /// What it is called in the log.
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

    /// Resolves, with the cause, when this process can no longer make bytes durable.
    pub(crate) async fn failed(&self) -> String {
        match self {
            Self::Local(blobs) => blobs.failed().await,
            // Its disks are another's, which answers or does not.
            Self::S3(_) => pending().await,
        }
    }
}

/// What to say where a bucket refuses.
pub(crate) fn refused(options: &Options) -> String {
    format!(
        "the bucket of files.url ({}) refuses: check its name, files.endpoint, the key and its rights \
         (docs/operations.md, \"Files on S3\")",
        options.url
    )
}

/// Files that were uploaded before there was a bucket are not in it.
fn warn_of_files_in(root: &Path) {
    if stored_in(root).next().is_some() {
        tracing::warn!(
            "{} holds files, and files.url names a bucket: those are not found; docs/operations.md says how \
             files are moved",
            root.display()
        );
    }
}
