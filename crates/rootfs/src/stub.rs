//! Stubs: what must exist in a root so that the sandbox can mount over it, and never gets into a layer.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use layer::{Content, Metadata, Tree, TreePath};
use rustix::fs::AtFlags;
use rustix::io::Errno;

use crate::apply::undescribed;
use crate::changes::Excluded;
use crate::descent::list;
use crate::lower::keeping_mtime;
use crate::node::NodeWriter;
use crate::ownership::Ownership;
use crate::remove::remove_all;
use crate::root::{Root, name_of};
use crate::scan::Walk;
use crate::stat::Stat;
use crate::workspace::WorkspaceError;

/// Something that must exist while a run lasts. It and all below it stay out of the layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stub {
    /// Where, with links already resolved in the tree.
    pub path: TreePath,
    /// What.
    pub kind: StubKind,
}

/// What must exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StubKind {
    /// A directory to mount on.
    Directory,
    /// A file to mount on.
    File,
}

impl StubKind {
    /// What is made of it: a directory, or a file with `nothing` in it.
    pub(crate) fn node(self, nothing: &mut io::Empty) -> (Metadata, Content<'_>) {
        let (mode, content) = match self {
            StubKind::Directory => (0o755, Content::Directory),
            StubKind::File => (0o644, Content::File { size: 0, data: nothing }),
        };
        (Metadata { mode, ..Metadata::default() }, content)
    }

    /// True if the image has it already. It is an error if the image has the other kind.
    pub(crate) fn is_there(self, is_directory: Option<bool>) -> io::Result<bool> {
        match (self, is_directory) {
            (_, None) => Ok(false),
            (StubKind::Directory, Some(true)) | (StubKind::File, Some(false)) => Ok(true),
            (StubKind::Directory, Some(false)) => Err(io::Error::other("the image has a file there")),
            (StubKind::File, Some(true)) => Err(io::Error::other("the image has a directory there")),
        }
    }
}

/// Stubs in a root that a run uses in place, and how to undo them.
///
/// They are held by descriptors of their directories: what a run does with the names above them does not
/// lead us elsewhere when we clean up (CVE-2024-23652).
#[derive(Debug, Default)]
pub(crate) struct PlacedStubs {
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    directory: OwnedFd,
    name: CString,
    undo: Undo,
}

#[derive(Debug)]
enum Undo {
    /// It was not there.
    Remove,
    /// It is a directory that was not there, and stays if a run has put something in it.
    RemoveEmpty,
}

impl PlacedStubs {
    /// Makes what is missing. Nothing else changes, not even the times of directories.
    pub(crate) fn place(root: &Root, stubs: &[Stub], ownership: &Ownership) -> Result<Self, WorkspaceError> {
        let mut placed = PlacedStubs::default();
        for stub in stubs {
            let done = placed.place_one(root, stub, ownership);
            done.map_err(|source| WorkspaceError::Stub { path: stub.path.clone(), source })?;
        }
        Ok(placed)
    }

    fn place_one(&mut self, root: &Root, stub: &Stub, ownership: &Ownership) -> io::Result<()> {
        let mut nodes = NodeWriter::new(ownership.clone());
        let parent = stub.path.parent().ok_or(Errno::INVAL)?;
        let steps = &mut self.steps;
        let mut make = |directory: BorrowedFd<'_>, name: &CStr| -> io::Result<()> {
            keeping_mtime(directory, || nodes.directory(directory, name, &undescribed()))?;
            let directory = reopen(directory)?;
            steps.push(Step { directory, name: name.to_owned(), undo: Undo::RemoveEmpty });
            Ok(())
        };
        let directory = root.open_directory_making(&parent, &mut make)?;
        let name = name_of(&stub.path);
        let there = match Stat::at(&directory, &name) {
            Ok(stat) => Some(stat.is_directory()),
            Err(Errno::NOENT) => None,
            Err(other) => return Err(other.into()),
        };
        if stub.kind.is_there(there)? {
            return Ok(());
        }
        keeping_mtime(&directory, || {
            let mut nothing = io::empty();
            let (metadata, mut content) = stub.kind.node(&mut nothing);
            nodes.make(directory.as_fd(), &name, &metadata, &mut content)
        })?;
        nodes.finish()?;
        self.steps.push(Step { directory, name, undo: Undo::Remove });
        Ok(())
    }

    /// Takes away what was made.
    pub(crate) fn undo(self) -> io::Result<()> {
        for Step { directory, name, undo } in self.steps.into_iter().rev() {
            // A directory that the run has removed has taken its contents with it.
            if Stat::of(&directory)?.nlink == 0 {
                continue;
            }
            keeping_mtime(&directory, || match undo {
                Undo::Remove => remove_all(&directory, &name),
                Undo::RemoveEmpty => remove_empty(&directory, &name),
            })?;
        }
        Ok(())
    }
}

