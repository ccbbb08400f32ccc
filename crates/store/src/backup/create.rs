//! Makes a backup. Until the file is complete and synced, it has a temporary name in the same folder.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use keyward_core::clock::Timestamp;
use keyward_core::files::BlobId;
use rusqlite::Connection;

use super::archive::Writer;
use super::{
    Bucket, DATABASE, DEMO, Error, FILES, FORMAT, MANIFEST, Manifest, NOTARY_KEY, Progress, Summary,
};
use crate::blobs::path_of;
use crate::disk::{parent_of, sync_folder};
use crate::folder::DataFolder;
use crate::sqlite::snapshot::{self, Named};

/// How often the database is copied again because files were replaced meanwhile. Each round copies only the new
/// files, so more than two rounds are rare.
const ROUNDS: usize = 16;

/// The server to back up.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The data folder.
    pub folder: &'a DataFolder,
    /// The database.
    pub database: &'a Path,
    /// The bucket that keeps the blobs; without it they are in the data folder.
    pub bucket: Option<Bucket<'a>>,
    /// The notary's key, if the database has it.
    pub notary_key: Option<&'a [u8]>,
    /// The version of the program.
    pub program: &'a str,
    /// The time.
    pub now: Timestamp,
}

/// Writes a backup to the new file `target`, mode 0600. The server may run meanwhile. Blocks.
///
/// # Errors
/// [`Error::Refused`] when `target` exists or when files are replaced faster than they can be copied; the errors of
/// the disk, the bucket and the database.
pub fn create(
    source: &Source<'_>,
    target: &Path,
    progress: Progress<'_>,
) -> Result<Summary, Error> {
    let parent = parent_of(target);
    if target.symlink_metadata().is_ok() {
        return Err(exists(target));
    }
    let temporary = |suffix| {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".keyward-backup-").suffix(suffix);
        builder
    };
    let copies = temporary("")
        .tempdir_in(parent)
        .map_err(Error::disk(parent))?;
    let output = temporary(".tar")
        .tempfile_in(parent)
        .map_err(Error::disk(parent))?;
    let file = output.reopen().map_err(Error::disk(target))?;
    let mut backup = Backup {
        source,
        target,
        copies: copies.path(),
        archive: Writer::new(BufWriter::with_capacity(1 << 20, file)),
        summary: Summary::default(),
        progress,
        done: 0,
        total: 0,
    };
    backup.write()?;
    let Backup {
        archive, summary, ..
    } = backup;
    let written = archive
        .finish()
        .and_then(|buffered| buffered.into_inner().map_err(Into::into))
        .and_then(|file: File| file.sync_all());
    written.map_err(Error::disk(target))?;
    output
        .persist_noclobber(target)
        .map_err(|refused| match refused.error.kind() {
            ErrorKind::AlreadyExists => exists(target),
            _ => Error::disk(target)(refused.error),
        })?;
    sync_folder(parent).map_err(Error::disk(parent))?;
    Ok(summary)
}

fn exists(target: &Path) -> Error {
    let shown = target.display();
    Error::Refused(format!(
        "{shown} exists already, and a backup replaces nothing: name a new file"
    ))
}

impl<'a> Source<'a> {
    /// Opens a blob and returns its size.
    fn open(&self, id: &BlobId) -> Result<Option<Opened<'a>>, Error> {
        let Some(bucket) = self.bucket else {
            let found = open(&path_of(&self.folder.files(), id))?;
            return Ok(found.map(|(file, size)| (Box::new(file) as _, size)));
        };
        let found = bucket.open(id)?;
        Ok(found.map(|(download, size)| (Box::new(download) as _, size)))
    }
}

/// A blob to read, and its size.
type Opened<'a> = (Box<dyn Read + 'a>, u64);

struct Backup<'a> {
    source: &'a Source<'a>,
    target: &'a Path,
    /// The folder of the copies of the database.
    copies: &'a Path,
    archive: Writer<BufWriter<File>>,
    summary: Summary,
    progress: Progress<'a>,
    done: u64,
    total: u64,
}

