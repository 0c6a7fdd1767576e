//! Tables: test cases as lines of a file, `input => expected`, where `¦` stands for a line's end and lines
//! that start with `//` are comments.

/// Runs a check for each line of a table, and says which lines failed.
pub(crate) fn check_table(table: &str, check: impl Fn(&str) -> String) {
    let mut cases = 0;
    let mut failures = Vec::new();
    for (index, line) in table.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with("//") {
            continue;
        }
        let number = index + 1;
        let Some((input, expected)) = line.rsplit_once(" =>") else {
            panic!("line {number} of the table has no =>: {line}")
        };
        let expected = expected.strip_prefix(' ').unwrap_or(expected);
        let found = check(&input.replace('¦', "\n")).replace('\n', "¦");
        if found != expected {
            failures.push(format!("line {number}: {input}\n  expected {expected}\n  found    {found}"));
        }
        cases += 1;
    }
    assert!(cases > 0, "the table is empty");
    assert!(failures.is_empty(), "{} of {cases} cases failed\n{}", failures.len(), failures.join("\n"));
}

/// The environment written before ` :: `, as `A=1;B=`, upon one that every case has.
#[allow(dead_code)]
pub(crate) fn with_environment(input: &str) -> (impl Fn(&str) -> Option<String>, &str) {
    let (pairs, rest) = input.split_once(":: ").unwrap_or(("", input));
    let pairs = format!("HOME=/home;SHELL=bash;KOREAN=한국어;EMPTY=;{}", pairs.trim());
    let lookup = move |name: &str| {
        let mut values = pairs.split(';').filter_map(|pair| pair.split_once('='));
        values.rfind(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
    };
    (lookup, rest)
}
