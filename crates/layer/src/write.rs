//! Writing a layer: entries in; digest, diff id, size and index out, in one pass.
//!
//! The same entries give the same bytes: nothing of the clock, the machine or the number of threads gets
//! into them.

use std::collections::HashMap;
use std::io::{self, Write};

use oci::{Compression, Digest};
use tar::EntryType;

use crate::entry::carries_xattr;
use crate::header::{self, Fields};
use crate::pack::{Finished, Tar};
use crate::windows::{self, Extra};
use crate::{Change, Content, ContentHash, Form, Kind, LayerIndex, Metadata, Node, Sink, TreePath};

/// How a layer is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteOptions {
    /// The format.
    pub compression: Compression,
    /// The format's own level, 0 to 12 for gzip and 1 to 22 for zstd; `None` for the one that suits builds:
    /// 1 for gzip, 3 for zstd.
    pub level: Option<u32>,
    /// Threads that compress. The bytes do not depend on it.
    pub threads: usize,
    /// How what it holds is laid out.
    pub form: Form,
}

/// Writes a layer to `W`. Dropped without [`LayerWriter::finish`], it leaves an unfinished one there.
///
/// Entries take effect in the order in which they are put, so a directory comes before what is in it. Names
/// that begin with `.wh.` are refused, because a layer cannot hold them. Extended attributes that layers do
/// not carry ([`carries_xattr`]) are left out.
#[derive(Debug)]
pub struct LayerWriter<W: Write> {
    tar: Tar<W>,
    compression: Compression,
    form: Form,
    /// Names as they would be the same on Windows, with how they are written.
    spellings: HashMap<String, TreePath>,
    changes: Vec<Change>,
    /// Where in `changes` the node of a path is, for the first `linkable_until` changes. Most layers have
    /// no hard links, so it is made when the first is.
    linkable: HashMap<TreePath, usize>,
    linkable_until: usize,
    /// An entry was left half written.
    broken: bool,
}

/// A layer that was written.
#[derive(Debug)]
pub struct Written<W> {
    /// The digest of the bytes in the destination.
    pub digest: Digest,
    /// The number of bytes in the destination.
    pub size: u64,
    /// How they are packed.
    pub compression: Compression,
    /// What the layer says.
    pub index: LayerIndex,
    /// Where the bytes went.
    pub destination: W,
}

impl Default for WriteOptions {
    fn default() -> Self {
        WriteOptions { compression: Compression::Gzip, level: None, threads: 2, form: Form::Unix }
    }
}

impl<W: Write> LayerWriter<W> {
    /// A layer with nothing in it yet. Fails if there is no such level.
    pub fn new(destination: W, options: WriteOptions) -> io::Result<Self> {
        let mut writer = LayerWriter {
            tar: Tar::new(destination, options)?,
            compression: options.compression,
            form: options.form,
            spellings: HashMap::new(),
            changes: Vec::new(),
            linkable: HashMap::new(),
            linkable_until: 0,
            broken: false,
        };
        if options.form == Form::Windows {
            let metadata = Metadata { mode: 0o755, ..Metadata::default() };
            for top in [windows::HIVES, windows::FILES] {
                let extra = windows::extra(EntryType::Directory, metadata.mtime, false);
                writer.entry(
                    top,
                    &metadata,
                    EntryType::Directory,
                    &[],
                    0,
                    (0, 0),
                    &extra,
                    &TreePath::root(),
                )?;
            }
        }
        Ok(writer)
    }

