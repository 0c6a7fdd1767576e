//! The supervisor: what its threads share, and what a file is said to be.

use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use nix::libc;
use owners::{Identity, Table};
use rustix::io::Errno;

use super::area::Areas;
use super::directories::Directories;
use super::journal::Journal;
use super::memory::Memory;
use super::tally::Tally;
use super::task::{Task, Tasks, lock};
use crate::sys::notify::Listener;
use crate::sys::plain;

/// Everything that is known of a RUN.
#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) listener: Listener,
    pub(super) areas: Areas,
    pub(super) directories: Directories,
    pub(super) tasks: Tasks,
    pub(super) owners: Mutex<Table>,
    pub(super) journal: Journal,
    /// Files without a name, of which the table still says something.
    pub(super) gone: Mutex<HashSet<Identity>>,
    /// A directory for links to the starter, by which a process gets its name.
    pub(super) programs: PathBuf,
    /// The starter.
    pub(super) starter: Identity,
    /// Who we are, whose every file in the tree is.
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// How many threads wait for the other end of a fifo.
    pub(super) waiting: AtomicUsize,
    /// The terminals that were there before, which are others'.
    pub(super) foreign_terminals: HashSet<u64>,
    pub(super) tally: Tally,
}

/// A task that has made a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller<'a> {
    pub(super) supervisor: &'a Supervisor,
    pub(super) task: &'a Task,
}

impl Caller<'_> {
    pub(super) fn memory(&self) -> Memory {
        Memory(self.task.id)
    }

    /// Copies a path, and remembers it as what the call is about.
    pub(super) fn read_path(&self, address: u64) -> Result<CString, Errno> {
        self.memory().read_path(address).inspect(|path| self.remember(address, path))
    }

    /// The same for the name of an attribute.
    pub(super) fn read_attribute_name(&self, address: u64) -> Result<CString, Errno> {
        self.memory().read_attribute_name(address).inspect(|name| self.remember(address, name))
    }

    fn remember(&self, address: u64, text: &CStr) {
        lock(&self.task.words).push((address, text.into()));
    }
}

/// The file itself.
pub(super) fn identity(stat: &libc::stat) -> Identity {
    (stat.st_dev, stat.st_ino)
}

/// The type of a file.
pub(super) fn file_type(stat: &libc::stat) -> u32 {
    stat.st_mode & libc::S_IFMT
}

/// What the kernel says of an open file.
pub(super) fn stat_of(file: BorrowedFd<'_>) -> Result<libc::stat, Errno> {
    errno(plain::stat_at(file, c"", libc::AT_EMPTY_PATH))
}

/// What the kernel says of a name in a directory.
pub(super) fn stat_in(directory: impl AsFd, name: &CStr) -> Result<libc::stat, Errno> {
    errno(plain::stat_at(directory.as_fd(), name, libc::AT_SYMLINK_NOFOLLOW))
}

/// The error number of what a system call has said.
pub(super) fn errno<T>(result: std::io::Result<T>) -> Result<T, Errno> {
    result.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

impl Supervisor {
    /// Makes of what the kernel says of a file what is said of it in the RUN.
    pub(super) fn see(&self, stat: &mut libc::stat) {
        let owners = lock(&self.owners);
        let Some(entry) = owners.get(identity(stat)) else {
            // Files of others are in mounts only; they are shown as they are.
            if stat.st_uid == self.uid {
                stat.st_uid = 0;
            }
            if stat.st_gid == self.gid {
                stat.st_gid = 0;
            }
            return;
        };
        (stat.st_uid, stat.st_gid) = (entry.uid, entry.gid);
        if let Some(mode) = entry.mode {
            stat.st_mode = mode;
            if matches!(mode & libc::S_IFMT, libc::S_IFCHR | libc::S_IFBLK) {
                stat.st_rdev = entry.device;
                stat.st_size = 0;
            }
        }
    }

    /// As it is seen.
    pub(super) fn seen(&self, mut stat: libc::stat) -> libc::stat {
        self.see(&mut stat);
        stat
    }
}
