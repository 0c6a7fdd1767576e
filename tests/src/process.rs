//! A process that was run to its end.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

/// How a process ended and what it said.
#[derive(Debug, Clone)]
pub struct Finished {
    /// Its exit code, or 128 plus the signal that ended it, as shells count.
    pub code: i32,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

impl Finished {
    /// The same, if it ended well.
    pub fn success(self) -> Result<Self> {
        ensure!(self.code == 0, "exit code {}\nstdout: {}\nstderr: {}", self.code, self.stdout, self.stderr);
        Ok(self)
    }
}

/// Runs a command to its end with nothing on its standard input.
pub fn finish(command: &mut Command) -> Result<Finished> {
    use std::os::unix::process::ExitStatusExt as _;
    let start = Instant::now();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
    let code = output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or(0));
    Ok(Finished {
        code,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        took: start.elapsed(),
    })
}

/// Runs a command that has to succeed; its standard output.
pub fn output(command: &mut Command) -> Result<String> {
    let finished = finish(command)?;
    finished.success().map(|finished| finished.stdout).with_context(|| format!("{command:?}"))
}

/// Asks `ready` again and again until it says yes or the time is over.
pub fn wait_until(limit: Duration, mut ready: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < limit {
        if ready() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    ready()
}
