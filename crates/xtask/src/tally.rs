//! What the build cases did, added up from the lines they print: how many were built, how often, under
//! which isolations, and which of them leave an isolation out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The sums.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    cases: BTreeSet<String>,
    builds: usize,
    /// How many cases were built under each isolation.
    isolations: BTreeMap<String, usize>,
    /// `CASE: under ISOLATION: REASON`
    left_out: BTreeSet<String>,
}

impl Tally {
    /// Reads `built: CASE: N times under ISOLATION…` and `left out: CASE: under ISOLATION: REASON`, wherever
    /// in a line of a runner's output or of a report they begin.
    pub(crate) fn of(output: &str) -> Self {
        let mut tally = Self::default();
        for line in output.lines() {
            if let Some((_, text)) = line.split_once("left out: ") {
                let text = text.split("</system-").next().unwrap_or(text);
                tally.left_out.insert(text.trim_end().to_owned());
            }
            let Some((case, rest)) = line.split_once("built: ").and_then(|(_, text)| text.split_once(": "))
            else {
                continue;
            };
            let rest = rest.split("</system-").next().unwrap_or(rest);
            let Some((builds, isolations)) = rest.split_once(" times under ") else {
                continue;
            };
            if let Ok(builds) = builds.parse::<usize>()
                && tally.cases.insert(case.to_owned())
            {
                tally.builds += builds;
                for isolation in isolations.split_whitespace() {
                    *tally.isolations.entry(isolation.to_owned()).or_default() += 1;
                }
            }
        }
        tally
    }

    /// Whether no case was run, as with a filter.
    pub(crate) fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let isolations: Vec<String> =
            self.isolations.iter().map(|(name, cases)| format!("{cases} under {name}")).collect();
        let Self { cases, builds, left_out, .. } = self;
        write!(out, "{} build cases ({}), {builds} builds", cases.len(), isolations.join(", "))?;
        left_out.iter().try_for_each(|line| write!(out, "\n  left out: {line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn lines_are_added_up() {
        let output = "built: a: 4 times under ns chroot\nleft out: b: under chroot: has: no mounts\n\
            <system-err>built: b: 6 times under ns</system-err>\nbuilt: a: 4 times under ns chroot\n\
            built: something else\n";
        let expected = "2 build cases (1 under chroot, 2 under ns), 10 builds\n  \
            left out: b: under chroot: has: no mounts";
        assert_eq!(Tally::of(output).to_string(), expected);
        assert!(Tally::of("nothing").is_empty());
    }
}