    /// Puts something at `path`; for a file, returns the hash of what it holds.
    ///
    /// A file's data must be as long as its size says. Where it is not, the file was changed while it was
    /// read, and the layer cannot be finished.
    pub fn put(
        &mut self,
        path: &TreePath,
        metadata: &Metadata,
        content: Content<'_>,
    ) -> io::Result<Option<ContentHash>> {
        check_name(path)?;
        let mut metadata = metadata.clone();
        metadata.mode &= 0o7777;
        metadata.xattrs.retain(|name, _| carries_xattr(name));
        if self.form == Form::Windows {
            self.check_for_windows(path, Some(&content))?;
            metadata.xattrs.clear();
            if path.is_root() {
                // It is `Files`, which is there.
                return Ok(None);
            }
        }
        let kind = match content {
            Content::File { size, data } => {
                self.header(path, &metadata, EntryType::Regular, &[], size, (0, 0))?;
                let content = self.whole(|tar| tar.file(path, size, data))?;
                Kind::File { size, content }
            }
            Content::Directory => {
                self.header(path, &metadata, EntryType::Directory, &[], 0, (0, 0))?;
                Kind::Directory
            }
            Content::Symlink { target } => {
                self.header(path, &metadata, EntryType::Symlink, target, 0, (0, 0))?;
                Kind::Symlink { target: target.into() }
            }
            Content::CharDevice { major, minor } => {
                self.header(path, &metadata, EntryType::Char, &[], 0, (major, minor))?;
                Kind::CharDevice { major, minor }
            }
            Content::BlockDevice { major, minor } => {
                self.header(path, &metadata, EntryType::Block, &[], 0, (major, minor))?;
                Kind::BlockDevice { major, minor }
            }
            Content::Fifo => {
                self.header(path, &metadata, EntryType::Fifo, &[], 0, (0, 0))?;
                Kind::Fifo
            }
        };
        let hash = match kind {
            Kind::File { content, .. } => Some(content),
            _ => None,
        };
        self.changes.push(Change::Put { path: path.clone(), node: Node { metadata, kind } });
        Ok(hash)
    }

    /// Makes `path` another name of what *this layer* has at `target`, which cannot be a directory.
    pub fn link(&mut self, path: &TreePath, target: &TreePath) -> io::Result<()> {
        check_name(path)?;
        if self.form == Form::Windows {
            self.check_for_windows(path, None)?;
        }
        if path == target {
            return Err(invalid(path, "cannot be a link to itself"));
        }
        let index = self.node(target);
        let metadata = match index.map(|index| &self.changes[index]) {
            Some(Change::Put { node, .. }) if !node.is_directory() => node.metadata.clone(),
            _ => {
                return Err(invalid(
                    path,
                    &format!("cannot be a link to {target}, which is no file of this layer"),
                ));
            }
        };
        // Runtimes set what a link's header says, so it says what the file's says.
        self.header(path, &metadata, EntryType::Link, target.as_bytes(), 0, (0, 0))?;
        self.changes.push(Change::Link { path: path.clone(), target: target.clone() });
        Ok(())
    }

    /// Says that what lower layers have at `path` is gone.
    pub fn remove(&mut self, path: &TreePath) -> io::Result<()> {
        check_name(path)?;
        let Some(parent) = path.parent() else {
            return Err(invalid(path, "the root cannot be removed"));
        };
        self.whiteout(&parent, path.name())?;
        self.changes.push(Change::Remove { path: path.clone() });
        Ok(())
    }

    /// Says that what lower layers have inside `path` is gone.
    pub fn clear(&mut self, path: &TreePath) -> io::Result<()> {
        check_name(path)?;
        if self.form == Form::Windows {
            return Err(invalid(path, "a layer for Windows cannot hide all that a directory holds"));
        }
        self.whiteout(path, b".wh..opq")?;
        self.changes.push(Change::Clear { path: path.clone() });
        Ok(())
    }

    /// Ends the tar and the compressed stream. The destination is flushed.
    pub fn finish(self) -> io::Result<Written<W>> {
        if self.broken {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a layer with half an entry in it"));
        }
        let Finished { diff_id, plain_size, digest, size, destination } = self.tar.finish()?;
        let index = LayerIndex { diff_id, size: plain_size, changes: self.changes };
        Ok(Written { digest, size, compression: self.compression, index, destination })
    }

