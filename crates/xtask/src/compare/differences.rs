//! The written list of known differences, `tests/differences.md`.
//!
//! A section is a reason; a line ``- `CASE`: WHAT, WHAT`` in it names what differs for that reason. In both, `*`
//! stands for anything.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::Found;

/// The list.
#[derive(Debug, Default)]
pub(super) struct Differences {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    line: usize,
    case: String,
    what: String,
}

impl Differences {
    pub(super) fn read(file: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
        Self::parse(&text).with_context(|| file.display().to_string())
    }

    fn parse(text: &str) -> Result<Self> {
        let mut entries = Vec::new();
        let (mut section, mut has_reason) = (false, false);
        for (number, line) in text.lines().enumerate() {
            let line_number = number + 1;
            if line.starts_with("## ") {
                (section, has_reason) = (true, false);
            }
            let Some(rest) = line.strip_prefix("- `") else {
                has_reason |= section && !line.trim().is_empty() && !line.starts_with('#');
                continue;
            };
            ensure!(has_reason, "line {line_number}: no reason stands before it");
            let (case, rest) =
                rest.split_once("`: ").with_context(|| format!("line {line_number}: no colon"))?;
            for what in rest.split(", ") {
                entries.push(Entry {
                    line: line_number,
                    case: case.to_owned(),
                    what: what.trim().to_owned(),
                });
            }
        }
        Ok(Self { entries })
    }

    /// Whether the list has this difference of this case.
    pub(super) fn covers(&self, case: &str, what: &str) -> bool {
        self.entries.iter().any(|entry| matches(&entry.case, case) && matches(&entry.what, what))
    }

    /// What the list has and nobody found. Lines about cases that were not looked at are passed over, as
    /// are those about many of them unless all were looked at.
    pub(super) fn stale(&self, found: &BTreeMap<String, Found>, all: bool) -> Vec<String> {
        let is_stale = |entry: &&Entry| {
            let of = |case: &&String| matches(&entry.case, case);
            let asked = if all { true } else { found.contains_key(&entry.case) };
            let seen =
                found.keys().filter(of).any(|case| found[case].keys().any(|what| matches(&entry.what, what)));
            asked && !seen
        };
        let stale = self.entries.iter().filter(is_stale);
        stale
            .map(|entry| {
                format!("differences.md:{}: {}: {}: does not differ", entry.line, entry.case, entry.what)
            })
            .collect()
    }
}

/// Whether a text is as a pattern says, in which `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(text) = text.strip_prefix(start) else {
        return false;
    };
    (0..=text.len()).filter(|at| text.is_char_boundary(*at)).any(|at| matches(rest, &text[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str =
        "# Title\n\ntext\n\n## One\n\nA reason.\n\n- `a`: fails\n- `b-*`: tree /x mode, config Env\n";

    #[test]
    fn a_difference_is_known_by_case_and_kind() {
        let list = Differences::parse(LIST).unwrap();
        let cases = [
            ("a", "fails", true),
            ("a", "succeeds", false),
            ("b-1", "tree /x mode", true),
            ("b-1", "tree /x owner", false),
            ("b", "config Env", false),
            ("ab-", "config Env", false),
        ];
        for (case, what, known) in cases {
            assert_eq!(list.covers(case, what), known, "{case}: {what}");
        }
    }

    #[test]
    fn a_line_that_holds_no_more_is_stale() {
        let list = Differences::parse(LIST).unwrap();
        let found =
            |case: &str, what: &str| (case.to_owned(), Found::from([(what.to_owned(), String::new())]));
        let all = BTreeMap::from([found("a", "succeeds"), found("b-1", "config Env")]);
        assert_eq!(
            list.stale(&all, true),
            [
                "differences.md:9: a: fails: does not differ",
                "differences.md:10: b-*: tree /x mode: does not differ"
            ]
        );
        let some = BTreeMap::from([found("a", "fails")]);
        assert!(list.stale(&some, false).is_empty());
    }

    #[test]
    fn a_line_needs_a_reason() {
        assert!(Differences::parse("## One\n\n- `a`: fails\n").is_err());
        assert!(Differences::parse("text\n- `a`: fails\n").is_err());
    }

    #[test]
    fn a_star_is_any_text() {
        for (pattern, text, good) in [
            ("*", "", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "abd", false),
            ("*é", "xé", true),
        ] {
            assert_eq!(matches(pattern, text), good, "{pattern} {text}");
        }
    }
}
