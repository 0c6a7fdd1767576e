//! Changes: what a run changed, exactly, relative to the tree it started from.
//!
//! A path is in the layer if and only if it differs from the tree in kind, mode, owner, modification time
//! (whole seconds), attributes, content or in which names are one file. What was touched but ended as it was is not.
//! Contents are read only where everything else is equal and something moved.
//!
//! Hard links: names that are one file after the run are one file in the layer, and all of them are written
//! if they were not one file in the tree. Names that were one file in the tree, and still have its content and
//! time, are joined again if all that is to be said of them is equal: an overlay without index takes the
//! names of a file apart when it copies them up, as `chmod -R` makes it do, and nobody meant that. A change
//! through one name of a linked file changes the others in place and does not in an overlay (docker and
//! BuildKit alike); the layer then says what the run itself saw.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::Arc;

use layer::{Content, ContentHash, Inode, Kind, Metadata, Sink, Tree, TreePath};
use rustix::fs::FileType;

use crate::descent::Listed;
use crate::logged::Logged;
use crate::ownership::Ownership;
use crate::record::Record;
use crate::root::{Root, open_child};
use crate::scan::{Found, Walk, about, open_file};
use crate::stat::Stat;
use crate::xattr;

/// Files are hashed in pieces of so many bytes.
const BUFFER: usize = 256 * 1024;

/// Where the outcome of a run is looked for.
pub(crate) enum View<'a> {
    /// In the whole directory, of which we know what it was like before.
    Whole {
        /// Every path before the run.
        record: &'a Record,
        /// What the tree has and the directory had not even before the run.
        absent: &'a BTreeSet<TreePath>,
    },
    /// In a directory of whose changes there is a log.
    Logged(&'a Logged),
    /// In an upper directory of overlayfs, which holds what moved and nothing else.
    Upper,
}

/// Which paths are the sandbox's business and none of the image's.
#[derive(Debug, Default)]
pub(crate) struct Excluded {
    /// These and all below them.
    pub(crate) mounts: Vec<TreePath>,
    /// Directories that were missing above them: in the layer only if something in them is.
    pub(crate) made: BTreeSet<TreePath>,
    /// These and all below them are not looked at, and stay as a run leaves them.
    pub(crate) ignored: Vec<TreePath>,
}

impl Excluded {
    /// Directories of the kernel, whose contents no image has.
    pub(crate) const KERNEL: [&'static str; 3] = ["dev", "proc", "sys"];

    pub(crate) fn has(&self, path: &TreePath) -> bool {
        let first = path.parts().next().unwrap_or_default();
        let below_kernel =
            Self::KERNEL.iter().any(|name| name.as_bytes() == first) && path.parts().count() > 1;
        below_kernel || self.mounts.iter().chain(&self.ignored).any(|excluded| path.is_within(excluded))
    }
}

/// One comparison of a directory with a tree.
pub(crate) struct Comparison<'a> {
    pub(crate) tree: &'a Tree,
    pub(crate) view: View<'a>,
    pub(crate) excluded: &'a Excluded,
    pub(crate) ownership: Ownership,
    /// Times later than this become this.
    pub(crate) clamp_mtime: Option<i64>,
}

