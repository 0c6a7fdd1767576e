//! ADD of a local archive: its entries become the layer's, below the destination.

use std::io::Read;

use layer::{Change, Content, Kind, Metadata, Node, Sink, Tree, TreePath};

use crate::error::{Context, Result};

/// Streams an archive's entries into `sink`, below `destination`, which is a directory of `tree`.
///
/// Symbolic links in `tree` and those the archive brings are followed inside the root, so that an entry
/// lands where it would if the archive were unpacked there; none reaches outside. `owner` replaces the
/// owners the archive has.
pub(crate) fn extract(
    archive: impl Read + Send,
    destination: &TreePath,
    owner: Option<(u32, u32)>,
    now: i64,
    tree: &mut Tree,
    sink: &mut dyn Sink,
) -> Result<()> {
    let mut below = Below { destination, owner, now, tree, sink };
    layer::read_archive(archive, &mut below).during("archive")?;
    Ok(())
}

struct Below<'a> {
    destination: &'a TreePath,
    owner: Option<(u32, u32)>,
    now: i64,
    tree: &'a mut Tree,
    sink: &'a mut dyn Sink,
}

impl Below<'_> {
    /// Where an entry's path leads, its own last part not followed; missing directories are made.
    fn place(&mut self, path: &TreePath) -> std::io::Result<TreePath> {
        let whole = self.destination.join(path);
        let Some(parent) = whole.parent() else { return Ok(whole) };
        let parent = self.tree.resolve(&parent, true).map_err(std::io::Error::other)?.path;
        let mut missing: Vec<TreePath> = parent.ancestors();
        missing.push(parent.clone());
        for directory in missing {
            match self.tree.get(&directory).map(|inode| inode.node.is_directory()) {
                Some(true) => {}
                Some(false) => return Err(std::io::Error::other(format!("{directory}: not a directory"))),
                None => {
                    let metadata = Metadata { mode: 0o755, mtime: self.now, ..Metadata::default() };
                    let metadata = self.owned(&metadata);
                    self.sink.put(&directory, &metadata, Content::Directory)?;
                    self.note(Change::Put {
                        path: directory,
                        node: Node { metadata, kind: Kind::Directory },
                    });
                }
            }
        }
        Ok(parent.child(whole.name()))
    }

    fn owned(&self, metadata: &Metadata) -> Metadata {
        let (uid, gid) = self.owner.unwrap_or((metadata.uid, metadata.gid));
        Metadata { uid, gid, ..metadata.clone() }
    }

    /// Keeps the tree in step, so that later entries see earlier ones.
    fn note(&mut self, change: Change) {
        self.tree.change(u32::MAX, &change);
    }
}

impl Sink for Below<'_> {
    fn put(&mut self, path: &TreePath, metadata: &Metadata, content: Content<'_>) -> std::io::Result<()> {
        if path.is_root() {
            return Ok(());
        }
        let path = self.place(path)?;
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

    fn link(&mut self, path: &TreePath, target: &TreePath) -> std::io::Result<()> {
        let target = self.place(target)?;
        let path = self.place(path)?;
        self.sink.link(&path, &target)?;
        self.note(Change::Link { path, target });
        Ok(())
    }

    fn remove(&mut self, path: &TreePath) -> std::io::Result<()> {
        Err(std::io::Error::other(format!("an archive cannot remove {path}")))
    }

    fn clear(&mut self, path: &TreePath) -> std::io::Result<()> {
        Err(std::io::Error::other(format!("an archive cannot clear {path}")))
    }
}
