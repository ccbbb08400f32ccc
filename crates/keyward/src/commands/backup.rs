//! `keyward backup`: the database, the notary's key and the files in one file, also while the server runs.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use keyward_store::backup::{self, Bucket, Source, Summary};
use keyward_store::blobs::S3Blobs;
use keyward_store::folder::DataFolder;
use keyward_store::sqlite;

use super::{clock, runtime, settings};
use crate::data;
use crate::output::{self, Progress};
use crate::settings::Flags;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Backup file to create; an existing file is not overwritten
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Do not print progress
    #[arg(long)]
    quiet: bool,
}

impl Arguments {
    pub(crate) fn run(self, flags: &Flags) -> anyhow::Result<()> {
        let settings = settings(flags)?;
        let database = data::existing(&settings)?;
        let folder = DataFolder::open(&settings.data_dir)?;
        let runtime = runtime()?;
        let bucket = match settings
            .storage
            .bucket()
            .zip(sqlite::find_namespace(&database)?)
        {
            Some((options, namespace)) => Some(S3Blobs::open(&options.below(namespace), clock())?),
            // Nothing was ever put into a bucket.
            None => None,
        };
        let source = Source {
            folder: &folder,
            database: &database,
            bucket: bucket.as_ref().map(|blobs| Bucket {
                blobs,
                runtime: &runtime,
            }),
            program: env!("CARGO_PKG_VERSION"),
            now: clock().now(),
        };
        let mut progress = Progress::new("backed up", self.quiet);
        let written = backup::create(&source, &self.file, &mut |done, total| {
            progress.show(done, total);
        });
        progress.end();
        let Summary {
            files,
            bytes,
            broken,
        } = written?;
        let shown = self.file.display();
        output::line(&format!(
            "wrote {shown}: the database and {files} files of {bytes} bytes"
        ))?;
        if !broken.is_empty() {
            bail!(
                "the backup is complete but for {} files whose bytes are missing or damaged where they are \
                 kept, so upload them again: {}",
                broken.len(),
                broken.join("; ")
            );
        }
        Ok(())
    }
}
