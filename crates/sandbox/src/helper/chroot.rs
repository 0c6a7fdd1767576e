//! Chroot: the helper's part of the isolation `chroot`.

use std::path::Path;

use rustix::process::{Pid, set_child_subreaper};

use super::aside::Aside;
use super::namespaces::forget_outputs;
use super::supervise::{ChildSignal, Scope, supervise};
use super::{Helper, capabilities, no_sync, program};
use crate::failure::{During, Failure};
use crate::job::Report;
use crate::process::{Exit, Process};

/// Runs `process` in the root at `dir`; reports how it ended.
pub(super) fn run(helper: &Helper, process: &Process, dir: &Path) -> Result<(), Failure> {
    set_child_subreaper(Some(Pid::INIT)).during("PR_SET_CHILD_SUBREAPER")?;
    let mut aside = Aside::new(dir)?;
    let exit = furnish(helper, &mut aside, process).and_then(|()| start(helper, process, dir));
    // Whatever happened, the root is made what it was.
    if let Err(failure) = aside.restore() {
        helper.report(&Report::NotRestored(failure));
    }
    helper.report(&Report::Exited(exit?));
    Ok(())
}

/// Puts into the root what other isolations mount. `/proc` and `/sys` stay empty, and what is written there does
/// not stay in the image.
fn furnish(helper: &Helper, aside: &mut Aside, process: &Process) -> Result<(), Failure> {
    aside.devices()?;
    aside.empty_directory("/proc".as_ref(), 0o555)?;
    aside.empty_directory("/sys".as_ref(), 0o555)?;
    process.mounts.iter().try_for_each(|mount| aside.mount(helper, mount))?;
    aside.keep_times()
}

/// Starts the process and stays with it. We remain outside, where the way back is.
fn start(helper: &Helper, process: &Process, dir: &Path) -> Result<Exit, Failure> {
    no_sync::install();
    capabilities::limit()?;
    let children = ChildSignal::block()?;
    let main = helper.fork(|| {
        rustix::process::chroot(dir).during(format_args!("chroot to {}", dir.display()))?;
        std::env::set_current_dir("/").during("enter the root")?;
        program::become_program(helper, process)
    })?;
    forget_outputs()?;
    supervise(helper, &children, main, Scope::Descendants)
}
