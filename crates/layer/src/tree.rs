//! The tree: a filesystem as a value, which is what layers add up to.

use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::ops::Bound;
use std::sync::Arc;

use crate::{Change, Kind, LayerIndex, Node, PathError, TreePath};

/// Which node is at each path once some layers have been applied, and which layer it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    /// Always a directory.
    root: Arc<Inode>,
    /// The others. Above each of them there are directories.
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
                if let Some(inode) = self.get(&self.place(target)).cloned() {
                    self.put(path, inode);
                }
            }
            Change::Remove { path } => self.remove_lower(&self.place(path), layer, true),
            // The name of an opaque whiteout is in the directory, so that a link to it is on the way.
            // Where the way ends there is nothing to clear.
            Change::Clear { path } => {
                if let Ok(directory) = self.resolve(path, true) {
                    self.remove_lower(&directory.path, layer, false);
                }
            }
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
        self.after(directory).take_while(move |(path, _)| path.is_within(directory))
    }

    /// What a directory holds, in order.
    pub fn children<'a>(
        &'a self,
        directory: &'a TreePath,
    ) -> impl Iterator<Item = (&'a TreePath, &'a Arc<Inode>)> {
        let mut rest = self.after(directory);
        std::iter::from_fn(move || {
            let (path, inode) = rest.next().filter(|(path, _)| path.is_within(directory))?;
            if inode.node.is_directory() {
                rest = self.inodes.range((Bound::Included(path.after_everything_below()), Bound::Unbounded));
            }
            Some((path, inode))
        })
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

    /// Everything that comes after a path.
    fn after(&self, path: &TreePath) -> Range<'_, TreePath, Arc<Inode>> {
        let start = if path.is_root() { Bound::Unbounded } else { Bound::Excluded(path) };
        self.inodes.range((start, Bound::Unbounded))
    }

    /// Follows symbolic links inside the tree, where `..` and absolute links stop at the root. With
    /// `follow_last` a link at the end is followed too, even to where nothing is.
    pub fn resolve(&self, path: &TreePath, follow_last: bool) -> Result<Resolved, ResolveError> {
        // What is in the tree has nothing but directories above it.
        if let Some(inode) = self.get(path)
            && !(follow_last && matches!(inode.node.kind, Kind::Symlink { .. }))
        {
            return Ok(Resolved { path: path.clone(), inode: Some(inode.clone()) });
        }
        let mut pending: Vec<Box<[u8]>> = path.parts().rev().map(Into::into).collect();
        let mut at = TreePath::root();
        let mut links = 0;
        while let Some(part) = pending.pop() {
            if let Some(inode) = self.get(&at)
                && !inode.node.is_directory()
            {
                return Err(ResolveError::NotADirectory(at));
            }
            match &*part {
                b"" | b"." => continue,
                b".." => {
                    at = at.parent().unwrap_or_default();
                    continue;
                }
                _ => {}
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
        let path = self.place(path);
        self.make_directory(path.parent().unwrap_or_default(), inode.layer);
        let is_directory = inode.node.is_directory();
        let replaced = self.inodes.insert(path.clone(), inode);
        if !is_directory && replaced.is_some_and(|replaced| replaced.node.is_directory()) {
            self.remove_below(&path);
        }
    }

    /// Where a layer's entry lands: directories on its way that are symbolic links are followed inside the
    /// root, its own name is not. So do runtimes when they unpack (containerd's `RootPath` of the parent).
    fn place(&self, path: &TreePath) -> TreePath {
        let parent = path.parent().unwrap_or_default();
        if self.get(&parent).is_some_and(|inode| inode.node.is_directory()) {
            return path.clone();
        }
        match self.resolve(&parent, true) {
            Ok(resolved) => resolved.path.child(path.name()),
            // A file or a loop on the way: what is there gives way.
            Err(_) => path.clone(),
        }
    }

    /// Makes sure that there is a directory. Layers may leave directories out; runtimes make them as 0755
    /// of root.
    fn make_directory(&mut self, path: TreePath, layer: u32) {
        if self.get(&path).is_some_and(|inode| inode.node.is_directory()) {
            return;
        }
        self.make_directory(path.parent().unwrap_or_default(), layer);
        self.inodes.insert(path, Arc::new(Inode { node: Node::directory(0o755, 0), layer }));
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

#[cfg(test)]
mod tests {
    use oci::{DiffId, Digest};

    use super::*;
    use crate::{ContentHash, Metadata};

    fn path(text: &str) -> TreePath {
        TreePath::new(text).unwrap()
    }

    /// A layer in shorthand: `d/` directory, `f` file, `l -> t` symbolic link, `h = t` hard link, `-p` whiteout,
    /// `!p` opaque whiteout.
    fn layer(lines: &[&str]) -> LayerIndex {
        let put = |text: &str, kind| Change::Put {
            path: path(text),
            node: Node { metadata: Metadata::default(), kind },
        };
        let change = |line: &&str| {
            if let Some(gone) = line.strip_prefix('-') {
                Change::Remove { path: path(gone) }
            } else if let Some(cleared) = line.strip_prefix('!') {
                Change::Clear { path: path(cleared) }
            } else if let Some((link, target)) = line.split_once(" -> ") {
                put(link, Kind::Symlink { target: target.as_bytes().into() })
            } else if let Some((link, target)) = line.split_once(" = ") {
                Change::Link { path: path(link), target: path(target) }
            } else if line.ends_with('/') {
                put(line, Kind::Directory)
            } else {
                put(line, Kind::File { size: 0, content: ContentHash::of(b"") })
            }
        };
        LayerIndex { diff_id: DiffId(Digest::of(b"")), size: 0, changes: lines.iter().map(change).collect() }
    }

    fn tree(layers: &[&[&str]]) -> Tree {
        let mut tree = Tree::new();
        for (number, lines) in layers.iter().enumerate() {
            tree.apply(number as u32, &layer(lines));
        }
        tree
    }

    /// Every path with the number of its layer.
    fn shown(tree: &Tree) -> String {
        let lines: Vec<String> = tree
            .iter()
            .map(|(path, inode)| {
                let slash = if inode.node.is_directory() { "/" } else { "" };
                format!("{}{slash}:{}", path.to_string().trim_start_matches('/'), inode.layer)
            })
            .collect();
        lines.join(" ")
    }

    #[test]
    fn layers_add_up() {
        for (layers, expected) in [
            (&[&["d/", "d/a"][..], &["d/b"]][..], "d/:0 d/a:0 d/b:1"),
            (&[&["d/", "d/a"], &["d/"]], "d/:1 d/a:0"),
            (&[&["d/a/b"]], "d/:0 d/a/:0 d/a/b:0"),
            // What is not a directory replaces all there was, and the other way round.
            (&[&["d/", "d/a", "d-b"], &["d"]], "d:1 d-b:0"),
            (&[&["d"], &["d/", "d/a"]], "d/:1 d/a:1"),
            (&[&["d"], &["d/a"]], "d/:1 d/a:1"),
            (&[&["d/", "d/a"], &["d -> e"]], "d:1"),
            (&[&["d -> e"], &["d/a"]], "d:0 e/:1 e/a:1"),
            // Whiteouts.
            (&[&["a", "b"], &["-a"]], "b:0"),
            (&[&["d/", "d/a/b", "d-e"], &["-d"]], "d-e:0"),
            (&[&["d/", "d/a"], &["-d", "d/", "d/b"]], "d/:1 d/b:1"),
            (&[&["d/", "d/a"], &["d/", "d/b", "-d"]], "d/:1 d/b:1"),
            (&[&["a"], &["a", "-a"]], "a:1"),
            (&[&["a"], &["-nothing", "!nothing"]], "a:0"),
            // Opaque whiteouts, before and after what this layer has there.
            (&[&["d/", "d/a", "d/e/f"], &["!d"]], "d/:0"),
            (&[&["d/", "d/a", "d/e/f"], &["!d", "d/", "d/e/g"]], "d/:1 d/e/:1 d/e/g:1"),
            (&[&["d/", "d/a", "d/e/f"], &["d/e/g", "!d"]], "d/:0 d/e/:0 d/e/g:1"),
            (&[&["a", "d/b"], &["!", "c"]], "c:1"),
            (
                &[&["d/", "d/a", "d/e/f", "s -> d", "l -> l"], &["s/e/g", "!s", "!l"]],
                "d/:0 d/e/:0 d/e/g:1 l:0 s:0",
            ),
            // Links.
            (&[&["a", "b = a"], &["a"]], "a:1 b:0"),
            (&[&["a", "d/b = a"], &["-a"]], "d/:0 d/b:0"),
            (&[&["b = nothing"]], ""),
        ] {
            assert_eq!(shown(&tree(layers)), expected, "{layers:?}");
        }
    }

    #[test]
    fn hard_links_share_an_inode() {
        let tree = tree(&[&["a", "b = a", "c = b", "d"]]);
        let inode = |text| tree.get(&path(text)).unwrap();
        assert!(Arc::ptr_eq(inode("a"), inode("c")));
        assert!(!Arc::ptr_eq(inode("a"), inode("d")));
    }

    #[test]
    fn the_root_can_be_put_and_stays_a_directory() {
        let mut tree = Tree::new();
        let mut index = layer(&["/"]);
        let Change::Put { node, .. } = &mut index.changes[0] else { panic!("it is put") };
        node.metadata.mode = 0o700;
        tree.apply(1, &index);
        tree.apply(2, &layer(&["-", "-/"]));
        let root = tree.get(&TreePath::root()).unwrap();
        assert_eq!((root.layer, root.node.metadata.mode), (1, 0o700));
        assert!(tree.is_empty());
    }

    #[test]
    fn what_a_directory_holds() {
        let tree = tree(&[&["d/", "d/a", "d/b/", "d/b/c", "d/b\u{1}", "d/b-c", "d/bc", "d-e", "e"]]);
        for (directory, children) in [
            ("", &["/d", "/d-e", "/e"][..]),
            ("d", &["/d/a", "/d/b", "/d/b\\u{1}", "/d/b-c", "/d/bc"]),
            ("d/b", &["/d/b/c"]),
            ("d/a", &[]),
            ("nothing", &[]),
        ] {
            let directory = path(directory);
            let found: Vec<String> = tree.children(&directory).map(|(path, _)| path.to_string()).collect();
            assert_eq!(found, children, "{directory}");
        }
        assert_eq!(tree.below(&path("d")).count(), 6);
        assert_eq!(tree.below(&TreePath::root()).count(), tree.len());
    }

    #[test]
    fn resolving() {
        let tree = tree(&[&[
            "d/",
            "d/f",
            "d/up -> ..",
            "d/deep/",
            "d/deep/far -> ../../../../d/f",
            "abs -> /d",
            "rel -> d//./",
            "loop -> loop",
            "ping -> pong",
            "pong -> ping",
            "gone -> d/nothing/at/all",
            "file -> d/f",
            "through -> d/f/../f",
            "root -> /",
        ]]);
        for (text, last, expected) in [
            ("d/f", true, Ok("/d/f")),
            ("d/nothing", true, Ok("/d/nothing")),
            ("nothing/at/all", true, Ok("/nothing/at/all")),
            ("abs", true, Ok("/d")),
            ("abs", false, Ok("/abs")),
            ("abs/f", false, Ok("/d/f")),
            ("rel/up/abs/deep/far", true, Ok("/d/f")),
            ("d/deep/far", false, Ok("/d/deep/far")),
            ("root/root/d", true, Ok("/d")),
            ("gone", true, Ok("/d/nothing/at/all")),
            ("gone", false, Ok("/gone")),
            ("loop", false, Ok("/loop")),
            ("", true, Ok("/")),
            ("loop", true, Err("/loop: too many levels of symbolic links")),
            ("ping/x", true, Err("/ping/x: too many levels of symbolic links")),
            ("d/f/x", true, Err("/d/f: not a directory")),
            ("through", true, Err("/d/f: not a directory")),
            ("file/x", true, Err("/d/f: not a directory")),
        ] {
            let resolved = tree.resolve(&path(text), last);
            let shown = resolved.as_ref().map(|resolved| resolved.path.to_string());
            let shown = shown.map_err(ToString::to_string);
            assert_eq!(shown, expected.map(String::from).map_err(String::from), "{text}");
            if let Ok(resolved) = resolved {
                assert_eq!(resolved.inode.as_ref(), tree.get(&resolved.path), "{text}");
            }
        }
    }
}
