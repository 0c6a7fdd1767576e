//! What the files of this crate have in common: a first line that says what it is, and numbers of eight bytes, little-endian.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// Why a file could not be read.
#[derive(Debug)]
pub enum FileError {
    /// The file could not be read or written.
    Io(io::Error),
    /// It is of another kind, or not all of it is there.
    Format,
}

impl std::fmt::Display for FileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FileError::Io(error) => error.fmt(f),
            FileError::Format => f.write_str("it is of another kind, or was cut off"),
        }
    }
}

impl std::error::Error for FileError {}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { FileError::Format } else { FileError::Io(error) }
    }
}

impl From<FileError> for io::Error {
    fn from(error: FileError) -> Self {
        match error {
            FileError::Io(error) => error,
            FileError::Format => io::Error::new(io::ErrorKind::InvalidData, error),
        }
    }
}

/// Opens a file that begins with `head`, and reads that.
pub(crate) fn open(path: &Path, head: &[u8]) -> Result<BufReader<File>, FileError> {
    let mut from = BufReader::new(File::open(path)?);
    let mut found = vec![0; head.len()];
    from.read_exact(&mut found)?;
    if found == head { Ok(from) } else { Err(FileError::Format) }
}

/// Reads a number.
pub(crate) fn number(from: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}
