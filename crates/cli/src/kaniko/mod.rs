//! Kaniko's command line and environment as a whole: what is honoured here, what is moot and why, and what is
//! refused with which remedy. There is nothing of it that is not known.
//!
//! The page `docs/moving-from-kaniko.md` is written from these tables.

mod entry;
mod environment;
mod executor;
#[cfg(test)]
mod page;
mod warmer;

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::builder::PossibleValuesParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

pub(crate) use entry::{Entry, Fate};
pub(crate) use environment::{ENVIRONMENT, FEATURE_PREFIX, FEATURES};
#[cfg(test)]
pub(crate) use executor::LOGIN;
pub(crate) use executor::{EXECUTOR, PUSH};
pub(crate) use warmer::WARMER;

use crate::switch::switch;
use entry::Takes;

/// Adds the flags that are known only to say what becomes of them; they are in no help.
pub(crate) fn add_to(command: Command, table: &'static [Entry]) -> Command {
    command.args(table.iter().filter(|entry| entry.fate != Fate::Honoured).map(argument))
}

fn argument(entry: &'static Entry) -> Arg {
    let argument = Arg::new(entry.name).long(entry.long()).hide(true);
    let argument = match entry.short {
        Some(letter) => argument.short(letter),
        None => argument,
    };
    match entry.takes {
        Takes::Switch => switch(argument),
        Takes::Number => argument.value_parser(value_parser!(u32)).allow_negative_numbers(true),
        Takes::OneOf(words) => argument.value_parser(PossibleValuesParser::new(words)),
        // Again is not an error for any of them.
        Takes::Text | Takes::Elsewhere => argument.action(ArgAction::Append),
    }
}

/// The command line of a program that is called `warmer`, as ours has it: the image has it under that name too.
pub(crate) fn by_name(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.collect();
    let name = arguments.first().and_then(|name| Path::new(name).file_name());
    if name == Some(OsStr::new("warmer")) {
        arguments.insert(1, "warmer".into());
    }
    arguments
}

/// Which entries of a table a command line uses, and has something to be said of. A switch that is refused and
/// was switched off asks for what is done anyway.
pub(crate) fn used(matches: &ArgMatches, table: &'static [Entry]) -> Vec<&'static Entry> {
    let is_given = |entry: &&Entry| {
        entry.fate != Fate::Honoured && matches.value_source(entry.name) == Some(ValueSource::CommandLine)
    };
    let is_off = |entry: &&Entry| {
        entry.fate == Fate::Refused
            && entry.takes == Takes::Switch
            && matches.get_one::<bool>(entry.name) == Some(&false)
    };
    table.iter().filter(is_given).filter(|entry| !is_off(entry)).collect()
}

/// What is to be said of the variables of the environment: Kaniko's own that have no effect, with the reason,
/// and those of its switches that nobody knows.
pub(crate) fn variables<'a>(set: impl Iterator<Item = (&'a OsStr, &'a OsStr)>) -> Vec<(String, String)> {
    let mut said = Vec::new();
    for (name, value) in set {
        let Some(name) = name.to_str().filter(|name| is_kanikos(name) && !value.is_empty()) else { continue };
        let known = ENVIRONMENT.iter().chain(FEATURES).find(|entry| entry.name == name);
        match known {
            Some(entry) if entry.fate != Fate::Honoured => {
                said.push((name.to_owned(), entry.note.to_owned()))
            }
            None if name.starts_with(FEATURE_PREFIX) => {
                said.push((name.to_owned(), "no switch of Kaniko is called so".to_owned()));
            }
            Some(_) | None => {}
        }
    }
    said.sort();
    said
}

