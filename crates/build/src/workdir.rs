//! The work directory: everything a build keeps on disk is in it, and removing it is the whole clean-up.

use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::error::{Context, Result};

/// A directory of this build alone, locked while it lives and removed with it.
#[derive(Debug)]
pub struct WorkDir {
    path: PathBuf,
    _lock: File,
}

/// What the names of work directories start with.
const PREFIX: &str = "bako-";
/// The file in it whose lock says that its build is alive.
const LOCK: &str = "lock";

impl WorkDir {
    /// Makes a work directory below `parent`, and removes those there whose builds were killed.
    pub fn create(parent: &Path) -> Result<Self> {
        let during = || format!("work directory {}", parent.display());
        // What is in it is named to processes with another current directory.
        let parent = std::path::absolute(parent).during(during())?;
        std::fs::create_dir_all(&parent).during(during())?;
        collect(&parent).during(during())?;
        for attempt in 0u32.. {
            let path = parent.join(format!("{PREFIX}{}-{attempt}", std::process::id()));
            match std::fs::DirBuilder::new().mode(0o711).create(&path) {
                Ok(()) => {
                    // A lock that is not held says that its build is dead, so it appears when it is held.
                    let unheld = path.join(LOCK).with_extension("new");
                    let lock = File::create_new(&unheld).during(during())?;
                    flock(&lock, FlockOperation::NonBlockingLockExclusive).during(during())?;
                    std::fs::rename(&unheld, path.join(LOCK)).during(during())?;
                    return Ok(WorkDir { path, _lock: lock });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).during(during()),
            }
        }
        unreachable!("there are more names than directories")
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it now, so that a failure can be told.
    pub fn remove(&self) -> io::Result<()> {
        remove_tree(&self.path)
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        // A build that ends well has removed it and told; this is for the other ways out.
        let _ = remove_tree(&self.path);
    }
}

/// Removes work directories that no live build has locked. One without a lock file is being made.
fn collect(parent: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(parent)? {
        let entry = entry?;
        if !entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
            continue;
        }
        let Ok(lock) = File::open(entry.path().join(LOCK)) else { continue };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            remove_tree(&entry.path())?;
        }
    }
    Ok(())
}

/// `remove_dir_all`, which follows no link, for directories that may lack their owner's permissions too.
fn remove_tree(path: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path);
            std::fs::remove_dir_all(path)
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn open_up(directory: &Path) {
    use std::os::unix::fs::PermissionsExt;
    // What cannot be opened up is told by the removal that follows.
    let _ = std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700));
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_gone_with_its_build_and_with_killed_ones() {
        let parent = tempfile::tempdir().unwrap();
        let dead = parent.path().join("bako-1-0");
        std::fs::create_dir(&dead).unwrap();
        std::fs::write(dead.join(LOCK), "").unwrap();
        let alive = WorkDir::create(parent.path()).unwrap();
        assert!(!dead.exists(), "a killed build's directory is collected");
        let other = WorkDir::create(parent.path()).unwrap();
        assert!(alive.path().exists(), "a live build's directory is left alone");
        std::fs::create_dir(other.path().join("sealed")).unwrap();
        drop(other);
        drop(alive);
        assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
    }
}
