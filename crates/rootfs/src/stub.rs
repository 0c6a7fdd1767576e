//! Stubs: what must exist in a root so that the sandbox can mount over it, and never gets into a layer.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use layer::{Content, Metadata, Tree, TreePath};
use rustix::fs::AtFlags;
use rustix::io::Errno;

use crate::apply::undescribed;
use crate::changes::Excluded;
use crate::lower::keeping_mtime;
use crate::node::NodeWriter;
use crate::ownership::Ownership;
use crate::remove::remove_all;
use crate::root::{Root, name_of};
use crate::scan::Walk;
use crate::stat::Stat;

/// Something that must exist while a run lasts. It and all below it stay out of the layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stub {
    /// Where, with links already resolved in the tree.
    pub path: TreePath,
    /// What.
    pub kind: StubKind,
}

/// What must exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StubKind {
    /// A directory to mount on.
    Directory,
    /// A file to mount on.
    File,
    /// A file that holds this, instead of the image's own, where nothing can be mounted.
    Content(Vec<u8>),
}

impl Stub {
    pub(crate) fn metadata(&self) -> Metadata {
        let mode = if self.kind == StubKind::Directory { 0o755 } else { 0o644 };
        Metadata { mode, ..Metadata::default() }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.kind {
            StubKind::Content(bytes) => bytes,
            _ => b"",
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
    /// What was there is in the side directory, under this name.
    Restore(CString),
}

impl PlacedStubs {
    /// Makes what is missing, and moves to `side` what must be replaced. Nothing else changes, not even the
    /// times of directories.
    pub(crate) fn place(
        root: &Root,
        side: BorrowedFd<'_>,
        stubs: &[Stub],
        ownership: Ownership,
    ) -> io::Result<Self> {
        let mut placed = PlacedStubs::default();
        let mut nodes = NodeWriter::new(ownership);
        for (number, stub) in stubs.iter().enumerate() {
            let parent = stub.path.parent().ok_or(Errno::INVAL)?;
            let steps = &mut placed.steps;
            let mut make = |directory: BorrowedFd<'_>, name: &std::ffi::CStr| -> io::Result<()> {
                keeping_mtime(directory, || nodes.directory(directory, name, &undescribed()))?;
                let directory = reopen(directory)?;
                steps.push(Step { directory, name: name.to_owned(), undo: Undo::RemoveEmpty });
                Ok(())
            };
            let directory = root.open_directory_making(&parent, &mut make)?;
            let name = name_of(&stub.path);
            let there = match Stat::at(&directory, &name) {
                Ok(stat) => Some(stat),
                Err(Errno::NOENT) => None,
                Err(other) => return Err(other.into()),
            };
            let undo = match (there, &stub.kind) {
                (Some(stat), StubKind::Directory) if stat.is_directory() => continue,
                (Some(stat), StubKind::File) if !stat.is_directory() => continue,
                (Some(stat), StubKind::Content(_)) if !stat.is_directory() => {
                    let aside = CString::new(number.to_string()).expect("digits");
                    keeping_mtime(&directory, || Ok(rustix::fs::renameat(&directory, &name, side, &aside)?))?;
                    Undo::Restore(aside)
                }
                (Some(_), StubKind::Directory) => return Err(Errno::NOTDIR.into()),
                (Some(_), _) => return Err(Errno::ISDIR.into()),
                (None, _) => Undo::Remove,
            };
            keeping_mtime(&directory, || {
                let mut data = stub.bytes();
                let mut content = match stub.kind {
                    StubKind::Directory => Content::Directory,
                    _ => Content::File { size: data.len() as u64, data: &mut data },
                };
                nodes.make(directory.as_fd(), &name, &stub.metadata(), &mut content)
            })?;
            placed.steps.push(Step { directory, name, undo });
        }
        Ok(placed)
    }

    /// Takes away what was made and puts back what was moved.
    pub(crate) fn undo(self, side: BorrowedFd<'_>) -> io::Result<()> {
        for Step { directory, name, undo } in self.steps.into_iter().rev() {
            // A directory that the run has removed has taken its contents with it.
            if Stat::of(&directory)?.nlink == 0 {
                continue;
            }
            keeping_mtime(&directory, || match undo {
                Undo::Remove => remove_all(&directory, &name),
                Undo::RemoveEmpty => match rustix::fs::unlinkat(&directory, &name, AtFlags::REMOVEDIR) {
                    Err(Errno::NOTEMPTY | Errno::NOENT | Errno::NOTDIR) => Ok(()),
                    result => Ok(result?),
                },
                Undo::Restore(aside) => {
                    remove_all(&directory, &name)?;
                    Ok(rustix::fs::renameat(side, &aside, &directory, &name)?)
                }
            })?;
        }
        Ok(())
    }
}

/// Removes from directories that were to be mounted on what a run has left there for want of a mount.
pub(crate) fn prune(root: &Root, tree: &Tree, stubs: &[Stub], ownership: Ownership) -> io::Result<()> {
    let kernel = Excluded::KERNEL.iter().map(|name| TreePath::root().child(name.as_bytes()));
    let stubs = stubs.iter().filter(|stub| stub.kind == StubKind::Directory).map(|stub| stub.path.clone());
    for path in kernel.chain(stubs) {
        let Some(before) = tree.get(&path).filter(|inode| inode.node.is_directory()) else { continue };
        let Some(stat) = root.stat(&path)? else {
            if let Ok((directory, name)) = root.parent(&path) {
                let mut nodes = NodeWriter::new(ownership);
                keeping_mtime(&directory, || {
                    nodes.directory(directory.as_fd(), &name, &before.node.metadata)
                })?;
            }
            continue;
        };
        if !stat.is_directory() {
            continue;
        }
        let mut walk = Walk::new(root.open_directory(&path)?, path)?;
        while let Some(found) = walk.next()? {
            if tree.get(&found.path).is_none() {
                keeping_mtime(walk.directory(), || remove_all(walk.directory(), &found.name))?;
            } else if found.stat.is_directory() {
                walk.enter(&found)?;
            }
        }
    }
    Ok(())
}

fn reopen(directory: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = crate::root::DIRECTORY;
    Ok(rustix::fs::openat(directory, c".", flags, rustix::fs::Mode::empty())?)
}
