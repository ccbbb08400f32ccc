//! The commands, a file each.

pub(crate) mod account;
pub(crate) mod backup;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod health;
pub(crate) mod keys;
pub(crate) mod man;
pub(crate) mod restore;
pub(crate) mod serve;
pub(crate) mod session;
pub(crate) mod token;

mod account_argument;
mod invitation;

use std::io;
use std::sync::Arc;

use keyward_core::accounts::passwords;
use keyward_core::clock::{Clock, SystemClock};
use keyward_server::Base;
use tokio::runtime::Runtime;

use crate::arguments::{Arguments, Command};
use crate::data::{Data, Servers};
use crate::services;
use crate::settings::{Flags, Layers, Settings, Surroundings};

/// Does what the command line asks for.
///
/// # Errors
/// Whatever failed, with what to do about it.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<()> {
    let flags = arguments.place.flags();
    match arguments.command {
        Command::Serve(serve) => serve.run(flags),
        Command::Config(config) => config.run(&flags),
        Command::Account(account) => account.run(&flags),
        Command::Session(session) => session.run(&flags),
        Command::Token(token) => token.run(&flags),
        Command::Keys(keys) => keys.run(&flags),
        Command::Backup(backup) => backup.run(&flags),
        Command::Restore(restore) => restore.run(&flags),
        Command::Doctor(doctor) => doctor.run(&flags),
        Command::Health(health) => health.run(&flags),
        Command::Completions(completions) => completions.run(),
        Command::Man(man) => man.run(),
    }
}

/// The settings of this process.
fn settings(flags: &Flags) -> anyhow::Result<Settings> {
    Ok(Settings::read(&Layers::gather(
        &Surroundings::of_process(),
        flags,
    ))?)
}

/// The machine's clock.
fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

/// What waits for answers in a command that is no server.
fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
}

/// Runs a command on the data of a server, whether that is running or not, and closes the database.
fn on_data<F>(flags: &Flags, access: Access, work: F) -> anyhow::Result<()>
where
    F: AsyncFnOnce(&Opened) -> anyhow::Result<()>,
{
    let settings = settings(flags)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let data = Data::open_beside(&settings, access == Access::Create).await?;
        let hashing = passwords::Policy {
            threads: 1,
            ..settings.passwords
        };
        let base = services::start(&data, hashing, settings.max_revocation_lag).await?;
        let opened = Opened {
            settings,
            data,
            base,
        };
        let result = work(&opened).await;
        opened.data.close().await;
        result
    })
}

/// What a command expects of the data folder.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    /// It must be there.
    Existing,
    /// It is made where there is none.
    Create,
}

/// What a command works with.
struct Opened {
    settings: Settings,
    data: Data,
    base: Base,
}

impl Opened {
    /// What to add to a message about something that a running server must learn of.
    fn when_it_counts(&self) -> &'static str {
        match self.data.servers() {
            Servers::None => "",
            Servers::One => "; the server that runs on this folder knows within half a second",
            Servers::Any => "; servers that run on this database know within a second",
        }
    }
}
