//! The certificate of the server: read from its files, and read again when they change or SIGHUP asks for it.
//!
//! Invariant: a server goes on with the certificate that it has until it has read a better one. While nobody connects,
//! nothing is looked at.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use keyward_core::clock::{Clock, SystemClock, Timestamp};
use keyward_core::error::chain;
use keyward_server::serve::Tls;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use tokio::signal::unix::Signal;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};
use x509_cert::der::Decode;

use crate::supervisor;

/// The shortest time between two looks at the files.
const PAUSE: Duration = Duration::from_secs(1);
/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// The files of a certificate and its key, as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    /// The certificate, then those of the authorities between it and the root.
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

/// A certificate that can be presented.
pub(crate) struct Certificate {
    pub(crate) certified: CertifiedKey,
    /// From when to when it is valid.
    pub(crate) begins: Timestamp,
    pub(crate) ends: Timestamp,
}

/// Why the files hold no certificate that can be presented.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("{} cannot be read", .0.display())]
    Unreadable(PathBuf, #[source] io::Error),
    #[error("{} holds no certificate in PEM", .0.display())]
    NoCertificate(PathBuf),
    #[error("{} does not hold one private key in PEM", .0.display())]
    NoKey(PathBuf, #[source] pem::Error),
    #[error("{} holds a certificate that cannot be read", .0.display())]
    Malformed(PathBuf),
    #[error("the private key is of a kind that TLS does not use here")]
    UnknownKey(#[source] rustls::Error),
    #[error("the private key belongs to another certificate")]
    Mismatch,
}

impl Unusable {
    /// The word for it that stays the same.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Unreadable(..) => "certificate_unreadable",
            Self::NoCertificate(_) | Self::Malformed(_) => "certificate_malformed",
            Self::NoKey(..) | Self::UnknownKey(_) => "certificate_key_malformed",
            Self::Mismatch => "certificate_key_mismatch",
        }
    }
}

impl Files {
    /// Reads both files.
    ///
    /// # Errors
    /// When they cannot be read or do not belong together.
    pub(crate) fn read(&self) -> Result<Certificate, Unusable> {
        let Self { certificate, key } = self;
        let malformed = || Unusable::Malformed(certificate.clone());
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&contents(certificate)?)
            .collect::<Result<_, _>>()
            .map_err(|_| malformed())?;
        let Some(leaf) = chain.first() else {
            return Err(Unusable::NoCertificate(certificate.clone()));
        };
        let parsed = x509_cert::Certificate::from_der(leaf).map_err(|_| malformed())?;
        let validity = parsed.tbs_certificate.validity;
        let time = |time: x509_cert::time::Time| {
            let seconds = time.to_unix_duration().as_secs();
            Timestamp::from_seconds(i64::try_from(seconds).unwrap_or(i64::MAX))
        };
        let private = PrivateKeyDer::from_pem_slice(&contents(key)?)
            .map_err(|error| Unusable::NoKey(key.clone(), error))?;
        let certified = CertifiedKey::from_der(chain, private, &default_provider());
        Ok(Certificate {
            certified: certified.map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => Unusable::Mismatch,
                rustls::Error::InvalidCertificate(_) => malformed(),
                error => Unusable::UnknownKey(error),
            })?,
            begins: time(validity.not_before),
            ends: time(validity.not_after),
        })
    }

    /// What changes when one of the files is written or replaced.
    fn state(&self) -> [Option<State>; 2] {
        [&self.certificate, &self.key].map(|path| State::of(path))
    }
}

fn contents(path: &Path) -> Result<Vec<u8>, Unusable> {
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?
            .take(LARGEST + 1)
            .read_to_end(&mut bytes)?;
        match bytes.len() as u64 > LARGEST {
            true => Err(io::Error::other("it has more than 1 MiB")),
            false => Ok(bytes),
        }
    };
    read().map_err(|error| Unusable::Unreadable(path.to_owned(), error))
}

/// What the system tells of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl State {
    fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

/// The certificate that is presented, and its files.
pub(crate) struct Presented {
    files: Files,
    tls: Tls,
    /// The state of the files when they were read.
    seen: [Option<State>; 2],
    /// Whether the reading failed once, so that the next one says so: between the writes of the two files they do not
    /// belong together.
    failed: bool,
}

impl Presented {
    /// Reads the certificate for a server that starts.
    ///
    /// # Errors
    /// When it cannot be presented.
    pub(crate) fn start(files: &Files) -> anyhow::Result<Self> {
        let seen = files.state();
        let certificate = files
            .read()
            .map_err(|error| anyhow::Error::from(error).context(ADVICE))?;
        certificate.log();
        Ok(Self {
            files: files.clone(),
            tls: Tls::new(certificate.certified)?,
            seen,
            failed: false,
        })
    }

