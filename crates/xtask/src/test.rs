//! `cargo xtask test`: every test, and a list of those that could not run here.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use e2e::host;
use e2e::process::finish;

use crate::cargo::cargo;
use crate::packages;
use crate::skips::{self, Skip};
use crate::tally::Tally;

/// What became of the tests.
struct Outcome {
    passed: usize,
    failed: usize,
    skips: Vec<Skip>,
    tally: Tally,
    succeeded: bool,
}

pub(crate) fn run(arguments: &[String]) -> Result<ExitCode> {
    packages::install(packages::FOR_TESTS)?;
    packages::install_emulators()?;
    packages::install_npm()?;
    // The binary comes with them: tests of its own crate need it. To build it by itself first would be to build its
    // dependencies twice, with other features.
    let has_nextest = finish(&mut cargo(&["nextest", "--version"])).is_ok_and(|finished| finished.code == 0);
    let outcome = if has_nextest { with_nextest(arguments)? } else { with_cargo(arguments)? };

    if !outcome.skips.is_empty() {
        println!("\nskipped:");
    }
    for Skip { name, reason } in &outcome.skips {
        println!("  {name}: {reason}");
    }
    let lacking = outcome.skips.iter().filter(|skip| skip.lacks_package()).count();
    let missing_in_ci = host::in_ci() && lacking > 0;
    if missing_in_ci {
        println!("\n{lacking} of them for want of a Debian package, which CI should have installed");
    }
    if !outcome.tally.is_empty() {
        println!("\n{}", outcome.tally);
    }
    println!("\n{} passed, {} failed, {} skipped", outcome.passed, outcome.failed, outcome.skips.len());
    let good = outcome.succeeded && outcome.failed == 0 && !missing_in_ci;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// nextest: a process a test, and a report to read afterwards.
fn with_nextest(arguments: &[String]) -> Result<Outcome> {
    // nextest keeps its reports below the workspace, wherever Cargo's target folder is.
    let report = host::repository().join("target/nextest/default/junit.xml");
    std::fs::remove_file(&report).ok();
    let status = cargo(&["nextest", "run", "--workspace"]).args(arguments).status().context("start cargo")?;
    let text = std::fs::read_to_string(&report).context("nextest left no report")?;
    let count = |name: &str| {
        let totals = text.lines().find(|line| line.contains("<testsuites ")).unwrap_or_default();
        let value = totals.split_once(&format!(" {name}=\"")).and_then(|(_, rest)| rest.split('"').next());
        value.and_then(|value| value.parse::<usize>().ok()).unwrap_or(0)
    };
    let failed = count("failures") + count("errors");
    let mut skips = skips::find(&text);
    let passed = (count("tests") - failed).saturating_sub(skips.len());
    // Tests that only name what cannot run are not in the report.
    let ignored = cargo(&["nextest", "list", "--workspace", "--run-ignored", "only", "-T", "oneline"])
        .args(arguments)
        .output()
        .context("start cargo")?;
    let ignored = String::from_utf8_lossy(&ignored.stdout).into_owned();
    skips.extend(ignored.lines().filter_map(|line| skips::split(line.split_once(' ')?.1)));
    let tally = Tally::of(&text);
    Ok(Outcome { passed, failed, skips, tally, succeeded: status.success() })
}

/// Cargo's own runner, whose output is passed on and read on its way.
fn with_cargo(arguments: &[String]) -> Result<Outcome> {
    let (reader, writer) = std::io::pipe()?;
    let mut command = cargo(&["test", "--workspace", "--no-fail-fast"]);
    // Both streams in one; the output of tests that passed is shown too.
    command.args(arguments).args(["--", "--show-output"]).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().context("start cargo")?;
    // The command holds the pipe's other end, which has to close for the reader to see the end.
    drop(command);
    let mut text = String::new();
    for line in BufReader::new(reader).lines() {
        let line = line?;
        writeln!(std::io::stdout(), "{line}")?;
        text.push_str(&line);
        text.push('\n');
    }
    let status = child.wait()?;
    let (passed, failed, ignored) = totals(&text);
    let skips = skips::find(&text);
    // The others have returned without an error, so they are among those that passed.
    let passed = passed.saturating_sub(skips.len().saturating_sub(ignored));
    let tally = Tally::of(&text);
    Ok(Outcome { passed, failed, skips, tally, succeeded: status.success() })
}

/// Sums the lines `test result: ok. 3 passed; 0 failed; 0 ignored; …` of all test executables.
fn totals(text: &str) -> (usize, usize, usize) {
    let mut sums = (0, 0, 0);
    for line in text.lines().filter(|line| line.starts_with("test result:")) {
        let words: Vec<&str> = line.split_whitespace().collect();
        for pair in words.windows(2) {
            let count = pair[0].parse::<usize>().unwrap_or(0);
            match pair[1] {
                "passed;" => sums.0 += count,
                "failed;" => sums.1 += count,
                "ignored;" => sums.2 += count,
                _ => {}
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::totals;

    #[test]
    fn results_of_all_executables_are_summed() {
        let text = "test result: ok. 3 passed; 0 failed; 0 ignored\nx\ntest result: FAILED. 1 passed; 2 failed; 5 ignored; 0 m\n";
        assert_eq!(totals(text), (4, 2, 5));
    }
}
