//! runc for podman on a machine that may not raise resource limits: podman writes limits into every
//! bundle and for every further process, and runc fails where it lacks `CAP_SYS_RESOURCE`. This drops them and becomes runc.
#![forbid(unsafe_code)]

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "create" || argument == "run") {
        drop_limits(&Path::new(value(&arguments, &["--bundle", "-b"]).unwrap_or(".")).join("config.json"))?;
    }
    if arguments.iter().any(|argument| argument == "exec")
        && let Some(process) = value(&arguments, &["--process", "-p"])
    {
        drop_limits(Path::new(process))?;
    }
    Err(Command::new("runc").args(&arguments).exec()).context("cannot start runc")
}

/// The value of an option, in any of the ways runc lets it be given.
fn value<'a>(arguments: &'a [String], names: &[&str]) -> Option<&'a str> {
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if names.contains(&argument.as_str()) {
            return rest.next().map(String::as_str);
        }
        let given = argument.split_once('=').filter(|(name, _)| names.contains(name));
        if let Some((_, value)) = given {
            return Some(value);
        }
    }
    None
}

/// Takes the limits out of a bundle's configuration, or out of that of one more process.
fn drop_limits(config: &Path) -> Result<()> {
    let text = std::fs::read(config).with_context(|| format!("read {}", config.display()))?;
    let mut document: Value = serde_json::from_slice(&text)?;
    let process =
        if document.get("process").is_some() { document.get_mut("process") } else { Some(&mut document) };
    if let Some(process) = process.and_then(Value::as_object_mut) {
        process.remove("rlimits");
        process.remove("oomScoreAdj");
    }
    Ok(std::fs::write(config, serde_json::to_vec(&document)?)?)
}
