//! `keyward config`: checks, prints or explains the settings.

use clap::Subcommand;

use crate::output;
use crate::settings::{self, Flags, Layers, Settings, Surroundings};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Check the settings and print every error and warning
    Check,
    /// Print the settings in effect and where each comes from, without secrets
    Show {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Print a settings file with every setting, its default and an explanation
    Example,
}

impl Command {
    pub(crate) fn run(self, flags: &Flags) -> anyhow::Result<()> {
        match self {
            Self::Check => {
                let warnings = warn(&super::settings(flags)?);
                output::line(match warnings {
                    0 => "the settings are valid",
                    _ => "the settings are valid, with the warnings above",
                })?;
            }
            Self::Show { json } => {
                let layers = Layers::gather(&Surroundings::of_process(), flags);
                warn(&Settings::read(&layers)?);
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

/// Prints the warnings, and returns how many there are.
fn warn(settings: &Settings) -> usize {
    for warning in &settings.warnings {
        output::remark(&format!("warning: {warning}"));
    }
    settings.warnings.len()
}
