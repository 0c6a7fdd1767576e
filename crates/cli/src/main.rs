//! The `bako` binary: flags and environment in, a build or a small command, and lines and an exit code out.
#![forbid(unsafe_code)]

mod args;
mod build_command;
mod context;
mod diagnostic;
mod environment;
mod probe_command;
mod secrets;
mod serve_command;
mod signals;
mod terminal;

use std::process::ExitCode;

use clap::Parser;
use serde_json::json;

use crate::args::{Cli, Command, LogFormat, RegistryCommand, Verbosity};
use crate::terminal::Terminal;

/// What wrong usage exits with, as is usual for Unix programs.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    // This program is also started as its own helper; that one never comes back from here.
    sandbox::init_if_asked();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help that was asked for goes to stdout and is a success; clap knows which is which.
            if !error.use_stderr() {
                let _ = error.print();
                return ExitCode::SUCCESS;
            }
            if args::asks_for_json(std::env::args_os()) {
                let terminal = Terminal::new(LogFormat::Json, Verbosity::Error);
                let text = error.to_string();
                let text = text.strip_prefix("error: ").unwrap_or(&text).trim_end();
                terminal.line(Verbosity::Error, text, json!({ "event": "error" }));
            } else {
                let _ = error.print();
            }
            return ExitCode::from(USAGE);
        }
    };
    match cli.command {
        None => build_command::run(cli.build),
        Some(Command::Probe { work_dir }) => probe_command::run(work_dir),
        Some(Command::Registry(RegistryCommand::Serve { dir, listen })) => serve_command::run(dir, listen),
        Some(Command::Version) => {
            terminal::print_result(concat!("bako ", env!("CARGO_PKG_VERSION")));
            ExitCode::SUCCESS
        }
    }
}
