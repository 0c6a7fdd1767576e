//! Source: what `COPY` reads from a directory of the host.

use std::collections::VecDeque;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use layer::{Metadata, TreePath};
use rustix::fs::FileType;

use crate::descent::list;
use crate::root::{Root, absent, name_of, open_child};
use crate::scan::{about, open_file};
use crate::stat::Stat;
use crate::xattr::{self, Xattrs};

/// So many directories are kept open, for as many threads that read files at once.
const OPEN: usize = 16;

/// A directory of the host that is copied from, such as a build context. Links in it cannot lead outside.
#[derive(Debug)]
pub struct SourceDirectory {
    root: Root,
    /// Directories of what was looked at last: what comes next is most often in the same, for each who looks.
    parents: Mutex<VecDeque<Parent>>,
}

/// The directory of some paths, by that part of them.
type Parent = (Box<[u8]>, Arc<OwnedFd>);

/// Something that is copied.
#[derive(Debug)]
pub struct Source {
    /// Its owner, mode, time and the attributes that belong in a layer; of a regular file without those, which
    /// [`SourceDirectory::attributes`] reads when it is open.
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
        Ok(SourceDirectory { root, parents: Mutex::default() })
    }

    /// The directory, to open files in it.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// What is at exactly this path, a link at its end not followed; `None` if nothing is. A file that
    /// cannot be read is an error that names it.
    pub fn find(&self, path: &TreePath) -> io::Result<Option<Source>> {
        let Some(stat) = self.stat(path)? else { return Ok(None) };
        self.read(path, stat).map(Some)
    }

    /// What the kernel says of what is at exactly this path; `None` if nothing is.
    pub fn stat(&self, path: &TreePath) -> io::Result<Option<Stat>> {
        if path.is_root() {
            return self.root.stat(path);
        }
        let directory = match self.parent(path) {
            Ok(directory) => directory,
            Err(error) => return absent(error),
        };
        match Stat::at(&directory, &name_of(path)) {
            Ok(stat) => Ok(Some(stat)),
            Err(error) => absent(error.into()),
        }
    }

    /// Opens a regular file for reading; links are followed. Anything else is refused.
    pub fn open_file(&self, path: &TreePath) -> io::Result<File> {
        let direct = || -> io::Result<File> {
            let file = open_file(self.parent(path)?, &name_of(path))?;
            match Stat::of(&file)?.file_type() {
                FileType::RegularFile => Ok(file),
                _ => Err(io::ErrorKind::InvalidInput.into()),
            }
        };
        // What is no file by itself may lead to one, and is else told in the root's own words.
        if path.is_root() {
            self.root.open_file(path)
        } else {
            direct().or_else(|_| self.root.open_file(path))
        }
    }

    /// The attributes of a file that [`SourceDirectory::open_file`] has opened, as far as they belong in a layer.
    pub fn attributes(file: &File) -> io::Result<Xattrs> {
        xattr::read(file)
    }

    /// The directory that holds `path`, links on the way followed.
    fn parent(&self, path: &TreePath) -> io::Result<Arc<OwnedFd>> {
        let bytes = path.as_bytes();
        let parent = &bytes[..bytes.len() - path.name().len()];
        let lock = || self.parents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, directory)) = lock().iter().find(|(known, _)| **known == *parent) {
            return Ok(directory.clone());
        }
        let above = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let directory = Arc::new(self.root.open_directory(&above)?);
        let mut parents = lock();
        parents.push_front((parent.into(), directory.clone()));
        parents.truncate(OPEN);
        Ok(directory)
    }

    /// The names in a directory, in order.
    pub fn names(&self, directory: &TreePath) -> io::Result<Vec<Box<[u8]>>> {
        let listed = self.root.open_directory(directory).and_then(list);
        let listed = listed.map_err(|error| about(directory, error))?;
        Ok(listed.into_iter().map(|listed| listed.name.to_bytes().into()).collect())
    }

    /// Everything about what [`SourceDirectory::stat`] has found there.
    pub fn read(&self, path: &TreePath, stat: Stat) -> io::Result<Source> {
        self.read_node(path, stat).map_err(|error| about(path, error))
    }

    fn read_node(&self, path: &TreePath, stat: Stat) -> io::Result<Source> {
        let (directory, name): (Arc<OwnedFd>, CString) = if path.is_root() {
            (Arc::new(self.root.open_directory(path)?), c".".to_owned())
        } else {
            (self.parent(path)?, name_of(path))
        };
        let (major, minor) = (rustix::fs::major(stat.rdev), rustix::fs::minor(stat.rdev));
        let mut xattrs = Xattrs::new();
        let kind = match stat.file_type() {
            FileType::Directory => {
                xattrs = xattr::read(open_child(&directory, &name)?)?;
                SourceKind::Directory
            }
            FileType::RegularFile => SourceKind::File { size: stat.size },
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
