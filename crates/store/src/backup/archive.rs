//! The file format of a backup: a plain tar. Each entry is followed by its SHA-256 (`<name>.sha256`). The last entry,
//! `sha256`, is the SHA-256 of every byte before it.
//!
//! Invariant: for a name and a size there is exactly one valid header, and padding is zero. A flipped bit anywhere is
//! therefore detected.

use std::io::{self, ErrorKind, Read, Write};

use aws_lc_rs::digest::{Context, Digest, SHA256};
use keyward_core::hex;

use super::Error;

const BLOCK: usize = 512;
/// The name of the last entry.
const LAST: &str = "sha256";
/// A SHA-256 in hexadecimal and a line break.
const SUM: u64 = 65;
/// How many bytes are copied at once.
const CHUNK: usize = 256 << 10;

/// Writes a backup from its first entry to its last.
pub(super) struct Writer<W> {
    out: W,
    all: Context,
    buffer: Vec<u8>,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(out: W) -> Self {
        Self {
            out,
            all: Context::new(&SHA256),
            buffer: vec![0; CHUNK],
        }
    }

    /// Appends exactly `size` bytes of `source` under `name`, and returns their SHA-256.
    pub(super) fn append(
        &mut self,
        name: &str,
        size: u64,
        source: &mut dyn Read,
        progress: &mut dyn FnMut(u64),
    ) -> io::Result<Digest> {
        self.put(header(name, size)?.as_bytes())?;
        let (mut one, mut left) = (Context::new(&SHA256), size);
        let mut buffer = std::mem::take(&mut self.buffer);
        while left > 0 {
            let length = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
            let chunk = &mut buffer[..length];
            source.read_exact(chunk)?;
            one.update(chunk);
            self.put(chunk)?;
            left -= length as u64;
            progress(length as u64);
        }
        self.buffer = buffer;
        self.put(&[0; BLOCK][..padding(size)])?;
        let digest = one.finish();
        self.put(&sum_entry(&format!("{name}.sha256"), &digest)?)?;
        Ok(digest)
    }

    /// Appends the last entry and the end of the archive.
    pub(super) fn finish(mut self) -> io::Result<W> {
        let end = end(&self.all.finish())?;
        self.out.write_all(&end)?;
        Ok(self.out)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.all.update(bytes);
        self.out.write_all(bytes)
    }
}

/// The name and the size of an entry.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) size: u64,
}

/// Reads a backup and verifies every byte.
pub(super) struct Reader<R> {
    input: R,
    all: Context,
    buffer: Vec<u8>,
    /// The entry that was read before.
    last: String,
}

impl<R: Read> Reader<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            all: Context::new(&SHA256),
            buffer: vec![0; CHUNK],
            last: String::new(),
        }
    }

    /// The next entry; `None` at the end, when every byte has been verified.
    pub(super) fn next(&mut self) -> Result<Option<Entry>, Error> {
        let mut block = [0; BLOCK];
        self.read(&mut block, &self.place())?;
        let Some(entry) = parse(&block) else {
            return Err(Error::Damaged(self.place()));
        };
        if entry.name == LAST {
            self.end(&block)?;
            return Ok(None);
        }
        self.all.update(&block);
        Ok(Some(entry))
    }

    /// Copies the bytes of `entry` to `out`. They have been verified when this returns.
    pub(super) fn copy(
        &mut self,
        entry: &Entry,
        out: &mut dyn Write,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), Error> {
        let (mut one, mut left) = (Context::new(&SHA256), entry.size);
        let mut buffer = std::mem::take(&mut self.buffer);
        while left > 0 {
            let length = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
            let chunk = &mut buffer[..length];
            self.read(chunk, &entry.name)?;
            self.all.update(chunk);
            one.update(chunk);
            out.write_all(chunk).map_err(Error::unpacking)?;
            left -= length as u64;
            progress(length as u64);
        }
        self.buffer = buffer;
        let expected = sum_entry(&format!("{}.sha256", entry.name), &one.finish())
            .map_err(|_| Error::Damaged(entry.name.clone()))?;
        let mut rest = vec![0; padding(entry.size) + expected.len()];
        self.read(&mut rest, &entry.name)?;
        self.all.update(&rest);
        let (pad, sum) = rest.split_at(padding(entry.size));
        if sum != expected || pad.iter().any(|&byte| byte != 0) {
            return Err(Error::Damaged(entry.name.clone()));
        }
        self.last.clone_from(&entry.name);
        Ok(())
    }

    fn end(&mut self, first: &[u8]) -> Result<(), Error> {
        let damaged = || Error::Damaged(LAST.to_owned());
        let expected = end(&self.all.clone().finish()).map_err(|_| damaged())?;
        let mut found = first.to_vec();
        found.resize(expected.len(), 0);
        self.read(&mut found[BLOCK..], LAST)?;
        let surplus = self.input.read(&mut [0]).map_err(Error::reading)?;
        if found != expected || surplus != 0 {
            return Err(damaged());
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8], place: &str) -> Result<(), Error> {
        self.input
            .read_exact(buffer)
            .map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => Error::Short(place.to_owned()),
                _ => Error::reading(error),
            })
    }

    fn place(&self) -> String {
        match self.last.as_str() {
            "" => "its first entry".to_owned(),
            last => format!("the entry after {last}"),
        }
    }
}

