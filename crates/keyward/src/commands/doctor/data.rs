//! The data folder: who can read it, whether the database is sound, whether bytes and rows agree.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use keyward_core::clock::{Clock, SystemClock, Timestamp};
use keyward_core::error::chain;
use keyward_store::blobs::{size_of, stored_in};
use keyward_store::folder::DataFolder;
use keyward_store::sqlite::{self, Figures};

use super::{Finding, bucket};
use crate::data;
use crate::settings::{Database, Settings, Storage};

/// How far the newest row may be ahead of the clock.
const SKEW: Duration = Duration::from_secs(60);

pub(super) fn examine(settings: &Settings) -> Vec<Finding> {
    let path = &settings.data_dir;
    let shown = path.display();
    if !path.exists() {
        let advice = "name it with --data-dir, or make one with `keyward serve`";
        return vec![Finding::fail(
            "folder",
            format!("there is no data folder {shown}"),
            advice,
        )];
    }
    let folder = match DataFolder::open(path) {
        Ok(folder) => folder,
        Err(error) => {
            let advice = "see the message; nothing else can be looked at";
            return vec![Finding::fail("folder", chain(&error), advice)];
        }
    };
    let database = data::database(settings, &folder);
    let mut findings = vec![private("folder", path), demo(&folder), server(&folder)];
    if let Database::Postgres(_) = settings.database {
        return findings;
    }
    if !database.exists() {
        let advice =
            "`keyward serve` makes one; if there should be one, name its folder with --data-dir";
        let found = format!("there is no database {}", database.display());
        findings.push(Finding::fail("database", found, advice));
        return findings;
    }
    findings.push(private("database file", &database));
    findings.extend(rows(&database));
    findings.push(bytes(&database, &folder, &settings.storage));
    findings
}

/// Whether `path` is ours and closed to others.
pub(super) fn private(check: &'static str, path: &Path) -> Finding {
    let shown = path.display();
    let found = match path.metadata() {
        Ok(found) => found,
        Err(error) => return Finding::fail(check, format!("{shown}: {error}"), "let us read it"),
    };
    judge(check, path, &found)
}

fn judge(check: &'static str, path: &Path, found: &Metadata) -> Finding {
    let shown = path.display();
    let (mode, owner) = (found.mode() & 0o777, found.uid());
    let us = rustix::process::geteuid().as_raw();
    if owner != us {
        return Finding::fail(
            check,
            format!("{shown} belongs to user {owner}, this is user {us}"),
            "run Keyward and its commands as the user who owns the data folder",
        );
    }
    if mode & 0o077 != 0 {
        let right = if found.is_dir() { "700" } else { "600" };
        return Finding::fail(
            check,
            format!("{shown} has mode {mode:o}: others can reach it"),
            format!("chmod {right} {shown}"),
        );
    }
    Finding::ok(check, format!("{shown} has mode {mode:o} and is ours"))
}

fn demo(folder: &DataFolder) -> Finding {
    match folder.is_demo() {
        false => Finding::ok("demo", "the folder was not made by --demo"),
        true => Finding::warn(
            "demo",
            "the folder was made by --demo: its keys and passwords are public",
            "use it for trying out alone; name another folder with --data-dir for anything else",
        ),
    }
}

fn server(folder: &DataFolder) -> Finding {
    match folder.is_serving() {
        Ok(true) => Finding::ok("server", "one runs on this folder"),
        Ok(false) => Finding::ok("server", "none runs on this folder"),
        Err(error) => Finding::fail("server", chain(&error), "make the folder writable"),
    }
}

fn rows(database: &Path) -> Vec<Finding> {
    let Figures {
        version,
        known,
        defects,
        newest,
    } = match sqlite::examine(database) {
        Ok(figures) => figures,
        Err(error) => {
            return vec![Finding::fail(
                "database",
                format!("{}: {error}", database.display()),
                "restore a backup into another folder with `keyward restore`",
            )];
        }
    };
    let sound = match defects.as_slice() {
        [] => Finding::ok("database", "it is sound"),
        defects => Finding::fail(
            "database",
            format!("it is broken: {}", defects.join("; ")),
            "stop the server, check the disk, and restore a backup with `keyward restore`",
        ),
    };
    let at = format!("the database is at version {version}, this program works with {known}");
    let migrations = match version.cmp(&known) {
        std::cmp::Ordering::Equal => Finding::ok("migrations", at),
        std::cmp::Ordering::Less => Finding::warn(
            "migrations",
            at,
            "the next `keyward serve` migrates it: make a backup before",
        ),
        std::cmp::Ordering::Greater => {
            Finding::fail("migrations", at, "run the newer program that wrote it")
        }
    };
    vec![sound, migrations, clock(newest)]
}

fn clock(newest: Option<Timestamp>) -> Finding {
    let now = SystemClock::new().now();
    let shown = now.rfc3339_millis();
    match newest {
        Some(newest) if newest > now.plus(SKEW) => Finding::fail(
            "clock",
            format!(
                "it is {shown}, and the newest row is of {}",
                newest.rfc3339_millis()
            ),
            "set the clock, and keep it right with an NTP client: tokens end by it",
        ),
        _ => Finding::ok("clock", format!("it is {shown}, and no row is of later")),
    }
}

fn bytes(database: &Path, folder: &DataFolder, storage: &Storage) -> Finding {
    let root = folder.files();
    let found = match storage.bucket() {
        Some(options) => bucket::compare(database, options),
        None => sqlite::compare_blobs(database, stored_in(&root), |id| size_of(&root, id))
            .map(Some)
            .map_err(Into::into),
    };
    match found {
        Ok(Some(bytes)) => compared(bytes),
        Ok(None) => Finding::ok("files", "no file was uploaded to the bucket yet"),
        Err(error) => {
            let advice = "see the lines about the database and the bucket";
            Finding::fail("files", format!("{error:#}"), advice)
        }
    }
}

/// Whether the rows and the stored bytes agree.
fn compared(bytes: sqlite::BlobCounts) -> Finding {
    let sqlite::BlobCounts {
        whole,
        missing,
        unnamed,
    } = bytes;
    if missing > 0 {
        return Finding::fail(
            "files",
            format!("{missing} files have lost their bytes, {whole} have them"),
            "check the disk or the bucket, and upload them again or restore a backup; `keyward backup` names \
             them",
        );
    }
    if unnamed > 0 {
        return Finding::warn(
            "files",
            format!("{whole} files are whole; {unnamed} stored ones are named by no row"),
            "nothing: uploads under way and what a crash left; a server removes the latter",
        );
    }
    Finding::ok("files", format!("all {whole} are whole"))
}
