//! The isolation `supervised`: for pods that allow nothing. It needs no privilege at all.
//!
//! A supervisor answers the system calls of a `RUN` that take a path or ask who somebody is; see
//! `docs/decisions/0008-supervised-isolation.md`. This module holds the supervisor, which runs in the helper.

#[cfg(target_arch = "x86_64")]
mod access;
#[cfg(target_arch = "x86_64")]
mod area;
#[cfg(target_arch = "x86_64")]
mod calls;
#[cfg(target_arch = "x86_64")]
mod credentials;
#[cfg(target_arch = "x86_64")]
mod filter;
#[cfg(target_arch = "x86_64")]
mod furnish;
#[cfg(target_arch = "x86_64")]
mod memory;
#[cfg(target_arch = "x86_64")]
mod proc;
#[cfg(target_arch = "x86_64")]
mod program;
#[cfg(target_arch = "x86_64")]
mod registers;
#[cfg(target_arch = "x86_64")]
mod resolve;
#[cfg(target_arch = "x86_64")]
mod room;
#[cfg(target_arch = "x86_64")]
mod run;
#[cfg(target_arch = "x86_64")]
mod serve;
#[cfg(target_arch = "x86_64")]
mod supervisor;
#[cfg(target_arch = "x86_64")]
mod task;
#[cfg(target_arch = "x86_64")]
mod tracer;

#[cfg(not(target_arch = "x86_64"))]
pub(crate) use elsewhere::{rehearse, run};
#[cfg(target_arch = "x86_64")]
pub(crate) use run::{rehearse, run};

use std::path::Path;

use crate::cancel::Cancel;
use crate::isolation::{Isolation, RootFiles, RootShape, RunError};
use crate::job::Job;
use crate::launch;
use crate::process::{Exit, Network, Process, Stream};

/// Machines for which nobody has written down yet what their calls and registers are.
#[cfg(not(target_arch = "x86_64"))]
mod elsewhere {
    use std::path::Path;

    use crate::failure::Failure;
    use crate::helper::Helper;
    use crate::process::Process;

    const REASON: &str = "supervise a program: that is written for x86-64 alone";

    pub(crate) fn run(_: &Helper, _: &Process, _: &Path, _: &Path) -> Result<(), Failure> {
        Err(Failure::because(REASON))
    }

    pub(crate) fn rehearse(_: &Helper, _: &Path) -> Result<(), Failure> {
        Err(Failure::because(REASON))
    }
}

const NAME: &str = "supervised";

/// Runs processes under a supervisor that answers their system calls.
#[derive(Debug, Clone, Copy, Default)]
pub struct Supervised;

impl Isolation for Supervised {
    fn name(&self) -> &'static str {
        NAME
    }

    fn shape(&self) -> RootShape {
        RootShape::Described
    }

    fn check(&self, process: &Process, _: &Path) -> Result<(), RunError> {
        if process.network == Network::None {
            return Err(unsupported(
                "--network=none",
                "it shares the network of the container, which only a network namespace could change",
            ));
        }
        Ok(())
    }

    fn run(
        &self,
        process: &Process,
        root: &RootFiles,
        output: &mut dyn FnMut(Stream, &[u8]),
        cancel: &Cancel,
    ) -> Result<Exit, RunError> {
        let RootFiles::Described { dir, owners } = root else {
            let what = "a root without a table of owners";
            return Err(unsupported(what, "it would not know whose its files are"));
        };
        self.check(process, dir)?;
        let job = Job::Supervised { process: process.clone(), dir: dir.into(), owners: owners.into() };
        launch::run(&job, output, cancel)
    }
}

fn unsupported(what: &str, why: &'static str) -> RunError {
    RunError::Unsupported { isolation: NAME, what: what.to_owned(), why }
}
