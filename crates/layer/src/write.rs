//! Writing a layer: entries in; digest, diff id, size and index out, in one pass.
//!
//! The same entries give the same bytes: nothing of the clock, the machine or the number of threads gets
//! into them.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read, Write};

use oci::{Compression, DiffId, Digest, Hasher};
use tar::EntryType;

use crate::deflate::{Gzip, MEMBER};
use crate::entry::carries_xattr;
use crate::header::{self, BLOCK, Fields};
use crate::{Change, Content, ContentHash, Kind, LayerIndex, Metadata, Node, Sink, TreePath};

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
        WriteOptions { compression: Compression::Gzip, level: None, threads: 2 }
    }
}

impl<W: Write> LayerWriter<W> {
    /// A layer with nothing in it yet. Fails if there is no such level.
    pub fn new(destination: W, options: WriteOptions) -> io::Result<Self> {
        Ok(LayerWriter {
            tar: Tar::new(destination, options)?,
            compression: options.compression,
            changes: Vec::new(),
            linkable: HashMap::new(),
            linkable_until: 0,
            broken: false,
        })
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
        let fields = Fields { name: &name, kind, metadata, link, size, device };
        let blocks = header::encode(&fields).map_err(|fault| invalid(path, &fault))?;
        self.whole(|tar| tar.write(&blocks))
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

/// The bytes of a tar on their way to the compressor, hashed as they pass by.
#[derive(Debug)]
struct Tar<W: Write> {
    /// As large as a gzip member.
    buffer: Box<[u8]>,
    filled: usize,
    hasher: Hasher,
    /// What went before the buffer.
    passed: u64,
    packer: Packer<W>,
}

/// The compressor.
enum Packer<W: Write> {
    Plain(Hashed<W>),
    Gzip(Gzip<Hashed<W>>),
    Zstd(zstd::Encoder<'static, Hashed<W>>),
}

/// The destination, with its digest.
struct Hashed<W> {
    inner: W,
    hasher: Hasher,
    size: u64,
}

/// What a finished tar comes to.
struct Finished<W> {
    diff_id: DiffId,
    plain_size: u64,
    digest: Digest,
    size: u64,
    destination: W,
}

/// What zstd's threads compress at once; its own choice, four windows, would take four times the memory.
const ZSTD_JOB: u32 = 2 << 20;

impl<W: Write> Tar<W> {
    fn new(destination: W, options: WriteOptions) -> io::Result<Self> {
        let destination = Hashed { inner: destination, hasher: Hasher::new(), size: 0 };
        let packer = match options.compression {
            Compression::None => Packer::Plain(destination),
            Compression::Gzip => {
                Packer::Gzip(Gzip::new(destination, options.level.unwrap_or(1), options.threads)?)
            }
            Compression::Zstd => {
                let level = options.level.unwrap_or(3);
                let known = i32::try_from(level).ok().filter(|level| (1..=22).contains(level));
                let level = known.ok_or_else(|| {
                    io::Error::new(io::ErrorKind::InvalidInput, "zstd levels are from 1 to 22")
                })?;
                let mut encoder = zstd::Encoder::new(destination, level)?;
                // Without a thread of its own it would make other bytes than with any number of them.
                encoder.multithread(u32::try_from(options.threads.max(1)).unwrap_or(u32::MAX))?;
                encoder.set_parameter(zstd::zstd_safe::CParameter::JobSize(ZSTD_JOB))?;
                encoder.include_checksum(true)?;
                Packer::Zstd(encoder)
            }
        };
        let buffer = vec![0; MEMBER].into();
        Ok(Tar { buffer, filled: 0, hasher: Hasher::new(), passed: 0, packer })
    }

    /// Writes a file's data and its padding.
    fn file(&mut self, path: &TreePath, size: u64, data: &mut dyn Read) -> io::Result<ContentHash> {
        let changed = |fault: &str| {
            let fault = format!("{path}: the file changed while it was read: it {fault} {size} bytes");
            io::Error::new(io::ErrorKind::InvalidData, fault)
        };
        let mut hasher = blake3::Hasher::new();
        let mut left = size;
        while left > 0 {
            let free = &mut self.buffer[self.filled..];
            let most = left.min(free.len() as u64) as usize;
            let length = read(data, &mut free[..most])?;
            if length == 0 {
                return Err(changed("has no more"));
            }
            hasher.update(&free[..length]);
            left -= length as u64;
            self.filled += length;
            self.pass_if_full()?;
        }
        if read(data, &mut [0])? > 0 {
            return Err(changed("has more than"));
        }
        let padding = size.next_multiple_of(BLOCK as u64) - size;
        self.write(&[0; BLOCK][..padding as usize])?;
        Ok(ContentHash(*hasher.finalize().as_bytes()))
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let free = &mut self.buffer[self.filled..];
            let (now, later) = bytes.split_at(bytes.len().min(free.len()));
            free[..now.len()].copy_from_slice(now);
            self.filled += now.len();
            bytes = later;
            self.pass_if_full()?;
        }
        Ok(())
    }

    fn pass_if_full(&mut self) -> io::Result<()> {
        if self.filled < self.buffer.len() {
            return Ok(());
        }
        self.hasher.update(&self.buffer);
        match &mut self.packer {
            Packer::Plain(destination) => destination.write_all(&self.buffer)?,
            Packer::Zstd(encoder) => encoder.write_all(&self.buffer)?,
            Packer::Gzip(gzip) => gzip.member(&mut self.buffer)?,
        }
        self.passed += self.filled as u64;
        self.filled = 0;
        Ok(())
    }

    /// Writes the two blocks of zeros that end a tar, and all that is still held back.
    fn finish(mut self) -> io::Result<Finished<W>> {
        self.write(&[0; 2 * BLOCK])?;
        let rest = &self.buffer[..self.filled];
        self.hasher.update(rest);
        let mut destination = match self.packer {
            Packer::Plain(mut destination) => {
                destination.write_all(rest)?;
                destination
            }
            Packer::Zstd(mut encoder) => {
                encoder.write_all(rest)?;
                encoder.finish()?
            }
            Packer::Gzip(gzip) => gzip.finish(self.buffer, self.filled)?,
        };
        destination.flush()?;
        Ok(Finished {
            diff_id: DiffId(self.hasher.finish()),
            plain_size: self.passed + self.filled as u64,
            digest: destination.hasher.finish(),
            size: destination.size,
            destination: destination.inner,
        })
    }
}

/// [`Read::read`], begun again when a signal interrupts it.
fn read(data: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match data.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..length]);
        self.size += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W: Write> fmt::Debug for Packer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Packer::Plain(_) => "Plain",
            Packer::Gzip(_) => "Gzip",
            Packer::Zstd(_) => "Zstd",
        })
    }
}
