//! `keyward man`: manual pages, made from the descriptions of the commands.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, CommandFactory as _};

use crate::arguments;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The folder for the pages; it is made if it does not exist
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

impl Arguments {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let place = || format!("cannot write manual pages to {}", self.folder.display());
        std::fs::create_dir_all(&self.folder).with_context(place)?;
        let command = arguments::Arguments::command().disable_help_subcommand(true);
        clap_mangen::generate_to(command, &self.folder).with_context(place)
    }
}
