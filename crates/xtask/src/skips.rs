//! Tests that could not run here, as they said themselves: `skipped: NAME: REASON` on standard error.

/// One skipped test.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Skip {
    pub(crate) name: String,
    pub(crate) reason: String,
}

impl Skip {
    /// Whether a Debian package would have let it run.
    pub(crate) fn lacks_package(&self) -> bool {
        self.reason.contains("Debian package")
    }
}

/// Finds the lines in tests' output: cargo's own, or nextest's JUnit report.
pub(crate) fn find(output: &str) -> Vec<Skip> {
    let mut skips: Vec<Skip> = output
        .lines()
        .filter_map(|line| {
            // In the report, the first line of an output follows its tag.
            let said = line.split_once("skipped: ")?.1;
            let (name, reason) = said.split_once(": ")?;
            let reason = reason.split("</system-err>").next().unwrap_or(reason);
            Some(Skip { name: name.to_owned(), reason: unescape(reason) })
        })
        .collect();
    skips.sort();
    skips.dedup();
    skips
}

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_in_either_output() {
        let skip = |name: &str, reason: &str| Skip { name: name.to_owned(), reason: reason.to_owned() };
        let cases = [
            ("skipped: a: needs root\nok\n", vec![skip("a", "needs root")]),
            ("<system-err>skipped: a: needs &lt;x&gt;</system-err>", vec![skip("a", "needs <x>")]),
            ("skipped: a::b: no: way\nskipped: a::b: no: way", vec![skip("a::b", "no: way")]),
            ("nothing was skipped", vec![]),
        ];
        for (output, expected) in cases {
            assert_eq!(find(output), expected, "{output:?}");
        }
    }
}
