//! Reading a layer: from a blob to entries, an index and a diff id, in one pass.
//!
//! A whiteout is a file whose name says that something beneath it is gone ([image-spec, layer.md]):
//! `.wh.NAME` for one name, `.wh..wh..opq` for everything in its directory. Other names that begin with
//! `.wh..wh.` are bookkeeping of aufs and mean nothing.
//!
//! [image-spec, layer.md]: https://github.com/opencontainers/image-spec/blob/main/layer.md#whiteouts

use std::io::{self, Read};

use oci::Compression;
use tar::EntryType;

use crate::entries::{Data, Entries, Entry};
use crate::entry::carries_xattr;
use crate::header::{BLOCK, is_header};
use crate::inflate::{self, SourceError};
use crate::{
    Change, Content, ContentHash, Kind, LayerIndex, Node, PathError, Sink, TreePath, stream, windows,
};

/// Why a layer or an archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The source of the bytes failed; the bytes it gave were not at fault.
    #[error("cannot read the archive's bytes")]
    Source(#[source] io::Error),
    /// The bytes cannot be decompressed: they are damaged or end too early.
    #[error("damaged {format} data")]
    Compression {
        /// What the bytes said they are.
        format: &'static str,
        /// What the decoder said.
        #[source]
        source: io::Error,
    },
    /// The tar's framing is broken.
    #[error("damaged tar at byte {offset}: {fault}")]
    Tar {
        /// Where in the uncompressed tar.
        offset: u64,
        /// What is wrong.
        fault: String,
    },
    /// An entry says something that cannot be taken.
    #[error("tar entry {entry:?}: {fault}")]
    Entry {
        /// The name in the tar, with bytes that are no UTF-8 replaced.
        entry: String,
        /// What is wrong with it.
        fault: String,
    },
    /// The sink did not take an entry.
    #[error("cannot write {path}")]
    Sink {
        /// The entry it did not take.
        path: TreePath,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What names mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    /// Some are whiteouts, and `..` is refused.
    Layer,
    /// Only themselves; `..` stops at the root.
    Plain,
}

/// A name's meaning.
enum Place {
    At(TreePath),
    Whiteout(TreePath),
    Opaque(TreePath),
    Nothing,
}

/// The prefix of whiteouts.
const WHITEOUT: &[u8] = b".wh.";
/// The prefix of names that have to do with whiteouts themselves.
const WHITEOUT_META: &[u8] = b".wh..wh.";
/// Everything in the directory.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// The longest text that a symbolic link can have.
const LINK_MAX: usize = 4095;

/// Reads a layer blob to its very end, hands its entries to `sink`, and returns its index.
///
/// What the blob's first bytes say counts, and not `compression`, which is what its media type says:
/// registries hold layers of either kind under the other's name, and runtimes run them.
///
/// The diff id is over every uncompressed byte. Whether it is the right one, and whether the blob's digest
/// is, is for the caller to compare; until then everything that the sink was given is hearsay.
pub fn read_layer(
    blob: impl Read + Send,
    compression: Compression,
    sink: &mut dyn Sink,
) -> Result<LayerIndex, ReadError> {
    let mut changes = Vec::new();
    let (read, diff_id, size) = stream::hashed(blob, |stream| {
        deliver(Entries::new(stream), Names::Layer, sink, |change| changes.push(change))
    });
    read?;
    if size == 0 && compression != Compression::None {
        let source = io::ErrorKind::UnexpectedEof.into();
        return Err(ReadError::Compression { format: "compressed", source });
    }
    Ok(LayerIndex { diff_id, size, changes })
}

/// True if the bytes are an archive that `ADD` unpacks: a tar with at least one entry, plain or packed with
/// gzip, bzip2, xz or zstd, as their contents say and not their name. Reads no more than it takes to know.
///
/// A packed file that is no tar is not an archive, nor is an empty one or one that is damaged at its
/// beginning: such are copied as they are, as BuildKit does.
pub fn is_archive(reader: impl Read) -> io::Result<bool> {
    let mut start = Vec::with_capacity(BLOCK);
    let read =
        inflate::open(reader).and_then(|(_, unpacked)| unpacked.take(BLOCK as u64).read_to_end(&mut start));
    if let Err(error) = read
        && let Ok(SourceError(error)) = error.downcast()
    {
        return Err(error);
    }
    Ok(start.try_into().is_ok_and(|block| block != [0; BLOCK] && is_header(&block)))
}

/// Reads a local archive, as `ADD` does, and hands its entries to `sink`. Names mean only themselves: there
/// are no whiteouts, and `..` stops at the root.
pub fn read_archive(reader: impl Read + Send, sink: &mut dyn Sink) -> Result<(), ReadError> {
    stream::plain(reader, |stream| deliver(Entries::new(stream), Names::Plain, sink, drop))
}

/// Hands every entry to the sink, and then to `note`.
fn deliver(
    mut entries: Entries<'_>,
    names: Names,
    sink: &mut dyn Sink,
    mut note: impl FnMut(Change),
) -> Result<(), ReadError> {
    let mut form = None;
    while let Some(mut entry) = entries.next()? {
        if names == Names::Layer && !windows::unwrap(&mut form, &mut entry) {
            continue;
        }
        entry.metadata.xattrs.retain(|name, _| carries_xattr(name));
        let change = match names.place(&entry)? {
            Place::Nothing => continue,
            Place::At(path) if entry.kind == EntryType::Link => {
                let target = names.path(&entry.link).map_err(|error| entry.fault(error.to_string()))?;
                if path.is_root() || target.is_root() || path == target {
                    return Err(entry.fault(format!("it cannot be a link to {target}")));
                }
                Change::Link { path, target }
            }
            Place::At(path) if entry.kind == EntryType::Regular => {
                let kind = deliver_file(&mut entries, &entry, &path, sink)?;
                Change::Put { path, node: Node { metadata: entry.metadata, kind } }
            }
            Place::At(path) => {
                let kind = kind(&entry, &path)?;
                Change::Put { path, node: Node { metadata: entry.metadata, kind } }
            }
            Place::Whiteout(path) => Change::Remove { path },
            Place::Opaque(path) => Change::Clear { path },
        };
        let taken = match &change {
            Change::Put { path, node: Node { metadata, kind } } => match kind.content() {
                Some(content) => sink.put(path, metadata, content),
                None => Ok(()),
            },
            Change::Link { path, target } => sink.link(path, target),
            Change::Remove { path } => sink.remove(path),
            Change::Clear { path } => sink.clear(path),
        };
        taken.map_err(|source| ReadError::Sink { path: change.path().clone(), source })?;
        note(change);
    }
    Ok(())
}

/// Hands a file to the sink, and reads what the sink leaves of it.
fn deliver_file(
    entries: &mut Entries<'_>,
    entry: &Entry,
    path: &TreePath,
    sink: &mut dyn Sink,
) -> Result<Kind, ReadError> {
    if path.is_root() {
        return Err(entry.fault("the root can only be a directory"));
    }
    let mut file = File { data: entries.data(), hasher: blake3::Hasher::new(), failure: None };
    let content = Content::File { size: entry.size, data: &mut file };
    let taken = sink.put(path, &entry.metadata, content);
    let mut read = file.failure.take().map_or(Ok(true), Err);
    if read.is_ok() {
        taken.map_err(|source| ReadError::Sink { path: path.clone(), source })?;
    }
    while read? {
        read = file.next(|_| usize::MAX).map(|length| length > 0);
    }
    let content = ContentHash(*file.hasher.finalize().as_bytes());
    Ok(Kind::File { size: entry.size, content })
}

/// What an entry that is neither a file nor a hard link is.
fn kind(entry: &Entry, path: &TreePath) -> Result<Kind, ReadError> {
    let (major, minor) = entry.device;
    let kind = match entry.kind {
        EntryType::Directory => return Ok(Kind::Directory),
        EntryType::Char => Kind::CharDevice { major, minor },
        EntryType::Block => Kind::BlockDevice { major, minor },
        EntryType::Fifo => Kind::Fifo,
        _ => match entry.link.as_slice() {
            [] => return Err(entry.fault("a symbolic link without a text")),
            text if text.contains(&0) => return Err(entry.fault("a symbolic link's text has a NUL byte")),
            text if text.len() > LINK_MAX => {
                return Err(entry.fault("a symbolic link's text is longer than 4095 bytes"));
            }
            text => Kind::Symlink { target: text.into() },
        },
    };
    if path.is_root() {
        return Err(entry.fault("the root can only be a directory"));
    }
    Ok(kind)
}

/// A file's data, hashed as it passes by.
struct File<'e, 'a> {
    data: Data<'e, 'a>,
    hasher: blake3::Hasher,
    /// Why there was no more data; [`io::Error`] has no room for it.
    failure: Option<ReadError>,
}

impl File<'_, '_> {
    /// Hashes and passes by some more bytes: as many of them as `take` says. Zero at the end.
    fn next(&mut self, take: impl FnOnce(&[u8]) -> usize) -> Result<usize, ReadError> {
        let bytes = self.data.fill()?;
        let length = take(bytes).min(bytes.len());
        self.hasher.update(&bytes[..length]);
        self.data.consume(length);
        Ok(length)
    }
}

impl Read for File<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.next(|bytes| {
            let length = bytes.len().min(buffer.len());
            buffer[..length].copy_from_slice(&bytes[..length]);
            length
        });
        read.map_err(|error| {
            let shown = io::Error::new(io::ErrorKind::InvalidData, error.to_string());
            self.failure = Some(error);
            shown
        })
    }
}

