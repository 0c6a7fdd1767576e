//! Ownership: who keeps the owners of files.

use std::ffi::CStr;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::{AtFlags, Gid, Uid};

use crate::stat::Stat;

/// Who keeps the owners of files in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Ownership {
    /// The kernel: files are given to their owners with `chown(2)`.
    #[default]
    Kernel,
}

impl Ownership {
    /// Gives away an open file or directory.
    pub(crate) fn give(self, file: impl AsFd, uid: u32, gid: u32) -> io::Result<()> {
        let (uid, gid) = ids(uid, gid)?;
        match self {
            Ownership::Kernel => Ok(rustix::fs::fchown(file, uid, gid)?),
        }
    }

    /// Gives away what is at a name; a link is not followed.
    pub(crate) fn give_at(self, directory: impl AsFd, name: &CStr, uid: u32, gid: u32) -> io::Result<()> {
        let (uid, gid) = ids(uid, gid)?;
        match self {
            Ownership::Kernel => {
                Ok(rustix::fs::chownat(directory, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?)
            }
        }
    }

    /// Owner and group of a node.
    pub(crate) fn of(self, stat: &Stat) -> (u32, u32) {
        match self {
            Ownership::Kernel => (stat.uid, stat.gid),
        }
    }
}

/// The highest number means "as it is" to `chown(2)`; no file can belong to it.
fn ids(uid: u32, gid: u32) -> io::Result<(Option<Uid>, Option<Gid>)> {
    if uid == u32::MAX || gid == u32::MAX {
        let text = format!("no file can have the owner {uid}:{gid}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok((Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))))
}
