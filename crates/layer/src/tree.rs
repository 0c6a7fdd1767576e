//! The tree: a filesystem as a value, which is what layers add up to.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::{Change, Kind, LayerIndex, Node, PathError, TreePath};

/// Which node is at each path once some layers have been applied, and which layer it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    root: Arc<Inode>,
    inodes: BTreeMap<TreePath, Arc<Inode>>,
}

/// A node of the tree. Hard links are paths with the same inode, told by [`Arc::ptr_eq`].
#[derive(Debug, PartialEq, Eq)]
pub struct Inode {
    /// What it is.
    pub node: Node,
    /// The number of the layer that put it there, counted from the bottom.
    pub layer: u32,
}

/// Where a path leads once symbolic links have been followed.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The path, free of symbolic links as far as it exists.
    pub path: TreePath,
    /// What is there, if anything is.
    pub inode: Option<Arc<Inode>>,
}

/// Why a path leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// More than forty links on the way, the kernel's limit.
    #[error("{0}: too many levels of symbolic links")]
    Loop(TreePath),
    /// Something on the way is neither a directory nor a link.
    #[error("{0}: not a directory")]
    NotADirectory(TreePath),
    /// A link's text is no path.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// The kernel's limit on links in one resolution (`MAXSYMLINKS`).
const MAX_LINKS: u32 = 40;

impl Default for Tree {
    fn default() -> Self {
        Tree::new()
    }
}

impl Tree {
    /// The empty tree: a root directory of mode 0755 and nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Tree { root: Arc::new(Inode { node: Node::directory(0o755, 0), layer: 0 }), inodes: BTreeMap::new() }
    }

    /// Lays a layer on top, as number `layer` from the bottom.
    ///
    /// Whiteouts concern lower layers only (image-spec, layer.md): what this same layer has put is kept.
    pub fn apply(&mut self, layer: u32, index: &LayerIndex) {
        for change in &index.changes {
            self.change(layer, change);
        }
    }

    /// Makes one change, as part of layer number `layer`.
    pub fn change(&mut self, layer: u32, change: &Change) {
        match change {
            Change::Put { path, node } => self.put(path, Arc::new(Inode { node: node.clone(), layer })),
            Change::Link { path, target } => {
                // A target that is not there was refused when the layer was read with the tree beneath
                // it on disk; as a value it is a link to nothing, which is nothing.
                if let Some(inode) = self.get(target).cloned() {
                    self.put(path, inode);
                }
            }
            Change::Remove { path } => self.remove_lower(path, layer, true),
            Change::Clear { path } => self.remove_lower(path, layer, false),
        }
    }

    /// What is at exactly this path; links are not followed.
    #[must_use]
    pub fn get(&self, path: &TreePath) -> Option<&Arc<Inode>> {
        if path.is_root() { Some(&self.root) } else { self.inodes.get(path) }
    }

    /// Everything below a directory, itself not included, in order.
    pub fn below<'a>(
        &'a self,
        directory: &'a TreePath,
    ) -> impl Iterator<Item = (&'a TreePath, &'a Arc<Inode>)> {
        let start = if directory.is_root() { Bound::Unbounded } else { Bound::Excluded(directory) };
        self.inodes.range((start, Bound::Unbounded)).take_while(move |(path, _)| path.is_within(directory))
    }

    /// What a directory holds, in order.
    pub fn children<'a>(
        &'a self,
        directory: &'a TreePath,
    ) -> impl Iterator<Item = (&'a TreePath, &'a Arc<Inode>)> {
        let depth = directory.parts().count() + 1;
        self.below(directory).filter(move |(path, _)| path.parts().count() == depth)
    }

    /// Every path but the root, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&TreePath, &Arc<Inode>)> {
        self.inodes.iter()
    }

    /// The number of paths, the root not counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inodes.len()
    }

    /// True if there is nothing but the root.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inodes.is_empty()
    }

    /// Follows symbolic links inside the tree, where `..` and absolute links stop at the root. With
    /// `follow_last` a link at the end is followed too, even to where nothing is.
    pub fn resolve(&self, path: &TreePath, follow_last: bool) -> Result<Resolved, ResolveError> {
        let mut pending: Vec<Box<[u8]>> = path.parts().rev().map(Into::into).collect();
        let mut at = TreePath::root();
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
            if let Some(inode) = self.get(&at)
                && !inode.node.is_directory()
            {
                return Err(ResolveError::NotADirectory(at));
            }
            let next = TreePath::new(at.child(&part).as_bytes())?;
            match self.get(&next).map(|inode| &inode.node.kind) {
                Some(Kind::Symlink { target }) if follow_last || !pending.is_empty() => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(ResolveError::Loop(path.clone()));
                    }
                    if target.first() == Some(&b'/') {
                        at = TreePath::root();
                    }
                    pending.extend(target.split(|&byte| byte == b'/').rev().map(Into::into));
                }
                _ => at = next,
            }
        }
        Ok(Resolved { inode: self.get(&at).cloned(), path: at })
    }

    fn put(&mut self, path: &TreePath, inode: Arc<Inode>) {
        if path.is_root() {
            if inode.node.is_directory() {
                self.root = inode;
            }
            return;
        }
        for ancestor in path.ancestors().into_iter().skip(1) {
            // Layers may leave directories out; runtimes make them as 0755 root.
            if !self.inodes.get(&ancestor).is_some_and(|above| above.node.is_directory()) {
                let made = Arc::new(Inode { node: Node::directory(0o755, 0), layer: inode.layer });
                self.inodes.insert(ancestor, made);
            }
        }
        if !inode.node.is_directory() {
            self.remove_below(path);
        }
        self.inodes.insert(path.clone(), inode);
    }

    fn remove_below(&mut self, path: &TreePath) {
        let below: Vec<TreePath> = self.below(path).map(|(path, _)| path.clone()).collect();
        for path in below {
            self.inodes.remove(&path);
        }
    }

    /// Removes what layers below `layer` have put at or below `path`, keeping what `layer` itself has.
    fn remove_lower(&mut self, path: &TreePath, layer: u32, itself: bool) {
        let mut kept_below = false;
        let below: Vec<(TreePath, bool)> =
            self.below(path).map(|(path, inode)| (path.clone(), inode.layer == layer)).collect();
        // Deepest first, so that a lower directory stays if this layer has something in it.
        let mut keep: Vec<TreePath> = Vec::new();
        for (below, ours) in below.into_iter().rev() {
            if ours || keep.last().is_some_and(|kept| kept.is_within(&below)) {
                kept_below = true;
                keep.push(below);
            } else {
                self.inodes.remove(&below);
            }
        }
        if itself && !kept_below && self.inodes.get(path).is_some_and(|inode| inode.layer != layer) {
            self.inodes.remove(path);
        }
    }
}
