//! The isolation `ns`: mount, pid, ipc, uts and network namespaces, and an overlay where the kernel allows one.

use serde::{Deserialize, Serialize};

use crate::cancel::Cancel;
use crate::isolation::{Isolation, RootFiles, RootShape, RunError};
use crate::job::{Job, Root};
use crate::launch;
use crate::process::{Exit, Process, Stream};

/// Runs processes in namespaces of their own.
#[derive(Debug, Clone)]
pub struct Namespaces {
    plan: NamespacesPlan,
}

/// In which way namespaces work here: what a rehearsal found out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespacesPlan {
    /// Whether this program must enter a user namespace first; otherwise it has the privilege itself.
    pub user_namespace: bool,
    /// How to mount an overlay with its upper directory in the work directory, or why that is not possible;
    /// then roots are made in place.
    pub overlay: Result<OverlayPlan, crate::Failure>,
    /// Whether a new `/proc` can be mounted. A container that masks parts of its own `/proc` may not mount one that
    /// shows them; then the container's is shown, and with it goes the container's pid namespace.
    pub fresh_proc: bool,
}

/// With which options an overlay works here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlayPlan {
    /// `userxattr`: opaque directories are marked with `user.overlay.opaque` instead of `trusted.overlay.opaque`.
    /// Needed in every user namespace, where without it the mount succeeds and renames later fail with EIO.
    pub user_xattr: bool,
    /// `volatile`: nothing is synced when the overlay is unmounted (Linux 5.10).
    pub volatile: bool,
}

impl Namespaces {
    /// The isolation that works as `plan` says; the user namespace it may need has been entered.
    #[must_use]
    pub fn new(plan: NamespacesPlan) -> Self {
        Namespaces { plan }
    }
}

impl Isolation for Namespaces {
    fn name(&self) -> &'static str {
        "ns"
    }

    fn shape(&self) -> RootShape {
        if self.plan.overlay.is_ok() { RootShape::Stacked } else { RootShape::InPlace }
    }

    fn run(
        &self,
        process: &Process,
        root: &RootFiles,
        output: &mut dyn FnMut(Stream, &[u8]),
        cancel: &Cancel,
    ) -> Result<Exit, RunError> {
        let root = match root {
            RootFiles::InPlace { dir } => Root::InPlace { dir: dir.into() },
            RootFiles::Described { .. } => {
                return Err(RunError::Unsupported {
                    isolation: "ns",
                    what: "a root with a table of owners".into(),
                    why: "the kernel holds the owners",
                });
            }
            RootFiles::Stacked { lower, upper, work } => Root::Stacked {
                lower: lower.iter().map(Into::into).collect(),
                upper: upper.into(),
                work: work.into(),
            },
        };
        let job = Job::Namespaces { process: process.clone(), root, plan: self.plan.clone() };
        launch::run(&job, output, cancel)
    }
}
