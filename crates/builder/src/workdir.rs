//! The work directory: everything a build keeps on disk is in it, and removing it is the whole clean-up.

use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rootfs::remove_tree;
use rustix::fs::{FlockOperation, flock};

use crate::error::{Context, Result};

/// A directory of this build alone, locked while it lives and removed with it.
#[derive(Debug)]
pub struct WorkDir {
    path: PathBuf,
    _lock: File,
}

/// The file in it whose lock says that its build is alive.
const LOCK: &str = "lock";
/// A work directory that has had no lock for so long is not being made any more.
const MAKING: Duration = Duration::from_secs(60 * 60);

impl WorkDir {
    /// Makes a work directory below `parent`, and removes those there whose builds were killed.
    pub fn create(parent: &Path) -> Result<Self> {
        let during = || format!("work directory {}", parent.display());
        // What is in it is named to processes with another current directory.
        let parent = std::path::absolute(parent).during(during())?;
        std::fs::create_dir_all(&parent).during(during())?;
        collect(&parent).during(during())?;
        for attempt in 0u32.. {
            let path = parent.join(format!("bako-{}-{attempt}", std::process::id()));
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

/// Removes work directories whose builds are dead.
fn collect(parent: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(parent)? {
        let entry = entry?;
        let path = entry.path();
        if !is_name(entry.file_name().as_encoded_bytes()) {
            continue;
        }
        // What cannot be removed, because it is another user's, is not in our way.
        match File::open(path.join(LOCK)) {
            Ok(lock) if is_free(&lock, &path) => drop(remove_tree(&path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_old(&path) => {
                drop(remove_tree(&path));
            }
            _ => {}
        }
    }
    Ok(())
}

/// True for a name as `create` gives it: others may keep their own things in a directory like `/tmp`.
fn is_name(name: &[u8]) -> bool {
    let Some(numbers) = name.strip_prefix(b"bako-") else { return false };
    let mut numbers = numbers.split(|&byte| byte == b'-');
    numbers.clone().count() == 2
        && numbers.all(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit))
}

/// True if no build held the lock, which we do then, and it is still the one of this directory: another
/// build may have removed the directory and made it anew.
fn is_free(lock: &File, directory: &Path) -> bool {
    let same = || {
        let (opened, there) = (lock.metadata()?, directory.join(LOCK).symlink_metadata()?);
        io::Result::Ok((opened.dev(), opened.ino()) == (there.dev(), there.ino()))
    };
    flock(lock, FlockOperation::NonBlockingLockExclusive).is_ok() && same().unwrap_or(false)
}

/// True if a directory without a lock is not just being made: its build was killed then, or its removal was.
fn is_old(directory: &Path) -> bool {
    let changed = directory.symlink_metadata().and_then(|found| found.modified());
    changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > MAKING))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::time::SystemTime;

    use rustix::fs::{Mode, OFlags};

    use super::*;

    /// A work directory as a kill has left it, so many minutes ago.
    fn leave(parent: &Path, name: &str, lock: &str, minutes: u64) {
        let directory = parent.join(name);
        fs::create_dir(&directory).unwrap();
        if !lock.is_empty() {
            fs::write(directory.join(lock), "").unwrap();
        }
        let then = SystemTime::now() - Duration::from_secs(minutes * 60);
        File::open(&directory).unwrap().set_modified(then).unwrap();
    }

    fn names(parent: &Path) -> Vec<String> {
        let names = fs::read_dir(parent).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn dead_ones_are_collected() {
        for (name, lock, minutes, dead) in [
            ("bako-1-0", "lock", 0, true),
            ("bako-1-0", "", 0, false),
            ("bako-1-0", "lock.new", 50, false),
            ("bako-1-0", "lock.new", 70, true),
            ("bako-1-0", "", 70, true),
            // Somebody else's.
            ("bako-1", "", 70, false),
            ("bako-1-0-0", "lock", 70, false),
            ("bako-pod-1", "lock", 70, false),
            ("bako-1-", "lock", 70, false),
        ] {
            let parent = tempfile::tempdir().unwrap();
            leave(parent.path(), name, lock, minutes);
            drop(WorkDir::create(parent.path()).unwrap());
            let expected = if dead { vec![] } else { vec![name.to_owned()] };
            assert_eq!(names(parent.path()), expected, "{name} with {lock:?} after {minutes} minutes");
        }
    }

    #[test]
    fn live_ones_are_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let alive = WorkDir::create(parent.path()).unwrap();
        let then = SystemTime::now() - 2 * MAKING;
        File::open(alive.path()).unwrap().set_modified(then).unwrap();
        let other = WorkDir::create(parent.path()).unwrap();
        assert!(alive.path().exists());
        drop((alive, other));
        assert!(names(parent.path()).is_empty());
    }

    /// Deeper than a process may have files open, longer than the kernel takes paths, and forbidden.
    #[test]
    fn is_gone_with_all_in_it() {
        let parent = tempfile::tempdir().unwrap();
        let work_dir = WorkDir::create(parent.path()).unwrap();
        let mut directory = std::os::fd::OwnedFd::from(File::open(work_dir.path()).unwrap());
        for _ in 0..1500 {
            rustix::fs::mkdirat(&directory, "deep", Mode::RWXU).unwrap();
            let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
            directory = rustix::fs::openat(&directory, "deep", flags, Mode::empty()).unwrap();
        }
        let sealed = work_dir.path().join("sealed");
        fs::create_dir_all(sealed.join("in")).unwrap();
        fs::set_permissions(&sealed, Permissions::from_mode(0o0)).unwrap();
        work_dir.remove().unwrap();
        assert!(names(parent.path()).is_empty());
        work_dir.remove().unwrap();
    }
}
