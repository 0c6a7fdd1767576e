//! Lower: a layer's entries as a directory of its own, to lie in an overlay over those beneath it.
//!
//! What the layer removes becomes whiteouts of overlayfs (a character device 0:0, which anyone may make).
//! An opaque directory becomes whiteouts of all that the tree has in it: the attribute that overlayfs has
//! for this depends on how the overlay is mounted and cannot be set without privilege.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use layer::{Content, Inode, Kind, Metadata, Sink, Tree, TreePath};
use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

use crate::apply::{leads_nowhere, undescribed};
use crate::descent::list;
use crate::node::{Made, NodeWriter, overlay_whiteout};
use crate::ownership::Ownership;
use crate::remove::remove_all;
use crate::resolve::MAX_LINKS;
use crate::root::{Root, name_of, open_child};
use crate::stat::{Stat, set_directory_mtime};

/// Makes one layer as a lower directory over a tree.
#[derive(Debug)]
pub(crate) struct LowerWriter<'a> {
    /// The layer's own directory. Paths in it are free of links, as they were resolved before.
    own: &'a Root,
    /// What is beneath, as a value.
    beneath: &'a Tree,
    /// What is beneath, on disk, topmost first.
    below: &'a [Root],
    nodes: NodeWriter,
    /// The directory of the last entry, and where it really is; forgotten when something that may have been
    /// on the way became something else.
    parent: Option<(TreePath, TreePath)>,
    /// Directories of the layer's own that are there only because something in them is.
    mirrored: BTreeSet<TreePath>,
}

/// What is at a path free of links, seen through the layer.
enum Seen {
    Nothing,
    Directory,
    Symlink(Vec<u8>),
    Other,
}

impl<'a> LowerWriter<'a> {
    pub(crate) fn new(own: &'a Root, beneath: &'a Tree, below: &'a [Root], ownership: Ownership) -> Self {
        let nodes = NodeWriter::new(ownership);
        LowerWriter { own, beneath, below, nodes, mirrored: BTreeSet::new(), parent: None }
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.nodes.finish()
    }

    fn see(&self, path: &TreePath) -> io::Result<Seen> {
        if let Some(stat) = self.own.stat(path)? {
            return Ok(match stat.file_type() {
                FileType::Directory => Seen::Directory,
                FileType::Symlink => {
                    let (directory, name) = self.own.parent(path)?;
                    Seen::Symlink(rustix::fs::readlinkat(directory, name, Vec::new())?.into_bytes())
                }
                _ if stat.is_overlay_whiteout() => Seen::Nothing,
                _ => Seen::Other,
            });
        }
        Ok(match self.seen_beneath(path)?.map(|inode| &inode.node.kind) {
            None => Seen::Nothing,
            Some(Kind::Directory) => Seen::Directory,
            Some(Kind::Symlink { target }) => Seen::Symlink(target.to_vec()),
            Some(_) => Seen::Other,
        })
    }

