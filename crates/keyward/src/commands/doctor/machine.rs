//! Checks that disk, memory and file limits are enough for the settings.

use std::fs;
use std::path::Path;

use keyward_server::redirect;
use rustix::process::{Resource, getrlimit};

use super::{Finding, shown};
use crate::settings::{Settings, Storage};

/// Open files besides connections: the database, its log, uploads under way.
const OTHER_FILES: u64 = 256;
/// Free space below which writes are about to fail, in bytes.
const SCARCE: u64 = 64 << 20;

pub(super) fn examine(settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(disk(settings));
    findings.push(memory(settings));
    findings.push(open_files(settings));
    findings.push(proxies(settings));
    findings.push(match settings.limits.enabled {
        true => Finding::ok("limits", "they are on"),
        false => Finding::warn(
            "limits",
            "they are off: passwords can be guessed as fast as they can be hashed",
            "set limits.enabled = true but for load tests",
        ),
    });
    findings
}

fn disk(settings: &Settings) -> Option<Finding> {
    let path = &settings.data_dir;
    if !path.exists() {
        return None;
    }
    let system = match rustix::fs::statvfs(path) {
        Ok(system) => system,
        Err(error) => {
            return Some(Finding::fail(
                "disk",
                error.to_string(),
                "check the file system",
            ));
        }
    };
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    let found = format!("{} are free for {}", shown(free), path.display());
    let (uploads, reserve) = match settings.storage {
        Storage::DataDir { min_free } => (settings.files.largest, min_free),
        Storage::S3(_) => (0, 0),
    };
    let wanted = uploads.max(1 << 30);
    Some(if free < SCARCE {
        Finding::fail(
            "disk",
            found,
            "make room at once: writes are about to be refused",
        )
    } else if free < reserve {
        let found = format!("{found}, of which uploads must leave {}", shown(reserve));
        let advice =
            "make room: uploads are answered with 507 until more than files.min_free is free";
        Finding::warn("disk", found, advice)
    } else if free < wanted {
        let advice = match uploads {
            0 => "make room for the database".to_owned(),
            size => format!("make room: one upload may take {}", shown(size)),
        };
        Finding::warn("disk", found, advice)
    } else if system.f_files > 0 && system.f_favail < 10_000 {
        let found = format!("room for {} more files", system.f_favail);
        Finding::warn(
            "disk",
            found,
            "each uploaded file is one: make room for more inodes",
        )
    } else {
        Finding::ok("disk", found)
    })
}

fn memory(settings: &Settings) -> Finding {
    let hashing = &settings.passwords;
    let threads = u64::try_from(hashing.threads).unwrap_or(u64::MAX);
    let needed = threads.saturating_mul(u64::from(hashing.memory_kib) << 10);
    let Some(there) = memory_limit() else {
        return Finding::ok("memory", format!("hashing takes {}", shown(needed)));
    };
    let found = format!(
        "hashing takes {} ({threads} threads), of {} that this process may have",
        shown(needed),
        shown(there)
    );
    let advice = "lower passwords.threads, or passwords.memory_kib, or give it more memory";
    if needed > there / 4 * 3 {
        Finding::fail("memory", found, advice)
    } else if needed > there / 2 {
        Finding::warn("memory", found, advice)
    } else {
        Finding::ok("memory", found)
    }
}

/// The memory of the machine or of the control group, whichever is less, in bytes.
fn memory_limit() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:"))?;
        let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
        Some(kib << 10)
    });
    let group = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = group.lines().find_map(|line| line.strip_prefix("0::/"));
    let root = Path::new("/sys/fs/cgroup");
    let places = [
        own.map(|own| root.join(own).join("memory.max")),
        Some(root.join("memory.max")),
        Some(root.join("memory/memory.limit_in_bytes")),
    ];
    let read = |path: &std::path::PathBuf| fs::read_to_string(path).ok()?.trim().parse().ok();
    places
        .iter()
        .flatten()
        .filter_map(read)
        .chain(machine)
        .min()
}

fn open_files(settings: &Settings) -> Finding {
    let connections = settings.serve.max_connections;
    let redirected = match settings.redirect {
        Some(_) => redirect::connections(&settings.serve).max_connections,
        None => 0,
    };
    let needed = u64::try_from(connections.saturating_add(redirected)).unwrap_or(u64::MAX);
    let needed = needed.saturating_add(OTHER_FILES);
    // The server raises what is in force to the maximum when it starts.
    let allowed = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    let found = format!("{allowed} may be open, http.max_connections is {connections}");
    if allowed >= needed {
        return Finding::ok("open files", found);
    }
    Finding::warn(
        "open files",
        found,
        format!(
            "allow {needed} (`ulimit -Hn`, or LimitNOFILE= of systemd), or lower http.max_connections"
        ),
    )
}

fn proxies(settings: &Settings) -> Finding {
    let (listen, proxies) = (settings.listen, &settings.proxies);
    if proxies.includes_clients() {
        return Finding::fail(
            "proxies",
            "http.trusted_proxies contains a network that clients are in: they can claim any address",
            "list only the addresses of your proxies",
        );
    }
    if !listen.ip().is_loopback() && proxies.is_empty() && settings.tls.is_none() {
        return Finding::warn(
            "proxies",
            format!("it listens on {listen} without TLS, and trusts no proxy"),
            "name a certificate in tls.certificate_file; or put a TLS proxy in front, name its address in \
             http.trusted_proxies, and listen where only it can reach",
        );
    }
    Finding::ok("proxies", format!("it listens on {listen}"))
}
