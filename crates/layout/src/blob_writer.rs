//! A blob on its way into a layout: hashed while it is written, named when it is whole.

use std::io::{self, Write};

use oci::{Digest, Hasher};

use crate::temporary::Temporary;
use crate::{Layout, LayoutError};

/// A blob that is being written. Dropped before [`commit`](BlobWriter::commit), it leaves nothing.
#[derive(Debug)]
pub struct BlobWriter {
    layout: Layout,
    file: Temporary,
    hasher: Hasher,
    size: u64,
}

impl BlobWriter {
    pub(crate) fn new(layout: &Layout) -> Result<Self, LayoutError> {
        let file = Temporary::create(layout.dir())?;
        Ok(BlobWriter { layout: layout.clone(), file, hasher: Hasher::new(), size: 0 })
    }

    /// Bytes written so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Writes the next bytes. After an error the writer is of no use but to be dropped.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), LayoutError> {
        self.file.write(bytes)?;
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Puts the blob in its place, and yields its digest and size. If it is not the expected one, it is
    /// dropped.
    pub fn commit(self, expected: Option<Digest>) -> Result<(Digest, u64), LayoutError> {
        let BlobWriter { layout, file, hasher, size } = self;
        let actual = hasher.finish();
        if let Some(expected) = expected
            && expected != actual
        {
            return Err(LayoutError::Mismatch { expected, actual, size });
        }
        file.persist(&layout.blob_path(actual))?;
        Ok((actual, size))
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.append(bytes).map_err(|error| match error {
            LayoutError::Io { source, .. } => source,
            other => io::Error::other(other),
        })?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
