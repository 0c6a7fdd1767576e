//! Cargo, started from within itself.

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
    let status = cargo(&["build", "--bin", "bako", "--profile", profile]).status().context("start cargo")?;
    ensure!(status.success(), "bako does not compile");
    // This program was built by the same cargo for the same target: it is in TARGET/debug.
    let executable = std::env::current_exe()?;
    let target = executable.parent().and_then(|folder| folder.parent()).context("no target folder")?;
    let folder = if profile == "dev" { "debug" } else { profile };
    let program = target.join(folder).join("bako");
    ensure!(program.is_file(), "cargo did not leave {}", program.display());
    Ok(Bako { program })
}
