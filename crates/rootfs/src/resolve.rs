//! Resolving paths inside a root by hand, for kernels and seccomp profiles that refuse `openat2`.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::stat::Stat;

/// The kernel's limit on links in one resolution (`MAXSYMLINKS`).
pub(crate) const MAX_LINKS: u32 = 40;

/// How a directory is held while walking: it grants no access and triggers nothing.
const STEP: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Makes a directory that is missing on the way.
pub(crate) type Make<'a> = &'a mut dyn FnMut(BorrowedFd<'_>, &CStr) -> io::Result<()>;

/// Where a path leads: a directory, and the name in it; no name if it is the directory itself.
pub(crate) struct End {
    pub(crate) directory: OwnedFd,
    pub(crate) name: Option<CString>,
}

/// Resolves `path` below `root` as `openat2` with `RESOLVE_IN_ROOT` does: `..` and absolute links stop at the
/// root, and no step ever leaves it, because each goes to a single name that is no link. The end may be
/// absent; what is missing before it is made by `make`, or else an error.
///
/// One owner per tree is assumed, as everywhere here: nobody renames directories meanwhile.
pub(crate) fn walk(root: BorrowedFd<'_>, path: &[u8], mut make: Option<Make<'_>>) -> io::Result<End> {
    let mut pending: Vec<Box<[u8]>> = split(path);
    let mut trail: Vec<CString> = Vec::new();
    let mut directory = open_trail(root, &trail)?;
    let mut links = 0;
    while let Some(part) = pending.pop() {
        if &*part == b".." {
            trail.pop();
            directory = open_trail(root, &trail)?;
            continue;
        }
        let name = CString::new(part).map_err(|_| Errno::INVAL)?;
        let last = pending.is_empty();
        match Stat::at(&directory, &name) {
            Ok(stat) => match stat.file_type() {
                FileType::Symlink => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Errno::LOOP.into());
                    }
                    let target = rustix::fs::readlinkat(&directory, &name, Vec::new())?;
                    if target.as_bytes().first() == Some(&b'/') {
                        trail.clear();
                        directory = open_trail(root, &trail)?;
                    }
                    pending.extend(split(target.as_bytes()));
                    continue;
                }
                _ if last => return Ok(End { directory, name: Some(name) }),
                FileType::Directory => {}
                _ => return Err(Errno::NOTDIR.into()),
            },
            Err(Errno::NOENT) if last => return Ok(End { directory, name: Some(name) }),
            Err(Errno::NOENT) => match &mut make {
                Some(make) => make(directory.as_fd(), &name)?,
                None => return Err(Errno::NOENT.into()),
            },
            Err(other) => return Err(other.into()),
        }
        directory = rustix::fs::openat(&directory, &name, STEP, Mode::empty())?;
        trail.push(name);
    }
    Ok(End { directory, name: None })
}

/// The parts that mean something, last first.
fn split(path: &[u8]) -> Vec<Box<[u8]>> {
    let parts = path.split(|&byte| byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
    parts.rev().map(Into::into).collect()
}

/// Opens a chain of directories of which none is a link. `..` goes back this way rather than by asking the
/// kernel, so that there is no step that could lead above the root.
fn open_trail(root: BorrowedFd<'_>, trail: &[CString]) -> io::Result<OwnedFd> {
    let mut directory = rustix::fs::openat(root, c".", STEP, Mode::empty())?;
    for name in trail {
        directory = rustix::fs::openat(&directory, name, STEP, Mode::empty())?;
    }
    Ok(directory)
}
