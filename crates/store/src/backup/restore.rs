//! Restores a backup. Everything is unpacked into the folder `restoring` and verified there. While that folder exists,
//! nothing uses the data folder.
//!
//! Invariant: a failed restore removes only what it has created.

use std::fs::{self, File, OpenOptions};
use std::io::BufReader;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use keyward_core::clock::Timestamp;
use keyward_core::files::{BlobId, Namespace};
use keyward_core::sessions::epoch_at;
use tempfile::TempPath;

use super::archive::{Entry, Reader};
use super::bucket::Uploads;
use super::{
    Bucket, DATABASE, DEMO, Error, FILES, FORMAT, MANIFEST, Manifest, NOTARY_KEY, Progress, Summary,
};
use crate::blobs::{path_of, size_of};
use crate::disk::{parent_of, sync_folder};
use crate::folder::DataFolder;
use crate::sqlite::snapshot;

/// The largest entry that is read into memory, in bytes.
const SMALL: u64 = 64 << 10;

/// The destination of a restore.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The data folder, which the caller has locked.
    pub folder: &'a DataFolder,
    /// The database.
    pub database: &'a Path,
    /// The bucket for the blobs; without it they go into the data folder.
    pub bucket: Option<Bucket<'a>>,
    /// The namespace of the restored blobs, apart from that of the server that was backed up.
    pub namespace: Namespace,
    /// The time.
    pub now: Timestamp,
}

/// Restores the backup at `archive` into an empty folder. Every session and login token from before is invalid for
/// good. After an error the folder is as empty as before. Blocks.
///
/// # Errors
/// [`Error::Damaged`], [`Error::Short`]; [`Error::Refused`] when the destination is not empty, when the clock is
/// behind the backup, or when a newer program made it; the errors of the disk, the bucket and the database.
pub fn restore(
    archive: &Path,
    target: &Target<'_>,
    progress: Progress<'_>,
) -> Result<Summary, Error> {
    refuse_full(target)?;
    if let Some(Bucket { blobs, runtime }) = target.bucket {
        runtime.block_on(blobs.ready())?;
    }
    let file = File::open(archive).map_err(Error::disk(archive))?;
    let total = file.metadata().map_err(Error::disk(archive))?.len();
    let room = target.folder.restoring();
    make_folder(&room)?;
    let parent = match target.database == target.folder.database() {
        true => room.as_path(),
        false => parent_of(target.database),
    };
    make_folder(parent)?;
    let temporary = tempfile::Builder::new()
        .prefix(".keyward-restore-")
        .tempfile_in(parent)
        .map_err(Error::disk(parent))?
        .into_temp_path();
    let mut unpacked = Unpacked {
        uploads: target.bucket.map(Uploads::new),
        database: temporary.to_path_buf(),
        temporary: Some(temporary),
        room,
    };
    let mut done = 0;
    let mut advance = |bytes| {
        done += bytes;
        progress(done, total.max(done));
    };
    let restored = unpacked
        .fill(file, target, &mut advance)
        .and_then(|summary| unpacked.publish(target).map(|()| summary));
    if restored.is_err() {
        unpacked.remove(target);
    }
    restored
}

fn refuse_full(target: &Target<'_>) -> Result<(), Error> {
    let path = target.folder.path();
    let empty = target.folder.is_empty();
    if !empty.map_err(|error| Error::Refused(error.to_string()))? {
        let shown = path.display();
        return Err(Error::Refused(format!(
            "the data folder {shown} is not empty, and a restore replaces nothing: name another \
             with --data-dir, or move this one away"
        )));
    }
    // SQLite would take a leftover journal for that of the restored database, and apply it.
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let path = with_suffix(target.database, suffix);
        if path.symlink_metadata().is_ok() {
            let shown = path.display();
            return Err(Error::Refused(format!(
                "{shown} exists, and a restore replaces nothing: move it away"
            )));
        }
    }
    Ok(())
}

/// The unpacked backup, before it is moved into place.
struct Unpacked<'a> {
    room: PathBuf,
    /// The path of the unpacked database.
    database: PathBuf,
    /// Removes that file when dropped; `None` once the database was moved into place.
    temporary: Option<TempPath>,
    /// The uploaded blobs, when a bucket keeps them.
    uploads: Option<Uploads<'a>>,
}

