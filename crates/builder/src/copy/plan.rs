//! Plan: what one COPY puts at which path.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::io;

use dockerfile::Ignore;
use layer::{Change, Content, ContentHash, Kind, Metadata, Node, Sink, Tree, TreePath};

use super::filter::{Filter, Verdict, Wanted};
use super::hashing::{BUFFER, Hashes, Hashing};
use super::{Destination, Found, FoundKind, Hashed, Look, Opened, Source, not_found};
use crate::error::{Error, Result};

/// What will be at which path, in the order of the layer.
pub(crate) struct Plan<'a> {
    /// What is there before.
    tree: &'a Tree,
    /// For `--link`, the tree that the layer comes to lie on, while `tree` is empty: what is made only to
    /// get to something else is left out of the layer where this tree has a directory, so that the
    /// directory stays as it is, and the layer is the same on every base that has one.
    base: Option<&'a Tree>,
    look: Look,
    exclude: &'a Ignore,
    entries: BTreeMap<TreePath, Planned<'a>>,
    /// How often something of a source was planned.
    copied: usize,
    last_wins: bool,
    /// Takes files as they are planned, if it is asked for their hashes.
    hashing: Option<Hashing<'a>>,
}

/// Takes what is planned with hashes in the place of contents.
pub(crate) trait Nodes {
    /// Here is this.
    fn put(&mut self, path: &TreePath, node: &Node);

    /// Here is another name of what has come at `target`.
    fn link(&mut self, path: &TreePath, target: &TreePath);
}

struct Planned<'a> {
    metadata: Metadata,
    what: What<'a>,
}

enum What<'a> {
    /// A file of a source. Paths of one source with equal links are the same file.
    Found {
        source: &'a dyn Source,
        path: TreePath,
        kind: FoundKind,
        link: Option<(usize, u64, u64)>,
        /// By which its hash will be known.
        number: Option<usize>,
    },
    /// A directory that no source has.
    Directory,
    /// A file whose bytes the Dockerfile has.
    Bytes(Vec<u8>),
}

/// A directory of a source that was looked into, but is not copied itself.
struct OnTheWay {
    to: TreePath,
    metadata: Metadata,
}

/// Where the copying of a directory is.
struct Place<'p> {
    /// In the source.
    from: &'p TreePath,
    /// The same, relative to the directory that is copied.
    below: TreePath,
    /// Where it comes to be.
    to: &'p TreePath,
}

impl<'a> Plan<'a> {
    /// A plan that changes nothing.
    pub(crate) fn new(tree: &'a Tree, look: Look, exclude: &'a Ignore) -> Self {
        let entries = BTreeMap::new();
        Plan { tree, base: None, look, exclude, entries, copied: 0, last_wins: false, hashing: None }
    }

    /// Has files hashed while others are planned, for [`Plan::tell`].
    #[must_use]
    pub(crate) fn hashed_by(mut self, hashing: Hashing<'a>) -> Self {
        self.hashing = Some(hashing);
        self
    }

    /// No file comes any more.
    pub(crate) fn end_hashing(mut self) -> Self {
        self.hashing = None;
        self
    }

    /// Says which tree a layer of `--link` is to lie on.
    #[must_use]
    pub(crate) fn linked_onto(mut self, base: Option<&'a Tree>) -> Self {
        self.base = base;
        self
    }

    /// True if a source took the place of one before it, since the destination is no directory.
    pub(crate) fn last_wins(&self) -> bool {
        self.last_wins
    }

    /// What is in the base of a `--link` and gives way to something of another kind: links that other
    /// instructions would follow, and directories in the way of a file.
    pub(crate) fn replaced(&self) -> impl Iterator<Item = (&TreePath, &'static str)> {
        self.entries.iter().filter_map(|(path, planned)| {
            let there = &self.base?.get(path)?.node.kind;
            match (planned.is_directory(), there) {
                (true, Kind::Symlink { .. }) => Some((path, "symbolic link")),
                (false, Kind::Directory) => Some((path, "directory")),
                _ => None,
            }
        })
    }

    /// Plans the copy of a file, or of what a directory holds.
    pub(crate) fn copy(&mut self, source: &'a dyn Source, from: &TreePath, to: &Destination) -> Result<()> {
        let real = source.resolve(from)?;
        let found = source.get(&real)?.ok_or_else(|| not_found(from, source))?;
        if found.kind != FoundKind::Directory {
            let path = self.place_of_file(to, from.name())?;
            return self.put(path, source, &real, found);
        }
        self.make_parents(&to.path)?;
        self.top_directory(&to.path, found.metadata.mtime)?;
        let filter = Filter { wanted: Wanted::Everything, exclude: self.exclude };
        self.copy_below(source, &filter, &real, &to.path).map(drop)
    }