/// Variables that are set for Kaniko's sake. Others may be meant for other programs, and are not commented.
fn is_kanikos(name: &str) -> bool {
    ["KANIKO_", FEATURE_PREFIX].iter().any(|prefix| name.starts_with(prefix))
        || matches!(name, "SNAPSHOT_TIMEOUT_DURATION" | "STACKLOG_PATH" | "BENCHMARK_FILE")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::args::Cli;

    /// All that there is, one a line: `PROGRAM NAME [-LETTER]`.
    const LIST: &str = include_str!("../../tests/kaniko.txt");

    #[test]
    fn the_tables_have_everything_and_nothing_else() {
        let listed: BTreeSet<String> = LIST
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
            .collect();
        let tables = [
            ("executor", EXECUTOR),
            ("login", LOGIN),
            ("push", PUSH),
            ("warmer", WARMER),
            ("environment", ENVIRONMENT),
            ("environment", FEATURES),
        ];
        let mut known = BTreeSet::new();
        for (program, table) in tables {
            for entry in table {
                assert!(known.insert(format!("{program} {}", entry.name)), "{} is there twice", entry.name);
                assert!(entry.fate == Fate::Honoured || !entry.note.is_empty(), "{}: why?", entry.name);
                assert!(!entry.note.contains('\n') && !entry.note.ends_with('.'), "{}", entry.note);
            }
        }
        let unknown: Vec<_> = listed.difference(&known).collect();
        let invented: Vec<_> = known.difference(&listed).collect();
        assert!(
            unknown.is_empty() && invented.is_empty(),
            "unknown: {unknown:?}\nnot Kaniko's: {invented:?}"
        );
    }

    /// What is honoured can be typed, with the letter that it has in the list, and what is not is typed too.
    #[test]
    fn every_flag_can_be_typed() {
        let command = Cli::with_kaniko();
        for (program, table) in [("executor", EXECUTOR), ("login", LOGIN), ("push", PUSH), ("warmer", WARMER)]
        {
            let command = match program {
                "executor" => &command,
                name => command.find_subcommand(name).expect("it is a subcommand"),
            };
            for entry in table {
                let argument = command.get_arguments().find(|argument| {
                    argument.get_long() == Some(entry.long())
                        || argument.get_all_aliases().unwrap_or_default().contains(&entry.long())
                });
                let Some(argument) = argument else { panic!("{program} {} cannot be typed", entry.name) };
                let is_own = argument.get_id().as_str() == entry.name;
                assert_eq!(is_own, entry.fate != Fate::Honoured, "{program} {}", entry.name);
                let letter = LIST.lines().find_map(|line| {
                    line.strip_prefix(&format!("{program} {} -", entry.name))?.chars().next()
                });
                let letters = argument.get_short_and_visible_aliases().unwrap_or_default();
                let all = argument.get_all_short_aliases().unwrap_or_default();
                if let Some(letter) = letter {
                    assert!(
                        letters.contains(&letter) || all.contains(&letter),
                        "{program} {} -{letter}",
                        entry.name
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_said() {
        for (line, expected) in [
            ("bako --cleanup --use-new-run", "--use-new-run --cleanup"),
            ("bako --snapshot-mode=redo --snapshotMode time", "--snapshot-mode --snapshotMode"),
            ("bako --cleanup=false", "--cleanup"),
            ("bako --materialize=false", ""),
            ("bako --materialize", "--materialize"),
            ("bako -b bucket --bucket again", "--bucket"),
            ("bako --no-push", ""),
        ] {
            let (_, used) = Cli::read(line.split(' ').map(Into::into)).unwrap();
            let names: Vec<&str> = used.iter().map(|entry| entry.name).collect();
            assert_eq!(names.join(" "), expected, "{line}");
        }
        for line in
            ["bako --snapshot-mode=half", "bako --image-fs-extract-retry=often", "bako --cleanup=maybe"]
        {
            assert!(Cli::read(line.split(' ').map(Into::into)).is_err(), "{line}");
        }
    }

    #[test]
    fn programs_are_known_by_name() {
        for (line, expected) in [
            ("/kaniko/warmer --image a", "/kaniko/warmer warmer --image a"),
            ("/kaniko/executor warmer -i a", "/kaniko/executor warmer -i a"),
            ("executor --no-push", "executor --no-push"),
        ] {
            let found = by_name(line.split(' ').map(Into::into));
            assert_eq!(found.join(OsStr::new(" ")), expected);
        }
        let (cli, used) = Cli::read("warmer -i a --force".split(' ').map(Into::into)).unwrap();
        assert!(matches!(cli.command, Some(crate::args::Command::Warmer(_))));
        assert_eq!(used[0].name, "--force");
    }

    #[test]
    fn variables_that_are_commented() {
        let check = |set: &[(&str, &str)], expected: &[(&str, &str)]| {
            let found = variables(set.iter().map(|(name, value)| (OsStr::new(*name), OsStr::new(*value))));
            let starts: Vec<(&str, &str)> = expected.to_vec();
            assert_eq!(found.len(), starts.len(), "{found:?}");
            for ((name, text), (expected, start)) in found.iter().zip(starts) {
                assert!(name == expected && text.starts_with(start), "{name}: {text}");
            }
        };
        check(&[("KANIKO_CLEANUP", "true"), ("PATH", "/bin")], &[("KANIKO_CLEANUP", "a build works in")]);
        check(&[("KANIKO_CLEANUP", ""), ("KANIKO_DIR", "/x"), ("OTEL_SERVICE_NAME", "x")], &[]);
        check(
            &[("FF_KANIKO_COPY_AS_ROOT", "true"), ("FF_KANIKO_BOGUS", "1")],
            &[("FF_KANIKO_BOGUS", "no switch"), ("FF_KANIKO_COPY_AS_ROOT", "always so")],
        );
        check(&[("KANIKO_REGISTRY_EXAMPLE_USER", "me")], &[]);
    }
}
