//! Buildah, as a second builder of the same cases.

use std::process::Command;

use anyhow::Result;
use e2e::Case;
use e2e::process::{Finished, finish};
use e2e::site::Site;
use tempfile::TempDir;

/// A buildah with a storage of its own, in which bases stay from case to case.
pub(super) struct Buildah {
    folder: TempDir,
}

impl Buildah {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { folder: tempfile::tempdir()? })
    }

    /// Builds a case and pushes it, and before it what the case wants built before.
    pub(super) fn build(&self, case: &Case, site: &Site<'_>, reference: &str) -> Result<Finished> {
        for words in &case.expect.before {
            let built = self.build_once(case, site, reference, words)?;
            if built.code != 0 {
                return Ok(built);
            }
        }
        let built = self.build_once(case, site, reference, &[])?;
        if built.code != 0 {
            return Ok(built);
        }
        // What cannot be a layer is found out as late as this.
        let mut push = self.command("push");
        push.args(["--tls-verify=false", reference, &format!("docker://{reference}")]);
        finish(&mut push)
    }

    fn build_once(
        &self,
        case: &Case,
        site: &Site<'_>,
        reference: &str,
        words: &[String],
    ) -> Result<Finished> {
        let mut build = self.command("bud");
        // Docker's format has a place for all that a config can say.
        build.args(["--isolation", "chroot", "--network", "host", "--layers=false", "--format", "docker"]);
        build.args(["--tls-verify=false", "--identity-label=false", "--http-proxy=false", "-t", reference]);
        build.arg("--file").arg(case.folder.join("Dockerfile"));
        build.args(site.arguments()?).args(words).arg(site.folder().join("context"));
        site.set_environment(&mut build);
        finish(&mut build)
    }

    fn command(&self, task: &str) -> Command {
        let mut command = Command::new("buildah");
        command.arg("--root").arg(self.folder.path().join("root"));
        command.arg("--runroot").arg(self.folder.path().join("run"));
        command.args(["--storage-driver", "overlay", task]);
        command.env_remove("SOURCE_DATE_EPOCH");
        command
    }
}

impl Drop for Buildah {
    fn drop(&mut self) {
        // The storage has an overlay mounted on itself, which has to go before the folder can.
        finish(Command::new("umount").arg("-q").arg(self.folder.path().join("root/overlay"))).ok();
    }
}
