//! `.dockerignore`: `tests/data/ignore.txt`.

mod support;

use dockerfile::{Ignore, IgnoreError, Pattern};
use support::check_table;

/// The context of every case; directories end in a slash.
const CONTEXT: &str = "a.txt b.md #x docs/ docs/README.md foo/ foo/bar/ foo/bar/keep foo/bar/other keepempty/ \
                       sub/ sub/a.txt sub/b.md sub/deep/ sub/deep/a.txt";

#[test]
fn what_is_left() {
    check_table(include_str!("data/ignore.txt"), |patterns| {
        let ignore = match Ignore::parse(patterns) {
            Ok(ignore) => ignore,
            Err(error) => return format!("error: {error}"),
        };
        let paths = CONTEXT.split(' ').map(|path| (path, path.trim_end_matches('/')));
        let left: Vec<&str> =
            paths.filter(|(_, plain)| !ignore.excludes(plain)).map(|(path, _)| path).collect();
        left.join(" ")
    });
}

#[test]
fn skipped_directories_hold_nothing_included() {
    check_table(include_str!("data/ignore_walk.txt"), |input| {
        let (patterns, directory) = input.rsplit_once(" in ").unwrap();
        let ignore = Ignore::parse(patterns).unwrap();
        (if ignore.may_contain_included(directory) { "look" } else { "skip" }).to_owned()
    });
}

#[test]
fn no_case_skips_what_is_left() {
    let table = include_str!("data/ignore.txt");
    for line in table.lines().filter(|line| !line.starts_with("//") && !line.contains("error")) {
        let Some((patterns, _)) = line.rsplit_once(" =>") else { continue };
        let ignore = Ignore::parse(&patterns.replace('¦', "\n")).unwrap();
        for path in CONTEXT.split(' ').map(|path| path.trim_end_matches('/')) {
            let mut parent = path;
            while let Some((above, _)) = parent.rsplit_once('/') {
                parent = above;
                let fine = ignore.excludes(path) || ignore.may_contain_included(parent);
                assert!(fine, "{patterns}: {path} is left, but {parent} is skipped");
            }
        }
    }
}

#[test]
fn errors_name_the_line() {
    let error = IgnoreError { line: 3, reason: "syntax error in pattern \"[\"".to_owned() };
    assert_eq!(Ignore::parse("# x\na\n[\n"), Err(error));
}

#[test]
fn paths_are_bytes() {
    let ignore = Ignore::parse("*.txt\n").unwrap();
    assert!(ignore.excludes(b"\xff\xfe.txt"));
    assert!(!ignore.excludes(b"\xff\xfe.md"));
}

#[test]
fn globs() {
    check_table(include_str!("data/glob.txt"), |input| {
        let (pattern, path) = input.split_once(' ').unwrap();
        match Pattern::new(pattern) {
            Ok(pattern) => (if pattern.matches(path) { "yes" } else { "no" }).to_owned(),
            Err(error) => error.to_string(),
        }
    });
}

#[test]
fn globs_with_double_stars() {
    check_table(include_str!("data/glob_deep.txt"), |input| {
        let (pattern, path) = input.split_once(' ').unwrap();
        match Pattern::with_double_stars(pattern) {
            Ok(pattern) => (if pattern.matches(path) { "yes" } else { "no" }).to_owned(),
            Err(error) => error.to_string(),
        }
    });
}

#[test]
fn globs_tell_where_to_look() {
    for (pattern, directory, expected) in [
        ("a/*/c", "", true),
        ("a/*/c", "a", true),
        ("a/*/c", "b", false),
        ("a/*/c", "a/x", true),
        ("a/*/c", "a/x/c", false),
        ("*.txt", "a", false),
        ("[ab]/x", "b", true),
    ] {
        let found = Pattern::new(pattern).unwrap().may_match_below(directory);
        assert_eq!(found, expected, "{pattern} below {directory}");
    }
}
