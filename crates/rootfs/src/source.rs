//! Source: what `COPY` reads from a directory of the host.

use std::io;
use std::path::Path;

use layer::{Metadata, TreePath};
use rustix::fs::FileType;

use crate::descent::list;
use crate::root::{Root, open_child};
use crate::scan::{about, open_file};
use crate::stat::Stat;
use crate::xattr;

/// A directory of the host that is copied from, such as a build context. Links in it cannot lead outside.
#[derive(Debug)]
pub struct SourceDirectory {
    root: Root,
}

/// Something that is copied.
#[derive(Debug)]
pub struct Source {
    /// Its owner, mode, time and the attributes that belong in a layer.
    pub metadata: Metadata,
    /// What it is.
    pub kind: SourceKind,
    /// What else the kernel says: names with the same [identity](Stat::identity) are one file.
    pub stat: Stat,
}

/// What is copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceKind {
    /// A directory.
    Directory,
    /// A regular file, or a socket, which is copied as an empty one, as BuildKit does.
    File {
        /// Length in bytes.
        size: u64,
    },
    /// A symbolic link, copied as one.
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

impl SourceDirectory {
    /// Opens a directory of the host.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let root = Root::open(directory)
            .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", directory.display())))?;
        Ok(SourceDirectory { root })
    }

    /// The directory, to open files in it.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// What is at exactly this path, a link at its end not followed; `None` if nothing is. A file that
    /// cannot be read is an error that names it.
    pub fn find(&self, path: &TreePath) -> io::Result<Option<Source>> {
        let Some(stat) = self.root.stat(path)? else { return Ok(None) };
        self.read(path, stat).map(Some).map_err(|error| about(path, error))
    }

    /// The names in a directory, in order.
    pub fn names(&self, directory: &TreePath) -> io::Result<Vec<Box<[u8]>>> {
        let listed = self.root.open_directory(directory).and_then(list);
        let listed = listed.map_err(|error| about(directory, error))?;
        Ok(listed.into_iter().map(|listed| listed.name.to_bytes().into()).collect())
    }

    fn read(&self, path: &TreePath, stat: Stat) -> io::Result<Source> {
        let (directory, name) = if path.is_root() {
            (self.root.open_directory(path)?, c".".to_owned())
        } else {
            self.root.parent(path)?
        };
        let (major, minor) = (rustix::fs::major(stat.rdev), rustix::fs::minor(stat.rdev));
        let mut xattrs = xattr::Xattrs::new();
        let kind = match stat.file_type() {
            FileType::Directory => {
                xattrs = xattr::read(open_child(&directory, &name)?)?;
                SourceKind::Directory
            }
            FileType::RegularFile => {
                xattrs = xattr::read(open_file(&directory, &name)?)?;
                SourceKind::File { size: stat.size }
            }
            FileType::Socket => SourceKind::File { size: 0 },
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(&directory, &name, Vec::new())?;
                SourceKind::Symlink { target: target.into_bytes().into() }
            }
            FileType::CharacterDevice => SourceKind::CharDevice { major, minor },
            FileType::BlockDevice => SourceKind::BlockDevice { major, minor },
            FileType::Fifo => SourceKind::Fifo,
            FileType::Unknown => return Err(io::Error::other("a node of unknown type")),
        };
        let (uid, gid) = (stat.uid, stat.gid);
        let metadata = Metadata { mode: stat.mode & 0o7777, uid, gid, mtime: stat.mtime.0, xattrs };
        Ok(Source { metadata, kind, stat })
    }
}