    /// What the tree has at a path where the layer has nothing, unless something of the layer's is in the
    /// place of a directory above.
    fn seen_beneath(&self, path: &TreePath) -> io::Result<Option<&'a Inode>> {
        match self.own.parent(path) {
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(None),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(self.beneath.get(path).map(|inode| &**inode)),
        }
    }

    /// Where a directory really is, through the links of this layer and of the tree; it may not exist.
    fn resolve(&self, path: &TreePath) -> io::Result<TreePath> {
        // Most often it is the directory of the last entry, or one right in it.
        let known =
            self.parent.as_ref().and_then(|(last, real)| Some((path.relative_to(last)?, real.clone())));
        let (rest, mut at) = known.unwrap_or_else(|| (path.clone(), TreePath::root()));
        let mut pending: Vec<Box<[u8]>> = rest.parts().rev().map(Into::into).collect();
        let mut links = 0;
        while let Some(part) = pending.pop() {
            match &*part {
                b"" | b"." => continue,
                b".." => {
                    at = at.parent().unwrap_or_default();
                    continue;
                }
                _ => {}
            }
            let next = TreePath::new(at.child(&part).as_bytes()).map_err(io::Error::other)?;
            match self.see(&next)? {
                Seen::Nothing | Seen::Directory => at = next,
                Seen::Other => return Err(Errno::NOTDIR.into()),
                Seen::Symlink(target) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Errno::LOOP.into());
                    }
                    if target.first() == Some(&b'/') {
                        at = TreePath::root();
                    }
                    pending.extend(target.split(|&byte| byte == b'/').rev().map(Into::into));
                }
            }
        }
        Ok(at)
    }

    /// Where something really is: only the directories above it are resolved.
    fn locate(&mut self, path: &TreePath) -> io::Result<TreePath> {
        let parent = path.parent().ok_or(Errno::INVAL)?;
        let real = self.resolve(&parent)?;
        let located = TreePath::new(real.child(path.name()).as_bytes()).map_err(io::Error::other)?;
        self.parent = Some((parent, real));
        Ok(located)
    }

    /// Forgets what was resolved, because a link or a directory may have become something else.
    fn forget(&mut self) {
        self.parent = None;
    }

    /// Opens a directory of the layer's own, made where it is missing, like the tree's if it has it.
    fn open(&mut self, path: &TreePath) -> io::Result<OwnedFd> {
        match self.own.open_directory(path) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            opened => return opened,
        }
        for ancestor in path.ancestors().iter().skip(1).chain([path]) {
            let (directory, name) = self.own.parent(ancestor)?;
            let metadata = match Stat::at(&directory, &name) {
                Ok(stat) if stat.is_directory() => continue,
                Ok(_) => None,
                Err(Errno::NOENT) => self.beneath.get(ancestor).filter(|inode| inode.node.is_directory()),
                Err(other) => return Err(other.into()),
            };
            let like = metadata.map_or_else(undescribed, |inode| inode.node.metadata.clone());
            self.mirrored.insert(ancestor.clone());
            self.make_directory(ancestor, &like)?;
        }
        self.own.open_directory(path)
    }

    /// Makes a directory where nothing or something else of ours is.
    fn make_directory(&mut self, path: &TreePath, metadata: &Metadata) -> io::Result<()> {
        let (directory, name) = self.own.parent(path)?;
        let hidden = Stat::at(&directory, &name).is_ok();
        keeping_mtime(&directory, || {
            if hidden {
                remove_all(&directory, &name)?;
            }
            self.nodes.directory(directory.as_fd(), &name, metadata)
        })?;
        if hidden {
            // What the tree has in a directory of that name was gone, and must not shine through again.
            let made = open_child(&directory, &name)?;
            self.hide_children(path, &made)?;
        }
        Ok(())
    }

    /// Whiteouts for all that the tree has directly in a directory and the layer does not.
    fn hide_children(&mut self, path: &TreePath, directory: &OwnedFd) -> io::Result<()> {
        let beneath = self.beneath;
        keeping_mtime(directory, || {
            for (child, _) in beneath.children(path) {
                match overlay_whiteout(directory, &name_of(child)) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    result => result?,
                }
            }
            Ok(())
        })
    }

    /// Hides what the tree has inside a directory. True if something of the layer's own is in it.
    fn clear_real(&mut self, path: &TreePath) -> io::Result<bool> {
        match self.own.stat(path)? {
            Some(stat) if stat.is_directory() => {}
            // Hidden already, or replaced.
            Some(_) => return Ok(false),
            None if self.seen_beneath(path)?.is_some_and(|inode| inode.node.is_directory()) => {
                drop(self.open(path)?);
            }
            None => return Ok(false),
        }
        let directory = self.own.open_directory(path)?;
        let mut kept = false;
        for listed in list(&directory)? {
            kept |= self.remove_real(&path.child(listed.name.to_bytes()))?;
        }
        self.hide_children(path, &directory)?;
        Ok(kept)
    }

    /// Hides what the tree has at a path. True if something of the layer's own stays there.
    fn remove_real(&mut self, path: &TreePath) -> io::Result<bool> {
        let own = self.own.stat(path)?;
        match own {
            Some(stat) if stat.is_overlay_whiteout() => return Ok(false),
            Some(stat) if stat.is_directory() => {
                let kept = self.clear_real(path)? || !self.mirrored.contains(path);
                if kept {
                    return Ok(true);
                }
            }
            Some(_) => return Ok(true),
            None if self.seen_beneath(path)?.is_none() => return Ok(false),
            None => {}
        }
        let parent = self.open(&path.parent().ok_or(Errno::INVAL)?)?;
        let name = name_of(path);
        keeping_mtime(&parent, || {
            if own.is_some() {
                remove_all(&parent, &name)?;
            }
            overlay_whiteout(&parent, &name)
        })?;
        self.mirrored.remove(path);
        Ok(false)
    }

    /// Takes a file of the tree into the layer's own directory, so that it can have another name there.
    fn copy_up(&mut self, path: &TreePath) -> io::Result<()> {
        let inode = self.seen_beneath(path)?.ok_or(Errno::NOENT)?;
        let mut file: File;
        let mut content = match &inode.node.kind {
            Kind::Directory => return Err(Errno::ISDIR.into()),
            Kind::File { size, .. } => {
                file = self.open_below(path)?;
                Content::File { size: *size, data: &mut file }
            }
            Kind::Symlink { target } => Content::Symlink { target },
            Kind::CharDevice { major, minor } => Content::CharDevice { major: *major, minor: *minor },
            Kind::BlockDevice { major, minor } => Content::BlockDevice { major: *major, minor: *minor },
            Kind::Fifo => Content::Fifo,
        };
        let directory = self.open(&path.parent().ok_or(Errno::INVAL)?)?;
        let nodes = &mut self.nodes;
        keeping_mtime(&directory, || {
            nodes.make(directory.as_fd(), &name_of(path), &inode.node.metadata, &mut content)
        })?;
        Ok(())
    }

    fn open_below(&self, path: &TreePath) -> io::Result<File> {
        for root in self.below {
            match root.stat(path)? {
                None => {}
                Some(stat) if stat.is_overlay_whiteout() => break,
                Some(_) => return root.open_file(path),
            }
        }
        Err(Errno::NOENT.into())
    }
}

