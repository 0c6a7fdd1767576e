//! The isolation `supervised`: for pods that allow nothing. It needs no privilege at all.

use std::path::Path;

use crate::cancel::Cancel;
use crate::isolation::{Isolation, RootFiles, RootShape, RunError, refuse_own_network};
use crate::job::Job;
use crate::launch;
use crate::process::{Exit, Process, Stream};
use crate::trace::Trace;

const NAME: &str = "supervised";

/// Runs processes under a supervisor that answers their system calls.
#[derive(Debug, Clone, Default)]
pub struct Supervised {
    /// Where the calls that were answered are counted, if they are.
    pub trace: Option<Trace>,
}

impl Isolation for Supervised {
    fn name(&self) -> &'static str {
        NAME
    }

    fn shape(&self) -> RootShape {
        RootShape::Described
    }

    fn check(&self, process: &Process, _: &Path) -> Result<(), RunError> {
        refuse_own_network(NAME, process)
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
            traced: self.trace.is_some(),
        };
        launch::run_traced(&job, output, cancel, self.trace.as_ref())
    }
}

fn unsupported(what: &str, why: &'static str) -> RunError {
    RunError::Unsupported { isolation: NAME, what: what.to_owned(), why }
}
