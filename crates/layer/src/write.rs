//! Writing a layer: entries in; digest, diff id, size and index out, in one pass.

use std::io::{self, Write};

use oci::{Compression, Digest};

use crate::{Content, ContentHash, LayerIndex, Metadata, Sink, TreePath};

/// How a layer is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteOptions {
    /// The format.
    pub compression: Compression,
    /// The format's own level; `None` for the one that suits builds: 1 for gzip, 3 for zstd.
    pub level: Option<u32>,
    /// Threads that compress. The bytes do not depend on it.
    pub threads: usize,
}

/// Writes a layer to `W`.
#[derive(Debug)]
pub struct LayerWriter<W: Write> {
    destination: W,
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
    /// A layer with nothing in it yet.
    pub fn new(destination: W, _options: WriteOptions) -> io::Result<Self> {
        Ok(LayerWriter { destination })
    }

    /// Puts something at `path`; for a file, returns the hash of what it holds.
    pub fn put(
        &mut self,
        _path: &TreePath,
        _metadata: &Metadata,
        _content: Content<'_>,
    ) -> io::Result<Option<ContentHash>> {
        unimplemented!()
    }

    /// Makes `path` another name of what this layer has at `target`.
    pub fn link(&mut self, _path: &TreePath, _target: &TreePath) -> io::Result<()> {
        unimplemented!()
    }

    /// Says that what lower layers have at `path` is gone.
    pub fn remove(&mut self, _path: &TreePath) -> io::Result<()> {
        unimplemented!()
    }

    /// Says that what lower layers have inside `path` is gone.
    pub fn clear(&mut self, _path: &TreePath) -> io::Result<()> {
        unimplemented!()
    }

    /// Ends the tar and the compressed stream.
    pub fn finish(self) -> io::Result<Written<W>> {
        let _ = self.destination;
        unimplemented!()
    }
}

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
