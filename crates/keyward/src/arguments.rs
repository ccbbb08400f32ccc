//! The command line: what can be asked of the program, without doing any of it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::{account, backup, config, doctor, restore, serve, session, token};
use crate::settings::Flags;

/// Keyward signs people up, logs them in, and issues, checks, refreshes and revokes JWTs.
#[derive(Parser)]
#[command(name = "keyward", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where settings and data are.
#[derive(Args)]
pub(crate) struct Place {
    /// The settings file; keyward.toml in this folder, where there is one
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder of the database, the keys and the files
    #[arg(long, global = true, value_name = "DIR")]
    data_dir: Option<String>,
    /// The database: sqlite:PATH or postgres://…; in the data folder where it is left out
    #[arg(long, global = true, value_name = "URL")]
    database: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run the server
    Serve(serve::Arguments),
    /// Check, show or explain the settings
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
    /// Write the database, the notary's key and the files to one file, also while the server runs
    Backup(backup::Arguments),
    /// Make a data folder of a backup; every token from before dies
    Restore(restore::Arguments),
    /// Check folder, disk, clock, database, keys and settings, and say what to do about each
    Doctor(doctor::Arguments),
}

impl Place {
    /// What these say about settings.
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