impl Comparison<'_> {
    /// Writes what differs to the sink.
    pub(crate) fn write(&self, root: &Root, sink: &mut dyn Sink) -> io::Result<()> {
        let mut writer = Writer {
            comparison: self,
            root,
            sink,
            names: None,
            written: HashMap::new(),
            split: HashMap::new(),
            linked_before: None,
            pending: Vec::new(),
            buffer: vec![0; BUFFER],
        };
        let mut walk = Walk::new(root.open_directory(&TreePath::root())?, TreePath::root())?;
        if !self.is_unmoved(&TreePath::root(), &Stat::of(root)?) {
            writer.removed(&walk)?;
        }
        while let Some(mut found) = walk.next()? {
            if self.excluded.has(&found.path) || self.is_whiteout(&found.stat) {
                continue;
            }
            let unmoved = self.is_unmoved(&found.path, &found.stat);
            found.stat = self.ownership.seen(&found.stat);
            if found.stat.is_directory() {
                if !unmoved {
                    writer.directory(&walk, &found)?;
                }
                if self.may_have_moved_below(&found.path) {
                    walk.enter(&found)?;
                    if !unmoved {
                        writer.removed(&walk)?;
                    }
                }
            } else if !unmoved {
                writer.other(&walk, &found)?;
            }
        }
        Ok(())
    }

    /// All names of files that have several.
    fn names_of_linked(&self, root: &Root) -> io::Result<HashMap<(u64, u64), Vec<TreePath>>> {
        let mut names: HashMap<(u64, u64), Vec<TreePath>> = HashMap::new();
        let mut walk = Walk::new(root.open_directory(&TreePath::root())?, TreePath::root())?;
        while let Some(found) = walk.next()? {
            if self.excluded.has(&found.path) {
                continue;
            }
            if found.stat.is_directory() {
                walk.enter(&found)?;
            } else if found.stat.nlink > 1 && !self.is_whiteout(&found.stat) {
                names.entry(found.stat.identity()).or_default().push(found.path);
            }
        }
        names.retain(|_, paths| paths.len() > 1);
        Ok(names)
    }

    fn is_unmoved(&self, path: &TreePath, stat: &Stat) -> bool {
        match self.view {
            View::Whole { record, .. } => record.has(path, stat),
            View::Logged(logged) => !logged.has(path),
            View::Upper => false,
        }
    }

    fn may_have_moved_below(&self, path: &TreePath) -> bool {
        match self.view {
            View::Logged(logged) => logged.has_below(path),
            View::Whole { .. } | View::Upper => true,
        }
    }

    fn is_whiteout(&self, stat: &Stat) -> bool {
        matches!(self.view, View::Upper) && stat.is_overlay_whiteout()
    }

    fn clamped(&self, mtime: i64) -> i64 {
        self.clamp_mtime.map_or(mtime, |clamp| mtime.min(clamp))
    }

    /// What is to be said of a node, its time not yet clamped.
    fn metadata(&self, stat: &Stat, mut xattrs: xattr::Xattrs) -> Metadata {
        self.ownership.add_attributes(stat, &mut xattrs);
        Metadata { mode: stat.mode & 0o7777, uid: stat.uid, gid: stat.gid, mtime: stat.mtime.0, xattrs }
    }

    fn is_same_time(&self, now: i64, before: i64) -> bool {
        now == before || self.clamped(now) == before
    }

    fn is_same_metadata(&self, now: &Metadata, before: &Metadata, kind: &Kind) -> bool {
        // Linux has no modes of links; tars have all sorts.
        let same_mode = now.mode == before.mode & 0o7777 || matches!(kind, Kind::Symlink { .. });
        same_mode
            && (now.uid, now.gid) == (before.uid, before.gid)
            && self.is_same_time(now.mtime, before.mtime)
            && now.xattrs == xattr::kept(&before.xattrs)
    }
}

struct Writer<'a> {
    comparison: &'a Comparison<'a>,
    root: &'a Root,
    sink: &'a mut dyn Sink,
    /// All names of files that have several, once they are asked for: it takes another walk.
    names: Option<HashMap<(u64, u64), Vec<TreePath>>>,
    /// Files with several names: where each was written, or `None` if it need not be.
    written: HashMap<(u64, u64), Option<TreePath>>,
    /// What was written of files that were linked in the tree and have its content, by the inode there.
    split: HashMap<*const Inode, Vec<(TreePath, Metadata)>>,
    /// Inodes with several names in the tree.
    linked_before: Option<HashSet<*const Inode>>,
    /// Directories that are written once something in them is.
    pending: Vec<(TreePath, Metadata)>,
    buffer: Vec<u8>,
}

