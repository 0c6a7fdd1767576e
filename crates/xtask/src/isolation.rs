//! `cargo xtask test isolation`: the checks and the real build of `tests/pods` under every profile and every isolation
//! that works there, as a table.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{ExitCode, Stdio};

use anyhow::{Context as _, Result};

use crate::cargo::{build_bako, cargo};
use crate::packages;

/// What the tests say of one build.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    profile: String,
    what: String,
    isolation: String,
    outcome: String,
    excused: String,
}

pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    packages::install(packages::FOR_TESTS)?;
    build_bako("dev")?;
    let mut command = cargo(&["test", "-p", "e2e", "--test", "pods", "--", "--test-threads=1"]);
    if arguments.is_empty() {
        command.arg("isolation ");
    }
    command.args(arguments).env("EVERY_ISOLATION", "1").stderr(Stdio::piped());
    let mut child = command.spawn().context("start cargo")?;
    let stderr = child.stderr.take().context("it is a pipe")?;
    let mut lines = Vec::new();
    for line in BufReader::new(stderr).lines() {
        let line = line?;
        match parse(&line) {
            Some(found) => lines.push(found),
            None => eprintln!("{line}"),
        }
    }
    let status = child.wait()?;
    print!("{}", table(&lines));
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn parse(line: &str) -> Option<Line> {
    let mut cells = line.strip_prefix("isolation: ")?.split(" | ").map(|cell| cell.trim().to_owned());
    let mut next = || cells.next().unwrap_or_default();
    Some(Line { profile: next(), what: next(), isolation: next(), outcome: next(), excused: next() })
}

/// A row for each profile and isolation, in the order of the first of each.
fn table(lines: &[Line]) -> String {
    let mut text = "| | pod | isolation | checks passed | which cannot pass | real build |\n".to_owned();
    text += "|---|---|---|---|---|---|\n";
    let mut shown = BTreeSet::new();
    for line in lines {
        if !shown.insert((&line.profile, &line.isolation)) {
            continue;
        }
        let same = |other: &&Line| other.profile == line.profile && other.isolation == line.isolation;
        let of =
            |digest: bool| lines.iter().filter(same).find(|l| l.outcome.starts_with("sha256:") == digest);
        let checks = of(false);
        let digest = of(true).and_then(|line| line.outcome.get(..19)).unwrap_or_default();
        text += &format!(
            "| {} | {} | `{}` | {} | {} | {digest} |\n",
            line.profile,
            line.what,
            line.isolation,
            checks.map_or("", |line| line.outcome.as_str()),
            checks.map_or("", |line| line.excused.as_str()),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tests_of_a_profile_are_in_one_row() {
        let lines: Vec<Line> = [
            "isolation: P1 | nothing set | ns | 9 of 10 | mknod",
            "something else",
            "isolation: P1 | nothing set | chroot | 10 of 10 | ",
            "isolation: P1 | nothing set | ns | sha256:0123456789abcdef | ",
        ]
        .iter()
        .filter_map(|line| parse(line))
        .collect();
        let expected = "| P1 | nothing set | `ns` | 9 of 10 | mknod | sha256:0123456789ab |\n\
            | P1 | nothing set | `chroot` | 10 of 10 |  |  |\n";
        assert!(table(&lines).ends_with(expected), "{}", table(&lines));
    }
}
