//! COPY and ADD: which sources go where, with which owner, mode and time.
//!
//! Nothing is unpacked for it. The tree beneath says what the destination looks like, the plan says what
//! will be there, and the files' bytes stream from their source into the new layer. The rules are those of
//! BuildKit's file backend (`solver/llbsolver/file` and `fsutil/copy`).

mod archive;
mod directory;
mod select;
mod source;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::io;

use dockerfile::ModeChange;
use layer::{Change, Content, Kind, Metadata, Node, Resolved, Sink, Tree, TreePath};

pub(crate) use archive::extract;
pub(crate) use directory::DirectorySource;
pub(crate) use select::select;
pub(crate) use source::{Found, FoundKind, Source, TreeSource};

use crate::error::{Error, Result};

/// How copied things are to look.
#[derive(Debug, Clone, Default)]
pub(crate) struct Look {
    /// `--chown`; without it, what the source says (which for a context is root).
    pub(crate) owner: Option<(u32, u32)>,
    /// `--chmod`.
    pub(crate) mode: Option<ModeChange>,
    /// The time of what has no source.
    pub(crate) now: i64,
}

/// Where copied things go.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    /// The path, symbolic links followed.
    pub(crate) path: TreePath,
    /// As the user wrote it, for messages.
    pub(crate) written: String,
    /// Things go *into* it: it ends with a slash, or is a directory already.
    pub(crate) is_directory: bool,
}

impl Destination {
    /// Finds out where `written` leads from `working_dir`, in the tree as it is.
    pub(crate) fn new(tree: &Tree, working_dir: &TreePath, written: &str) -> Result<Self> {
        let Resolved { path, inode } = tree.resolve(&working_dir.join_clean(written)?, true)?;
        let names_directory =
            matches!(written, "" | "." | "..") || ["/", "/.", "/.."].iter().any(|end| written.ends_with(end));
        let is_directory = names_directory || inode.is_some_and(|inode| inode.node.is_directory());
        Ok(Destination { path, written: written.to_owned(), is_directory })
    }
}

/// What will be at which path, in the order of the layer.
pub(crate) struct Plan<'a> {
    tree: &'a Tree,
    look: Look,
    entries: BTreeMap<TreePath, Planned<'a>>,
    last_wins: bool,
}

struct Planned<'a> {
    metadata: Metadata,
    what: What<'a>,
}

enum What<'a> {
    /// A file of a source. Paths of one source with equal links are the same file.
    Found { source: &'a dyn Source, path: TreePath, kind: FoundKind, link: Option<(u64, u64)> },
    /// A directory that no source has.
    Directory,
    /// A file whose bytes the Dockerfile has.
    Bytes(Vec<u8>),
}

impl<'a> Plan<'a> {
    /// A plan that changes nothing.
    pub(crate) fn new(tree: &'a Tree, look: Look) -> Self {
        Plan { tree, look, entries: BTreeMap::new(), last_wins: false }
    }

    /// True if a source took the place of one before it, since the destination is no directory.
    pub(crate) fn last_wins(&self) -> bool {
        self.last_wins
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
        self.copy_contents(source, &real, &to.path)
    }

    /// Plans a file whose bytes are at hand, as a heredoc's: mode 0644, owned by root, made now.
    pub(crate) fn write(&mut self, name: &[u8], bytes: Vec<u8>, to: &Destination) -> Result<()> {
        let path = self.place_of_file(to, name)?;
        let metadata = Metadata { mode: 0o644, mtime: self.look.now, ..Metadata::default() };
        let metadata = self.dressed(metadata, false);
        self.refuse_directory_at(&path)?;
        self.entries.insert(path, Planned { metadata, what: What::Bytes(bytes) });
        Ok(())
    }

