//! The program. It reads arguments, environment and settings files, chooses the backends, and connects the crates.

mod arguments;
mod background;
mod certificate;
mod commands;
mod data;
mod demo;
mod engine;
mod exit;
mod log;
mod metrics;
mod output;
mod password;
mod services;
mod settings;
mod storage;
mod supervisor;
mod traces;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    exit::code_of(commands::run(arguments::Arguments::parse()))
}
