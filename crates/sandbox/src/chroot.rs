//! The isolation `chroot`: for root in a container without CAP_SYS_ADMIN, which is what a Kubernetes pod is unless
//! somebody says otherwise.
//!
//! There are no mounts in it, and nothing that honest programs do not respect: root can leave a chroot. What other
//! isolations mount is put into the root before the process starts and taken out again after it.

use crate::cancel::Cancel;
use crate::isolation::{Isolation, RootFiles, RootShape, RunError};
use crate::job::Job;
use crate::launch;
use crate::process::{Exit, Mount, Network, Process, Stream};

const NAME: &str = "chroot";

/// Runs processes under chroot(2).
#[derive(Debug, Clone, Copy, Default)]
pub struct Chroot;

impl Isolation for Chroot {
    fn name(&self) -> &'static str {
        NAME
    }

    fn shape(&self) -> RootShape {
        RootShape::InPlace
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
        let RootFiles::InPlace { dir } = root else {
            return unsupported("a root of several layers", "it cannot mount an overlay");
        };
        if process.network == Network::None {
            return unsupported(
                "--network=none",
                "it shares the network of the container, which only a network namespace could change",
            );
        }
        for mount in &process.mounts {
            if let Mount::Bind { source, target, .. } = mount
                && source.is_dir()
            {
                return unsupported(
                    &format!("the directory mount at {}", target.display()),
                    "it can show single files only, as copies",
                );
            }
        }
        let job = Job::Chroot { process: process.clone(), dir: dir.into() };
        launch::run(&job, output, cancel)
    }
}