/// Removes from directories that were to be mounted on what a run has left there for want of a mount.
pub(crate) fn prune(root: &Root, tree: &Tree, stubs: &[Stub], ownership: &Ownership) -> io::Result<()> {
    let kernel = Excluded::KERNEL.iter().map(|name| (TreePath::root().child(name.as_bytes()), false));
    let stubs = stubs.iter().filter(|stub| stub.kind == StubKind::Directory);
    for (path, is_stub) in kernel.chain(stubs.map(|stub| (stub.path.clone(), true))) {
        let Some(before) = tree.get(&path).filter(|inode| inode.node.is_directory()) else { continue };
        let mut nodes = NodeWriter::new(ownership.clone());
        match root.stat(&path)? {
            None => {
                let Some((directory, name)) = real_parent(root, &path)? else { continue };
                keeping_mtime(&directory, || {
                    nodes.directory(directory.as_fd(), &name, &before.node.metadata)
                })?;
            }
            Some(stat) if stat.is_directory() => {
                let mut walk = Walk::new(root.open_directory(&path)?, path.clone())?;
                while let Some(found) = walk.next()? {
                    if tree.get(&found.path).is_none() {
                        remove_all(walk.directory(), &found.name)?;
                    } else if found.stat.is_directory() {
                        walk.enter(&found)?;
                    }
                }
                let inside = tree.below(&path).filter(|(_, inode)| inode.node.is_directory());
                let itself = is_stub.then_some((&path, before));
                for (path, inode) in inside.chain(itself) {
                    if root.stat(path)?.is_some_and(|stat| stat.is_directory()) {
                        nodes.redescribe(root.open_directory(path)?, &inode.node.metadata)?;
                    }
                }
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Takes out of an upper directory what a run did to mount targets, which lie beneath it.
pub(crate) fn clean_upper(upper: &Root, excluded: &Excluded) -> io::Result<()> {
    for path in &excluded.mounts {
        if let Some((directory, name)) = real_parent(upper, path)? {
            keeping_mtime(&directory, || remove_all(&directory, &name))?;
        }
    }
    for path in excluded.made.iter().rev() {
        if let Some((directory, name)) = real_parent(upper, path)? {
            keeping_mtime(&directory, || remove_empty(&directory, &name))?;
        }
    }
    for name in Excluded::KERNEL {
        let path = TreePath::root().child(name.as_bytes());
        if upper.stat(&path)?.is_some_and(|stat| stat.is_directory()) {
            let directory = upper.open_directory(&path)?;
            for listed in list(&directory)? {
                keeping_mtime(&directory, || remove_all(&directory, &listed.name))?;
            }
        }
    }
    Ok(())
}

/// The directory that holds a path, if it and all above it are directories and no links.
fn real_parent(root: &Root, path: &TreePath) -> io::Result<Option<(OwnedFd, CString)>> {
    for above in path.ancestors() {
        if !root.stat(&above)?.is_some_and(|stat| stat.is_directory()) {
            return Ok(None);
        }
    }
    root.parent(path).map(Some)
}

fn remove_empty(directory: &OwnedFd, name: &CStr) -> io::Result<()> {
    match rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR) {
        Err(Errno::NOTEMPTY | Errno::NOENT | Errno::NOTDIR) => Ok(()),
        result => Ok(result?),
    }
}

fn reopen(directory: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = crate::root::DIRECTORY;
    Ok(rustix::fs::openat(directory, c".", flags, rustix::fs::Mode::empty())?)
}
