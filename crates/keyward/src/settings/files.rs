//! Text files that settings are read from: `keyward.toml`, `.env` and the files that `*_file` settings name.
//!
//! Invariant: the mode and the owner are those of the file that was read, not of one that took its name since.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::error::{Topic, Warning};

/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// A text file.
pub(crate) struct TextFile {
    /// Its text, without a byte order mark at the start.
    pub(crate) text: String,
    mode: u32,
    owner: u32,
}

impl TextFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// It cannot be read, is too large or is not UTF-8; then with the line.
    pub(crate) fn read(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let found = file.metadata()?;
        let mut bytes = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > LARGEST {
            return Err(io::Error::other("it has more than 1 MiB"));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            io::Error::other(format!("line {} is not UTF-8", line_of(valid)))
        })?;
        Ok(Self {
            text: match text.strip_prefix('\u{feff}') {
                Some(text) => text.to_owned(),
                None => text,
            },
            mode: found.mode() & 0o777,
            owner: found.uid(),
        })
    }

    /// Warns if other users can change the file, or can read it and it holds a secret.
    pub(super) fn exposure(&self, shown: &str, holds_secret: bool) -> Option<Warning> {
        let us = rustix::process::geteuid().as_raw();
        let warning = |message, advice| Some(Warning::new(Topic::Files, shown, message, advice));
        let (mode, owner) = (self.mode, self.owner);
        if owner != us && owner != 0 {
            return warning(
                format!("belongs to user {owner}, and Keyward runs as user {us}"),
                "That user can change it: make it belong to the user Keyward runs as, or to root"
                    .to_owned(),
            );
        }
        if holds_secret && mode & 0o077 != 0 {
            return warning(
                format!("holds a secret and has mode {mode:o}: other users have access"),
                format!("Run chmod 600 {shown}, and replace the secret if others may have read it"),
            );
        }
        if mode & 0o002 != 0 {
            return warning(
                format!("has mode {mode:o}: every user can change it"),
                format!("Run chmod go-w {shown}"),
            );
        }
        None
    }
}

/// The number of the line that begins after `text`, or that `text` ends in.
pub(super) fn line_of(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte == b'\n').count() + 1
}
