//! The `bako` binary: flags and environment in, a build or a small command, and lines and an exit code out.
#![forbid(unsafe_code)]

mod args;
mod attest_flags;
#[cfg(test)]
mod blessed;
mod build_args;
mod build_command;
mod build_options;
mod build_report;
mod cache_command;
mod call;
mod certs_d;
mod context;
mod delivery_args;
mod diagnostic;
mod dockerfile;
mod environment;
mod foreign_flags;
mod git_flag;
mod images_command;
mod kaniko;
mod layer_cache;
mod log_args;
mod login_command;
#[cfg(test)]
mod pages;
mod probe_command;
mod push_command;
mod registry_args;
mod resolve_command;
mod secrets;
mod serve_command;
mod session;
mod signals;
mod switch;
mod terminal;
mod trace_command;
mod values;
mod warmer_command;

use std::process::ExitCode;

use crate::args::{Cli, Command, RegistryCommand};
use crate::log_args::{LogFormat, Verbosity};
use crate::terminal::Terminal;

/// What wrong usage exits with, as is usual for Unix programs.
const USAGE: u8 = 2;

/// What clap lays out as paragraphs: what is wrong, perhaps a tip, and how the program is used.
fn usage_error(error: &clap::Error) -> builder::Error {
    let text = error.to_string();
    let mut paragraphs = text.split("\n\n").map(str::trim);
    let first = paragraphs.next().unwrap_or_default();
    let message = first.strip_prefix("error: ").unwrap_or(first);
    let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let tip = paragraphs.find_map(|text| text.strip_prefix("tip: "));
    match foreign_flags::remedy(error).or(tip) {
        Some(tip) => builder::Error::new(message).hint(tip),
        None => builder::Error::new(message),
    }
}

fn main() -> ExitCode {
    // This program is also started as its own helper; that one never comes back from here.
    sandbox::init_if_asked();
    sandbox::share_memory();
    if resolve_command::is_called(std::env::args_os().next().as_ref()) {
        return resolve_command::run_as_kbld(std::env::args_os());
    }
    let (cli, used) = match Cli::read(std::env::args_os()) {
        Ok(read) => read,
        Err(error) => {
            // Help that was asked for goes to stdout and is a success; clap knows which is which.
            if !error.use_stderr() {
                let _ = error.print();
                return ExitCode::SUCCESS;
            }
            let is_json = args::asks_for_json(std::env::args_os());
            if is_json || foreign_flags::remedy(&error).is_some() {
                let format = if is_json { LogFormat::Json } else { LogFormat::Color };
                Terminal::new(format, Verbosity::Error, false).error(&usage_error(&error), USAGE);
            } else {
                let _ = error.print();
            }
            return ExitCode::from(USAGE);
        }
    };
    match cli.command {
        None => build_command::run(cli.build, &used),
        Some(Command::Push(args)) => push_command::run(&args, &used),
        Some(Command::Login(args)) => login_command::run(&args),
        Some(Command::Warmer(args)) => warmer_command::run(&args, &used),
        Some(Command::Probe(args)) if args.trace => trace_command::run(&args),
        Some(Command::Probe(args)) => probe_command::run(args),
        Some(Command::Registry(RegistryCommand::Serve { dir, listen })) => serve_command::run(dir, listen),
        Some(Command::Cache(command)) => cache_command::run(*command),
        Some(Command::Copy(args)) => images_command::copy(*args),
        Some(Command::Digest(args)) => images_command::digest(*args),
        Some(Command::Inspect(args)) => images_command::inspect(*args),
        Some(Command::Ls(args)) => images_command::ls(*args),
        Some(Command::Manifest(command)) => images_command::manifest(*command),
        Some(Command::Resolve(args)) => resolve_command::run(*args, resolve_command::Manner::Bako),
        Some(Command::Verify(args)) => images_command::verify(*args),
        Some(Command::Version) => {
            terminal::print_result(concat!("bako ", env!("CARGO_PKG_VERSION")));
            ExitCode::SUCCESS
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_errors_are_one_line_and_a_hint() {
        for (line, message, hint) in [
            ("bako --bogus", "unexpected argument '--bogus' found", None),
            (
                "bako --build-ar A=1",
                "unexpected argument '--build-ar' found",
                Some("a similar argument exists: '--build-arg'"),
            ),
            (
                "bako --iidfile x",
                "unexpected argument '--iidfile' found",
                Some(
                    "there is no daemon that knows images by an id; --digest-file writes the digest of the manifest",
                ),
            ),
            (
                "bako --isolation inplace",
                "invalid value 'inplace' for '--isolation <ISOLATION>' [possible values: auto, ns, chroot, supervised]",
                Some(
                    "a RUN in the builder's own root would replace the files of its container and could read its \
                     credentials; --isolation supervised needs no more privilege, and keeps both apart",
                ),
            ),
            ("bako --label x", "invalid value 'x' for '--label <NAME=VALUE>': expected NAME=VALUE", None),
        ] {
            let error = Cli::read(line.split(' ').map(Into::into)).unwrap_err();
            let error = usage_error(&error);
            assert_eq!((error.message.as_str(), error.hint.as_deref()), (message, hint));
        }
    }
}