    /// Plans a file whose bytes are at hand, as a heredoc's: mode 0644, owned by root, made now.
    pub(crate) fn write(&mut self, name: &[u8], bytes: Vec<u8>, to: &Destination) -> Result<()> {
        let path = self.place_of_file(to, name)?;
        let metadata = Metadata { mode: 0o644, mtime: self.look.now, ..Metadata::default() };
        let metadata = self.look.of(metadata, false);
        self.refuse_directory_at(&path)?;
        self.entries.insert(path, Planned { metadata, what: What::Bytes(bytes) });
        Ok(())
    }

    /// Plans a directory to put things into, unless there is one.
    pub(crate) fn make_directory(&mut self, path: &TreePath) -> Result<()> {
        self.make_parents(path)?;
        self.make_one_directory(path.clone())
    }

    /// The files whose bytes will be read.
    pub(crate) fn files(&self) -> impl Iterator<Item = &TreePath> {
        self.entries.values().filter_map(|planned| match &planned.what {
            What::Found { kind: FoundKind::File { .. }, path, .. } => Some(path),
            _ => None,
        })
    }

    /// What the plan changes in a tree, as far as it matters to paths: what is a directory and what leads
    /// elsewhere.
    pub(crate) fn changes(&self) -> Vec<Change> {
        let change = |(path, planned): (&TreePath, &Planned<'_>)| {
            let kind = match &planned.what {
                What::Directory | What::Found { kind: FoundKind::Directory, .. } => Kind::Directory,
                What::Found { kind: FoundKind::Symlink { target }, .. } => {
                    Kind::Symlink { target: target.clone() }
                }
                _ => Kind::Fifo,
            };
            Change::Put { path: path.clone(), node: Node { metadata: planned.metadata.clone(), kind } }
        };
        self.entries.iter().map(change).collect()
    }

    /// Tells everything planned, in the order of a layer.
    pub(crate) fn tell(self, hashes: Hashes, nodes: &mut dyn Nodes) -> Result<()> {
        let (mut names, mut hashes, mut buffer) = (FirstNames::default(), hashes, Vec::new());
        for (path, Planned { mut metadata, what }) in self.entries {
            let kind = match what {
                What::Directory if has_directory(self.base, &path) => continue,
                What::Directory | What::Found { kind: FoundKind::Directory, .. } => Kind::Directory,
                What::Bytes(bytes) => {
                    Kind::File { size: bytes.len() as u64, content: ContentHash::of(&bytes) }
                }
                What::Found { kind: FoundKind::File { .. }, source, path: from, link, number } => {
                    if let Some(first) = names.first(link, &path) {
                        nodes.link(&path, first);
                        continue;
                    }
                    let known = number.and_then(|number| hashes.take(number));
                    let Hashed { size, content, xattrs } = known.unwrap_or_else(|| {
                        buffer.resize(BUFFER, 0);
                        source.hash(&from, &mut buffer)
                    })?;
                    metadata.xattrs.extend(xattrs);
                    Kind::File { size, content }
                }
                What::Found { kind: FoundKind::Symlink { target }, .. } => Kind::Symlink { target },
                What::Found { kind: FoundKind::CharDevice { major, minor }, .. } => {
                    Kind::CharDevice { major, minor }
                }
                What::Found { kind: FoundKind::BlockDevice { major, minor }, .. } => {
                    Kind::BlockDevice { major, minor }
                }
                What::Found { kind: FoundKind::Fifo, .. } => Kind::Fifo,
            };
            nodes.put(&path, &Node { metadata, kind });
        }
        Ok(())
    }

