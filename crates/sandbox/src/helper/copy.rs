//! Copy: a file or a directory for a process to write to, while the original stays as it is.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, futimens, linkat,
    mkdirat, mknodat, openat, symlinkat, utimensat,
};
use rustix::io::Errno;

/// How directories are opened that are made here.
pub(super) const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Last access and last modification, in seconds and nanoseconds.
pub(super) type Times = [(i64, i64); 2];

/// Copies a file or a directory, with modes, owners, times, attributes and hard links. A socket is the same one, so
/// that whoever listens is reached through it; devices are left out.
pub(crate) fn copy(from: &Path, parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    Copier { top: parent, first: HashMap::new() }.copy(from, parent, name, Path::new(name))
}

struct Copier<'a> {
    /// Where the copy is made.
    top: BorrowedFd<'a>,
    /// Files with several names: where the first is, below `top`.
    first: HashMap<(u64, u64), PathBuf>,
}

impl Copier<'_> {
    /// `path` is where it goes below `top`, which is `name` in `parent`.
    fn copy(&mut self, from: &Path, parent: BorrowedFd<'_>, name: &OsStr, path: &Path) -> io::Result<()> {
        let found = from.symlink_metadata()?;
        let kind = found.file_type();
        if kind.is_socket() {
            return Ok(linkat(CWD, from, parent, name, AtFlags::empty())?);
        }
        if !kind.is_dir() && found.nlink() > 1 {
            let identity = (found.dev(), found.ino());
            if let Some(first) = self.first.get(&identity) {
                return Ok(linkat(self.top, first, parent, name, AtFlags::empty())?);
            }
            self.first.insert(identity, path.to_owned());
        }
        if kind.is_symlink() {
            let (uid, gid) = (Uid::from_raw(found.uid()), Gid::from_raw(found.gid()));
            symlinkat(from.read_link()?, parent, name)?;
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::chownat(parent, name, Some(uid), Some(gid), flags)?;
            return Ok(utimensat(parent, name, &timestamps(times_of(&found)), flags)?);
        }
        let copied = if kind.is_dir() {
            mkdirat(parent, name, Mode::RWXU)?;
            let directory = openat(parent, name, DIRECTORY, Mode::empty())?;
            for entry in from.read_dir()? {
                let name = entry?.file_name();
                self.copy(&from.join(&name), directory.as_fd(), &name, &path.join(&name))?;
            }
            directory
        } else if kind.is_file() {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            let mut file = File::from(openat(parent, name, flags, Mode::RUSR | Mode::WUSR)?);
            io::copy(&mut File::open(from)?, &mut file)?;
            file.into()
        } else if kind.is_fifo() {
            mknodat(parent, name, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
            openat(parent, name, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?
        } else {
            return Ok(());
        };
        dress(&copied, &found)?;
        copy_attributes(from, &copied)?;
        // Once more, as attributes are changes too.
        Ok(set_times(&copied, times_of(&found))?)
    }
}

/// Copies what extended attributes can be set here, as a file's capabilities; changing the owner has dropped those.
fn copy_attributes(from: &Path, to: &OwnedFd) -> io::Result<()> {
    let mut names = vec![0; 64 * 1024];
    let length = match rustix::fs::llistxattr(from, &mut names) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut value = vec![0; 64 * 1024];
    for name in names[..length].split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        let name = OsStr::from_bytes(name);
        let length = rustix::fs::lgetxattr(from, name, &mut value)?;
        match rustix::fs::fsetxattr(to, name, &value[..length], XattrFlags::empty()) {
            Ok(()) | Err(Errno::PERM | Errno::OPNOTSUPP | Errno::ACCESS) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Gives an open file the owner, the mode and the times of another.
pub(super) fn dress(file: &OwnedFd, like: &std::fs::Metadata) -> io::Result<()> {
    // The owner first: changing it takes the set-user-id bit away.
    match rustix::fs::fchown(file, Some(Uid::from_raw(like.uid())), Some(Gid::from_raw(like.gid()))) {
        // Without privilege the copy of somebody else's file is ours, and the process sees it as root's.
        Ok(()) | Err(Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    rustix::fs::fchmod(file, Mode::from_raw_mode(like.mode() & 0o7777))?;
    Ok(set_times(file, times_of(like))?)
}

fn times_of(found: &std::fs::Metadata) -> Times {
    [(found.atime(), found.atime_nsec()), (found.mtime(), found.mtime_nsec())]
}

fn timestamps(times: Times) -> Timestamps {
    let [last_access, last_modification] = times.map(|(tv_sec, tv_nsec)| Timespec { tv_sec, tv_nsec });
    Timestamps { last_access, last_modification }
}

pub(super) fn set_times(fd: &OwnedFd, times: Times) -> rustix::io::Result<()> {
    futimens(fd, &timestamps(times))
}
