//! ADD of an archive: its entries become the layer's, below the destination.

use std::io::{self, Read};

use layer::{Change, Content, Kind, Metadata, Node, Sink, Tree, TreePath};

use super::plan::has_directory;
use crate::error::{Context, Result};

/// Where and how archives are unpacked. As a [`Sink`] it takes their entries.
///
/// Symbolic links in the tree and those the archive brings are followed inside the root, so that an entry
/// lands where it would if the archive were unpacked there; none reaches outside.
pub(crate) struct Extraction<'a> {
    /// The directory that they are unpacked into.
    pub(crate) destination: &'a TreePath,
    /// Replaces the owners that the archives have.
    pub(crate) owner: Option<(u32, u32)>,
    /// The time of directories that an archive takes for granted.
    pub(crate) now: i64,
    /// What is there; kept in step, so that later entries see earlier ones.
    pub(crate) tree: &'a mut Tree,
    /// For `--link`, the tree that the layer comes to lie on, while `tree` has none of it.
    pub(crate) base: Option<&'a Tree>,
    /// Opens a file of the tree that the layer does not have.
    pub(crate) open: &'a dyn Fn(&TreePath) -> Result<Box<dyn Read + Send>>,
    /// Where entries go.
    pub(crate) sink: &'a mut dyn Sink,
}

/// The number by which a tree knows what the layer being made has put into it.
pub(crate) const THIS_LAYER: u32 = u32::MAX;

impl Extraction<'_> {
    /// Streams an archive's entries to where they belong.
    pub(crate) fn extract(&mut self, archive: impl Read + Send) -> Result<()> {
        layer::read_archive(archive, self).during("archive")
    }

    /// Where an entry's path leads, its own last part not followed.
    fn place(&self, path: &TreePath) -> io::Result<TreePath> {
        let whole = self.destination.join(path);
        let Some(parent) = whole.parent() else { return Ok(whole) };
        let parent = self.tree.resolve(&parent, true).map_err(io::Error::other)?.path;
        Ok(parent.child(whole.name()))
    }

    /// Makes the directories above an entry that are missing.
    fn make_parents(&mut self, path: &TreePath) -> io::Result<()> {
        for directory in path.ancestors() {
            match self.tree.get(&directory).map(|inode| inode.node.is_directory()) {
                Some(true) => {}
                Some(false) => return Err(io::Error::other(format!("{directory}: not a directory"))),
                None => {
                    let metadata = Metadata { mode: 0o755, mtime: self.now, ..Metadata::default() };
                    let metadata = self.owned(&metadata);
                    if !has_directory(self.base, &directory) {
                        self.sink.put(&directory, &metadata, Content::Directory)?;
                    }
                    let node = Node { metadata, kind: Kind::Directory };
                    self.note(Change::Put { path: directory, node });
                }
            }
        }
        Ok(())
    }

    /// Brings a file of the base into the layer, so that it can be linked to: a layer links only to what it
    /// has itself. An overlay does the same when a file of its lower directory is linked to.
    fn copy_up(&mut self, path: &TreePath) -> io::Result<()> {
        let inode = self.tree.get(path).filter(|inode| !inode.node.is_directory()).cloned();
        let Some(inode) = inode else {
            return Err(io::Error::other(format!("a hard link to {path}, which is no file")));
        };
        if inode.layer == THIS_LAYER {
            return Ok(());
        }
        let Node { metadata, kind } = &inode.node;
        // A change of a link's owner is one of the file's.
        let metadata = &self.owned(metadata);
        match kind {
            Kind::File { size, .. } => {
                let mut data = (self.open)(path).map_err(|error| io::Error::other(error.message))?;
                self.sink.put(path, metadata, Content::File { size: *size, data: &mut data })?;
            }
            Kind::Directory => {}
            Kind::Symlink { target } => self.sink.put(path, metadata, Content::Symlink { target })?,
            &Kind::CharDevice { major, minor } => {
                self.sink.put(path, metadata, Content::CharDevice { major, minor })?;
            }
            &Kind::BlockDevice { major, minor } => {
                self.sink.put(path, metadata, Content::BlockDevice { major, minor })?;
            }
            Kind::Fifo => self.sink.put(path, metadata, Content::Fifo)?,
        }
        self.note(Change::Put { path: path.clone(), node: inode.node.clone() });
        Ok(())
    }

    fn owned(&self, metadata: &Metadata) -> Metadata {
        let (uid, gid) = self.owner.unwrap_or((metadata.uid, metadata.gid));
        Metadata { uid, gid, ..metadata.clone() }
    }

    fn note(&mut self, change: Change) {
        self.tree.change(THIS_LAYER, &change);
    }
}

impl Sink for Extraction<'_> {
    fn put(&mut self, path: &TreePath, metadata: &Metadata, content: Content<'_>) -> io::Result<()> {
        if path.is_root() {
            return Ok(());
        }
        let path = self.place(path)?;
        self.make_parents(&path)?;
        let metadata = self.owned(metadata);
        let kind = match &content {
            Content::Directory => Kind::Directory,
            Content::Symlink { target } => Kind::Symlink { target: (*target).into() },
            // Only directories and links matter to the paths of later entries.
            _ => Kind::Fifo,
        };
        self.sink.put(&path, &metadata, content)?;
        self.note(Change::Put { path, node: Node { metadata, kind } });
        Ok(())
    }

    fn link(&mut self, path: &TreePath, target: &TreePath) -> io::Result<()> {
        let target = self.place(target)?;
        self.copy_up(&target)?;
        let path = self.place(path)?;
        self.make_parents(&path)?;
        self.sink.link(&path, &target)?;
        self.note(Change::Link { path, target });
        Ok(())
    }

    fn remove(&mut self, path: &TreePath) -> io::Result<()> {
        Err(io::Error::other(format!("an archive cannot remove {path}")))
    }

    fn clear(&mut self, path: &TreePath) -> io::Result<()> {
        Err(io::Error::other(format!("an archive cannot clear {path}")))
    }
}
