//! Namespaces: the helper's part of the isolation `ns`.

use std::fs::File;

use nix::sched::{CloneFlags, unshare};
use rustix::process::{
    Pid, Signal, WaitOptions, set_child_subreaper, set_parent_process_death_signal, waitpid,
};

use super::supervise::{ChildSignal, Scope, supervise};
use super::{Helper, capabilities, no_sync, program, view};
use crate::failure::{During, Failure};
use crate::job::{Report, Root};
use crate::namespaces::NamespacesPlan;
use crate::process::{Network, Process};

/// Runs `process`; reports how it ended.
pub(super) fn run(
    helper: &Helper,
    process: &Process,
    root: &Root,
    plan: &NamespacesPlan,
) -> Result<(), Failure> {
    let mut namespaces = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
    if process.network == Network::None {
        namespaces |= CloneFlags::CLONE_NEWNET;
    }
    if plan.fresh_proc {
        namespaces |= CloneFlags::CLONE_NEWPID;
    }
    unshare(namespaces).during("unshare")?;
    if !plan.fresh_proc {
        // Without a /proc of its own a pid namespace would make /proc/$$ somebody else's.
        set_child_subreaper(Some(Pid::INIT)).during("PR_SET_CHILD_SUBREAPER")?;
        return inside(helper, process, root, plan);
    }
    let first = helper.fork(|| {
        // Process 1 of the new pid namespace: when it is gone, so is everything in there.
        set_parent_process_death_signal(Some(Signal::KILL)).during("PR_SET_PDEATHSIG")?;
        inside(helper, process, root, plan)
    })?;
    // The outputs end when the namespace does; not with us.
    forget_outputs()?;
    let _ = rustix::io::retry_on_intr(|| waitpid(Some(first), WaitOptions::empty()));
    Ok(())
}

/// In the new namespaces: makes the root, starts the process, stays with it.
fn inside(helper: &Helper, process: &Process, root: &Root, plan: &NamespacesPlan) -> Result<(), Failure> {
    let _in_use = view::make(helper, process, root, plan)?;
    match nix::unistd::sethostname(&process.hostname) {
        // A seccomp profile may refuse this and nothing else, as podman's does.
        Ok(()) | Err(nix::Error::EPERM) => {}
        Err(error) => return Err(error).during("sethostname"),
    }
    no_sync::install();
    capabilities::limit()?;
    let children = ChildSignal::block()?;
    let main = helper.fork(|| program::become_program(helper, process))?;
    forget_outputs()?;
    let scope = if plan.fresh_proc { Scope::PidNamespace } else { Scope::Descendants };
    let exit = supervise(helper, &children, main, scope)?;
    helper.report(&Report::Exited(exit));
    Ok(())
}

/// Lets go of the pipes that the process writes to, so that they end with it.
pub(crate) fn forget_outputs() -> Result<(), Failure> {
    let null = File::options().write(true).open("/dev/null").during("open /dev/null")?;
    rustix::stdio::dup2_stdout(&null).during("redirect standard output")?;
    rustix::stdio::dup2_stderr(&null).during("redirect standard error")
}
