//! What the files of this crate have in common: a first line that says what it is, and numbers of eight bytes, little-endian.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use crate::Entry;

/// `security.capability` has 24 bytes at most (`linux/capability.h`); nobody needs more of us.
const CAPABILITY_LIMIT: usize = 64;

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

/// Writes a number.
pub(crate) fn write_number(to: &mut impl Write, number: u64) -> io::Result<()> {
    to.write_all(&number.to_le_bytes())
}

/// Reads an entry: numbers, and as many bytes as the last one says.
pub(crate) fn read_entry(from: &mut impl Read) -> Result<Entry, FileError> {
    let [a, b, c, d, e, f, g, h] = number(from)?.to_le_bytes();
    let (uid, gid) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
    let mode = u32::try_from(number(from)?).map_err(|_| FileError::Format)?;
    let device = number(from)?;
    let capability = match usize::try_from(number(from)?).map_err(|_| FileError::Format)? {
        0 => None,
        length @ 1..=CAPABILITY_LIMIT => {
            let mut value = vec![0; length];
            from.read_exact(&mut value)?;
            Some(value.into())
        }
        _ => return Err(FileError::Format),
    };
    let mode = (mode != u32::MAX).then_some(mode);
    Ok(Entry { uid, gid, mode, device, capability })
}

/// Writes an entry.
pub(crate) fn write_entry(to: &mut impl Write, entry: &Entry) -> io::Result<()> {
    let ids = u64::from(entry.gid) << 32 | u64::from(entry.uid);
    let capability = entry.capability.as_deref().unwrap_or_default();
    let capability = capability.get(..CAPABILITY_LIMIT).unwrap_or(capability);
    let mode = u64::from(entry.mode.unwrap_or(u32::MAX));
    for number in [ids, mode, entry.device, capability.len() as u64] {
        write_number(to, number)?;
    }
    to.write_all(capability)
}

/// Writes a file beside `path`, then puts it there.
pub(crate) fn replace(
    path: &Path,
    head: &[u8],
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = Path::new(&name);
    let mut to = BufWriter::new(File::create(new)?);
    to.write_all(head)?;
    write(&mut to)?;
    to.into_inner().map_err(io::IntoInnerError::into_error)?;
    std::fs::rename(new, path)
}
