//! Copy: a file or a directory for a process to write to, while the original stays as it is.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, futimens, linkat, mkdirat, mknodat,
    openat, symlinkat,
};

/// How directories are opened that are made here.
pub(super) const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Last access and last modification, in seconds and nanoseconds.
pub(super) type Times = [(i64, i64); 2];

/// Copies a file or a directory, with modes, owners and times. A socket is the same one, so that whoever listens
/// is reached through it; devices are left out.
pub(super) fn copy(from: &Path, parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    let found = from.symlink_metadata()?;
    let kind = found.file_type();
    let (uid, gid) = (Uid::from_raw(found.uid()), Gid::from_raw(found.gid()));
    if kind.is_symlink() {
        symlinkat(from.read_link()?, parent, name)?;
        return Ok(rustix::fs::chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?);
    }
    if kind.is_socket() {
        return Ok(linkat(CWD, from, parent, name, AtFlags::empty())?);
    }
    let copied = if kind.is_dir() {
        mkdirat(parent, name, Mode::RWXU)?;
        let directory = openat(parent, name, DIRECTORY, Mode::empty())?;
        for entry in from.read_dir()? {
            let entry = entry?;
            copy(&entry.path(), directory.as_fd(), &entry.file_name())?;
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
    dress(&copied, &found)
}

/// Gives an open file the owner, the mode and the times of another.
pub(super) fn dress(file: &OwnedFd, like: &std::fs::Metadata) -> io::Result<()> {
    // The owner first: changing it takes the set-user-id bit away.
    rustix::fs::fchown(file, Some(Uid::from_raw(like.uid())), Some(Gid::from_raw(like.gid())))?;
    rustix::fs::fchmod(file, Mode::from_raw_mode(like.mode() & 0o7777))?;
    Ok(set_times(file, [(like.atime(), like.atime_nsec()), (like.mtime(), like.mtime_nsec())])?)
}

pub(super) fn set_times(fd: &OwnedFd, times: Times) -> rustix::io::Result<()> {
    let [last_access, last_modification] = times.map(|(tv_sec, tv_nsec)| Timespec { tv_sec, tv_nsec });
    futimens(fd, &Timestamps { last_access, last_modification })
}