impl Backup<'_> {
    fn write(&mut self) -> Result<(), Error> {
        self.manifest()?;
        let live = snapshot::connect(self.source.database)?;
        let mut earlier: Option<PathBuf> = None;
        // Blobs that an earlier round did not find, with the name of their file.
        let mut missing: Vec<(BlobId, String)> = Vec::new();
        for round in 0..ROUNDS {
            let copy = self.copies.join(format!("{round}.db"));
            snapshot::copy(&live, &copy)?;
            let db = Connection::open(&copy)?;
            self.expect(&db, &copy)?;
            let mut vanished = Vec::new();
            snapshot::each_named(&db, earlier.as_deref(), |named| {
                if !self.file(&named)? {
                    vanished.push((named.blob, named.file));
                }
                Ok::<_, Error>(())
            })?;
            // A row still names the blob, so it was not replaced: it is lost.
            for (blob, file) in missing.drain(..) {
                if snapshot::names(&db, &blob)? {
                    self.summary.broken.push(file);
                }
            }
            if vanished.is_empty() {
                drop(db);
                return self.rest(&copy);
            }
            missing = vanished;
            if let Some(old) = earlier.replace(copy) {
                fs::remove_file(&old).map_err(Error::disk(&old))?;
            }
        }
        Err(Error::Refused(
            "files are replaced faster than they can be copied: try again when there is less to do"
                .to_owned(),
        ))
    }

    fn manifest(&mut self) -> Result<(), Error> {
        let manifest = Manifest {
            format: FORMAT,
            program: self.source.program.to_owned(),
            created_at: self.source.now.micros(),
        };
        let text = serde_json::to_vec(&manifest).map_err(|error| self.failed(error.into()))?;
        self.append(MANIFEST, text.len() as u64, &mut text.as_slice())
            .map(drop)
    }

    /// Adds to the expected total.
    fn expect(&mut self, db: &Connection, copy: &Path) -> Result<(), Error> {
        let size = copy.metadata().map_err(Error::disk(copy))?.len();
        self.total = (snapshot::total(db)? + size).max(self.done);
        Ok(())
    }

    /// Copies a blob; `false` if it does not exist.
    fn file(&mut self, named: &Named) -> Result<bool, Error> {
        let Some((mut file, size)) = self.source.open(&named.blob)? else {
            return Ok(false);
        };
        let name = format!("{FILES}{}", named.blob.as_str());
        let digest = self.append(&name, size, &mut *file)?;
        if size != named.size || digest != named.sha256 {
            self.summary.broken.push(named.file.clone());
        }
        self.summary.files += 1;
        self.summary.bytes += size;
        Ok(true)
    }

    /// Copies the notary's key, the mark of a demo, and the copy of the database whose blobs were all copied.
    fn rest(&mut self, copy: &Path) -> Result<(), Error> {
        let folder = self.source.folder;
        // An earlier version kept the notary's key in a file.
        let mut kept = vec![(DEMO, folder.demo())];
        match self.source.notary_key {
            Some(key) => drop(self.append(NOTARY_KEY, key.len() as u64, &mut &*key)?),
            None => kept.push((NOTARY_KEY, folder.keys().join("notary.key"))),
        }
        for (name, path) in kept {
            if let Some((mut file, size)) = open(&path)? {
                self.append(name, size, &mut file)?;
            }
        }
        let (mut file, size) =
            open(copy)?.ok_or_else(|| Error::disk(copy)(ErrorKind::NotFound.into()))?;
        self.append(DATABASE, size, &mut file).map(drop)
    }

    fn append(&mut self, name: &str, size: u64, from: &mut dyn Read) -> Result<Vec<u8>, Error> {
        let (done, total, progress) = (&mut self.done, self.total, &mut self.progress);
        let appended = self.archive.append(name, size, from, &mut |bytes| {
            *done += bytes;
            progress(*done, total.max(*done));
        });
        match appended {
            Ok(digest) => Ok(digest.as_ref().to_vec()),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::disk(self.target)(error)
    }
}

/// Opens a file of the data folder and returns its size; `None` if there is no regular file.
fn open(path: &Path) -> Result<Option<(File, u64)>, Error> {
    let no_link = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(no_link)
        .open(path);
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::disk(path)(error)),
    };
    let size = file.metadata().map_err(Error::disk(path))?.len();
    Ok(Some((file, size)))
}
