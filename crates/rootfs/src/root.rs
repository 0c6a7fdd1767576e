//! Root: an open directory, and the only way to touch the tree inside it.
//!
//! Whatever a tar, a Dockerfile or an image says about paths is resolved here, in the kernel, against a
//! descriptor: a link in an image can lead anywhere in the image and nowhere else. Paths are never joined as
//! text and handed to the host.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use layer::TreePath;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::resolve::{self, End, Make};
use crate::stat::Stat;

/// How a directory is opened to be listed, and to have things made in it.
pub(crate) const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// `openat2` says `EAGAIN` when something was renamed while it resolved a `..`; so often we ask again.
const TRIES: u32 = 100;

/// Who resolves paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolver {
    /// The kernel: `openat2(2)` with `RESOLVE_IN_ROOT`, Linux 5.6 and later.
    Kernel,
    /// We do, step by step with `O_PATH`: gVisor and old seccomp profiles refuse `openat2`.
    Walk,
}

/// An open directory that paths cannot leave.
#[derive(Debug)]
pub struct Root {
    directory: OwnedFd,
    resolver: Resolver,
}

impl Root {
    /// Opens a directory of the host as a root, with whichever resolver works here.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let directory = rustix::fs::open(directory, DIRECTORY, Mode::empty())?;
        let tried = open_in_root(directory.as_fd(), b".", DIRECTORY);
        let resolver = match tried {
            Ok(_) => Resolver::Kernel,
            Err(Errno::NOSYS | Errno::PERM) => Resolver::Walk,
            Err(other) => return Err(other.into()),
        };
        Ok(Root { directory, resolver })
    }

    /// A root on a directory that is open already, with a resolver of the caller's choice.
    #[must_use]
    pub fn with_resolver(directory: OwnedFd, resolver: Resolver) -> Self {
        Root { directory, resolver }
    }

    /// Another root on a directory inside this one; links are followed.
    pub(crate) fn sub(&self, path: &TreePath) -> io::Result<Self> {
        Ok(Root { directory: self.open_directory(path)?, resolver: self.resolver })
    }

    /// Opens a directory for listing; links are followed.
    pub fn open_directory(&self, path: &TreePath) -> io::Result<OwnedFd> {
        self.open_with(path, DIRECTORY)
    }

    /// Opens a directory, making those that are missing on the way and at the end with `make`.
    pub(crate) fn open_directory_making(&self, path: &TreePath, make: Make<'_>) -> io::Result<OwnedFd> {
        match self.open_directory(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            opened => return opened,
        }
        let end = resolve::walk(self.as_fd(), path.as_bytes(), Some(make))?;
        if let Some(name) = &end.name {
            match Stat::at(&end.directory, name) {
                Err(Errno::NOENT) => make(end.directory.as_fd(), name)?,
                stat => drop(stat?),
            }
        }
        Ok(open_end(&end, DIRECTORY)?)
    }

    /// Opens a regular file for reading; links are followed. Anything else is refused without waiting for
    /// it, so that an image whose `/etc/passwd` is a pipe or a device cannot hold us up.
    pub fn open_file(&self, path: &TreePath) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = self.open_with(path, flags)?;
        match Stat::of(&file)?.file_type() {
            FileType::RegularFile => Ok(file.into()),
            _ => Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{path} is no regular file"))),
        }
    }

    /// The directory that holds `path`, links on the way followed, and the name in it: what the system calls
    /// that end in `at` want. The root itself has no such name.
    pub(crate) fn parent(&self, path: &TreePath) -> io::Result<(OwnedFd, CString)> {
        let parent = path.parent().ok_or(Errno::INVAL)?;
        Ok((self.open_directory(&parent)?, name_of(path)))
    }

    /// What is at `path`, a link at its end not followed; `None` if nothing is.
    pub fn stat(&self, path: &TreePath) -> io::Result<Option<Stat>> {
        if path.is_root() {
            return Ok(Some(Stat::of(self)?));
        }
        let (directory, name) = match self.parent(path) {
            Ok(found) => found,
            Err(error) => return absent(error),
        };
        match Stat::at(&directory, &name) {
            Ok(stat) => Ok(Some(stat)),
            Err(error) => absent(error.into()),
        }
    }

    fn open_with(&self, path: &TreePath, flags: OFlags) -> io::Result<OwnedFd> {
        match self.resolver {
            Resolver::Kernel => {
                let bytes = if path.is_root() { b"." } else { path.as_bytes() };
                Ok(open_in_root(self.as_fd(), bytes, flags)?)
            }
            Resolver::Walk => {
                let end = resolve::walk(self.as_fd(), path.as_bytes(), None)?;
                Ok(open_end(&end, flags)?)
            }
        }
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }
}

/// The last part of a path for a system call.
pub(crate) fn name_of(path: &TreePath) -> CString {
    CString::new(path.name()).expect("a tree path holds no NUL: TreePath::new refuses it")
}

/// Opens a directory by a name that must not be a link.
pub(crate) fn open_child(directory: impl AsFd, name: &CStr) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(directory, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
}

/// Not there, or below something that is no directory: both mean that nothing is there.
pub(crate) fn absent<T>(error: io::Error) -> io::Result<Option<T>> {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(None),
        _ => Err(error),
    }
}

fn open_in_root(root: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let mut tries = 0;
    loop {
        match rustix::fs::openat2(root, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN) if tries < TRIES => tries += 1,
            result => return result,
        }
    }
}

fn open_end(end: &End, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let name = end.name.as_deref().unwrap_or(c".");
    rustix::fs::openat(&end.directory, name, flags | OFlags::NOFOLLOW, Mode::empty())
}
