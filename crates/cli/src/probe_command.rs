//! `bako probe`: which isolations work here, and why the others do not.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::{environment, terminal};

/// Prints the outcome. Fails if no RUN would work.
pub(crate) fn run(work_dir: Option<PathBuf>) -> ExitCode {
    let work_dir = environment::work_dir(work_dir);
    let probe = sandbox::probe(&work_dir);
    terminal::print_result(&probe.to_string());
    if probe.ns.is_ok() || probe.chroot.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
