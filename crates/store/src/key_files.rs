//! Keeps keys as files in a folder, `login.key` and `notary.key`, which only their owner may read.
//!
//! Invariant: a key is never replaced, and a key file appears complete or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Error, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use keyward_core::error::Fault;
use keyward_core::keys::{Purpose, Store};
use keyward_core::secret::SecretText;

use crate::disk::{blocking, create_folder, sync_folder};

/// The largest key file, in bytes.
const LARGEST: u64 = 64 << 10;

/// A folder of keys.
#[derive(Clone, Debug)]
pub struct KeyFiles {
    folder: PathBuf,
    /// Held while a key is made, because all keys of one process share a temporary name.
    making: Arc<Mutex<()>>,
}

impl KeyFiles {
    /// Keys in `folder`, which is created with the first key.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            making: Arc::default(),
        }
    }

    fn find_or_create(&self, purpose: Purpose, fresh: &SecretText) -> io::Result<SecretText> {
        let path = self.folder.join(format!("{}.key", purpose.name()));
        if let Some(key) = read(&path)? {
            return Ok(key);
        }
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        create_folder(&self.folder)?;
        let name = format!(".{}.{}", purpose.name(), process::id());
        let temporary = self.folder.join(name);
        write(&temporary, fresh)?;
        // Unlike a rename, a link never replaces the key that another process made first.
        match fs::hard_link(&temporary, &path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }?;
        fs::remove_file(&temporary)?;
        sync_folder(&self.folder)?;
        read(&path)?.ok_or_else(|| {
            refused(
                &path,
                "was removed while Keyward started: start Keyward again",
            )
        })
    }
}

#[async_trait]
impl Store for KeyFiles {
    async fn find_or_create_key(
        &self,
        purpose: Purpose,
        fresh: SecretText,
    ) -> Result<SecretText, Fault> {
        let files = self.clone();
        blocking(move || files.find_or_create(purpose, &fresh)).await
    }
}

/// The key in a file, without the line break that an editor leaves; `None` if there is no file.
fn read(path: &Path) -> io::Result<Option<SecretText>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(path, &format!("cannot be opened: {error}"))),
    };
    if file.metadata()?.mode() & 0o077 != 0 {
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
            "is empty: write the key into it, or remove it to have a new key generated",
        ));
    }
    Ok(Some(key))
}

fn write(path: &Path, key: &SecretText) -> io::Result<()> {
    // A killed process with the same id may have left this file, which never became a key.
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(key.expose().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

fn refused(path: &Path, why: &str) -> Error {
    Error::other(format!("the key file {} {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn secret(text: &str) -> SecretText {
        SecretText::new(text.to_owned())
    }

    async fn find(files: &KeyFiles, fresh: &str) -> Result<SecretText, String> {
        files
            .find_or_create_key(Purpose::Login, secret(fresh))
            .await
            .map_err(|fault| {
                std::error::Error::source(&fault)
                    .expect("a cause")
                    .to_string()
            })
    }

    #[tokio::test]
    async fn a_key_is_made_once_privately_and_found_ever_after() {
        let home = tempfile::tempdir().expect("a folder");
        let files = KeyFiles::new(home.path().join("keys"));
        let leftover = format!("keys/.login.{}", process::id());
        fs::create_dir(home.path().join("keys")).expect("the folder");
        fs::write(home.path().join(&leftover), "half").expect("a leftover");
        assert_eq!(find(&files, "first").await, Ok(secret("first")));
        assert_eq!(find(&files, "second").await, Ok(secret("first")));
        let path = home.path().join("keys/login.key");
        assert_eq!(
            fs::metadata(&path).expect("metadata").permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(
            fs::read_dir(home.path().join("keys"))
                .expect("a listing")
                .count(),
            1
        );
        assert_eq!(fs::read_to_string(&path).expect("the file"), "first\n");
    }

    #[tokio::test]
    async fn a_key_file_that_must_not_be_used_is_refused_with_what_to_do() {
        let home = tempfile::tempdir().expect("a folder");
        let files = KeyFiles::new(home.path().to_owned());
        let path = home.path().join("login.key");
        for (text, mode, expected) in [
            (b"secret".as_slice(), 0o640, "chmod 600"),
            (b"secret", 0o604, "chmod 600"),
            (b"\r\n", 0o600, "is empty"),
            (b"\xff\xfe", 0o600, "as text"),
        ] {
            fs::write(&path, text).expect("the file");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
            let refusal = find(&files, "fresh").await.expect_err("a refusal");
            assert!(
                refusal.contains(expected) && refusal.contains("login.key"),
                "{refusal}"
            );
        }
        fs::write(&path, "secret\r\n").expect("the file");
        assert_eq!(find(&files, "fresh").await, Ok(secret("secret")));
    }
}
