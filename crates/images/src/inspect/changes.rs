//! Changes: the difference that a layer makes, as two trees tell it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};
use std::ops::AddAssign;
use std::sync::Arc;

use layer::{Inode, Kind, Tree, TreePath};
use serde::Serialize;

/// A number of paths, and the bytes in them. Directories and links count as paths without bytes; of several hard links
/// the first one has the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Tally {
    /// Paths.
    pub paths: u64,
    /// Bytes.
    pub bytes: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.paths += other.paths;
        self.bytes += other.bytes;
    }
}

impl Tally {
    /// What a tree holds.
    pub(super) fn of(tree: &Tree) -> Self {
        let mut counter = Counter::default();
        tree.iter().for_each(|(_, inode)| counter.count(inode));
        counter.tally
    }
}

/// A file and its size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileSize {
    /// Where it is.
    pub path: String,
    /// Its bytes.
    pub size: u64,
    /// The layer that has it, counted from one at the bottom.
    pub layer: u32,
}

/// What a layer does to those beneath it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Changes {
    /// What was not there.
    pub added: Tally,
    /// What was there and is otherwise now; the bytes are the new ones.
    pub changed: Tally,
    /// What was there and is no more.
    pub removed: Tally,
    /// What of the layers beneath is of no use any more: of what was changed the old bytes, and what was removed.
    /// Directories that are only changed hide nothing.
    pub hidden: Tally,
    /// The biggest files that it brings.
    pub files: Vec<FileSize>,
    /// The topmost of the paths that are no more.
    pub gone: Vec<String>,
}

#[derive(Default)]
struct Counter {
    tally: Tally,
    seen: HashSet<*const Inode>,
}

impl Counter {
    fn count(&mut self, inode: &Arc<Inode>) {
        self.tally.paths += 1;
        if let Kind::File { size, .. } = inode.node.kind
            && self.seen.insert(Arc::as_ptr(inode))
        {
            self.tally.bytes += size;
        }
    }
}

/// What layer number `layer` has made of `before`. At most `listed` paths are named in each list.
pub(super) fn compare(before: &Tree, after: &Tree, layer: u32, listed: usize) -> Changes {
    let [mut added, mut changed, mut removed, mut hidden] = [(); 4].map(|()| Counter::default());
    let mut gone: Vec<TreePath> = Vec::new();
    let (mut older, mut newer) = (before.iter().peekable(), after.iter().peekable());
    loop {
        let order = match (older.peek(), newer.peek()) {
            (None, None) => break,
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some((was, _)), Some((is, _))) => was.cmp(is),
        };
        let was = if order.is_le() { older.next() } else { None };
        let is = if order.is_ge() { newer.next() } else { None };
        match (was, is) {
            (Some((path, was)), None) => {
                removed.count(was);
                hidden.count(was);
                // In order, what is below a path comes after it.
                if gone.last().is_none_or(|last| !path.is_within(last)) {
                    gone.push(path.clone());
                }
            }
            (None, Some((_, is))) => added.count(is),
            (Some((_, was)), Some((_, is))) => {
                if !Arc::ptr_eq(was, is) {
                    changed.count(is);
                    if !(was.node.is_directory() && is.node.is_directory()) {
                        hidden.count(was);
                    }
                }
            }
            (None, None) => {}
        }
    }
    gone.truncate(listed);
    Changes {
        added: added.tally,
        changed: changed.tally,
        removed: removed.tally,
        hidden: hidden.tally,
        files: biggest(after, |inode| inode.layer == layer, listed),
        gone: gone.iter().map(ToString::to_string).collect(),
    }
}

/// The biggest files of a tree, biggest first; of several hard links the first.
pub(super) fn biggest(tree: &Tree, wanted: impl Fn(&Inode) -> bool, listed: usize) -> Vec<FileSize> {
    let mut heap = BinaryHeap::new();
    let mut seen = HashSet::new();
    for (path, inode) in tree.iter() {
        let Kind::File { size, .. } = inode.node.kind else { continue };
        if wanted(inode) && seen.insert(Arc::as_ptr(inode)) {
            heap.push((Reverse(size), path, inode.layer));
            if heap.len() > listed {
                heap.pop();
            }
        }
    }
    let sorted = heap.into_sorted_vec().into_iter();
    sorted
        .map(|(Reverse(size), path, layer)| FileSize { path: path.to_string(), size, layer: layer + 1 })
        .collect()
}

#[cfg(test)]
mod tests {
    use layer::{discard, read_layer};
    use oci::Compression;
    use testkit::Layer;

    use super::*;

    fn laid(layers: &[&str]) -> (Tree, Tree) {
        let (mut before, mut after) = (Tree::new(), Tree::new());
        for (number, text) in layers.iter().enumerate() {
            let tar = Layer::new().tree(text).tar();
            before = after.clone();
            let index = read_layer(&tar[..], Compression::None, &mut discard()).unwrap();
            after.apply(number as u32, &index);
        }
        (before, after)
    }

    #[test]
    fn what_the_last_layer_does() {
        let base = "/d dir\n/d/a file = 1234\n/d/b file = 12\n/e file = 123456\n/f link -> /e";
        for (above, added, changed, removed, hidden, gone) in [
            ("/n file = 123", (1, 3), (0, 0), (0, 0), (0, 0), &[][..]),
            ("/d dir 0700", (0, 0), (1, 0), (0, 0), (0, 0), &[]),
            ("/d/a file = 1", (0, 0), (1, 1), (0, 0), (1, 4), &[]),
            ("/.wh.d file", (0, 0), (0, 0), (3, 6), (3, 6), &["/d"]),
            ("/d/.wh..wh..opq file\n/d/n file", (1, 0), (0, 0), (2, 6), (2, 6), &["/d/a", "/d/b"]),
            ("/d file = 1", (0, 0), (1, 1), (2, 6), (3, 6), &["/d/a", "/d/b"]),
            // The bytes of hard links count once.
            ("/.wh.e file\n/.wh.f file", (0, 0), (0, 0), (2, 6), (2, 6), &["/e", "/f"]),
            ("/x file = 12\n/y link -> /x", (2, 2), (0, 0), (0, 0), (0, 0), &[]),
        ] {
            let (before, after) = laid(&[base, above]);
            let found = compare(&before, &after, 1, 10);
            let pair = |tally: Tally| (tally.paths, tally.bytes);
            let all = (pair(found.added), pair(found.changed), pair(found.removed), pair(found.hidden));
            assert_eq!(all, (added, changed, removed, hidden), "{above}");
            assert_eq!(found.gone, gone, "{above}");
        }
    }

    #[test]
    fn the_biggest_come_first() {
        let (_, tree) =
            laid(&["/a file = 1\n/b file = 123\n/c link -> /b\n/d dir", "/e file = 12\n/g file = 1"]);
        let found = biggest(&tree, |_| true, 3);
        let shown: Vec<_> = found.iter().map(|file| (file.path.as_str(), file.size, file.layer)).collect();
        assert_eq!(shown, [("/b", 3, 1), ("/e", 2, 2), ("/a", 1, 1)]);
        assert_eq!(biggest(&tree, |inode| inode.layer == 1, 1).len(), 1);
        assert!(biggest(&tree, |_| true, 0).is_empty());
    }
}
