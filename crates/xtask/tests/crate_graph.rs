//! Holds the arrows between our crates to the table in `docs/architecture.md`: a new one is a decision, made there.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

const PAGE: &str = include_str!("../../../docs/architecture.md");

/// What each crate may use of ours: rows like ``| `cache` | what it is | `layer` `oci` |``. Arrows for tests alone are
/// not in it.
fn written() -> BTreeMap<String, BTreeSet<String>> {
    let quoted =
        |cell: &str| -> Vec<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let (_, table) = PAGE.split_once("\n| crate |").expect("the page has the table");
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let name = quoted(cells[0]).into_iter().next().expect("a row begins with a crate");
        (name, quoted(cells[cells.len() - 1]).into_iter().collect())
    })
    .collect()
}

#[test]
fn arrows_are_as_written() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .output()
        .expect("cargo runs, since it has started this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    let name = |value: &serde_json::Value| value["name"].as_str().unwrap_or_default().to_owned();

    let packages = list(&metadata["packages"]);
    let ours: BTreeSet<String> = packages.iter().map(name).collect();
    let found: BTreeMap<String, BTreeSet<String>> = packages
        .iter()
        .map(|package| {
            let used = list(&package["dependencies"]);
            let used = used.iter().filter(|used| used["kind"].is_null()).map(name);
            (name(package), used.filter(|used| ours.contains(used)).collect())
        })
        .collect();
    assert_eq!(found, written());
}
