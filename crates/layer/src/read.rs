//! Reading a layer: from a blob to entries, an index and a diff id, in one pass.

use std::io::{self, Read};

use oci::Compression;

use crate::{LayerIndex, Sink, TreePath};

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

/// Reads a layer blob to its very end, hands its entries to `sink`, and returns its index.
pub fn read_layer(
    _blob: impl Read + Send,
    _compression: Compression,
    _sink: &mut dyn Sink,
) -> Result<LayerIndex, ReadError> {
    unimplemented!()
}

/// True if the bytes are an archive that `ADD` unpacks.
pub fn is_archive(_reader: impl Read) -> io::Result<bool> {
    unimplemented!()
}

/// Reads a local archive, as `ADD` does, and hands its entries to `sink`. Names mean only themselves: there
/// are no whiteouts.
pub fn read_archive(_reader: impl Read + Send, _sink: &mut dyn Sink) -> Result<(), ReadError> {
    unimplemented!()
}
