//! `keyward restore`: a backup becomes a data folder; what was issued before it is never good again.

use std::path::PathBuf;

use clap::Args;
use keyward_core::files::Namespace;
use keyward_core::random::SystemRandom;
use keyward_store::backup::{self, Bucket, Summary, Target};
use keyward_store::blobs::S3Blobs;
use keyward_store::folder::DataFolder;

use super::{clock, runtime, settings};
use crate::data;
use crate::output::{self, Progress};
use crate::settings::Flags;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Backup file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Do not print progress
    #[arg(long)]
    quiet: bool,
}

impl Arguments {
    pub(crate) fn run(self, flags: &Flags) -> anyhow::Result<()> {
        let settings = settings(flags)?;
        data::refuse_postgres(&settings)?;
        let folder = DataFolder::open(&settings.data_dir)?;
        // No server starts on the folder before it is whole.
        let _lock = folder.lock_for_serving()?;
        let runtime = runtime()?;
        let namespace = Namespace::random(&SystemRandom);
        let options = settings
            .storage
            .bucket()
            .map(|bucket| bucket.below(namespace));
        let bucket = options
            .as_ref()
            .map(|options| S3Blobs::open(options, clock()))
            .transpose()?;
        let target = Target {
            folder: &folder,
            database: &data::database(&settings, &folder),
            bucket: bucket.as_ref().map(|blobs| Bucket {
                blobs,
                runtime: &runtime,
            }),
            namespace,
            now: clock().now(),
        };
        let mut progress = Progress::new("restored", self.quiet);
        let restored = backup::restore(&self.file, &target, &mut |done, total| {
            progress.show(done, total);
        });
        progress.end();
        let Summary {
            files,
            bytes,
            broken,
        } = restored?;
        let shown = folder.path().display();
        let place = options.map_or(String::new(), |options| format!(" in {}", options.url));
        output::line(&format!(
            "restored {shown}: the database and {files} files of {bytes} bytes{place}; every session has \
             ended, everybody has to log in again"
        ))?;
        for file in broken {
            output::remark(&format!(
                "warning: the bytes of {file} were not in the backup"
            ));
        }
        Ok(())
    }
}
