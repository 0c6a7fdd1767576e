//! Applier: a layer's entries, merged into a directory.

use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use layer::{Content, Metadata, Sink, TreePath};
use rustix::fs::AtFlags;
use rustix::io::Errno;

use crate::descent::list;
use crate::node::NodeWriter;
use crate::ownership::Ownership;
use crate::remove::{remove_all, remove_except};
use crate::root::{Root, name_of, open_child};
use crate::stat::{Stat, set_directory_mtime};

/// What directories are like that a layer needs and does not describe.
pub(crate) fn undescribed() -> Metadata {
    Metadata { mode: 0o755, ..Metadata::default() }
}

/// True if the way to a directory is no way: then nothing is there to remove.
pub(crate) fn leads_nowhere(error: &io::Error) -> bool {
    let errno = error.raw_os_error();
    [Errno::NOENT, Errno::NOTDIR, Errno::LOOP].iter().any(|one| errno == Some(one.raw_os_error()))
}

/// Merges one layer into a directory.
///
/// The directories above an entry are resolved inside the root with links followed, as containerd does it:
/// an entry `var/run/x` over `/var/run -> /run` is made in `/run`. The last part of a path is never followed.
/// Directories that are touched get back the modification time that they had.
#[derive(Debug)]
pub struct Applier<'a> {
    root: &'a Root,
    nodes: NodeWriter,
    parent: Option<Parent>,
    placed: Placed,
}

/// The directory of the last entry. The next is most often in the same.
#[derive(Debug)]
struct Parent {
    path: TreePath,
    directory: OwnedFd,
    ino: u64,
    mtime: (i64, u32),
    touched: bool,
}

/// What this layer has put, so that its whiteouts spare it: directory and name, as hashes of 64 bits. Only
/// inodes are sure to mean the same thing through every path that leads to it.
#[derive(Debug, Default)]
struct Placed {
    state: RandomState,
    names: HashSet<u64>,
}

impl Placed {
    fn hash(&self, directory: u64, name: &CStr) -> u64 {
        self.state.hash_one((directory, name))
    }

    fn insert(&mut self, directory: u64, name: &CStr) {
        let hash = self.hash(directory, name);
        self.names.insert(hash);
    }

    fn has(&self, directory: u64, name: &CStr) -> bool {
        self.names.contains(&self.hash(directory, name))
    }
}

impl<'a> Applier<'a> {
    /// Starts one layer.
    #[must_use]
    pub fn new(root: &'a Root, ownership: Ownership) -> Self {
        Applier { root, nodes: NodeWriter::new(ownership), parent: None, placed: Placed::default() }
    }

    /// Ends the layer.
    pub fn finish(mut self) -> io::Result<()> {
        self.leave()?;
        self.nodes.finish()
    }

    /// Opens a directory to change what is in it.
    fn enter(&mut self, path: TreePath, make: bool) -> io::Result<()> {
        if self.parent.as_ref().is_some_and(|parent| parent.path == path) {
            return Ok(());
        }
        self.leave()?;
        let directory = if make {
            let Applier { root, nodes, placed, .. } = self;
            let mut make = |parent: BorrowedFd<'_>, name: &CStr| -> io::Result<()> {
                let above = Stat::of(parent)?;
                nodes.directory(parent, name, &undescribed())?;
                set_directory_mtime(parent, above.mtime)?;
                placed.insert(above.ino, name);
                Ok(())
            };
            root.open_directory_making(&path, &mut make)?
        } else {
            self.root.open_directory(&path)?
        };
        let stat = Stat::of(&directory)?;
        self.parent = Some(Parent { path, directory, ino: stat.ino, mtime: stat.mtime, touched: false });
        Ok(())
    }

    /// As `enter`, and false if there is no such directory.
    fn enter_existing(&mut self, path: TreePath) -> io::Result<bool> {
        match self.enter(path, false) {
            Ok(()) => Ok(true),
            Err(error) if leads_nowhere(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn leave(&mut self) -> io::Result<()> {
        match self.parent.take() {
            Some(parent) if parent.touched => Ok(set_directory_mtime(&parent.directory, parent.mtime)?),
            _ => Ok(()),
        }
    }

    /// The directory that was entered, about to be changed.
    fn touch(&mut self) -> (&OwnedFd, u64, &mut NodeWriter, &mut Placed) {
        let parent = self.parent.as_mut().expect("callers enter a directory first");
        parent.touched = true;
        (&parent.directory, parent.ino, &mut self.nodes, &mut self.placed)
    }

    /// Does `make`, after removing what is in its way.
    fn replace<T>(
        &mut self,
        name: &CStr,
        mut make: impl FnMut(BorrowedFd<'_>, &mut NodeWriter) -> io::Result<T>,
    ) -> io::Result<T> {
        let (directory, ino, nodes, placed) = self.touch();
        let result = match make(directory.as_fd(), nodes) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                remove_all(directory, name)?;
                make(directory.as_fd(), nodes)
            }
            result => result,
        };
        placed.insert(ino, name);
        result
    }
}

impl Sink for Applier<'_> {
    fn put(&mut self, path: &TreePath, metadata: &Metadata, mut content: Content<'_>) -> io::Result<()> {
        let Some(parent) = path.parent() else {
            self.leave()?;
            return self.nodes.redescribe(self.root, metadata);
        };
        self.enter(parent, true)?;
        let name = name_of(path);
        if matches!(content, Content::Directory) {
            let (directory, ino, nodes, placed) = self.touch();
            if Stat::at(directory, &name).is_ok_and(|stat| stat.is_directory()) {
                placed.insert(ino, &name);
                return nodes.redescribe(open_child(directory, &name)?, metadata);
            }
        }
        self.replace(&name, |directory, nodes| nodes.make(directory, &name, metadata, &mut content)).map(drop)
    }

    fn link(&mut self, path: &TreePath, target: &TreePath) -> io::Result<()> {
        let parent = path.parent().ok_or(Errno::INVAL)?;
        self.enter(parent, true)?;
        let (from, from_name): (OwnedFd, CString) = self.root.parent(target)?;
        let name = name_of(path);
        let source = Stat::at(&from, &from_name)?;
        if source.is_directory() {
            return Err(Errno::ISDIR.into());
        }
        let (directory, ino, _, placed) = self.touch();
        if Stat::at(directory, &name).is_ok_and(|there| there.identity() == source.identity()) {
            placed.insert(ino, &name);
            return Ok(());
        }
        self.replace(&name, |directory, _| {
            Ok(rustix::fs::linkat(&from, &from_name, directory, &name, AtFlags::empty())?)
        })
    }

    fn remove(&mut self, path: &TreePath) -> io::Result<()> {
        let parent = path.parent().ok_or(Errno::INVAL)?;
        if self.enter_existing(parent)? {
            let (directory, _, _, placed) = self.touch();
            remove_except(directory, &name_of(path), &|directory, name| placed.has(directory, name))?;
        }
        Ok(())
    }

    fn clear(&mut self, path: &TreePath) -> io::Result<()> {
        if self.enter_existing(path.clone())? {
            let (directory, _, _, placed) = self.touch();
            for listed in list(directory)? {
                remove_except(directory, &listed.name, &|directory, name| placed.has(directory, name))?;
            }
        }
        Ok(())
    }
}
