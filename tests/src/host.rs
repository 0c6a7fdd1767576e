//! The machine the tests run on: which tools it has, and how a test says that it cannot run here.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Finds a program on `PATH` or in the folders of administrators' tools, which a user's `PATH` leaves out.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// Whether we are root.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether this is a CI run, in which a missing tool is a failure and not a skip.
#[must_use]
pub fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}

/// The Debian package that has `program`.
fn package(program: &str) -> &str {
    match program {
        "busybox" => "busybox-static",
        "newuidmap" => "uidmap",
        "tinyproxy" => "tinyproxy-bin",
        other => other,
    }
}

/// What of `needs`, names of programs or `root`, is not here; nothing if all is.
#[must_use]
pub fn missing(needs: &[&str]) -> Option<String> {
    let missing: Vec<String> = needs
        .iter()
        .filter_map(|need| match *need {
            "root" => (!is_root()).then(|| "root".to_owned()),
            program => find(program).is_none().then(|| format!("the Debian package {}", package(program))),
        })
        .collect();
    let reason = format!("needs {}", missing.join(", "));
    if missing.is_empty() {
        return None;
    }
    assert!(!in_ci(), "in CI nothing may be missing, but this test {reason}");
    Some(reason)
}

/// Whether all of `needs` is here. If not, the test that asked is reported as skipped, and its caller
/// returns; in CI it fails, as CI installs what the tests need.
#[must_use]
pub fn require(needs: &[&str]) -> bool {
    match missing(needs) {
        None => true,
        Some(reason) => {
            skip(&reason);
            false
        }
    }
}

/// Cargo's target folder, which the running executable is in; the folder of a target triple within it has
/// the same mark.
pub fn target_folder() -> Result<PathBuf> {
    let executable = std::env::current_exe()?;
    let target = executable.ancestors().filter(|folder| folder.join("CACHEDIR.TAG").is_file()).last();
    target.map(Path::to_owned).context("the executable is not below a target folder")
}

/// Where `cargo xtask test` puts programs that npm has: below cargo's target folder.
pub fn npm_folder() -> Result<PathBuf> {
    Ok(target_folder()?.join("npm"))
}

/// Finds a program that came with npm, there or on `PATH`.
#[must_use]
pub fn npm_program(name: &str) -> Option<PathBuf> {
    let own = npm_folder().ok().map(|folder| folder.join("node_modules/.bin").join(name));
    own.filter(|file| file.is_file()).or_else(|| find(name))
}

/// Reports the running test as skipped: one line of its output, which `cargo xtask test` collects.
pub fn skip(reason: &str) {
    eprintln!("skipped: {reason}");
}

/// The same for a test that is its own runner, whose output does not say whose it is.
pub fn skip_named(name: &str, reason: &str) {
    eprintln!("skipped: {name}: {reason}");
}

/// The repository's root: the parent of this package.
#[must_use]
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package is a folder of the repository")
}
