//! Files of secrets, which only their owner may read: the master keys, and the unsealed keys of 0.1.0.
//!
//! Invariant: a file that this module makes is never replaced by it, and appears complete or not at all.

use std::fs::{self, File};
use std::io::{self, Error, ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use keyward_core::error::Fault;
use keyward_core::keys::{Legacy, LegacyKeys, MasterKey, MasterKeys};
use keyward_core::secret::SecretText;
use tempfile::NamedTempFile;

use crate::disk::{blocking, create_folder, parent_of, sync_folder};

/// The largest file, in bytes.
const LARGEST: u64 = 64 << 10;

/// A file of master keys, one on each line. The first one seals.
#[derive(Clone, Debug)]
pub struct MasterKeyFile {
    path: PathBuf,
    /// Whether a file that other users can read is refused.
    is_private: bool,
}

impl MasterKeyFile {
    /// The file at `path` in the data folder. It is made when a key is sealed for the first time.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        let is_private = true;
        Self { path, is_private }
    }

    /// The file that the settings name. Its mode is the operator's, because orchestrators mount secrets with theirs.
    #[must_use]
    pub fn given(path: PathBuf) -> Self {
        let is_private = false;
        Self { path, is_private }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn keys(&self) -> io::Result<Vec<MasterKey>> {
        let Some(text) = read(&self.path, self.is_private)? else {
            return Ok(Vec::new());
        };
        let lines = text.expose().lines().map(str::trim_ascii);
        let keys = lines.filter(|line| !line.is_empty()).map(|line| {
            MasterKey::parse(line).ok_or_else(|| {
                let why = "has a line that is no master key: each line must be 64 hexadecimal digits in lower case, as \
                           `openssl rand -hex 32` prints them";
                refused(&self.path, why)
            })
        });
        keys.collect()
    }

    fn make(&self, fresh: &MasterKey) -> io::Result<MasterKey> {
        publish(&self.path, &fresh.to_text())?;
        let kept = self.keys()?.into_iter().next();
        kept.ok_or_else(|| {
            refused(
                &self.path,
                "was removed while Keyward started: start Keyward again",
            )
        })
    }
}

#[async_trait]
impl MasterKeys for MasterKeyFile {
    async fn read(&self) -> Result<Vec<MasterKey>, Fault> {
        let file = self.clone();
        blocking(move || file.keys()).await
    }

    async fn create(&self, fresh: MasterKey) -> Result<MasterKey, Fault> {
        let file = self.clone();
        blocking(move || file.make(&fresh)).await
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }
}

/// The files in which 0.1.0 kept its keys on SQLite, `login.key` and `notary.key`. A restored backup has the latter.
#[derive(Clone, Debug)]
pub struct LegacyKeyFiles {
    login: PathBuf,
    notary: PathBuf,
}

impl LegacyKeyFiles {
    /// The files in `folder`.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            login: folder.join("login.key"),
            notary: folder.join("notary.key"),
        }
    }
}

#[async_trait]
impl Legacy for LegacyKeyFiles {
    async fn find(&self) -> Result<LegacyKeys, Fault> {
        let files = self.clone();
        blocking(move || {
            Ok(LegacyKeys {
                login: read(&files.login, true)?,
                notary: read(&files.notary, true)?,
            })
        })
        .await
    }

    async fn remove(&self) -> Result<(), Fault> {
        let files = self.clone();
        blocking(move || {
            for path in [&files.login, &files.notary] {
                remove_if_there(path)?;
            }
            sync_folder(parent_of(&files.login))
        })
        .await
    }
}

/// The text of a file, without the line break that an editor leaves; `None` if there is no file.
fn read(path: &Path, is_private: bool) -> io::Result<Option<SecretText>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(path, &format!("cannot be opened: {error}"))),
    };
    if is_private && file.metadata()?.mode() & 0o077 != 0 {
        let command = format!(
            "can be read by other users: run chmod 600 {}, and replace the key, which others may have read",
            path.display()
        );
        return Err(refused(path, &command));
    }
    let mut text = String::new();
    file.take(LARGEST)
        .read_to_string(&mut text)
        .map_err(|error| refused(path, &format!("cannot be read as text: {error}")))?;
    let key = SecretText::new(text.trim_end_matches(['\r', '\n']).to_owned());
    // Overwrites the bytes that were read.
    drop(SecretText::new(text));
    if key.expose().is_empty() {
        return Err(refused(
            path,
            "is empty: put back its key from a backup, or remove it to have a new key generated",
        ));
    }
    Ok(Some(key))
}

