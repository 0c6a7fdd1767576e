//! Removing: a whole subtree, by descriptors, never following a link.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, IFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::descent::{Descent, Listed, list};
use crate::root::{DIRECTORY, open_child};
use crate::stat::{Stat, set_directory_mtime};

/// Which names stay although what is above them is removed: asked with the inode of the directory.
pub(crate) type Keep<'a> = &'a dyn Fn(u64, &CStr) -> bool;

/// Removes a directory of the host and everything below it, whatever modes and flags it was left with. Links
/// are not followed. What is not there is removed; the directory that holds it is not tampered with.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let open = || rustix::fs::open(path, DIRECTORY | OFlags::NOFOLLOW, Mode::empty());
    let opened = match open() {
        Err(Errno::ACCESS) => {
            rustix::fs::chmod(path, Mode::RWXU)?;
            open()
        }
        opened => opened,
    };
    let directory = match opened {
        Err(Errno::NOENT) => return Ok(()),
        opened => opened?,
    };
    for listed in list(&directory)? {
        remove_all(&directory, &listed.name)?;
    }
    std::fs::remove_dir(path)
}

/// Removes `name` and everything below it.
pub(crate) fn remove_all(directory: impl AsFd, name: &CStr) -> io::Result<()> {
    remove_except(directory, name, &|_, _| false).map(drop)
}

/// Removes `name` and everything below it but what is kept, and the directories above what is kept, which
/// get their modification time back. True if nothing is left.
pub(crate) fn remove_except(directory: impl AsFd, name: &CStr, keep: Keep<'_>) -> io::Result<bool> {
    let directory = directory.as_fd();
    if keep(Stat::of(directory)?.ino, name) && !is_directory(directory, name)? {
        return Ok(false);
    }
    if unlink(directory, name)? {
        return Ok(true);
    }
    let stays = keep(Stat::of(directory)?.ino, name);
    let start = open_anyhow(directory, name)?;
    let mut levels = vec![Level::of(start.as_fd(), stays)?];
    let mut descent = Descent::new(start)?;
    while let Some(level) = levels.last_mut() {
        if let Some(next) = level.names.pop() {
            let here = descent.directory();
            let stays = keep(level.ino, &next.name);
            let is_directory = match next.file_type {
                FileType::Directory => true,
                FileType::Unknown => is_directory(here, &next.name)?,
                _ => false,
            };
            if is_directory {
                if let Err(error) = descent.enter(&next.name) {
                    forbidden_only(error)?;
                    open_up(descent.directory(), &next.name)?;
                    descent.enter(&next.name)?;
                }
                levels.push(Level { name: Some(next), ..Level::of(descent.directory(), stays)? });
            } else if stays {
                level.kept = true;
            } else if !unlink(here, &next.name)? {
                return Err(Errno::BUSY.into());
            }
            continue;
        }
        let done = levels.pop().expect("the loop's condition saw it");
        if done.kept {
            set_directory_mtime(descent.directory(), done.mtime)?;
        }
        let Some(above) = levels.last_mut() else {
            if done.kept {
                return Ok(false);
            }
            rmdir(directory, name)?;
            return Ok(true);
        };
        descent.leave()?;
        if done.kept {
            above.kept = true;
        } else if let Some(listed) = done.name {
            rmdir(descent.directory(), &listed.name)?;
        }
    }
    Ok(true)
}

/// A directory that is being emptied.
struct Level {
    name: Option<Listed>,
    names: Vec<Listed>,
    ino: u64,
    mtime: (i64, u32),
    kept: bool,
}

impl Level {
    fn of(directory: BorrowedFd<'_>, kept: bool) -> io::Result<Self> {
        let stat = Stat::of(directory)?;
        Ok(Level { name: None, names: list(directory)?, ino: stat.ino, mtime: stat.mtime, kept })
    }
}

fn is_directory(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<bool> {
    match Stat::at(directory, name) {
        Ok(stat) => Ok(stat.is_directory()),
        Err(Errno::NOENT) => Ok(false),
        Err(other) => Err(other.into()),
    }
}

/// Unlinks what is no directory. False if it is one.
fn unlink(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<bool> {
    match with_rights(directory, name, || rustix::fs::unlinkat(directory, name, AtFlags::empty())) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::ISDIR) => Ok(false),
        // POSIX lets unlink say EPERM of a directory, and some filesystems do.
        Err(Errno::PERM) if is_directory(directory, name)? => Ok(false),
        Err(other) => Err(other.into()),
    }
}

fn rmdir(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    Ok(with_rights(directory, name, || rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR))?)
}

/// Opens a directory even if its mode forbids it to us, who own it.
fn open_anyhow(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    if let Err(error) = open_child(directory, name) {
        forbidden_only(error.into())?;
        open_up(directory, name)?;
    }
    Ok(open_child(directory, name)?)
}

fn forbidden_only(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::PermissionDenied { Ok(()) } else { Err(error) }
}

fn open_up(directory: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    Ok(rustix::fs::chmodat(directory, name, Mode::RWXU, AtFlags::empty())?)
}

/// Tries again after taking away what may be in the way: a directory's mode where we are not root, and the
/// flags that `chattr(1)` sets.
fn with_rights(
    directory: BorrowedFd<'_>,
    name: &CStr,
    operation: impl Fn() -> rustix::io::Result<()>,
) -> rustix::io::Result<()> {
    match operation() {
        Err(Errno::ACCESS) => {
            rustix::fs::fchmod(directory, Mode::RWXU)?;
            operation()
        }
        Err(Errno::PERM) => {
            clear_flags(directory);
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            if let Ok(file) = rustix::fs::openat(directory, name, flags, Mode::empty()) {
                clear_flags(file.as_fd());
            }
            operation()
        }
        result => result,
    }
}

/// A failure shows in the operation that is tried next.
fn clear_flags(file: BorrowedFd<'_>) {
    if let Ok(flags) = rustix::fs::ioctl_getflags(file)
        && flags.intersects(IFlags::IMMUTABLE | IFlags::APPEND)
    {
        let _ = rustix::fs::ioctl_setflags(file, flags - (IFlags::IMMUTABLE | IFlags::APPEND));
    }
}
