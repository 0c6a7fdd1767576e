//! The journal: what is written down of a RUN while it is served, so that nobody has to look for what it changed.
//!
//! Every call that makes or removes a name, opens a file to be written or changes what is said of one comes by here,
//! and it is written down after it was done and before it is answered. Whatever is written by way of a descriptor or a
//! mapping was opened for that before.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard};

use nix::libc;
use owners::{Identity, Log};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::area::{Areas, ROOT};
use super::proc;
use super::resolve::Parent;
use super::supervisor::{file_type, identity};
use super::task::lock;

/// Opens a directory to list it.
const LIST: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// What has been written down.
#[derive(Debug, Default)]
pub(super) struct Journal(Mutex<Pages>);

#[derive(Debug, Default)]
struct Pages {
    log: Log,
    /// Directories whose path is known, until one is moved or removed.
    directories: HashMap<Identity, Directory>,
    /// Files that are in the log by every name they had and get.
    files: HashSet<Identity>,
    /// Something could not be written down.
    broken: Option<Errno>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Directory {
    /// At this path below the root.
    At(Box<[u8]>),
    /// In the log as a whole.
    Whole,
    /// In a mount, or gone.
    Elsewhere,
}

impl Journal {
    /// Everything that was written down, at the end.
    pub(super) fn take(&self) -> Result<Log, Errno> {
        let pages = std::mem::take(&mut *self.pages());
        pages.broken.map_or(Ok(pages.log), Err)
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        lock(&self.0)
    }

    /// A name was made or removed.
    pub(super) fn name(&self, areas: &Areas, parent: &Parent) {
        let mut pages = self.pages();
        if let Directory::At(path) = pages.directory(areas, parent) {
            pages.log.name(&path, parent.name.to_bytes());
        }
    }

    /// A file was made.
    pub(super) fn made(&self, areas: &Areas, parent: &Parent, file: &libc::stat) {
        self.name(areas, parent);
        self.pages().files.insert(identity(file));
    }

    /// Whether this is a file of the root, or of a mount that may be changed, that is written down by all its names.
    pub(super) fn has(&self, file: Identity) -> bool {
        self.pages().files.contains(&file)
    }

    /// A directory was made.
    pub(super) fn made_directory(&self, areas: &Areas, parent: &Parent, directory: &libc::stat) {
        let mut pages = self.pages();
        let is = match pages.directory(areas, parent) {
            Directory::At(path) => {
                pages.log.whole(&join(&path, parent.name.to_bytes()));
                Directory::Whole
            }
            other => other,
        };
        pages.directories.insert(identity(directory), is);
    }

    /// A name was removed, and with it maybe what had it.
    pub(super) fn removed(&self, areas: &Areas, parent: &Parent, file: &libc::stat) {
        self.name(areas, parent);
        self.replaced(file);
    }

    /// A name was given to something else, or to nothing: if it was the last one, what had it is gone, and its inode may
    /// become another's.
    pub(super) fn replaced(&self, file: &libc::stat) {
        let mut pages = self.pages();
        if file_type(file) == libc::S_IFDIR {
            pages.directories.remove(&identity(file));
        } else if file.st_nlink <= 1 {
            pages.files.remove(&identity(file));
        }
    }

    /// Something was moved; a directory with all that is in it, whose paths are others now.
    pub(super) fn moved(&self, areas: &Areas, from: &Parent, to: &Parent, has_directory: bool) {
        if has_directory {
            self.pages().directories.clear();
        }
        for place in [from, to] {
            let mut pages = self.pages();
            let Directory::At(path) = pages.directory(areas, place) else { continue };
            if has_directory {
                pages.log.whole(&join(&path, place.name.to_bytes()));
            } else {
                pages.log.name(&path, place.name.to_bytes());
            }
        }
    }

    /// A file or directory was changed itself, or may be from now on.
    pub(super) fn changed(&self, areas: &Areas, file: BorrowedFd<'_>, stat: &libc::stat) {
        let mut pages = self.pages();
        let which = identity(stat);
        let is_directory = file_type(stat) == libc::S_IFDIR;
        let known = pages.files.contains(&which) || pages.directories.get(&which) == Some(&Directory::Whole);
        // What has no name will get one by a call.
        if known || stat.st_nlink == 0 {
            return;
        }
        let Some(host) = pages.host(file) else { return };
        let Some(path) = below_root(areas, &host) else { return };
        pages.log.path(path);
        if !is_directory {
            // The name that it was opened by may be gone, and it may still have another.
            if stat.st_nlink > 1 || host.ends_with(b" (deleted)") {
                pages.log.linked(which);
            }
            pages.files.insert(which);
        }
    }

    /// The kernel may have made files in a directory by itself: each that is there may be new.
    pub(super) fn all_in(&self, areas: &Areas, directory: BorrowedFd<'_>) {
        let mut pages = self.pages();
        let Some(host) = pages.host(directory) else { return };
        let Some(path) = below_root(areas, &host) else { return };
        let listed = rustix::fs::openat(directory, c".", LIST, Mode::empty()).and_then(rustix::fs::Dir::new);
        let names = listed.and_then(|listed| {
            listed.map(|entry| Ok(entry?.file_name().to_bytes().to_vec())).collect::<Result<Vec<_>, Errno>>()
        });
        match names {
            Ok(names) => {
                for name in names.iter().filter(|name| !matches!(&name[..], b"." | b"..")) {
                    pages.log.name(path, name);
                }
            }
            Err(error) => pages.broken = Some(error),
        }
    }
}

impl Pages {
    fn directory(&mut self, areas: &Areas, parent: &Parent) -> Directory {
        let which = identity(&parent.stat);
        if let Some(known) = self.directories.get(&which) {
            return known.clone();
        }
        let host = self.host(parent.directory.as_fd());
        let found = match host.as_ref().and_then(|host| below_root(areas, host)) {
            Some(path) if parent.stat.st_nlink > 0 => Directory::At(path.into()),
            _ => Directory::Elsewhere,
        };
        self.directories.insert(which, found.clone());
        found
    }

    /// The path of a file on this machine; nothing if it is longer than paths can be. Such are below a directory that the
    /// run has made, and that is in the log as a whole.
    fn host(&mut self, file: BorrowedFd<'_>) -> Option<Vec<u8>> {
        match proc::link_of(file) {
            Ok(host) => Some(host),
            Err(Errno::NAMETOOLONG) => None,
            Err(error) => {
                self.broken = Some(error);
                None
            }
        }
    }
}

/// The path below the root of a path on this machine; nothing for what lies elsewhere.
fn below_root<'a>(areas: &Areas, host: &'a [u8]) -> Option<&'a [u8]> {
    match host.strip_prefix(&areas.get(ROOT).host[..])? {
        [] => Some(b""),
        [b'/', path @ ..] => Some(path),
        _ => None,
    }
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() }
}