    /// Streams everything planned into a layer.
    pub(crate) fn emit(self, sink: &mut dyn Sink) -> Result<()> {
        let mut names = FirstNames::default();
        for (path, Planned { mut metadata, what }) in self.entries {
            let put = |sink: &mut dyn Sink, content: Content<'_>| sink.put(&path, &metadata, content);
            let done: io::Result<()> = match what {
                What::Directory if has_directory(self.base, &path) => Ok(()),
                What::Directory => put(sink, Content::Directory),
                What::Bytes(bytes) => {
                    put(sink, Content::File { size: bytes.len() as u64, data: &mut bytes.as_slice() })
                }
                What::Found { kind: FoundKind::Directory, .. } => put(sink, Content::Directory),
                What::Found { kind: FoundKind::File { size }, source, path: from, link, .. } => {
                    if let Some(first) = names.first(link, &path) {
                        sink.link(&path, first)
                    } else {
                        let Opened { mut data, xattrs } = source.open(&from)?;
                        metadata.xattrs.extend(xattrs);
                        sink.put(&path, &metadata, Content::File { size, data: &mut data })
                    }
                }
                What::Found { kind: FoundKind::Symlink { target }, .. } => {
                    put(sink, Content::Symlink { target: &target })
                }
                What::Found { kind: FoundKind::CharDevice { major, minor }, .. } => {
                    put(sink, Content::CharDevice { major, minor })
                }
                What::Found { kind: FoundKind::BlockDevice { major, minor }, .. } => {
                    put(sink, Content::BlockDevice { major, minor })
                }
                What::Found { kind: FoundKind::Fifo, .. } => put(sink, Content::Fifo),
            };
            done.map_err(|error| Error::new(format!("{path}: {error}")))?;
        }
        Ok(())
    }

    /// Plans the copy of what a filter leaves of a directory's contents. False if that is nothing.
    pub(super) fn copy_below(
        &mut self,
        source: &'a dyn Source,
        filter: &Filter<'_>,
        from: &TreePath,
        to: &TreePath,
    ) -> Result<bool> {
        let before = self.copied;
        let below = TreePath::root();
        let is_wanted = filter.wanted.names(&below);
        self.descend(source, filter, &Place { from, below, to }, is_wanted, &mut Vec::new())?;
        Ok(self.copied > before)
    }

    /// `is_wanted` says that the directory, or one above it, is asked for; `above` holds the directories
    /// above that will be there if something in this one is.
    fn descend(
        &mut self,
        source: &'a dyn Source,
        filter: &Filter<'_>,
        place: &Place<'_>,
        is_wanted: bool,
        above: &mut Vec<OnTheWay>,
    ) -> Result<()> {
        for name in source.names(place.from)? {
            let from = place.from.child(&name);
            // Gone since the directory was listed, or ignored.
            let Some(found) = source.get(&from)? else { continue };
            let (below, to) = (place.below.child(&name), place.to.child(&name));
            let is_wanted = is_wanted || filter.wanted.names(&below);
            let is_directory = found.kind == FoundKind::Directory;
            let verdict = filter.verdict(&below, is_wanted, is_directory);
            let depth = above.len();
            match verdict {
                Verdict::LeftOut => continue,
                Verdict::OnTheWay => above.push(OnTheWay { to: to.clone(), metadata: found.metadata }),
                Verdict::Copied => {
                    above.drain(..).try_for_each(|directory| self.pass_through(directory))?;
                    self.put(to.clone(), source, &from, found)?;
                }
            }
            if is_directory {
                let place = Place { from: &from, below, to: &to };
                self.descend(source, filter, &place, is_wanted, above)?;
                above.truncate(depth);
            }
        }
        Ok(())
    }

    /// A directory on the way to something copied looks like that of the source, made now. One that is there
    /// already only takes its mode, as with BuildKit.
    fn pass_through(&mut self, OnTheWay { to, metadata }: OnTheWay) -> Result<()> {
        let look = self.look.of(metadata, true);
        match self.is_directory(&to) {
            Some(false) => Err(Error::new(format!("cannot copy to non-directory: {to}"))),
            Some(true) => {
                if let Some(planned) = self.entries.get_mut(&to) {
                    planned.metadata.mode = look.mode;
                } else if let Some(there) = self.tree.get(&to).map(|inode| &inode.node.metadata)
                    && there.mode != look.mode
                {
                    let metadata = Metadata { mode: look.mode, ..there.clone() };
                    self.entries.insert(to, Planned { metadata, what: What::Directory });
                }
                Ok(())
            }
            None => {
                let metadata = Metadata { mtime: self.look.now, ..look };
                self.entries.insert(to, Planned { metadata, what: What::Directory });
                Ok(())
            }
        }
    }

