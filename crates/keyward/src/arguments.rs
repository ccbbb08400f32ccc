//! The command line: the commands and their flags.
//!
//! Invariant: it only describes commands; each is carried out in a file of its own below `commands`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::{
    account, backup, completions, config, doctor, health, keys, man, restore, serve, session, token,
};
use crate::settings::Flags;

/// Keyward is an identity and token server: accounts, logins, and JWTs that can be refreshed and revoked.
#[derive(Parser)]
#[command(name = "keyward", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The places of the settings and of the data.
#[derive(Args)]
pub(crate) struct Place {
    /// Settings file [default: keyward.toml in the current folder, if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data folder, with the database, the keys and the files
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
    /// Database: sqlite:PATH or postgres://… [default: SQLite in the data folder]
    #[arg(long, global = true, value_name = "URL")]
    database: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the server
    Serve(serve::Arguments),
    /// Check, print or explain the settings
    #[command(subcommand)]
    Config(config::Command),
    /// Add, list, disable and enable accounts, and set their passwords
    #[command(subcommand)]
    Account(account::Command),
    /// List and close sessions
    #[command(subcommand)]
    Session(session::Command),
    /// Mint, verify and inspect tokens
    #[command(subcommand)]
    Token(token::Command),
    /// List, rotate and retire the signing keys, and seal them by another master key
    #[command(subcommand)]
    Keys(keys::Command),
    /// Write the database, the notary key and the files to one file; the server may be running
    Backup(backup::Arguments),
    /// Create a data folder from a backup; all tokens issued before are revoked
    Restore(restore::Arguments),
    /// Check settings, data folder, keys, database, disk and clock, and suggest what to do
    Doctor(doctor::Arguments),
    /// Ask the running server whether it is ready; exits with 1 if it is not
    Health(health::Arguments),
    /// Print the completions of the command line for a shell
    Completions(completions::Arguments),
    /// Write a manual page for each command
    Man(man::Arguments),
}

impl Place {
    /// The settings that these flags give.
    pub(crate) fn flags(&self) -> Flags {
        let mut flags = Flags {
            config: self.config.clone(),
            settings: Vec::new(),
        };
        flags.add("--data-dir", "data_dir", self.data_dir.as_deref());
        flags.add("--database", "database", self.database.as_deref());
        flags
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
