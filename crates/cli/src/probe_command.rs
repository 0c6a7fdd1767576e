//! `bako probe`: which isolations work here, and why the others do not.

use std::path::PathBuf;
use std::process::ExitCode;

use builder::WorkDir;

use crate::{environment, terminal};

/// Prints the outcome. Fails if no RUN would work.
pub(crate) fn run(work_dir: Option<PathBuf>) -> ExitCode {
    let work_dir = match WorkDir::create(&environment::work_dir(&work_dir)) {
        Ok(work_dir) => work_dir,
        Err(error) => {
            terminal::print_error(&error.to_string());
            return ExitCode::FAILURE;
        }
    };
    let probe = sandbox::probe(work_dir.path());
    terminal::print_result(&probe.to_string());
    let works = probe.ns.is_ok() || probe.chroot.is_ok() || probe.supervised.is_ok();
    if works { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