    fn put(&mut self, to: TreePath, source: &'a dyn Source, from: &TreePath, found: Found) -> Result<()> {
        let Found { metadata, kind, link } = found;
        match (&kind, self.is_directory(&to)) {
            (FoundKind::Directory, Some(false)) => {
                return Err(Error::new(format!("cannot copy to non-directory: {to}")));
            }
            (FoundKind::Directory, _) => {}
            _ => self.refuse_directory_at(&to)?,
        }
        let metadata = if matches!(kind, FoundKind::Symlink { .. }) {
            let mode = metadata.mode;
            Metadata { mode, ..self.look.of(metadata, false) }
        } else {
            self.look.of(metadata, kind == FoundKind::Directory)
        };
        // Inodes of different sources have nothing to do with each other; the address tells sources apart.
        let source_number = std::ptr::from_ref(source).cast::<()>() as usize;
        let link = link.map(|(device, inode)| (source_number, device, inode));
        let number = match (&mut self.hashing, source.shared(), &kind) {
            (Some(hashing), Some(source), FoundKind::File { .. }) => Some(hashing.add(source, from, link)),
            _ => None,
        };
        let what = What::Found { source, path: from.clone(), kind, link, number };
        self.entries.insert(to, Planned { metadata, what });
        self.copied += 1;
        Ok(())
    }

    /// The directory that a copied directory's contents go into: its owner and mode are never the source's,
    /// its time always is.
    fn top_directory(&mut self, path: &TreePath, mtime: i64) -> Result<()> {
        match self.is_directory(path) {
            Some(false) => return Err(Error::new(format!("cannot copy to non-directory: {path}"))),
            Some(true) if path.is_root() => return Ok(()),
            Some(true) if self.entries.contains_key(path) => {}
            Some(true) => {
                let inode = self.tree.get(path).expect("the tree has a directory there");
                let metadata = inode.node.metadata.clone();
                self.entries.insert(path.clone(), Planned { metadata, what: What::Directory });
            }
            None => self.insert_new_directory(path.clone()),
        }
        if let Some(planned) = self.entries.get_mut(path) {
            planned.metadata.mtime = mtime;
        }
        Ok(())
    }

    /// Where a file called `name` goes: into the destination if that is a directory, or has become one by
    /// an earlier source; else it takes the destination's name.
    fn place_of_file(&mut self, to: &Destination, name: &[u8]) -> Result<TreePath> {
        let inside = to.is_directory || self.is_directory(&to.path) == Some(true);
        let path = if inside { to.path.child(name) } else { to.path.clone() };
        self.last_wins |= !inside && self.entries.contains_key(&path);
        self.make_parents(&path)?;
        Ok(path)
    }

    /// Makes the directories above a path, as far as they are missing.
    fn make_parents(&mut self, path: &TreePath) -> Result<()> {
        path.ancestors().into_iter().try_for_each(|ancestor| self.make_one_directory(ancestor))
    }

    fn make_one_directory(&mut self, path: TreePath) -> Result<()> {
        match self.is_directory(&path) {
            Some(true) => {}
            Some(false) => return Err(Error::new(format!("{path}: not a directory"))),
            None => self.insert_new_directory(path),
        }
        Ok(())
    }

    fn insert_new_directory(&mut self, path: TreePath) {
        let metadata = self.look.of_new_directory();
        self.entries.insert(path, Planned { metadata, what: What::Directory });
    }

    /// What there will be: a directory, something else, or nothing.
    fn is_directory(&self, path: &TreePath) -> Option<bool> {
        match self.entries.get(path) {
            Some(planned) => Some(planned.is_directory()),
            None => self.tree.get(path).map(|inode| inode.node.is_directory()),
        }
    }

    fn refuse_directory_at(&self, path: &TreePath) -> Result<()> {
        match self.is_directory(path) {
            Some(true) => Err(Error::new(format!("cannot replace directory {path} with a file"))),
            _ => Ok(()),
        }
    }

    /// What `--exclude` says.
    pub(super) fn exclude(&self) -> &'a Ignore {
        self.exclude
    }
}

impl Planned<'_> {
    fn is_directory(&self) -> bool {
        matches!(self.what, What::Directory | What::Found { kind: FoundKind::Directory, .. })
    }
}

/// The first names of files that have several.
#[derive(Default)]
struct FirstNames(HashMap<(usize, u64, u64), TreePath>);

impl FirstNames {
    /// The name under which a file has come before; `None` if this is the first.
    fn first(&mut self, link: Option<(usize, u64, u64)>, path: &TreePath) -> Option<&TreePath> {
        match self.0.entry(link?) {
            Entry::Occupied(first) => Some(first.into_mut()),
            Entry::Vacant(vacant) => {
                vacant.insert(path.clone());
                None
            }
        }
    }
}

/// True if a layer of `--link` need not make a directory, since the tree it will lie on has it.
pub(super) fn has_directory(base: Option<&Tree>, path: &TreePath) -> bool {
    base.and_then(|base| base.get(path)).is_some_and(|inode| inode.node.is_directory())
}