impl Unpacked<'_> {
    fn fill(
        &mut self,
        file: File,
        target: &Target<'_>,
        advance: &mut dyn FnMut(u64),
    ) -> Result<Summary, Error> {
        let mut reader = Reader::new(BufReader::with_capacity(1 << 20, file));
        read_manifest(&mut reader, target.now)?;
        make_folder(&self.room.join("files"))?;
        let mut has_database = false;
        while let Some(entry) = reader.next()? {
            let is_database = entry.name == DATABASE;
            if is_database && has_database {
                return Err(Error::Damaged("its list: it has two databases".to_owned()));
            }
            self.unpack(&mut reader, &entry, advance)?;
            has_database |= is_database;
        }
        if !has_database {
            return Err(Error::Damaged("its list: it has no database".to_owned()));
        }
        self.check_database()?;
        snapshot::begin_epoch(&self.database, epoch_at(target.now), target.namespace)?;
        let summary = self.count()?;
        self.sync()?;
        Ok(summary)
    }

    /// Unpacks one entry. A name that no backup contains is refused.
    fn unpack(
        &mut self,
        reader: &mut Reader<BufReader<File>>,
        entry: &Entry,
        advance: &mut dyn FnMut(u64),
    ) -> Result<(), Error> {
        let unknown = || Error::Damaged(format!("its list: it names {}", entry.name));
        let path = match entry.name.as_str() {
            DATABASE => self.database.clone(),
            DEMO | NOTARY_KEY => self.room.join(&entry.name),
            name => {
                let blob = name.strip_prefix(FILES).and_then(BlobId::parse);
                let blob = blob.ok_or_else(unknown)?;
                if let Some(uploads) = &mut self.uploads {
                    let size = entry.size;
                    return uploads.put(blob, size, |out| reader.copy(entry, out, advance));
                }
                path_of(&self.room.join("files"), &blob)
            }
        };
        let file = match path == self.database {
            true => OpenOptions::new().write(true).open(&path),
            false => {
                make_folder(parent_of(&path))?;
                create(&path)
            }
        };
        let mut file = file.map_err(Error::disk(&path))?;
        reader.copy(entry, &mut file, advance)?;
        file.sync_all().map_err(Error::disk(&path))
    }

    fn check_database(&self) -> Result<(), Error> {
        let defects = snapshot::defects(&snapshot::connect(&self.database)?)?;
        match defects.first() {
            None => Ok(()),
            Some(defect) => Err(Error::Refused(format!(
                "the database was broken when it was backed up ({defect}): use another backup"
            ))),
        }
    }

    fn count(&self) -> Result<Summary, Error> {
        let db = snapshot::connect(&self.database)?;
        let mut summary = Summary::default();
        snapshot::each_named(&db, None, |named| {
            summary.files += 1;
            if self.size_of(&named.blob) == Some(named.size) {
                summary.bytes += named.size;
            } else {
                summary.broken.push(named.file);
            }
            Ok::<_, Error>(())
        })?;
        Ok(summary)
    }

    fn size_of(&self, blob: &BlobId) -> Option<u64> {
        match &self.uploads {
            Some(uploads) => uploads.size_of(blob),
            None => size_of(&self.room.join("files"), blob),
        }
    }

    /// Makes all unpacked files durable.
    fn sync(&self) -> Result<(), Error> {
        let file = File::open(&self.database).and_then(|file| file.sync_all());
        file.map_err(Error::disk(&self.database))?;
        let mut folders = vec![self.room.clone()];
        while let Some(folder) = folders.pop() {
            sync_folder(&folder).map_err(Error::disk(&folder))?;
            for entry in fs::read_dir(&folder).map_err(Error::disk(&folder))? {
                let entry = entry.map_err(Error::disk(&folder))?;
                if entry.file_type().map_err(Error::disk(&folder))?.is_dir() {
                    folders.push(entry.path());
                }
            }
        }
        Ok(())
    }

    /// Moves everything into place. The folder `restoring` is removed last.
    fn publish(&mut self, target: &Target<'_>) -> Result<(), Error> {
        let folder = target.folder.path();
        for name in ["files", "keys", DEMO] {
            let from = self.room.join(name);
            if from.exists() {
                fs::rename(&from, folder.join(name)).map_err(Error::disk(&from))?;
            }
        }
        if let Some(temporary) = self.temporary.take() {
            // Does not replace a file that appeared after the check.
            temporary
                .persist_noclobber(target.database)
                .map_err(|refused| {
                    let failed = Error::disk(target.database)(refused.error);
                    self.temporary = Some(refused.path);
                    failed
                })?;
        }
        for changed in [folder, parent_of(target.database)] {
            sync_folder(changed).map_err(Error::disk(changed))?;
        }
        fs::remove_dir(&self.room).map_err(Error::disk(&self.room))?;
        sync_folder(folder).map_err(Error::disk(folder))
    }

    /// Empties the data folder again, as far as the disk allows.
    fn remove(&self, target: &Target<'_>) {
        let folder = target.folder.path();
        // If something cannot be removed, the folder `restoring` stays and the data folder is not used.
        let _ = match &self.temporary {
            Some(_) => fs::remove_file(&self.database),
            None => fs::remove_file(target.database),
        };
        let removed = ["files", "keys"]
            .iter()
            .map(|name| folder.join(name))
            .filter(|path| path.exists())
            .try_for_each(fs::remove_dir_all);
        let mark = target.folder.demo();
        let emptied = self.uploads.as_ref().is_none_or(Uploads::remove);
        if emptied && removed.is_ok() && (!mark.exists() || fs::remove_file(&mark).is_ok()) {
            let _ = fs::remove_dir_all(&self.room);
        }
    }
}

fn read_manifest(reader: &mut Reader<BufReader<File>>, now: Timestamp) -> Result<(), Error> {
    let damaged = || Error::Damaged(MANIFEST.to_owned());
    let first = reader.next()?.ok_or_else(damaged)?;
    if first.name != MANIFEST || first.size > SMALL {
        return Err(damaged());
    }
    let mut text = Vec::new();
    reader.copy(&first, &mut text, &mut |_| {})?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|_| damaged())?;
    if manifest.format != FORMAT {
        let Manifest {
            format, program, ..
        } = manifest;
        return Err(Error::Refused(format!(
            "the backup has format {format}, and this program reads {FORMAT}: use Keyward {program}"
        )));
    }
    let made = Timestamp::from_micros(manifest.created_at);
    if now < made {
        let (now, made) = (now.rfc3339_millis(), made.rfc3339_millis());
        return Err(Error::Refused(format!(
            "by the clock it is {now}, and the backup was made at {made}: set the clock first, \
             since what was issued before the restore is told by it"
        )));
    }
    Ok(())
}

fn make_folder(path: &Path) -> Result<(), Error> {
    let mut builder = fs::DirBuilder::new();
    builder
        .mode(0o700)
        .recursive(true)
        .create(path)
        .map_err(Error::disk(path))
}

fn create(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
