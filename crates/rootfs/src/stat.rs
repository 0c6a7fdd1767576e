//! Stat: what the kernel says of a node, in types that do not differ between machines.

use std::ffi::CStr;
use std::os::fd::AsFd;

use rustix::fs::{AtFlags, FileType, Timespec, Timestamps};

/// What `stat(2)` says of a node, links not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// The filesystem it is on.
    pub dev: u64,
    /// Its inode on that filesystem.
    pub ino: u64,
    /// How many names it has.
    pub nlink: u64,
    /// Type and permission bits.
    pub mode: u32,
    /// Owner, as the kernel has it.
    pub uid: u32,
    /// Group, as the kernel has it.
    pub gid: u32,
    /// Which device, if it is one.
    pub rdev: u64,
    /// Length in bytes.
    pub size: u64,
    /// Modification time: seconds since 1970 and nanoseconds.
    pub mtime: (i64, u32),
    /// Time of the last change of anything, which no program can set.
    pub ctime: (i64, u32),
}

impl Stat {
    /// Of an open descriptor.
    pub(crate) fn of(fd: impl AsFd) -> rustix::io::Result<Self> {
        rustix::fs::fstat(fd).map(|stat| Stat::from_kernel(&stat))
    }

    /// Of a name in a directory.
    pub(crate) fn at(directory: impl AsFd, name: &CStr) -> rustix::io::Result<Self> {
        rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| Stat::from_kernel(&stat))
    }

    // The fields' widths and signs differ between architectures, so that no one spelling suits all.
    #[allow(clippy::cast_lossless, clippy::unnecessary_cast, trivial_numeric_casts)]
    fn from_kernel(stat: &rustix::fs::Stat) -> Self {
        Stat {
            dev: stat.st_dev as u64,
            ino: stat.st_ino as u64,
            nlink: stat.st_nlink as u64,
            mode: stat.st_mode as u32,
            uid: stat.st_uid,
            gid: stat.st_gid,
            rdev: stat.st_rdev as u64,
            size: stat.st_size as u64,
            mtime: (stat.st_mtime as i64, stat.st_mtime_nsec as u32),
            ctime: (stat.st_ctime as i64, stat.st_ctime_nsec as u32),
        }
    }

    /// What type of node it is.
    pub(crate) fn file_type(&self) -> FileType {
        FileType::from_raw_mode(self.mode)
    }

    /// True for a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.file_type() == FileType::Directory
    }

    /// True for a character device 0:0, by which overlayfs says that a name is gone.
    pub(crate) fn is_overlay_whiteout(&self) -> bool {
        self.file_type() == FileType::CharacterDevice && self.rdev == 0
    }

    /// The file itself, whatever its names: filesystem and inode.
    #[must_use]
    pub fn identity(&self) -> (u64, u64) {
        (self.dev, self.ino)
    }
}

/// Times for `utimensat(2)` that set the modification time and, alike, the access time.
pub(crate) fn times(mtime: (i64, u32)) -> Timestamps {
    let time = Timespec { tv_sec: mtime.0, tv_nsec: mtime.1.into() };
    Timestamps { last_access: time, last_modification: time }
}

/// Sets a directory's modification time. The descriptor may be one that was opened with `O_PATH`.
pub(crate) fn set_directory_mtime(directory: impl AsFd, mtime: (i64, u32)) -> rustix::io::Result<()> {
    rustix::fs::utimensat(directory, c".", &times(mtime), AtFlags::empty())
}
