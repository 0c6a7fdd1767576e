//! Cargo, started from within itself.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use e2e::{Bako, host};

/// A cargo command at the repository's root.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(host::repository());
    command
}

/// Builds the binary in a profile (`dev`, `release`), with cargo's progress on the terminal.
pub(crate) fn build_bako(profile: &str) -> Result<Bako> {
    build_bako_for(None, profile)
}

/// The same for a target, or this machine.
pub(crate) fn build_bako_for(triple: Option<&str>, profile: &str) -> Result<Bako> {
    let mut command = cargo(&["build", "--bin", "bako", "--profile", profile]);
    command.args(triple.iter().flat_map(|triple| ["--target", triple]));
    let status = command.status().context("start cargo")?;
    ensure!(status.success(), "bako does not compile");
    // This program was built by the same cargo: it is in FOLDER/TARGET/debug.
    let executable = std::env::current_exe()?;
    let own = executable.parent().and_then(Path::parent).context("no target folder")?;
    let folder = match triple {
        Some(triple) => own.parent().context("no target folder")?.join(triple),
        None => own.to_owned(),
    };
    let program = folder.join(if profile == "dev" { "debug" } else { profile }).join("bako");
    ensure!(program.is_file(), "cargo did not leave {}", program.display());
    Ok(Bako { program })
}
