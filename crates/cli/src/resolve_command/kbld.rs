//! Called as `kbld`: its command line, its messages, its exit codes.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches, Parser};
use resolve::indented;

use super::args::ResolveArgs;
use super::run::{Manner, run};
use crate::switch::with_switches;

/// Resolves the images of manifests to digests, and builds those that have a source.
#[derive(Debug, Parser)]
#[command(name = "kbld", args_override_self = true, disable_version_flag = true)]
struct Kbld {
    #[command(flatten)]
    resolve: ResolveArgs,
    /// Print the version.
    #[arg(long, short = 'v')]
    version: bool,
    /// Behave as on a terminal.
    #[arg(long, global = true)]
    tty: bool,
    /// One JSON object instead of documents.
    #[arg(long, global = true)]
    json: bool,
    /// Colour has no effect here.
    #[arg(long, global = true, default_value = "true")]
    color: bool,
    /// Nothing is asked here.
    #[arg(long, short = 'y', global = true)]
    yes: bool,
    /// Columns have no effect here.
    #[arg(long, global = true)]
    column: Vec<String>,
}

/// True if the program is called by that name.
pub(crate) fn is_called(program: Option<&OsString>) -> bool {
    program.and_then(|path| Path::new(path).file_name()).is_some_and(|name| name == "kbld")
}

/// Does what a command line of kbld says.
pub(crate) fn run_as_kbld(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let mut kbld = match read(arguments) {
        Ok(kbld) => kbld,
        Err(error) if !error.use_stderr() => {
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            crate::terminal::print_line(&format!("kbld: Error: {}", indented(&usage(&error))));
            return ExitCode::FAILURE;
        }
    };
    if kbld.version {
        kbld.resolve.command = Some(super::args::ResolveCommand::Version);
    }
    run(kbld.resolve, Manner::Kbld { tty: kbld.tty, json: kbld.json })
}

fn read(arguments: impl Iterator<Item = OsString>) -> Result<Kbld, clap::Error> {
    Kbld::from_arg_matches(&with_switches(Kbld::command()).try_get_matches_from(arguments)?)
}

/// What is wrong with a command line, in the words of kbld.
fn usage(error: &clap::Error) -> String {
    let named = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(name)) => name.clone(),
        _ => String::new(),
    };
    match error.kind() {
        ErrorKind::UnknownArgument if named.starts_with("--") => {
            format!("unknown flag: {}", named.split('=').next().unwrap_or(&named))
        }
        ErrorKind::UnknownArgument if named.starts_with('-') => {
            let letter = named.chars().nth(1).unwrap_or('-');
            format!("unknown shorthand flag: '{letter}' in {named}")
        }
        ErrorKind::UnknownArgument => {
            format!("command 'kbld' does not accept extra arguments '{named}'")
        }
        ErrorKind::InvalidSubcommand => match error.get(ContextKind::InvalidSubcommand) {
            Some(ContextValue::String(word)) => {
                format!("command 'kbld' does not accept extra arguments '{word}'")
            }
            _ => error.to_string(),
        },
        _ => {
            let text = error.to_string();
            let first = text.split("\n\n").next().unwrap_or(&text);
            first.trim().trim_start_matches("error: ").to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_line(line: &str) -> Result<Kbld, clap::Error> {
        read(line.split(' ').map(Into::into))
    }

    #[test]
    fn wrong_usage() {
        for (line, expected) in [
            ("kbld --nope", "unknown flag: --nope"),
            ("kbld --nope=1", "unknown flag: --nope"),
            ("kbld -x", "unknown shorthand flag: 'x' in -x"),
            ("kbld surplus", "command 'kbld' does not accept extra arguments 'surplus'"),
        ] {
            assert_eq!(usage(&read_line(line).unwrap_err()), expected, "{line}");
        }
        let kbld = read_line("kbld -f a,b -f - --build=false --tty --json -y --column a").unwrap();
        assert_eq!(kbld.resolve.file, ["a", "b", "-"]);
        assert!(!kbld.resolve.build && kbld.tty && kbld.json);
        assert!(read_line("kbld insp -f x --json").is_ok());
    }

    #[test]
    fn names() {
        for (program, expected) in
            [("/usr/bin/kbld", true), ("kbld", true), ("bako", false), ("/kbld/bako", false)]
        {
            assert_eq!(is_called(Some(&program.into())), expected, "{program}");
        }
    }
}