impl Sink for LowerWriter<'_> {
    fn put(&mut self, path: &TreePath, metadata: &Metadata, mut content: Content<'_>) -> io::Result<()> {
        if path.is_root() {
            return self.nodes.redescribe(self.own, metadata);
        }
        let path = self.locate(path)?;
        let directory = self.open(&path.parent().unwrap_or_default())?;
        let name = name_of(&path);
        self.mirrored.remove(&path);
        let there = Stat::at(&directory, &name).ok();
        let beneath = self.beneath.get(&path);
        let replaced = there.is_some() || beneath.is_some();
        if matches!(content, Content::Directory) {
            if there.is_some_and(|stat| stat.is_directory()) {
                return self.nodes.redescribe(open_child(&directory, &name)?, metadata);
            }
            if replaced {
                self.forget();
            }
            return self.make_directory(&path, metadata);
        }
        let LowerWriter { nodes, .. } = self;
        keeping_mtime(&directory, || {
            if there.is_some() {
                remove_all(&directory, &name)?;
            }
            let made = nodes.make(directory.as_fd(), &name, metadata, &mut content)?;
            if made == Made::Omitted && beneath.is_some() {
                overlay_whiteout(&directory, &name)?;
            }
            Ok(())
        })?;
        if replaced {
            self.forget();
        }
        Ok(())
    }

    fn link(&mut self, path: &TreePath, target: &TreePath) -> io::Result<()> {
        let target = self.locate(target)?;
        let path = self.locate(path)?;
        if self.own.stat(&target)?.is_none() {
            self.copy_up(&target)?;
        }
        let (from, from_name) = self.own.parent(&target)?;
        let source = Stat::at(&from, &from_name)?;
        if source.is_overlay_whiteout() {
            return Err(Errno::NOENT.into());
        }
        if source.is_directory() {
            return Err(Errno::ISDIR.into());
        }
        let directory = self.open(&path.parent().unwrap_or_default())?;
        let name = name_of(&path);
        let there = Stat::at(&directory, &name).ok();
        if there.is_some_and(|there| there.identity() == source.identity()) {
            return Ok(());
        }
        self.forget();
        keeping_mtime(&directory, || {
            if there.is_some() {
                remove_all(&directory, &name)?;
            }
            Ok(rustix::fs::linkat(&from, &from_name, &directory, &name, AtFlags::empty())?)
        })
    }

    fn remove(&mut self, path: &TreePath) -> io::Result<()> {
        let path = match self.locate(path) {
            Err(error) if leads_nowhere(&error) => return Ok(()),
            located => located?,
        };
        self.forget();
        self.remove_real(&path).map(drop)
    }

    fn clear(&mut self, path: &TreePath) -> io::Result<()> {
        let path = match self.resolve(path) {
            Err(error) if leads_nowhere(&error) => return Ok(()),
            resolved => resolved?,
        };
        self.forget();
        self.clear_real(&path).map(drop)
    }
}

/// Does something in a directory that must not change when it was modified.
pub(crate) fn keeping_mtime<T>(
    directory: impl AsFd,
    operation: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    let before = Stat::of(&directory)?;
    let result = operation()?;
    set_directory_mtime(&directory, before.mtime)?;
    Ok(result)
}
