//! The isolation `chroot`: for root in a container without CAP_SYS_ADMIN, which is what a Kubernetes pod is unless
//! somebody says otherwise.
//!
//! There are no mounts in it, and nothing that honest programs do not respect: root can leave a chroot. What other
//! isolations mount is put into the root before the process starts and taken out again after it.

use std::path::Path;

use crate::cancel::Cancel;
use crate::helper::is_in_memory;
use crate::isolation::{Isolation, RootFiles, RootShape, RunError, refuse_own_network};
use crate::job::Job;
use crate::launch;
use crate::mount::Mount;
use crate::process::{Exit, Process, Stream};

const NAME: &str = "chroot";

/// Runs processes under chroot(2).
///
/// In place of a mount, a directory whose writes are kept is moved into the root and back, so it can be in one run
/// at a time; of anything else, a copy is put there. Where moving is not possible since the root is on another
/// filesystem, it is copied back as well. What is to be read only is written to in vain.
#[derive(Debug, Clone, Copy, Default)]
pub struct Chroot;

impl Isolation for Chroot {
    fn name(&self) -> &'static str {
        NAME
    }

    fn shape(&self) -> RootShape {
        RootShape::InPlace
    }

    fn check(&self, process: &Process, directory: &Path) -> Result<(), RunError> {
        refuse_own_network(NAME, process)?;
        let secret = process.mounts.iter().find(|mount| matches!(mount, Mount::Secret { .. }));
        match secret {
            Some(secret) if !is_in_memory(directory).is_ok_and(|in_memory| in_memory) => Err(unsupported(
                &format!("the secret {}", secret.target().display()),
                "it cannot mount, so the file would be on a disk; give the secret as a variable (env=NAME), let \
                 --work-dir be on a tmpfs, or use the isolation ns",
            )),
            _ => Ok(()),
        }
    }

    fn run(
        &self,
        process: &Process,
        root: &RootFiles,
        output: &mut dyn FnMut(Stream, &[u8]),
        cancel: &Cancel,
    ) -> Result<Exit, RunError> {
        let RootFiles::InPlace { dir } = root else {
            return Err(unsupported("a root of several layers", "it cannot mount an overlay"));
        };
        self.check(process, dir)?;
        let job = Job::Chroot { process: process.clone(), dir: dir.into() };
        launch::run(&job, output, cancel)
    }
}

fn unsupported(what: &str, why: &'static str) -> RunError {
    RunError::Unsupported { isolation: NAME, what: what.to_owned(), why }
}
