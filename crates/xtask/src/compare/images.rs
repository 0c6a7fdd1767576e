//! Two images, side by side: each difference has a name, `tree PATH WHAT` or `config KEY`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use e2e::Image;
use e2e::site::EPOCH;
use e2e::tree::Entry;
use serde_json::Value;

use super::Found;

/// What Docker's form of a config says of the container that built it.
const OF_THE_BUILDER: &[&str] = &["Hostname", "Domainname", "Image"];

/// Everything in which `theirs` is not as `ours`.
pub(super) fn compare(ours: &Image, theirs: &Image) -> Result<Found> {
    let (one, two) = (ours.entries()?, theirs.entries()?);
    let mut found = Found::new();
    let names: BTreeSet<&String> = one.keys().chain(two.keys()).collect();
    for name in names {
        match (one.get(name), two.get(name)) {
            (Some(entry), None) => {
                found.insert(format!("tree {name} missing"), format!("here {entry}"));
            }
            (None, Some(entry)) => {
                found.insert(format!("tree {name} more"), format!("there {entry}"));
            }
            (Some(ours), Some(theirs)) => entry(name, ours, theirs, &mut found)?,
            (None, None) => {}
        }
    }
    config(&ours.config, &theirs.config, &mut found);
    Ok(found)
}

fn entry(name: &str, ours: &Entry, theirs: &Entry, found: &mut Found) -> Result<()> {
    let mut differ = |what: &str, ours: &str, theirs: &str| {
        if ours != theirs {
            found.insert(format!("tree {name} {what}"), format!("here {ours:?}, there {theirs:?}"));
        }
    };
    if ours.kind != theirs.kind {
        differ("type", &ours.to_string(), &theirs.to_string());
        return Ok(());
    }
    differ("mode", &ours.mode, &theirs.mode);
    differ("owner", &ours.owner, &theirs.owner);
    differ("hard link", ours.first.as_deref().unwrap_or("-"), theirs.first.as_deref().unwrap_or("-"));
    differ("attributes", &ours.attributes.join(" "), &theirs.attributes.join(" "));
    let same_bytes = || -> Result<bool> { Ok(std::fs::read(&ours.path)? == std::fs::read(&theirs.path)?) };
    if ours.what != theirs.what {
        differ("contents", &ours.what, &theirs.what);
    } else if ours.kind == "file" && !same_bytes()? {
        differ("contents", "these bytes", "others");
    }
    // Folders have the time of whatever was last done in them, which is the build's own affair.
    if ours.kind != "dir" {
        differ("time", &time(ours), &time(theirs));
    }
    Ok(())
}

/// A time that is not the build's own.
fn time(entry: &Entry) -> String {
    if entry.time >= EPOCH { "of the build".to_owned() } else { entry.time.to_string() }
}

/// What configs say of an image that runs; empty values are as good as none.
fn config(ours: &Value, theirs: &Value, found: &mut Found) {
    let said = |document: &Value| -> BTreeMap<String, Value> {
        let top = ["author", "os", "architecture"].map(|key| (key.to_owned(), document[key].clone()));
        let inner = document["config"].as_object().into_iter().flatten();
        let inner = inner.map(|(key, value)| (key.clone(), value.clone()));
        // No working directory is the root.
        let is_root = |key: &str, value: &Value| key == "WorkingDir" && value == "/";
        let is_said = |(key, value): &(String, Value)| {
            !OF_THE_BUILDER.contains(&key.as_str()) && !is_empty(value) && !is_root(key, value)
        };
        top.into_iter().chain(inner).filter(is_said).collect()
    };
    let (ours, theirs) = (said(ours), said(theirs));
    let keys: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    for key in keys {
        let (one, two) = (ours.get(key), theirs.get(key));
        if one != two {
            let shown = |value: Option<&Value>| value.map_or("-".to_owned(), Value::to_string);
            found.insert(format!("config {key}"), format!("here {}, there {}", shown(one), shown(two)));
        }
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn empty_values_are_none() {
        let ours = json!({"os": "linux", "config": {"Env": ["A=1"], "WorkingDir": "/", "Labels": {"a": "1", "b": "2"}}});
        let same = json!({"os": "linux", "author": "", "config": {
            "Labels": {"b": "2", "a": "1"}, "Env": ["A=1"], "Tty": false, "OnBuild": [], "Volumes": null}});
        let other = json!({"os": "linux", "config": {"Env": ["A=2"], "User": "x"}});
        let check = |theirs: &Value| {
            let mut found = Found::new();
            config(&ours, theirs, &mut found);
            found.into_keys().collect::<Vec<_>>().join(", ")
        };
        assert_eq!(check(&same), "");
        assert_eq!(check(&other), "config Env, config Labels, config User");
    }
}