/// The only valid header for a name and a size.
fn header(name: &str, size: u64) -> io::Result<tar::Header> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name)?;
    header.set_size(size);
    header.set_mode(0o600);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    Ok(header)
}

fn parse(block: &[u8; BLOCK]) -> Option<Entry> {
    let found = tar::Header::from_byte_slice(block);
    let name = std::str::from_utf8(&found.path_bytes()).ok()?.to_owned();
    let size = found.entry_size().ok()?;
    let expected = header(&name, size).ok()?;
    (expected.as_bytes() == block).then_some(Entry { name, size })
}

fn sum_entry(name: &str, digest: &Digest) -> io::Result<Vec<u8>> {
    let mut bytes = header(name, SUM)?.as_bytes().to_vec();
    bytes.extend_from_slice(hex::encode(digest.as_ref()).as_bytes());
    bytes.push(b'\n');
    bytes.resize(2 * BLOCK, 0);
    Ok(bytes)
}

/// The last entry, and the two empty blocks that end a tar.
fn end(digest: &Digest) -> io::Result<Vec<u8>> {
    let mut bytes = sum_entry(LAST, digest)?;
    bytes.resize(4 * BLOCK, 0);
    Ok(bytes)
}

/// The padding after an entry of that size, in bytes.
fn padding(size: u64) -> usize {
    usize::try_from(size.wrapping_neg() % BLOCK as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Vec<u8> {
        let mut writer = Writer::new(Vec::new());
        for (name, bytes) in [("a", &b"first"[..]), ("files/b", &[7; 512]), ("c", b"")] {
            let size = bytes.len() as u64;
            writer
                .append(name, size, &mut &*bytes, &mut |_| {})
                .expect("an entry");
        }
        writer.finish().expect("the end")
    }

    fn read(bytes: &[u8]) -> Result<Vec<String>, Error> {
        let mut reader = Reader::new(bytes);
        let mut names = Vec::new();
        while let Some(entry) = reader.next()? {
            reader.copy(&entry, &mut io::sink(), &mut |_| {})?;
            names.push(entry.name);
        }
        Ok(names)
    }

    #[test]
    fn what_was_written_is_read_again_by_any_tar_too() {
        let bytes = archive();
        assert_eq!(read(&bytes).expect("sound"), ["a", "files/b", "c"]);
        let mut names = Vec::new();
        for entry in tar::Archive::new(bytes.as_slice())
            .entries()
            .expect("entries")
        {
            let entry = entry.expect("an entry");
            names.push(entry.path().expect("a path").display().to_string());
        }
        assert_eq!(
            names,
            [
                "a",
                "a.sha256",
                "files/b",
                "files/b.sha256",
                "c",
                "c.sha256",
                "sha256"
            ]
        );
    }

    #[test]
    fn every_flipped_bit_is_detected() {
        let mut bytes = archive();
        for at in 0..bytes.len() * 8 {
            bytes[at / 8] ^= 1 << (at % 8);
            assert!(read(&bytes).is_err(), "bit {at}");
            bytes[at / 8] ^= 1 << (at % 8);
        }
    }

    #[test]
    fn every_other_length_is_refused() {
        let mut bytes = archive();
        for length in (0..bytes.len()).step_by(97) {
            assert!(read(&bytes[..length]).is_err(), "{length} bytes");
        }
        bytes.push(0);
        assert!(read(&bytes).is_err(), "a byte more");
    }
}
