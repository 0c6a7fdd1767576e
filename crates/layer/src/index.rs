//! The file form of an index.

use std::io::{self, Read, Write};

use crate::LayerIndex;

/// Why some bytes are no index that can be used; whoever meets it makes the index anew from the layer.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The source of the bytes failed, or they cannot be decompressed.
    #[error("cannot read layer index")]
    Read(#[from] io::Error),
    /// Written in a form that is not known here.
    #[error("layer index is of version {0}, which is not known here")]
    Version(u64),
    /// Not what an index looks like.
    #[error("layer index, line {line}: {fault}")]
    Malformed {
        /// The line, counted from one.
        line: u64,
        /// What is wrong with it.
        fault: String,
    },
}

impl LayerIndex {
    /// Writes the file form.
    pub fn encode(&self, _destination: impl Write) -> io::Result<()> {
        unimplemented!()
    }

    /// Reads the file form.
    pub fn decode(_source: impl Read) -> Result<Self, IndexError> {
        unimplemented!()
    }
}
