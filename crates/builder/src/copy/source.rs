//! Where COPY and ADD take files from: a filesystem to look into, read-only.

use std::collections::BTreeMap;
use std::io::{self, Read};

use layer::{ContentHash, Kind, Metadata, ResolveError, Tree, TreePath};

use crate::error::{Context, Error, Result};

/// What there is at a path of a source.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Mode, owner, time and attributes; of a file those that are known before it is [opened](Opened).
    pub(crate) metadata: Metadata,
    /// What it is.
    pub(crate) kind: FoundKind,
    /// The same for files that are hard links of each other.
    pub(crate) link: Option<(u64, u64)>,
}

/// What a found thing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FoundKind {
    Directory,
    File { size: u64 },
    Symlink { target: Box<[u8]> },
    CharDevice { major: u32, minor: u32 },
    BlockDevice { major: u32, minor: u32 },
    Fifo,
}

/// Extended attributes, by full name.
type Xattrs = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// A file of a source, open.
pub(crate) struct Opened<'a> {
    /// What it holds.
    pub(crate) data: Box<dyn Read + Send + 'a>,
    /// Attributes that are not told before.
    pub(crate) xattrs: Xattrs,
}

impl<'a> Opened<'a> {
    /// One of which everything else is known.
    pub(crate) fn plain(data: impl Read + Send + 'a) -> Self {
        Opened { data: Box::new(data), xattrs: Xattrs::new() }
    }
}

impl Read for Opened<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.data.read(buffer)
    }
}

/// What a file of a source holds, by its hash.
pub(crate) struct Hashed {
    /// Its length in bytes.
    pub(crate) size: u64,
    pub(crate) content: ContentHash,
    /// As of [`Opened`].
    pub(crate) xattrs: Xattrs,
}

/// A filesystem to copy from. Paths are within it; nothing outside can be reached.
pub(crate) trait Source {
    /// What is at exactly this path; links are not followed.
    fn get(&self, path: &TreePath) -> Result<Option<Found>>;

    /// The names in a directory, sorted.
    fn names(&self, directory: &TreePath) -> Result<Vec<Box<[u8]>>>;

    /// Reads a regular file.
    fn open(&self, path: &TreePath) -> Result<Opened<'_>>;

    /// The hash of a regular file; `buffer` is room to read into.
    fn hash(&self, path: &TreePath, buffer: &mut [u8]) -> Result<Hashed> {
        let Opened { mut data, xattrs } = self.open(path)?;
        let (content, size) = ContentHash::of_reader_with(&mut data, buffer).during(path)?;
        Ok(Hashed { size, content, xattrs })
    }

    /// The same for several threads, if hashing a file takes time.
    fn shared(&self) -> Option<&(dyn Source + Sync)> {
        None
    }

    /// Why something that one may expect at a path is not there, if more can be said.
    fn why_missing(&self, _: &TreePath) -> Option<String> {
        None
    }

    /// How error messages call it, as in "not found in the build context".
    fn describe(&self) -> String;

    /// Follows symbolic links, the last one too, without leaving the source.
    fn resolve(&self, path: &TreePath) -> Result<TreePath> {
        let mut pending: Vec<Box<[u8]>> = path.parts().rev().map(Into::into).collect();
        let mut at = TreePath::root();
        let mut links = 0;
        while let Some(part) = pending.pop() {
            match &*part {
                b"" | b"." => {}
                b".." => at = at.parent().unwrap_or_default(),
                part => {
                    let next = at.child(part);
                    match self.get(&next)?.map(|found| found.kind) {
                        Some(FoundKind::Symlink { target }) => {
                            links += 1;
                            if links > 40 {
                                return Err(ResolveError::Loop(path.clone()).into());
                            }
                            if target.first() == Some(&b'/') {
                                at = TreePath::root();
                            }
                            pending.extend(target.split(|&byte| byte == b'/').rev().map(Into::into));
                        }
                        _ => at = next,
                    }
                }
            }
        }
        Ok(at)
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

/// Opens a file of a tree.
type OpenFile<'a> = dyn Fn(&TreePath) -> Result<Box<dyn Read + Send>> + 'a;

/// The result of an earlier stage, or of an image: what is where is known from its tree, and only files
/// that are read need their bytes to be at hand.
pub(crate) struct TreeSource<'a> {
    pub(crate) tree: &'a Tree,
    pub(crate) name: String,
    pub(crate) open: Box<OpenFile<'a>>,
}

impl Source for TreeSource<'_> {
    fn get(&self, path: &TreePath) -> Result<Option<Found>> {
        Ok(self.tree.get(path).map(|inode| {
            let kind = match &inode.node.kind {
                Kind::Directory => FoundKind::Directory,
                Kind::File { size, .. } => FoundKind::File { size: *size },
                Kind::Symlink { target } => FoundKind::Symlink { target: target.clone() },
                Kind::CharDevice { major, minor } => FoundKind::CharDevice { major: *major, minor: *minor },
                Kind::BlockDevice { major, minor } => FoundKind::BlockDevice { major: *major, minor: *minor },
                Kind::Fifo => FoundKind::Fifo,
            };
            // The address stands for the inode: the tree is not changed while it is copied from.
            let link = Some((0, std::sync::Arc::as_ptr(inode) as usize as u64));
            Found { metadata: inode.node.metadata.clone(), kind, link }
        }))
    }

    fn names(&self, directory: &TreePath) -> Result<Vec<Box<[u8]>>> {
        Ok(self.tree.children(directory).map(|(path, _)| path.name().into()).collect())
    }

    fn open(&self, path: &TreePath) -> Result<Opened<'_>> {
        Ok(Opened { data: (self.open)(path)?, xattrs: Xattrs::new() })
    }

    fn hash(&self, path: &TreePath, _: &mut [u8]) -> Result<Hashed> {
        match self.tree.get(path).map(|inode| &inode.node.kind) {
            Some(Kind::File { size, content }) => {
                Ok(Hashed { size: *size, content: *content, xattrs: Xattrs::new() })
            }
            _ => Err(Error::new(format!("{path} is no file"))),
        }
    }

    fn describe(&self) -> String {
        self.name.clone()
    }
}
