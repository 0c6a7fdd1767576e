//! Holds the arrows between our crates to the list in `docs/architecture.md`: a new one is a decision, made
//! there and here.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// What each crate may use of ours. Arrows for tests alone are not counted.
const GRAPH: [(&str, &[&str]); 24] = [
    (
        "builder",
        &[
            "cache",
            "dockerfile",
            "download",
            "git",
            "layer",
            "layout",
            "oci",
            "registry",
            "rootfs",
            "sandbox",
            "transport",
        ],
    ),
    ("cache", &["layer", "layout", "oci", "registry"]),
    (
        "cli",
        &[
            "builder",
            "cache",
            "cloud",
            "credentials",
            "download",
            "images",
            "objects",
            "oci",
            "registry",
            "resolve",
            "sandbox",
            "server",
            "yaml",
        ],
    ),
    ("cloud", &["transport"]),
    ("credentials", &["cloud", "transport"]),
    ("dockerfile", &[]),
    ("download", &["transport"]),
    ("e2e", &[]),
    ("git", &["transport"]),
    ("images", &["layout", "oci", "registry", "yaml"]),
    ("layer", &["oci"]),
    ("layout", &["oci"]),
    ("objects", &["cloud", "download", "transport"]),
    ("oci", &[]),
    ("owners", &[]),
    ("registry", &["credentials", "oci", "transport"]),
    ("resolve", &["oci", "registry", "yaml"]),
    ("rootfs", &["layer", "owners"]),
    ("sandbox", &["owners"]),
    ("server", &["layout", "oci"]),
    ("testkit", &["layout", "oci", "server"]),
    ("transport", &[]),
    ("xtask", &["dockerfile", "e2e"]),
    ("yaml", &[]),
];

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
    let written: BTreeMap<String, BTreeSet<String>> = GRAPH
        .iter()
        .map(|(name, used)| ((*name).to_owned(), used.iter().map(|used| (*used).to_owned()).collect()))
        .collect();
    assert_eq!(found, written);
}
