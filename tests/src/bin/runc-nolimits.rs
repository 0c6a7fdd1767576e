//! runc for podman on a machine that may not raise resource limits: podman writes limits into every
//! bundle, and runc fails where it lacks `CAP_SYS_RESOURCE`. This drops them and becomes runc.
#![forbid(unsafe_code)]

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "create" || argument == "run") {
        drop_limits(&Path::new(bundle(&arguments)).join("config.json"))?;
    }
    Err(Command::new("runc").args(&arguments).exec()).context("cannot start runc")
}

/// The bundle's folder, in any of the three ways runc lets it be named.
fn bundle(arguments: &[String]) -> &str {
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--bundle" || argument == "-b" {
            return rest.next().map_or(".", String::as_str);
        }
        if let Some(path) = argument.strip_prefix("--bundle=") {
            return path;
        }
    }
    "."
}

fn drop_limits(config: &Path) -> Result<()> {
    let text = std::fs::read(config).with_context(|| format!("read {}", config.display()))?;
    let mut document: Value = serde_json::from_slice(&text)?;
    if let Some(process) = document.get_mut("process").and_then(Value::as_object_mut) {
        process.remove("rlimits");
        process.remove("oomScoreAdj");
    }
    Ok(std::fs::write(config, serde_json::to_vec(&document)?)?)
}
