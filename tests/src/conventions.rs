//! What every case keeps to: it says its rule, its name is its own, and it holds on any machine.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};

use crate::process::output;
use crate::{Case, bases, host};

/// Checks all cases together; the error names the case.
pub fn check(cases: &[Case]) -> Result<()> {
    let facts = Facts::of_this_host()?;
    let mut names = BTreeSet::new();
    for case in cases {
        let checked = (|| {
            ensure!(is_name(&case.name), "a name has small letters, digits and single hyphens");
            ensure!(names.insert(case.name.replace('-', "")), "another case has this name, but for a hyphen");
            let rule = case.expect.comments.first().context("`expect` begins with a comment: the rule")?;
            ensure!(rule.starts_with("# ") && rule.len() > 10, "the rule is a sentence: {rule}");
            facts.check(&case.expect.text())
        })();
        checked.with_context(|| format!("tests/cases/{}", case.name))?;
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    name.split('-').all(is_word)
}

/// What is true of this machine, and not of others.
struct Facts {
    /// Texts that are nowhere in an expectation, with what they are.
    texts: Vec<(&'static str, String)>,
}

impl Facts {
    fn of_this_host() -> Result<Self> {
        let of_file = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let busybox = bases::busybox_binary()?.metadata()?.len();
        let mut texts = vec![
            ("an applet of this machine's busybox", "-> busybox".to_owned()),
            ("the size of this machine's busybox", format!(" {busybox}")),
            ("the architecture", std::env::consts::ARCH.to_owned()),
            ("where the repository is", host::repository().display().to_string()),
            ("a temporary folder", format!("{}/", std::env::temp_dir().display()) + ".tmp"),
            ("the kernel's release", of_file("/proc/sys/kernel/osrelease")),
            ("this machine's name", of_file("/proc/sys/kernel/hostname")),
            ("this machine's id", of_file("/etc/machine-id")),
            ("today's date", output(std::process::Command::new("date").arg("+%Y-%m-%d"))?.trim().to_owned()),
        ];
        // A machine may be called by a word that cases have a right to.
        texts.retain(|(_, text)| text.len() > 4 && text.contains(|c: char| !c.is_ascii_lowercase()));
        let architecture = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
        texts.push(("the architecture", format!("={architecture}")));
        Ok(Self { texts })
    }

    fn check(&self, text: &str) -> Result<()> {
        for (what, fact) in &self.texts {
            let line = text.lines().find(|line| contains_word(line, fact));
            ensure!(line.is_none(), "{what} is in an expectation: {}", line.unwrap_or_default());
        }
        Ok(())
    }
}

/// Whether `text` is in the line and not in the midst of a longer word.
fn contains_word(line: &str, text: &str) -> bool {
    let is_inside = |neighbour: Option<char>, edge: Option<char>| {
        neighbour.is_some_and(char::is_alphanumeric) && edge.is_some_and(char::is_alphanumeric)
    };
    line.match_indices(text).any(|(start, _)| {
        let (before, after) = (&line[..start], &line[start + text.len()..]);
        !is_inside(before.chars().next_back(), text.chars().next())
            && !is_inside(after.chars().next(), text.chars().next_back())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_words_and_hyphens() {
        for (name, good) in [("run-2", true), ("a", true), ("A", false), ("a--b", false), ("a_b", false)] {
            assert_eq!(is_name(name), good, "{name}");
        }
    }

    #[test]
    fn facts_are_found_as_words() {
        let facts =
            Facts { texts: vec![("a name", "host1".to_owned()), ("an address", "127.0.0.1:".to_owned())] };
        let cases = [
            ("  /a file 3 \"host1\\n\"", false),
            ("  ghost1 host11", true),
            ("  FROM 127.0.0.1:5000/x", false),
            ("  nothing", true),
        ];
        for (text, good) in cases {
            assert_eq!(facts.check(text).is_ok(), good, "{text}");
        }
    }
}