impl Writer<'_> {
    /// Says what is gone from the directory that the walk has just entered.
    fn removed(&mut self, walk: &Walk) -> io::Result<()> {
        let Some(path) = walk.path() else { return Ok(()) };
        let comparison = self.comparison;
        if !comparison.tree.get(path).is_some_and(|inode| inode.node.is_directory()) {
            return Ok(());
        }
        let opaque = match comparison.view {
            View::Whole { .. } | View::Logged(_) => true,
            View::Upper => xattr::overlay_mark(walk.directory(), "opaque")?.as_deref() == Some(b"y"),
        };
        for (child, _) in comparison.tree.children(path) {
            if comparison.excluded.has(child) {
                continue;
            }
            // The list of what is to come has the next one last.
            let coming = walk.coming();
            let place = coming.binary_search_by(|listed| child.name().cmp(listed.name.to_bytes()));
            let gone = match place {
                Ok(place) => self.is_gone(walk, &coming[place])?,
                Err(_) => match &comparison.view {
                    View::Whole { absent, .. } => !absent.contains(child),
                    View::Logged(logged) => logged.has(child),
                    View::Upper => opaque,
                },
            };
            if gone {
                self.sink.remove(child)?;
            }
        }
        Ok(())
    }

    /// True for a name that says that nothing is there.
    fn is_gone(&self, walk: &Walk, listed: &Listed) -> io::Result<bool> {
        match listed.file_type {
            FileType::Socket => return Ok(true),
            FileType::CharacterDevice | FileType::Unknown => {}
            _ => return Ok(false),
        }
        let stat = Stat::at(walk.directory(), &listed.name)?;
        Ok(stat.file_type() == FileType::Socket || self.comparison.is_whiteout(&stat))
    }

    fn directory(&mut self, walk: &Walk, found: &Found) -> io::Result<()> {
        let path = &found.path;
        let directory = open_child(walk.directory(), &found.name).map_err(|error| about(path, error))?;
        self.refuse_mark(path, &directory, "redirect")?;
        let xattrs = xattr::read(&directory).map_err(|error| about(path, error))?;
        let metadata = self.comparison.metadata(&found.stat, xattrs);
        let before = self.comparison.tree.get(path).map(|inode| &inode.node);
        if let Some(before) = before.filter(|node| node.is_directory())
            && self.comparison.is_same_metadata(&metadata, &before.metadata, &before.kind)
        {
            return Ok(());
        }
        if before.is_none() && self.comparison.excluded.made.contains(path) {
            self.pending.retain(|(pending, _)| path.is_within(pending));
            self.pending.push((path.clone(), metadata));
            return Ok(());
        }
        self.put(path, metadata, Content::Directory)
    }

    fn other(&mut self, walk: &Walk, found: &Found) -> io::Result<()> {
        let Found { path, stat, .. } = found;
        if stat.file_type() == FileType::Socket {
            return Ok(());
        }
        let names = if stat.nlink > 1 { self.names(stat.identity())? } else { Vec::new() };
        if !names.is_empty()
            && let Some(written) = self.written.get(&stat.identity())
        {
            let Some(first) = written.clone() else { return Ok(()) };
            self.reveal(path)?;
            return self.sink.link(path, &first);
        }
        let mut node = OpenNode::open(walk, found).map_err(|error| about(path, error))?;
        if let OpenNode::File(file) = &node {
            self.refuse_mark(path, file, "metacopy")?;
        }
        let metadata = self.comparison.metadata(stat, node.xattrs().map_err(|error| about(path, error))?);
        let before = self.comparison.tree.get(path);
        let regrouped = names.iter().any(|name| {
            let inode = self.comparison.tree.get(name);
            !before.zip(inode).is_some_and(|(before, inode)| Arc::ptr_eq(before, inode))
        });
        let same = match before {
            Some(before) if !regrouped => self.is_same(&metadata, stat, &mut node, before),
            _ => Ok(false),
        };
        let same = same.map_err(|error| about(path, error))?;
        let first = if same { None } else { Some(self.write(found, metadata, node)?) };
        if !names.is_empty() {
            self.written.insert(stat.identity(), first);
        }
        Ok(())
    }

    /// The names of a file, if there are several that concern the image.
    fn names(&mut self, identity: (u64, u64)) -> io::Result<Vec<TreePath>> {
        if self.names.is_none() {
            self.names = Some(self.comparison.names_of_linked(self.root)?);
        }
        Ok(self.names.as_ref().and_then(|names| names.get(&identity)).cloned().unwrap_or_default())
    }

    /// Writes a node, and returns under which path what it says can be found.
    fn write(&mut self, found: &Found, metadata: Metadata, mut node: OpenNode) -> io::Result<TreePath> {
        let path = &found.path;
        if let Some(before) = self.comparison.tree.get(path)
            && self.was_linked(Arc::as_ptr(before))
            && self
                .has_content_and_time(&metadata, &found.stat, &mut node, before)
                .map_err(|error| about(path, error))?
        {
            let parts = self.split.entry(Arc::as_ptr(before)).or_default();
            if let Some((first, _)) = parts.iter().find(|(_, like)| *like == metadata).cloned() {
                self.reveal(path)?;
                self.sink.link(path, &first)?;
                return Ok(first);
            }
            parts.push((path.clone(), metadata.clone()));
        }
        match &mut node {
            OpenNode::File(file) => {
                let size = found.stat.size;
                let now = Stat::of(&*file)?;
                if now.identity() != found.stat.identity() || now.size != size {
                    return Err(moved(path));
                }
                self.put(path, metadata, Content::File { size, data: file })?;
                if Stat::of(&*file)?.ctime != found.stat.ctime {
                    return Err(moved(path));
                }
            }
            OpenNode::Symlink(target) => self.put(path, metadata, Content::Symlink { target })?,
            OpenNode::Other => {
                let (major, minor) = (rustix::fs::major(found.stat.rdev), rustix::fs::minor(found.stat.rdev));
                let content = match found.stat.file_type() {
                    FileType::CharacterDevice => Content::CharDevice { major, minor },
                    FileType::BlockDevice => Content::BlockDevice { major, minor },
                    FileType::Fifo => Content::Fifo,
                    other => {
                        return Err(io::Error::other(format!("{path}: a node of unknown type {other:?}")));
                    }
                };
                self.put(path, metadata, content)?;
            }
        }
        Ok(path.clone())
    }

    fn put(&mut self, path: &TreePath, mut metadata: Metadata, content: Content<'_>) -> io::Result<()> {
        self.reveal(path)?;
        metadata.mtime = self.comparison.clamped(metadata.mtime);
        self.sink.put(path, &metadata, content)
    }

    /// Writes the directories that waited for something to be in them.
    fn reveal(&mut self, path: &TreePath) -> io::Result<()> {
        for (directory, mut metadata) in self.pending.drain(..) {
            if path.is_within(&directory) {
                metadata.mtime = self.comparison.clamped(metadata.mtime);
                self.sink.put(&directory, &metadata, Content::Directory)?;
            }
        }
        Ok(())
    }

    fn is_same(
        &mut self,
        metadata: &Metadata,
        stat: &Stat,
        node: &mut OpenNode,
        before: &Inode,
    ) -> io::Result<bool> {
        let kind = &before.node.kind;
        if !self.comparison.is_same_metadata(metadata, &before.node.metadata, kind) {
            return Ok(false);
        }
        let device = (rustix::fs::major(stat.rdev), rustix::fs::minor(stat.rdev));
        Ok(match (kind, node) {
            (Kind::File { size, content }, OpenNode::File(file)) => {
                *size == stat.size && hash(file, &mut self.buffer)? == *content
            }
            (Kind::Symlink { target }, OpenNode::Symlink(now)) => **target == **now,
            (Kind::CharDevice { major, minor }, OpenNode::Other) => {
                stat.file_type() == FileType::CharacterDevice && device == (*major, *minor)
            }
            (Kind::BlockDevice { major, minor }, OpenNode::Other) => {
                stat.file_type() == FileType::BlockDevice && device == (*major, *minor)
            }
            (Kind::Fifo, OpenNode::Other) => stat.file_type() == FileType::Fifo,
            _ => false,
        })
    }

    /// True for a file of which at most mode, owner and attributes have changed.
    fn has_content_and_time(
        &mut self,
        metadata: &Metadata,
        stat: &Stat,
        node: &mut OpenNode,
        before: &Inode,
    ) -> io::Result<bool> {
        let (OpenNode::File(file), Kind::File { size, content }) = (node, &before.node.kind) else {
            return Ok(false);
        };
        Ok(self.comparison.is_same_time(metadata.mtime, before.node.metadata.mtime)
            && *size == stat.size
            && hash(file, &mut self.buffer)? == *content)
    }

    /// True if an inode has several names in the tree.
    fn was_linked(&mut self, inode: *const Inode) -> bool {
        let tree = self.comparison.tree;
        let linked = self.linked_before.get_or_insert_with(|| {
            let mut all: Vec<*const Inode> = tree.iter().map(|(_, inode)| Arc::as_ptr(inode)).collect();
            all.sort_unstable();
            all.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect()
        });
        linked.contains(&inode)
    }

    /// With these marks an upper directory does not hold what it shows. The overlay must be mounted with
    /// the options of [`RunRoot::Stacked`](crate::RunRoot), and then there are none.
    fn refuse_mark(&self, path: &TreePath, file: impl AsFd, mark: &str) -> io::Result<()> {
        if matches!(self.comparison.view, View::Upper) && xattr::overlay_mark(file, mark)?.is_some() {
            return Err(io::Error::other(format!("{path}: overlayfs was mounted with {mark}")));
        }
        Ok(())
    }
}

