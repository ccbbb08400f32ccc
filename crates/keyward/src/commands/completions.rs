//! `keyward completions`: a script that completes the command line, for one shell.

use std::io::{self, Write as _};

use clap::{Args, CommandFactory as _};
use clap_complete::{Shell, generate};

use crate::arguments;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The shell
    shell: Shell,
}

impl Arguments {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let mut script = Vec::new();
        generate(
            self.shell,
            &mut arguments::Arguments::command(),
            "keyward",
            &mut script,
        );
        Ok(io::stdout().lock().write_all(&script)?)
    }
}
