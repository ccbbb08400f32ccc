//! A disk that loses its power or fails on command: `lossyfs.py`, mounted.
//!
//! Where it cannot be mounted a test says so and passes: `skipped:` where but a package is missing,
//! `not possible here:` where the machine does not let it.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const PYTHON: &str = "/usr/bin/python3";
const DEVICE: &str = "/dev/fuse";

/// A mounted disk, unmounted when dropped.
pub(crate) struct Disk {
    child: Child,
    mount: PathBuf,
}

impl Disk {
    /// Mounts a disk on `mount` that holds what is in `live`; both are made where they are missing.
    /// `None`, with a word about it, where that cannot be.
    pub(crate) fn mount(live: &Path, mount: &Path, order: &str, seed: u64) -> Option<Self> {
        if let Err(error) = File::options().read(true).write(true).open(DEVICE) {
            say(&format!(
                "not possible here: a disk that fails: {DEVICE}: {error}"
            ));
            return None;
        }
        fs::create_dir_all(live).expect("folder");
        fs::create_dir_all(mount).expect("folder");
        let mut child = match spawn(live, mount, order, seed) {
            Ok(child) => child,
            Err(error) => {
                say(&format!("skipped: a disk that fails: {PYTHON}: {error}"));
                return None;
            }
        };
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout"));
        stdout.read_line(&mut line).expect("text");
        if line == "mounted\n" {
            let mount = mount.to_owned();
            return Some(Self { child, mount });
        }
        let output = child.wait_with_output().expect("an end");
        let why = String::from_utf8_lossy(&output.stderr);
        if why.contains("not permitted") || why.contains("ermission denied") {
            say(&format!("not possible here: a disk that fails: {why}"));
        } else {
            say(&format!(
                "skipped: a disk that fails, for which Debian has fuse3 and python3-fusepy: {why}"
            ));
        }
        None
    }

    /// Has a command of `lossyfs.py` done.
    pub(crate) fn command(&self, text: &str) {
        fs::write(self.mount.join(".lossy"), text).expect("the disk obeys");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let unmount = Command::new("fusermount3")
            .args(["-u", "-z"])
            .arg(&self.mount)
            .status();
        if unmount.is_err() {
            // Its end unmounts it too.
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

fn spawn(live: &Path, mount: &Path, order: &str, seed: u64) -> io::Result<Child> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/lossyfs.py");
    Command::new(PYTHON)
        .arg(script)
        .args([live, mount])
        .args(["--order", order, "--seed", &seed.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

/// Says it past the capture of the test's output.
pub(crate) fn say(text: &str) {
    writeln!(io::stderr(), "{text}").expect("stderr");
}