    /// Plans a directory to extract into, unless there is one.
    pub(crate) fn make_directory(&mut self, path: &TreePath) -> Result<()> {
        self.make_parents(path)?;
        if self.is_directory(path).is_none() {
            self.insert_new_directory(path.clone());
        }
        Ok(())
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

    /// Streams everything planned into a layer.
    pub(crate) fn emit(self, sink: &mut dyn Sink) -> Result<()> {
        let mut first_names: HashMap<(u64, u64), TreePath> = HashMap::new();
        for (path, Planned { metadata, what }) in self.entries {
            let put = |sink: &mut dyn Sink, content: Content<'_>| sink.put(&path, &metadata, content);
            let done: io::Result<()> = match what {
                What::Directory => put(sink, Content::Directory),
                What::Bytes(bytes) => {
                    put(sink, Content::File { size: bytes.len() as u64, data: &mut bytes.as_slice() })
                }
                What::Found { kind: FoundKind::Directory, .. } => put(sink, Content::Directory),
                What::Found { kind: FoundKind::File { size }, source, path: from, link } => {
                    if let Some(first) = link.and_then(|link| first_names.get(&link)) {
                        sink.link(&path, first)
                    } else {
                        if let Some(link) = link {
                            first_names.insert(link, path.clone());
                        }
                        let mut data = source.open(&from)?;
                        put(sink, Content::File { size, data: &mut data })
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

    fn copy_contents(&mut self, source: &'a dyn Source, from: &TreePath, to: &TreePath) -> Result<()> {
        for name in source.names(from)? {
            let path = from.child(&name);
            // Gone since the directory was listed, or ignored.
            let Some(found) = source.get(&path)? else { continue };
            let target = to.child(&name);
            let is_directory = found.kind == FoundKind::Directory;
            self.put(target.clone(), source, &path, found)?;
            if is_directory {
                self.copy_contents(source, &path, &target)?;
            }
        }
        Ok(())
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
            Metadata { mode, ..self.dressed(metadata, false) }
        } else {
            self.dressed(metadata, kind == FoundKind::Directory)
        };
        let what = What::Found { source, path: from.clone(), kind, link };
        self.entries.insert(to, Planned { metadata, what });
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

    /// Directories above a path that nobody asked for by name: 0755 and root's, or as `--chown` and an octal
    /// `--chmod` say, made now.
    fn make_parents(&mut self, path: &TreePath) -> Result<()> {
        for ancestor in path.ancestors() {
            match self.is_directory(&ancestor) {
                Some(true) => {}
                Some(false) => return Err(Error::new(format!("{ancestor}: not a directory"))),
                None => self.insert_new_directory(ancestor),
            }
        }
        Ok(())
    }

    fn insert_new_directory(&mut self, path: TreePath) {
        let mut metadata = Metadata { mode: 0o755, mtime: self.look.now, ..Metadata::default() };
        if let Some((uid, gid)) = self.look.owner {
            (metadata.uid, metadata.gid) = (uid, gid);
        }
        if let Some(ModeChange::Octal(mode)) = &self.look.mode {
            metadata.mode = *mode;
        }
        self.entries.insert(path, Planned { metadata, what: What::Directory });
    }

    /// What there will be: a directory, something else, or nothing.
    fn is_directory(&self, path: &TreePath) -> Option<bool> {
        if let Some(planned) = self.entries.get(path) {
            let directory =
                matches!(planned.what, What::Directory | What::Found { kind: FoundKind::Directory, .. });
            return Some(directory);
        }
        self.tree.get(path).map(|inode| inode.node.is_directory())
    }

    fn refuse_directory_at(&self, path: &TreePath) -> Result<()> {
        match self.is_directory(path) {
            Some(true) => Err(Error::new(format!("cannot replace directory {path} with a file"))),
            _ => Ok(()),
        }
    }

    fn dressed(&self, mut metadata: Metadata, is_directory: bool) -> Metadata {
        if let Some((uid, gid)) = self.look.owner {
            (metadata.uid, metadata.gid) = (uid, gid);
        }
        if let Some(mode) = &self.look.mode {
            metadata.mode = mode.apply(metadata.mode, is_directory);
        }
        metadata
    }
}

/// The error for a source that is not there.
pub(crate) fn not_found(path: &TreePath, source: &dyn Source) -> Error {
    let error = Error::new(format!("\"{path}\": not found in {}", source.describe()));
    let real = source.resolve(path).unwrap_or_else(|_| path.clone());
    match source.why_missing(&real) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
