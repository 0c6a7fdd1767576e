//! The isolation `supervised`: for pods that allow nothing. It needs no privilege at all.
//!
//! A supervisor answers the system calls of a `RUN` that take a path or ask who somebody is; see
//! `docs/decisions/0007-supervised-isolation.md`. This module holds the supervisor, which runs in the helper.

mod access;
mod area;
mod calls;
mod credentials;
mod filter;
mod furnish;
mod memory;
mod proc;
mod program;
mod registers;
mod resolve;
mod room;
mod run;
mod serve;
mod supervisor;
mod task;
mod tracer;

pub(crate) use run::{rehearse, run};

use crate::cancel::Cancel;
use crate::isolation::{Isolation, RootFiles, RootShape, RunError};
use crate::job::Job;
use crate::launch;
use crate::process::{Exit, Network, Process, Stream};

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

    fn run(
        &self,
        process: &Process,
        root: &RootFiles,
        output: &mut dyn FnMut(Stream, &[u8]),
        cancel: &Cancel,
    ) -> Result<Exit, RunError> {
        let unsupported =
            |what: &str, why| Err(RunError::Unsupported { isolation: NAME, what: what.to_owned(), why });
        let RootFiles::Described { dir, owners } = root else {
            return unsupported("a root without a table of owners", "it would not know whose its files are");
        };
        if process.network == Network::None {
            return unsupported(
                "--network=none",
                "it shares the network of the container, which only a network namespace could change",
            );
        }
        let job = Job::Supervised { process: process.clone(), dir: dir.into(), owners: owners.into() };
        launch::run(&job, output, cancel)
    }
}
