//! Keyward: the program. Reads argv, environment and settings files, names a backend and wires the
//! crates together.

mod arguments;
mod background;
mod commands;
mod data;
mod demo;
mod engine;
mod exit;
mod log;
mod output;
mod password;
mod services;
mod settings;
mod storage;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    exit::code_of(commands::run(arguments::Arguments::parse()))
}
