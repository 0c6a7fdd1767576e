//! The bako binary, as a user starts it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::process::{Finished, finish};

/// Where the program is.
#[derive(Debug, Clone)]
pub struct Bako {
    /// The binary.
    pub program: PathBuf,
}

impl Bako {
    /// The binary that belongs to this build: `BAKO` names it, or else it is beside the running test.
    pub fn built() -> Result<Self> {
        let program = match std::env::var_os("BAKO") {
            Some(path) => PathBuf::from(path),
            None => {
                let executable = std::env::current_exe().context("cannot find my own executable")?;
                let folder = executable.parent().context("an executable is in a folder")?;
                let profile = if folder.ends_with("deps") { folder.parent() } else { Some(folder) };
                profile.context("a test executable is two folders deep")?.join("bako")
            }
        };
        ensure!(program.is_file(), "{} is missing: run `cargo build --bin bako` first", program.display());
        Ok(Self { program })
    }

    /// The program with nothing of this machine's environment that changes what it builds.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.env_remove("SOURCE_DATE_EPOCH").env_remove("DOCKER_CONFIG");
        command
    }

    /// A build of a context; the caller adds the rest of the command line.
    #[must_use]
    pub fn build(&self, context: &Path) -> Command {
        let mut command = self.command();
        command.arg("--context").arg(context);
        command
    }

    /// The isolations for `RUN` that work on this machine, best first, as `bako probe` has them.
    pub fn isolations(&self) -> Result<Vec<String>> {
        let probe = finish(self.command().arg("probe"))?.success()?;
        Ok(parse_probe(&probe.stdout))
    }
}

/// The isolations that work, best first: a line each, its name, and `works` or the reason why not.
#[must_use]
pub fn parse_probe(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(_, outcome)| outcome.starts_with("works")).map(|(name, _)| name.to_owned()).collect()
}

/// The digest that a build printed: one line, and nothing else on standard output.
pub fn digest(build: &Finished) -> Result<String> {
    let line = build.stdout.strip_suffix('\n').unwrap_or(&build.stdout);
    let hex = line.strip_prefix("sha256:").unwrap_or_default();
    ensure!(
        hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "standard output is to be one digest, but is {:?}",
        build.stdout
    );
    Ok(line.to_owned())
}
