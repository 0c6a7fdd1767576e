//! Sinks: who receives the entries of a layer, in the order in which they take effect.
//!
//! A reader hands entries to a sink; a directory on disk, a tree and a [`LayerWriter`](crate::LayerWriter)
//! are sinks. So a layer can be unpacked, repacked or merely indexed by the same code.

use std::fmt;
use std::io::{self, Read};

use crate::{Metadata, TreePath};

/// What is put at a path, while its bytes pass by.
pub enum Content<'a> {
    /// A directory. It merges with one that is there.
    Directory,
    /// A regular file.
    File {
        /// Length in bytes, which is what `data` yields.
        size: u64,
        /// The bytes. A sink need not read them, or not all of them.
        data: &'a mut dyn Read,
    },
    /// A symbolic link.
    Symlink {
        /// Its text.
        target: &'a [u8],
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

/// Who receives the entries of a layer in the order in which they take effect.
///
/// Directories that are above a path and were never put are to be made as mode 0755 of root, as runtimes do.
pub trait Sink {
    /// Puts something at `path`. A directory merges with one that is there; anything else replaces what is
    /// there. The root itself is only ever put as a directory.
    fn put(&mut self, path: &TreePath, metadata: &Metadata, content: Content<'_>) -> io::Result<()>;

    /// Makes `path` another name of what is at `target` now.
    fn link(&mut self, path: &TreePath, target: &TreePath) -> io::Result<()>;

    /// Removes what *lower layers* have at `path`; what this layer has put there stays.
    fn remove(&mut self, path: &TreePath) -> io::Result<()>;

    /// Removes what *lower layers* have inside the directory at `path`; what this layer has put there stays.
    fn clear(&mut self, path: &TreePath) -> io::Result<()>;
}

/// A sink for regular files alone: whoever wants to read some of them says what is done with each. What else a layer
/// says is passed over.
pub struct FilesOnly<F>(pub F);

impl<F> Sink for FilesOnly<F>
where
    F: FnMut(&TreePath, &Metadata, u64, &mut dyn Read) -> io::Result<()>,
{
    fn put(&mut self, path: &TreePath, metadata: &Metadata, content: Content<'_>) -> io::Result<()> {
        match content {
            Content::File { size, data } => (self.0)(path, metadata, size, data),
            _ => Ok(()),
        }
    }

    fn link(&mut self, _: &TreePath, _: &TreePath) -> io::Result<()> {
        Ok(())
    }

    fn remove(&mut self, _: &TreePath) -> io::Result<()> {
        Ok(())
    }

    fn clear(&mut self, _: &TreePath) -> io::Result<()> {
        Ok(())
    }
}

impl<F> fmt::Debug for FilesOnly<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FilesOnly")
    }
}

/// A sink that takes nothing, for reading a layer only to get its index.
pub fn discard() -> impl Sink {
    FilesOnly(|_: &TreePath, _: &Metadata, _: u64, _: &mut dyn Read| Ok(()))
}

impl fmt::Debug for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Content::Directory => f.write_str("Directory"),
            Content::File { size, .. } => write!(f, "File({size} bytes)"),
            Content::Symlink { target } => write!(f, "Symlink({})", target.escape_ascii()),
            Content::CharDevice { major, minor } => write!(f, "CharDevice({major}, {minor})"),
            Content::BlockDevice { major, minor } => write!(f, "BlockDevice({major}, {minor})"),
            Content::Fifo => f.write_str("Fifo"),
        }
    }
}