/// Makes a file with this text, unless there is one.
fn publish(path: &Path, text: &str) -> io::Result<()> {
    let folder = parent_of(path);
    create_folder(folder)?;
    // Only its owner may read it.
    let mut temporary = NamedTempFile::with_prefix_in(".new-", folder)?;
    writeln!(temporary, "{text}")?;
    temporary.as_file().sync_all()?;
    // Never replaces the file that another process made first.
    match temporary.persist_noclobber(path) {
        Err(refused) if refused.error.kind() != ErrorKind::AlreadyExists => Err(refused.error),
        _ => sync_folder(folder),
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn refused(path: &Path, why: &str) -> Error {
    Error::other(format!("the key file {} {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use keyward_core::error::chain;
    use keyward_core::random::SeededRandom;

    use super::*;

    fn master(seed: u64) -> MasterKey {
        MasterKey::random(&SeededRandom::new(seed))
    }

    async fn refusal(file: &MasterKeyFile) -> String {
        chain(&file.read().await.expect_err("a refusal"))
    }

    #[tokio::test]
    async fn a_master_key_is_made_once_privately_and_found_ever_after() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("keys/master.key");
        let file = MasterKeyFile::new(path.clone());
        assert_eq!(file.read().await.expect("no file"), []);
        for fresh in [master(1), master(2)] {
            assert_eq!(file.create(fresh).await.expect("a key"), master(1));
        }
        assert_eq!(file.read().await.expect("the file"), [master(1)]);
        let mode = fs::metadata(&path).expect("metadata").permissions().mode();
        let entries = fs::read_dir(home.path().join("keys")).expect("a listing");
        assert_eq!((mode & 0o777, entries.count()), (0o600, 1));
    }

    #[tokio::test]
    async fn a_file_may_hold_several_master_keys_the_first_of_which_seals() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("master.key");
        let file = MasterKeyFile::new(path.clone());
        let lines = format!(
            "\n{}\r\n {}\n\n",
            *master(1).to_text(),
            *master(2).to_text()
        );
        publish(&path, &lines).expect("the file");
        assert_eq!(file.read().await.expect("keys"), [master(1), master(2)]);
    }

    #[tokio::test]
    async fn a_key_file_that_must_not_be_used_is_refused_with_what_to_do() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("master.key");
        let file = MasterKeyFile::new(path.clone());
        let good = master(1).to_text();
        for (text, mode, expected) in [
            (good.as_bytes(), 0o640, "chmod 600"),
            (good.as_bytes(), 0o604, "chmod 600"),
            (b"\r\n", 0o600, "is empty"),
            (b"\xff\xfe", 0o600, "as text"),
            (b"secret", 0o600, "openssl rand -hex 32"),
        ] {
            fs::write(&path, text).expect("the file");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
            let refusal = refusal(&file).await;
            assert!(
                refusal.contains(expected) && refusal.contains("master.key"),
                "{refusal}"
            );
            assert!(!refusal.contains("secret"), "{refusal}");
        }
    }

    #[tokio::test]
    async fn the_keys_of_an_earlier_version_are_found_and_removed() {
        let home = tempfile::tempdir().expect("a folder");
        let left = LegacyKeyFiles::new(home.path());
        publish(&home.path().join("notary.key"), "of the notary").expect("a file");
        let found = left.find().await.expect("the files");
        assert!(found.login.is_none());
        assert_eq!(found.notary, Some(SecretText::new("of the notary".into())));
        left.remove().await.expect("removed");
        let found = left.find().await.expect("the folder");
        assert!(found.login.is_none() && found.notary.is_none());
    }
}
