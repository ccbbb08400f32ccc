//! `keyward backup`: the database, the notary's key and the files in one file, also while the server runs.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use keyward_core::keys::{MasterKeys, Purpose, State, StoredKey};
use keyward_store::backup::{self, Bucket, Source, Summary};
use keyward_store::blobs::S3Blobs;
use keyward_store::folder::DataFolder;
use keyward_store::sqlite;
use zeroize::Zeroizing;

use super::{clock, runtime, settings};
use crate::output::{self, Progress};
use crate::settings::{Flags, Settings};
use crate::{data, services};

/// The key that signs the notary's tokens, if the database has it.
async fn notary_key(
    settings: &Settings,
    database: &Path,
) -> anyhow::Result<Option<Zeroizing<Vec<u8>>>> {
    let now = clock().now();
    let ring = sqlite::list_keys(database)?.unwrap_or_default();
    let mut keys = ring.keys.iter();
    let signs =
        |key: &&StoredKey| key.purpose == Purpose::Notary && key.state(now) == State::Active;
    let Some(key) = keys.find(signs) else {
        return Ok(None);
    };
    let master = services::master_keys(settings);
    let masters = master.read().await?;
    Ok(Some(key.unseal(&masters, || master.place())?))
}

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
        let bucket = match settings
            .storage
            .bucket()
            .zip(sqlite::find_namespace(&database)?)
        {
            Some((options, namespace)) => Some(S3Blobs::open(&options.below(namespace), clock())?),
            // Nothing was ever put into a bucket.
            None => None,
        };
        let runtime = runtime()?;
        let notary_key = runtime.block_on(notary_key(&settings, &database))?;
        let source = Source {
            folder: &folder,
            database: &database,
            bucket: bucket.as_ref().map(|blobs| Bucket {
                blobs,
                runtime: &runtime,
            }),
            notary_key: notary_key.as_ref().map(|key| key.as_slice()),
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
