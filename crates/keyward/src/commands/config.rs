//! `keyward config`: check, show or explain the settings.

use clap::Subcommand;

use crate::output;
use crate::settings::{self, Flags, Layers, Settings, Surroundings};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Tell whether the settings are usable, and what is wrong where they are not
    Check,
    /// Print the settings in effect and where each comes from; secrets are not shown
    Show {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Print a settings file with every setting, its default and what it does
    Example,
}

impl Command {
    pub(crate) fn run(self, flags: &Flags) -> anyhow::Result<()> {
        match self {
            Self::Check => {
                super::settings(flags)?;
                output::line("the settings are usable")?;
            }
            Self::Show { json } => {
                let layers = Layers::gather(&Surroundings::of_process(), flags);
                Settings::read(&layers)?;
                match json {
                    true => output::json(&settings::show_json(&layers))?,
                    false => output::line(settings::show(&layers).trim_end())?,
                }
            }
            Self::Example => output::line(settings::example().trim_end())?,
        }
        Ok(())
    }
}
