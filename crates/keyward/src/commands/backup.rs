//! `keyward backup`: the database, the notary's key and the files in one file, also while the server runs.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use keyward_core::clock::{Clock, SystemClock};
use keyward_store::backup::{self, Source, Summary};
use keyward_store::folder::DataFolder;

use super::settings;
use crate::data;
use crate::output::{self, Progress};
use crate::settings::Flags;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The new file to write; nothing is replaced
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Show no progress
    #[arg(long)]
    quiet: bool,
}

impl Arguments {
    pub(crate) fn run(self, flags: &Flags) -> anyhow::Result<()> {
        let settings = settings(flags)?;
        let database = data::existing(&settings)?;
        let folder = DataFolder::open(&settings.data_dir)?;
        let source = Source {
            folder: &folder,
            database: &database,
            program: env!("CARGO_PKG_VERSION"),
            now: SystemClock::new().now(),
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
                "the backup is complete but for {} files whose bytes are missing or damaged in the data \
                 folder, so upload them again: {}",
                broken.len(),
                broken.join("; ")
            );
        }
        Ok(())
    }
}
