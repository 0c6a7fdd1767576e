//! The helper: this program, started again by itself to do one job with one thread and an empty environment.

pub(crate) mod aside;
pub(crate) mod capabilities;
mod chroot;
pub(crate) mod copy;
pub(crate) mod in_use;
pub(crate) mod mounts;
pub(crate) mod namespaces;
mod no_sync;
pub(crate) mod program;
mod read_only;
mod rehearsal;
mod supervise;
mod view;

pub(crate) use mounts::is_in_memory;

use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream;
use std::process::exit;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use crate::failure::{During, Failure};
use crate::job::{self, HELPER_WORD, Job, READ_ONLY_WORD, Report};
use crate::supervised;
use crate::sys::{self, Close, SingleThreaded};

/// If this program was started as its own helper, does the helper's job and does not return.
///
/// To be called first in `main`: before a thread is started, a file opened or an argument parsed.
pub fn init_if_asked() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|word| word == HELPER_WORD) {
        if arguments.next().is_none_or(|word| word != READ_ONLY_WORD) {
            read_only::exec_again();
        }
        exit(help());
    }
}

/// The helper from start to end. Its exit status says nothing; what there is to say was reported.
fn help() -> i32 {
    let Ok((helper, job)) = begin() else { return 1 };
    let result = match job {
        Job::Namespaces { process, root, plan } => namespaces::run(&helper, &process, &root, &plan),
        Job::Chroot { process, dir } => chroot::run(&helper, &process, dir.as_ref()),
        Job::Supervised { process, dir, owners, log, traced } => {
            supervised::run(&helper, &process, dir.as_ref(), owners.as_ref(), log.as_ref(), traced)
        }
        Job::RehearseNamespaces { work_dir, user_namespace } => {
            rehearsal::namespaces(&helper, work_dir.as_ref(), user_namespace)
                .map(|plan| helper.report(&Report::NamespacesWork(plan)))
        }
        Job::RehearseChroot { work_dir } => {
            rehearsal::chroot(&helper, work_dir.as_ref()).map(|()| helper.report(&Report::ChrootWorks))
        }
        Job::RehearseSupervised { work_dir } => {
            supervised::rehearse(&helper, work_dir.as_ref()).map(|()| helper.report(&Report::SupervisedWorks))
        }
    };
    if let Err(failure) = result {
        helper.report(&Report::Failed(failure));
        return 1;
    }
    0
}

/// What every part of the helper works with.
#[derive(Debug)]
pub(crate) struct Helper {
    /// To the program that started us: signals come in, reports go out.
    pub(crate) socket: UnixStream,
    single: SingleThreaded,
}

impl Helper {
    /// Reports to the program. If that is gone nobody wants to know.
    pub(crate) fn report(&self, report: &Report) {
        let _ = job::send_report(&self.socket, report);
    }

    /// Forks, and does not come back in the child: `child` does its work and what it fails with is reported.
    pub(crate) fn fork(
        &self,
        child: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<rustix::process::Pid, Failure> {
        if let Some(pid) = self.single.fork().during("fork")? {
            return Ok(pid);
        }
        if let Err(failure) = child() {
            self.report(&Report::Failed(failure));
            exit(1);
        }
        exit(0)
    }
}

/// Takes the socket from standard input, leaves the terminal's process group, and reads the job.
fn begin() -> io::Result<(Helper, Job)> {
    sys::close_from_three(Close::Inherited)?;
    let single = SingleThreaded::check()?;
    // A ^C in the terminal is for the program, which then tells us.
    let _ = rustix::process::setsid();
    let socket = UnixStream::from(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?);
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    let job = job::receive_job(&socket)?;
    if matches!(job, Job::Namespaces { .. } | Job::Chroot { .. } | Job::Supervised { .. }) {
        // A process that shares our pid namespace finds nothing to read in us.
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    }
    Ok((Helper { socket, single }, job))
}
