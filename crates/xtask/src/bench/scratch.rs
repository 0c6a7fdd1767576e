//! A filesystem of its own for each build, so that no build pays for the files another has left or removed.
//!
//! An ext4 remembers what was deleted lately, and creates files more slowly for minutes after; a builder that
//! removes a large root would slow down the one after it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use e2e::process::{finish, output};
use tempfile::TempDir;

/// The most it can hold, in bytes; the file behind it takes only what is written.
const SIZE: u64 = 24 << 30;

/// An empty ext4 filesystem in a file, mounted until this value is dropped.
pub(crate) struct Scratch {
    folder: TempDir,
}

impl Scratch {
    pub(crate) fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let image = folder.path().join("image");
        File::create(&image)?.set_len(SIZE)?;
        // Tables that were not written need not be: the file is empty, and nothing writes them behind a build.
        output(
            Command::new("mkfs.ext4").args(["-q", "-F", "-E", "lazy_itable_init=1,nodiscard"]).arg(&image),
        )
        .context("make a filesystem")?;
        let scratch = Scratch { folder };
        std::fs::create_dir(scratch.path())?;
        let mut mount = Command::new("mount");
        mount.args(["-o", "loop,noatime,noinit_itable"]).arg(&image).arg(scratch.path());
        output(&mut mount).context("mount a filesystem in a file")?;
        Ok(scratch)
    }

    /// Where it is mounted.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("mounted")
    }

    /// An empty folder in it.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.path().join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What a builder has mounted in it goes first, or it would stay.
        let mounted = self.path();
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
        let targets = mounts.lines().filter_map(|line| line.split(' ').nth(1)).map(Path::new);
        for target in targets.filter(|target| target.starts_with(&mounted)).collect::<Vec<_>>().iter().rev() {
            finish(Command::new("umount").arg("-l").arg(target)).ok();
        }
    }
}
