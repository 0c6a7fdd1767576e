//! A check: a command of a RUN, what it has to print, and what it has to leave in the layer. The files of `checks/`
//! hold them.
//!
//! ```text
//! # The rule.
//! check NAME
//!     the script, for sh
//! again
//!     a script for the next RUN
//! except ISOLATION: why it cannot pass there; or `except PROFILE ISOLATION: why`
//! = a line that is printed
//! layer /path file 0644 0:0 2 "x\n"
//! ```
//!
//! An expectation of the layer that ends in `…` is about the beginning of the line.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use e2e::host;

/// One of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Check {
    pub(crate) name: String,
    pub(crate) script: String,
    /// For a RUN after the one with the script.
    pub(crate) again: String,
    pub(crate) prints: String,
    pub(crate) layer: Vec<String>,
    /// Where it cannot pass, and why.
    pub(crate) except: Vec<(String, String)>,
}

impl Check {
    /// All checks, in the order in which they are to be run.
    pub(crate) fn all() -> Result<Vec<Self>> {
        let folder = host::repository().join("tests/pods/checks");
        let mut files: Vec<_> =
            fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
        files.sort();
        let mut checks: Vec<Self> = Vec::new();
        for file in files {
            for check in Self::read(&file)? {
                let is_new = checks.iter().all(|other| other.name != check.name);
                ensure!(is_new, "two checks are called {}", check.name);
                checks.push(check);
            }
        }
        Ok(checks)
    }

    /// The checks of a file.
    pub(crate) fn read(file: &Path) -> Result<Vec<Self>> {
        parse(&fs::read_to_string(file)?).with_context(|| file.display().to_string())
    }

    /// Why it cannot pass there, if it cannot.
    pub(crate) fn exception(&self, profile: &str, isolation: &str) -> Option<&str> {
        let both = format!("{profile} {isolation}");
        let found = self.except.iter().find(|(place, _)| *place == isolation || *place == both);
        found.map(|(_, reason)| reason.as_str())
    }
}

fn parse(text: &str) -> Result<Vec<Check>> {
    let mut checks: Vec<Check> = Vec::new();
    let mut in_again = false;
    for (number, line) in text.lines().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("check ") {
            checks.push(Check { name: name.to_owned(), ..Check::default() });
            in_again = false;
            continue;
        }
        let check =
            checks.last_mut().with_context(|| format!("line {}: there is no check yet", number + 1))?;
        if let Some(command) = line.strip_prefix("    ") {
            let script = if in_again { &mut check.again } else { &mut check.script };
            script.push_str(command);
            script.push('\n');
        } else if line == "again" {
            in_again = true;
        } else if let Some(printed) = line.strip_prefix("= ") {
            check.prints.push_str(printed);
            check.prints.push('\n');
        } else if let Some(entry) = line.strip_prefix("layer ") {
            check.layer.push(entry.to_owned());
        } else if let Some((place, reason)) =
            line.strip_prefix("except ").and_then(|rest| rest.split_once(": "))
        {
            check.except.push((place.to_owned(), reason.to_owned()));
        } else {
            bail!("line {}: not a line of a check: {line}", number + 1);
        }
    }
    Ok(checks)
}