    /// The TLS that presents it.
    pub(crate) fn tls(&self) -> Tls {
        self.tls.clone()
    }

    /// Presents what the files hold, whenever they change and somebody connects, and at each SIGHUP.
    pub(crate) async fn follow(mut self, mut hangup: Signal) {
        let mut pause_end = Instant::now();
        loop {
            let tls = self.tls();
            let handshake = async {
                sleep_until(pause_end).await;
                tls.presented().await;
            };
            let asked = tokio::select! {
                () = handshake => false,
                _ = hangup.recv() => true,
            };
            // The files may lie on a disk that does not respond.
            let looked = spawn_blocking(move || {
                self.look(asked);
                self
            });
            // After a panic, which has been reported, the certificate stays.
            let Ok(looked) = looked.await else { return };
            self = looked;
            pause_end = Instant::now() + PAUSE;
        }
    }

    /// Reads the files if they have changed or somebody `asked`.
    fn look(&mut self, asked: bool) {
        if asked {
            supervisor::reloading();
        }
        self.read_again(asked);
        if asked {
            supervisor::ready();
        }
    }

    fn read_again(&mut self, asked: bool) {
        let state = self.files.state();
        let changed = state != self.seen;
        if !changed && !asked && !self.failed {
            return;
        }
        self.seen = state;
        match self.files.read() {
            Ok(certificate) => {
                certificate.log();
                self.failed = false;
                self.tls.replace(certificate.certified);
            }
            Err(_) if changed && !asked => self.failed = true,
            Err(error) => {
                self.failed = false;
                let (code, error) = (error.code(), chain(&error));
                tracing::error!(
                    code,
                    error,
                    "the new certificate cannot be used, so the one before it is still presented: {ADVICE}"
                );
            }
        }
    }
}

/// What to do about files that hold no certificate.
const ADVICE: &str = "check tls.certificate_file and tls.key_file with `keyward doctor`";

impl Certificate {
    fn log(&self) {
        let (begins, ends) = (self.begins.rfc3339_millis(), self.ends.rfc3339_millis());
        if self.is_valid(SystemClock::new().now()) {
            tracing::info!(ends, "the certificate was read");
        } else {
            let code = "certificate_expired";
            tracing::error!(
                code,
                begins,
                ends,
                "the certificate is not valid now: clients refuse it"
            );
        }
    }

    /// Whether it is valid at this time.
    pub(crate) fn is_valid(&self, now: Timestamp) -> bool {
        (self.begins..=self.ends).contains(&now)
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use rcgen::{CertificateParams, KeyPair};
    use rustix::fs::{CWD, Mode, OFlags, mkfifoat, open};
    use rustix::process::{getpid, kill_process};
    use tempfile::TempDir;
    use tokio::signal::unix::{SignalKind, signal};
    use tokio::task::yield_now;

    use super::*;

    /// Makes the certificate's file a pipe, replaces the certificate through it at two signals, and expects the one
    /// worker of the runtime to be free whenever a reader waits for the pipe.
    async fn replace_twice(folder: TempDir, pem: String) {
        let [certificate, key] = ["crt", "key"].map(|name| folder.path().join(name));
        let files = Files { certificate, key };
        let hangup = signal(SignalKind::hangup()).unwrap();
        let presented = Presented::start(&files).unwrap();
        fs::remove_file(&files.certificate).unwrap();
        mkfifoat(CWD, &files.certificate, Mode::RUSR | Mode::WUSR).unwrap();
        let following = tokio::spawn(presented.follow(hangup));
        for _ in 0..2 {
            kill_process(getpid(), rustix::process::Signal::HUP).unwrap();
            let write_end = loop {
                // It can be opened as soon as the reader waits.
                let flags = OFlags::WRONLY | OFlags::NONBLOCK;
                match open(&files.certificate, flags, Mode::empty()) {
                    Ok(pipe) => break pipe,
                    Err(_) => yield_now().await,
                }
            };
            rustix::io::write(&write_end, pem.as_bytes()).unwrap();
        }
        following.abort();
    }

    #[test]
    fn no_worker_waits_for_the_files_however_soon_the_next_signal_comes() {
        let folder = TempDir::new().unwrap();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        fs::write(folder.path().join("crt"), &pem).unwrap();
        fs::write(folder.path().join("key"), key.serialize_pem()).unwrap();
        let (done, ended) = mpsc::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(replace_twice(folder, pem));
            done.send(()).unwrap();
        });
        // A blocked worker would never end.
        ended.recv_timeout(Duration::from_secs(20)).unwrap();
    }
}