impl Names {
    /// What the entry's name means.
    fn place(self, entry: &Entry) -> Result<Place, ReadError> {
        let path = |bytes: &[u8]| self.path(bytes).map_err(|error| entry.fault(error.to_string()));
        if self == Names::Plain || !entry.name.windows(WHITEOUT.len()).any(|part| part == WHITEOUT) {
            return path(&entry.name).map(Place::At);
        }
        let mut parts: Vec<&[u8]> =
            entry.name.split(|&byte| byte == b'/').filter(|part| !matches!(*part, b"" | b".")).collect();
        let last = parts.pop().unwrap_or_default();
        if parts.iter().any(|part| part.starts_with(WHITEOUT_META)) {
            return Ok(Place::Nothing);
        }
        if parts.iter().any(|part| part.starts_with(WHITEOUT)) {
            return Err(entry.fault("a whiteout has nothing in it"));
        }
        let directory = parts.join(&b'/');
        match last.strip_prefix(WHITEOUT) {
            None => path(&entry.name).map(Place::At),
            Some(_) if last == OPAQUE => path(&directory).map(Place::Opaque),
            Some(_) if last.starts_with(WHITEOUT_META) => Ok(Place::Nothing),
            Some(b"" | b"." | b"..") => Err(entry.fault("a whiteout of no name")),
            // Without the prefix first: only what it is about must be no longer than a name can be.
            Some(name) => path(&[&directory, &b"/"[..], name].concat()).map(Place::Whiteout),
        }
    }

    /// A name as a path.
    fn path(self, name: &[u8]) -> Result<TreePath, PathError> {
        match self {
            Names::Layer => TreePath::new(name),
            Names::Plain => TreePath::root().join_clean(name),
        }
    }
}
