//! The bucket: whether it answers, takes bytes, gives them back and deletes them, and has those that the rows name.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use futures_util::TryStreamExt;
use keyward_core::files::{BlobId, Blobs};
use keyward_core::memory::Account;
use keyward_core::random::SystemRandom;
use keyward_store::blobs::S3Blobs;
use keyward_store::blobs::s3::Options;
use keyward_store::sqlite;

use super::Finding;
use crate::commands::{clock, runtime};
use crate::settings::Settings;
use crate::storage;

/// What is written and read back.
const CONTENT: Bytes = Bytes::from_static(b"keyward doctor\n");

/// What there is to say of the bucket, where there is one.
pub(super) fn examine(settings: &Settings) -> Option<Finding> {
    let options = settings.storage.bucket()?;
    Some(match attempt(options) {
        Ok(()) => {
            let found = format!("{} was reached, written, read and cleaned", options.url);
            Finding::ok("bucket", found)
        }
        Err(error) => Finding::fail("bucket", format!("{error:#}"), storage::refused(options)),
    })
}

fn attempt(options: &Options) -> anyhow::Result<()> {
    let blobs = S3Blobs::open(&options.below("doctor"), clock())?;
    let id = BlobId::random(&SystemRandom);
    runtime()?.block_on(async {
        blobs.ready().await.context("it cannot be reached")?;
        let written = async {
            let mut writer = blobs.create(&id, Account::unbounded()).await?;
            writer.write(CONTENT).await?;
            writer.finish().await
        };
        written.await.context("it cannot be written")?;
        let read = read(&blobs, &id).await.context("it cannot be read");
        blobs
            .delete(&id)
            .await
            .context("nothing can be deleted in it")?;
        read
    })
}

async fn read(blobs: &S3Blobs, id: &BlobId) -> anyhow::Result<()> {
    let found = blobs.open_whole(id).await?;
    let (_, bytes) = found.ok_or_else(|| anyhow!("what was written is not there"))?;
    let bytes: Vec<Bytes> = bytes.try_collect().await?;
    if bytes.concat() != CONTENT {
        bail!("what was written is not what is read");
    }
    Ok(())
}

/// Compares the rows of the database with the bytes of its namespace; `None` where it has no namespace yet.
pub(super) fn compare(
    database: &Path,
    options: &Options,
) -> anyhow::Result<Option<sqlite::BlobCounts>> {
    let Some(namespace) = sqlite::find_namespace(database)? else {
        return Ok(None);
    };
    let blobs = S3Blobs::open(&options.below(namespace), clock())?;
    let runtime = runtime()?;
    let listed: Vec<_> = runtime.block_on(blobs.list().try_concat())?;
    let listed: HashMap<BlobId, u64> = listed.into_iter().collect();
    let mut failure = None;
    let size_of = |id: &BlobId| {
        // Beside a server what is named may be younger than the list.
        let asked = || match runtime.block_on(blobs.open_whole(id)) {
            Ok(found) => found.map(|(size, _)| size),
            Err(fault) => {
                failure = Some(fault);
                None
            }
        };
        listed.get(id).copied().or_else(asked)
    };
    let bytes = sqlite::compare_blobs(database, listed.keys().cloned(), size_of)?;
    match failure {
        None => Ok(Some(bytes)),
        Some(fault) => Err(fault.into()),
    }
}
