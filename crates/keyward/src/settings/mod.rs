//! Settings: gathered from their layers, then read once into the policies that the rest of the program uses.
//!
//! Invariant: nothing that was meant as a setting is dropped in silence. It is read, or refused, or warned about.

mod declare;
mod dotenv;
mod error;
mod files;
mod layers;
mod list;
mod names;
mod policy;
mod print;
mod secret;
mod share;
mod sources;
mod storage;
mod traces;
mod urls;
mod value;
mod weak;

pub(crate) use self::error::{SettingError, SettingsError, Topic, Warning};
pub(crate) use self::files::TextFile;
pub(crate) use self::layers::Layers;
pub(crate) use self::policy::{Log, Settings};
pub(crate) use self::print::{example, show, show_json};
pub(crate) use self::sources::{Flags, Surroundings};
pub(crate) use self::storage::Storage;
pub(crate) use self::traces::Traces;
pub(crate) use self::value::{Database, LogFormat, MetricsListen, Span};

#[cfg(test)]
mod tests;
