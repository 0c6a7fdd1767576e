//! Tests that could not run here, as they said themselves: `skipped: REASON` in their output.

/// One skipped test.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Skip {
    pub(crate) name: String,
    pub(crate) reason: String,
}

impl Skip {
    /// Whether a Debian package would have let it run.
    pub(crate) fn lacks_package(&self) -> bool {
        ["Debian package", "not installed"].iter().any(|words| self.reason.contains(words))
    }
}

/// Finds skipped tests in what cargo's runner printed, or in nextest's JUnit report. Both say whose output
/// follows; a line that belongs to nobody, as a test that is its own runner prints it, has the name in it.
pub(crate) fn find(output: &str) -> Vec<Skip> {
    let mut skips = Vec::new();
    let mut running: Option<String> = None;
    for line in output.lines() {
        if let Some(name) = header(line) {
            running = Some(name);
        } else if line.trim().is_empty() || line.starts_with("running ") {
            running = running.filter(|_| !line.starts_with("running "));
        }
        if let Some(name) = ignored(line) {
            skips.push(split(&name).unwrap_or(Skip { name, reason: "ignored".to_owned() }));
            continue;
        }
        let Some((_, said)) = line.split_once("skipped: ").filter(|_| !line.contains("<testcase ")) else {
            continue;
        };
        let said = unescape(said.split("</system-").next().unwrap_or(said));
        skips.push(match (&running, said.split_once(": ")) {
            (Some(name), Some((first, reason))) if first == name => {
                Skip { name: name.clone(), reason: reason.to_owned() }
            }
            (Some(name), _) => Skip { name: name.clone(), reason: said },
            (None, Some((name, reason))) => Skip { name: name.to_owned(), reason: reason.to_owned() },
            (None, None) => Skip { name: "a test".to_owned(), reason: said },
        });
    }
    skips.sort();
    skips.dedup();
    skips
}

/// A test that is only named because it cannot run: its name is `WHAT: skipped: REASON`.
pub(crate) fn split(name: &str) -> Option<Skip> {
    let (name, reason) = name.split_once(": skipped: ")?;
    Some(Skip { name: name.to_owned(), reason: reason.to_owned() })
}

/// The name in `<testcase name="NAME" …>` or `---- NAME stdout ----`.
fn header(line: &str) -> Option<String> {
    if let Some((_, rest)) = line.split_once("<testcase name=\"") {
        return rest.split('"').next().map(unescape);
    }
    let name = line.strip_prefix("---- ")?.strip_suffix(" stdout ----")?;
    Some(name.to_owned())
}

/// The name in `test NAME ... ignored`.
fn ignored(line: &str) -> Option<String> {
    let (name, _) = line.strip_prefix("test ")?.split_once(" ... ignored")?;
    Some(name.trim().to_owned())
}

fn unescape(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    text.replace("&apos;", "'").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_are_found_in_either_output() {
        let skip = |name: &str, reason: &str| Skip { name: name.to_owned(), reason: reason.to_owned() };
        let cases = [
            ("---- a::b stdout ----\nskipped: no root\n", vec![skip("a::b", "no root")]),
            ("---- a stdout ----\nskipped: a: no: root\n", vec![skip("a", "no: root")]),
            ("running 3 tests\nskipped: a: needs root\nok\n", vec![skip("a", "needs root")]),
            ("---- a stdout ----\nx\n\nrunning 1 test\nskipped: b: c\n", vec![skip("b", "c")]),
            (
                "<testcase name=\"a\" x=\"\">\n<system-err>skipped: needs &lt;x&gt;</system-err>",
                vec![skip("a", "needs <x>")],
            ),
            ("test ns: skipped: not allowed ... ignored\n", vec![skip("ns", "not allowed")]),
            ("nothing was skipped", vec![]),
        ];
        for (output, expected) in cases {
            assert_eq!(find(output), expected, "{output:?}");
        }
    }
}
