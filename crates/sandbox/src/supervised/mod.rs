//! The isolation `supervised`: for pods that allow nothing. It needs no privilege at all.
//!
//! A supervisor answers the system calls of a `RUN` that take a path or ask who somebody is; see
//! `docs/decisions/0008-supervised-isolation.md`. This module holds the supervisor, which runs in the helper.

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod access;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod area;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod calls;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod credentials;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod filter;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod furnish;
#[cfg(fuzzing)]
pub mod fuzzing;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod journal;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod machine;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod memory;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod proc;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod program;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod resolve;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod room;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod run;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod serve;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod supervisor;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod task;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod tracer;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) use elsewhere::{rehearse, run};
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) use run::{rehearse, run};

use std::path::Path;

use crate::cancel::Cancel;
use crate::isolation::{Isolation, RootFiles, RootShape, RunError};
use crate::job::Job;
use crate::launch;
use crate::process::{Exit, Network, Process, Stream};

/// Machines for which nobody has written down yet what their calls and registers are.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod elsewhere {
    use std::path::Path;

    use crate::failure::Failure;
    use crate::helper::Helper;
    use crate::process::Process;

    const REASON: &str = "supervise a program: that is written for x86-64 and aarch64 alone";

    pub(crate) fn run(_: &Helper, _: &Process, _: &Path, _: &Path, _: &Path) -> Result<(), Failure> {
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
        let RootFiles::Described { dir, owners, log } = root else {
            let what = "a root without a table of owners";
            return Err(unsupported(what, "it would not know whose its files are"));
        };
        self.check(process, dir)?;
        let job = Job::Supervised {
            process: process.clone(),
            dir: dir.into(),
            owners: owners.into(),
            log: log.into(),
        };
        launch::run(&job, output, cancel)
    }
}

fn unsupported(what: &str, why: &'static str) -> RunError {
    RunError::Unsupported { isolation: NAME, what: what.to_owned(), why }
}