/// A node with what it takes to read it.
enum OpenNode {
    File(File),
    Symlink(Vec<u8>),
    Other,
}

impl OpenNode {
    fn open(walk: &Walk, found: &Found) -> io::Result<Self> {
        Ok(match found.stat.file_type() {
            FileType::RegularFile => OpenNode::File(open_file(walk.directory(), &found.name)?),
            FileType::Symlink => OpenNode::Symlink(
                rustix::fs::readlinkat(walk.directory(), &found.name, Vec::new())?.into_bytes(),
            ),
            _ => OpenNode::Other,
        })
    }

    /// Only files and directories have attributes that belong in a layer.
    fn xattrs(&self) -> io::Result<xattr::Xattrs> {
        match self {
            OpenNode::File(file) => xattr::read(file),
            _ => Ok(xattr::Xattrs::new()),
        }
    }
}

/// Hashes a file from its beginning, and goes back there.
fn hash(file: &mut File, buffer: &mut [u8]) -> io::Result<ContentHash> {
    use std::io::Seek;
    let mut hasher = blake3::Hasher::new();
    loop {
        match file.read(buffer) {
            Ok(0) => break,
            Ok(read) => drop(hasher.update(&buffer[..read])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    file.rewind()?;
    Ok(ContentHash(*hasher.finalize().as_bytes()))
}

fn moved(path: &TreePath) -> io::Error {
    io::Error::other(format!("{path} changed while it was read"))
}
