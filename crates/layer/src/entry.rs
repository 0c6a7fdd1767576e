//! Entries: what a layer says about a path.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};

use oci::DiffId;

use crate::{Content, TreePath};

/// What a layer says, without the contents of its files: its table of contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerIndex {
    /// The digest of the uncompressed tar that this index was made from.
    pub diff_id: DiffId,
    /// The uncompressed tar's length in bytes.
    pub size: u64,
    /// What it says, in the order of the tar, which is the order in which it takes effect.
    pub changes: Vec<Change>,
}

/// One statement of a layer about the tree beneath it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Here is this. A directory merges with one that is there; anything else replaces what is there.
    Put {
        /// Where.
        path: TreePath,
        /// What.
        node: Node,
    },
    /// Here is another name of what `target` names at this point.
    Link {
        /// The new name.
        path: TreePath,
        /// The name that is there already.
        target: TreePath,
    },
    /// What lower layers have here is gone (a whiteout).
    Remove {
        /// What is gone.
        path: TreePath,
    },
    /// What lower layers have *inside* this directory is gone (an opaque whiteout).
    Clear {
        /// The directory.
        path: TreePath,
    },
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// What every kind has.
    pub metadata: Metadata,
    /// What it is.
    pub kind: Kind,
}

/// What every kind of node has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metadata {
    /// Permission bits with set-user-id, set-group-id and sticky: the low twelve bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time in seconds since 1970; a layer does not hold fractions.
    pub mtime: i64,
    /// Extended attributes that a layer carries, by full name.
    pub xattrs: BTreeMap<Box<[u8]>, Box<[u8]>>,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Length in bytes.
        size: u64,
        /// What it holds.
        content: ContentHash,
    },
    /// A symbolic link.
    Symlink {
        /// Its text.
        target: Box<[u8]>,
    },
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

/// BLAKE3 of a file's contents: a key of our own, never shown to the OCI world.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentHash(pub [u8; 32]);

impl Change {
    /// The path it is about.
    #[must_use]
    pub fn path(&self) -> &TreePath {
        match self {
            Change::Put { path, .. }
            | Change::Link { path, .. }
            | Change::Remove { path }
            | Change::Clear { path } => path,
        }
    }
}

impl Node {
    /// A directory with these permissions, owned by root.
    #[must_use]
    pub fn directory(mode: u32, mtime: i64) -> Self {
        Node { metadata: Metadata { mode, mtime, ..Metadata::default() }, kind: Kind::Directory }
    }

    /// True for a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory)
    }
}

impl Kind {
    /// What a sink is to put; `None` for a file, whose bytes are elsewhere.
    pub(crate) fn content(&self) -> Option<Content<'_>> {
        Some(match *self {
            Kind::File { .. } => return None,
            Kind::Directory => Content::Directory,
            Kind::Symlink { ref target } => Content::Symlink { target },
            Kind::CharDevice { major, minor } => Content::CharDevice { major, minor },
            Kind::BlockDevice { major, minor } => Content::BlockDevice { major, minor },
            Kind::Fifo => Content::Fifo,
        })
    }
}

/// True for the extended attributes that layers carry: all of them, but for overlayfs's own, which are how a
/// kernel keeps what whiteouts say, and SELinux's label, which is the host's. Neither a reader nor a writer
/// lets others through.
#[must_use]
pub fn carries_xattr(name: &[u8]) -> bool {
    !(name.starts_with(b"trusted.overlay.")
        || name.starts_with(b"user.overlay.")
        || name == b"security.selinux")
}

impl ContentHash {
    /// The hash of some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        ContentHash(*blake3::hash(bytes).as_bytes())
    }

    /// The hash of what a reader gives to its end, and the number of bytes.
    pub fn of_reader(data: &mut dyn Read) -> io::Result<(Self, u64)> {
        // Most files are small, and all of this is cleared for each.
        Self::of_reader_with(data, &mut [0; 16 * 1024])
    }

    /// The same with room to read into, for those who hash many files. 16 KiB are hashed at once.
    pub fn of_reader_with(data: &mut dyn Read, buffer: &mut [u8]) -> io::Result<(Self, u64)> {
        let mut hasher = blake3::Hasher::new();
        let mut size = 0;
        loop {
            match data.read(buffer) {
                Ok(0) => return Ok((ContentHash(*hasher.finalize().as_bytes()), size)),
                Ok(count) => {
                    hasher.update(&buffer[..count]);
                    size += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "blake3:{self}")
    }
}
