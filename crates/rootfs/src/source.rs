//! Source: what `COPY` reads from a directory of the host.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

use layer::{Content, Metadata, Sink, TreePath};
use rustix::fs::FileType;

use crate::descent::list;
use crate::root::{Root, open_child};
use crate::scan::{Found, Walk, about, open_file};
use crate::stat::Stat;
use crate::xattr;

/// A directory of the host that is copied from, such as a build context. Links in it cannot lead outside.
#[derive(Debug)]
pub struct SourceDirectory {
    root: Root,
}

/// What to do with something in a source directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Select {
    /// Take it, and look into it if it is a directory.
    Take,
    /// Do not take it for its own sake, but look into it: if something in it is taken, it is too.
    IfAny,
    /// Neither take it nor look into it.
    Skip,
}

/// Something that is copied.
#[derive(Debug)]
pub struct Source {
    /// Where it is in the source directory, free of links.
    pub path: TreePath,
    /// Its owner, mode, time and the attributes that belong in a layer.
    pub metadata: Metadata,
    /// What it is.
    pub kind: SourceKind,
    /// What else the kernel says: names with the same [identity](Stat::identity) are one file.
    pub stat: Stat,
    file: Option<File>,
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

    /// A directory in a root as a source, such as one that a command has made.
    #[must_use]
    pub fn from_root(root: Root) -> Self {
        SourceDirectory { root }
    }

    /// The directory, to open files in it.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// What is at exactly this path, links not followed; `None` if nothing is.
    pub fn find(&self, path: &TreePath) -> io::Result<Option<Source>> {
        let Some(stat) = self.root.stat(path)? else { return Ok(None) };
        let (directory, name) = if path.is_root() {
            (self.root.open_directory(path)?, c".".to_owned())
        } else {
            self.root.parent(path)?
        };
        let found = Found { path: path.clone(), name, stat };
        Source::read(&directory, &found).map(Some).map_err(|error| about(path, error))
    }

    /// The names in a directory, in order.
    pub fn names(&self, directory: &TreePath) -> io::Result<Vec<Box<[u8]>>> {
        let opened = self.root.open_directory(directory).map_err(|error| about(directory, error))?;
        let mut names: Vec<Box<[u8]>> =
            list(&opened)?.into_iter().map(|listed| listed.name.to_bytes().into()).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Gives everything at and below `start` that is selected to `visit`, in order. `start` must be free of
    /// links, as [`Root::resolve`] returns it. A file that cannot be read is an error that names it.
    pub fn walk(
        &self,
        start: &TreePath,
        select: &mut dyn FnMut(&TreePath, &Stat) -> Select,
        visit: &mut dyn FnMut(&mut Source) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut pending = Vec::new();
        let stat = self.root.stat(start)?.ok_or_else(|| about(start, io::ErrorKind::NotFound))?;
        let selected = select(start, &stat);
        if selected == Select::Skip {
            return Ok(());
        }
        if !stat.is_directory() {
            if selected == Select::Take {
                let (directory, name) = self.root.parent(start)?;
                let found = Found { path: start.clone(), name, stat };
                visit(&mut Source::read(&directory, &found).map_err(|error| about(start, error))?)?;
            }
            return Ok(());
        }
        let directory = self.root.open_directory(start).map_err(|error| about(start, error))?;
        let found = Found { path: start.clone(), name: c".".to_owned(), stat };
        let mut source = Source::read(&directory, &found).map_err(|error| about(start, error))?;
        match selected {
            Select::Take => visit(&mut source)?,
            _ => pending.push(source),
        }
        let mut walk = Walk::new(directory, start.clone())?;
        while let Some(found) = walk.next()? {
            let selected = select(&found.path, &found.stat);
            let is_directory = found.stat.is_directory();
            if selected == Select::Skip || (selected == Select::IfAny && !is_directory) {
                continue;
            }
            pending.retain(|above: &Source| found.path.is_within(&above.path));
            let source = Source::read(walk.directory(), &found);
            let mut source = source.map_err(|error| about(&found.path, error))?;
            if selected == Select::IfAny {
                pending.push(source);
            } else {
                pending.drain(..).try_for_each(|mut above| visit(&mut above))?;
                visit(&mut source)?;
            }
            if is_directory {
                walk.enter(&found)?;
            }
        }
        Ok(())
    }
}

impl Source {
    fn read(directory: impl std::os::fd::AsFd, found: &Found) -> io::Result<Self> {
        let stat = found.stat;
        let (major, minor) = (rustix::fs::major(stat.rdev), rustix::fs::minor(stat.rdev));
        let mut xattrs = xattr::Xattrs::new();
        let mut file = None;
        let kind = match stat.file_type() {
            FileType::Directory => {
                xattrs = xattr::read(open_child(&directory, &found.name)?)?;
                SourceKind::Directory
            }
            FileType::RegularFile => {
                let opened = open_file(&directory, &found.name)?;
                xattrs = xattr::read(&opened)?;
                file = Some(opened);
                SourceKind::File { size: stat.size }
            }
            FileType::Socket => SourceKind::File { size: 0 },
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(&directory, &found.name, Vec::new())?;
                SourceKind::Symlink { target: target.into_bytes().into() }
            }
            FileType::CharacterDevice => SourceKind::CharDevice { major, minor },
            FileType::BlockDevice => SourceKind::BlockDevice { major, minor },
            FileType::Fifo => SourceKind::Fifo,
            FileType::Unknown => return Err(io::Error::other("a node of unknown type")),
        };
        let (uid, gid) = (stat.uid, stat.gid);
        let metadata = Metadata { mode: stat.mode & 0o7777, uid, gid, mtime: stat.mtime.0, xattrs };
        Ok(Source { path: found.path.clone(), metadata, kind, stat, file })
    }

    /// Its contents, if it is a file: as many bytes as it had when it was found, from the first.
    pub fn reader(&mut self) -> io::Result<Box<dyn Read + '_>> {
        match &mut self.file {
            Some(file) => {
                file.rewind()?;
                Ok(Box::new(file.take(self.stat.size)))
            }
            None => Ok(Box::new(io::empty())),
        }
    }

    /// Puts it into a layer, under a path and with metadata of the caller's choice.
    pub fn put(&mut self, path: &TreePath, metadata: &Metadata, sink: &mut dyn Sink) -> io::Result<()> {
        let kind = self.kind.clone();
        let mut data;
        let content = match &kind {
            SourceKind::Directory => Content::Directory,
            SourceKind::File { size } => {
                data = self.reader()?;
                Content::File { size: *size, data: &mut data }
            }
            SourceKind::Symlink { target } => Content::Symlink { target },
            SourceKind::CharDevice { major, minor } => Content::CharDevice { major: *major, minor: *minor },
            SourceKind::BlockDevice { major, minor } => Content::BlockDevice { major: *major, minor: *minor },
            SourceKind::Fifo => Content::Fifo,
        };
        sink.put(path, metadata, content)
    }
}