    fn header(
        &mut self,
        path: &TreePath,
        metadata: &Metadata,
        kind: EntryType,
        link: &[u8],
        size: u64,
        device: (u32, u32),
    ) -> io::Result<()> {
        let mut name = path.as_bytes().to_vec();
        if path.is_root() {
            if kind != EntryType::Directory {
                return Err(invalid(path, "the root can only be a directory"));
            }
            name.push(b'.');
        }
        if kind == EntryType::Directory {
            name.push(b'/');
        }
        match self.form {
            Form::Unix => self.entry(&name, metadata, kind, link, size, device, &Extra::default(), path),
            Form::Windows => {
                let (name, target) = ([windows::FILES, &name].concat(), [windows::FILES, link].concat());
                let link = if kind == EntryType::Link { &target[..] } else { link };
                let extra = windows::extra(kind, metadata.mtime, true);
                self.entry(&name, metadata, kind, link, size, device, &extra, path)
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "they are a header's fields, and the path for messages")]
    fn entry(
        &mut self,
        name: &[u8],
        metadata: &Metadata,
        kind: EntryType,
        link: &[u8],
        size: u64,
        device: (u32, u32),
        extra: &Extra,
        path: &TreePath,
    ) -> io::Result<()> {
        let fields = Fields { name, kind, metadata, link, size, device, extra };
        let blocks = header::encode(&fields).map_err(|fault| invalid(path, &fault))?;
        self.whole(|tar| tar.write(&blocks))
    }

    /// Refuses what Windows has not, and two names that would be one there.
    fn check_for_windows(&mut self, path: &TreePath, content: Option<&Content<'_>>) -> io::Result<()> {
        windows::check(path, content).map_err(|fault| invalid(path, &fault))?;
        let known = self.spellings.entry(windows::folded(path)).or_insert_with(|| path.clone());
        match known == path {
            true => Ok(()),
            false => Err(invalid(path, &format!("on Windows it is the same as {known}"))),
        }
    }

    /// Writes something that is of no use by half.
    fn whole<T>(&mut self, write: impl FnOnce(&mut Tar<W>) -> io::Result<T>) -> io::Result<T> {
        let written = write(&mut self.tar);
        self.broken |= written.is_err();
        written
    }

    /// Writes the file that is named `.wh.` and `name`.
    fn whiteout(&mut self, directory: &TreePath, name: &[u8]) -> io::Result<()> {
        let path = directory.child(&[b".wh.", name].concat());
        self.header(&path, &Metadata::default(), EntryType::Regular, &[], 0, (0, 0))
    }

    /// Where in `changes` the node at `path` is.
    fn node(&mut self, path: &TreePath) -> Option<usize> {
        while let Some(change) = self.changes.get(self.linkable_until) {
            match change {
                Change::Put { path, .. } => {
                    self.linkable.insert(path.clone(), self.linkable_until);
                }
                Change::Link { path, target } => {
                    if let Some(&index) = self.linkable.get(target) {
                        self.linkable.insert(path.clone(), index);
                    }
                }
                Change::Remove { .. } | Change::Clear { .. } => {}
            }
            self.linkable_until += 1;
        }
        self.linkable.get(path).copied()
    }
}

/// A layer is itself a sink, so that one can be repacked, or made from whatever else hands out entries.
impl<W: Write> Sink for LayerWriter<W> {
    fn put(&mut self, path: &TreePath, metadata: &Metadata, content: Content<'_>) -> io::Result<()> {
        LayerWriter::put(self, path, metadata, content).map(drop)
    }

    fn link(&mut self, path: &TreePath, target: &TreePath) -> io::Result<()> {
        LayerWriter::link(self, path, target)
    }

    fn remove(&mut self, path: &TreePath) -> io::Result<()> {
        LayerWriter::remove(self, path)
    }

    fn clear(&mut self, path: &TreePath) -> io::Result<()> {
        LayerWriter::clear(self, path)
    }
}

fn invalid(path: &TreePath, fault: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{path}: {fault}"))
}

/// Refuses names that would be read as whiteouts.
fn check_name(path: &TreePath) -> io::Result<()> {
    if path.parts().any(|part| part.starts_with(b".wh.")) {
        return Err(invalid(path, "a layer cannot hold a name that begins with .wh."));
    }
    Ok(())
}
