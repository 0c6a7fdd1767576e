//! A table as a file: how it gets from who unpacks a root to who runs a process in it, and back.
//!
//! A line of text says what it is, then come entries of fixed size, little-endian, each followed by its capability.
//! The end is counted, so that a file that was cut is noticed.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use crate::record::{self, FileError, number};
use crate::{Entry, Table};

const HEAD: &[u8] = b"owners 1\n";
/// `security.capability` has 24 bytes at most (`linux/capability.h`); nobody needs more of us.
const CAPABILITY_LIMIT: usize = 64;

impl Table {
    /// Reads a table from a file.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        let mut from = record::open(path, HEAD)?;
        let mut table = Table::new();
        for _ in 0..number(&mut from)? {
            let file = (number(&mut from)?, number(&mut from)?);
            let ids = number(&mut from)?.to_le_bytes();
            let [a, b, c, d, e, f, g, h] = ids;
            let (uid, gid) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
            let mode = u32::try_from(number(&mut from)?).map_err(|_| FileError::Format)?;
            let device = number(&mut from)?;
            let length = usize::try_from(number(&mut from)?).map_err(|_| FileError::Format)?;
            let capability = match length {
                0 => None,
                1..=CAPABILITY_LIMIT => {
                    let mut value = vec![0; length];
                    from.read_exact(&mut value)?;
                    Some(value.into())
                }
                _ => return Err(FileError::Format),
            };
            let mode = (mode != u32::MAX).then_some(mode);
            table.entries.insert(file, Entry { uid, gid, mode, device, capability });
        }
        Ok(table)
    }

    /// Writes the table beside `path`, then puts it there: who reads it sees the old one or the new one.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let new = Path::new(&name);
        let mut to = BufWriter::new(File::create(new)?);
        to.write_all(HEAD)?;
        to.write_all(&(self.entries.len() as u64).to_le_bytes())?;
        for ((device, inode), entry) in &self.entries {
            let ids = u64::from(entry.gid) << 32 | u64::from(entry.uid);
            let capability = entry.capability.as_deref().unwrap_or_default();
            let capability = capability.get(..CAPABILITY_LIMIT).unwrap_or(capability);
            let mode = u64::from(entry.mode.unwrap_or(u32::MAX));
            for number in [*device, *inode, ids, mode, entry.device, capability.len() as u64] {
                to.write_all(&number.to_le_bytes())?;
            }
            to.write_all(capability)?;
        }
        to.into_inner().map_err(io::IntoInnerError::into_error)?;
        std::fs::rename(new, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_comes_back_as_it_was() {
        let directory = tempfile::tempdir().expect("there is a place for temporary files");
        let path = directory.path().join("owners");
        let mut table = Table::new();
        table.change((1, 2), |entry| (entry.uid, entry.gid) = (1000, u32::MAX - 1));
        table.change((u64::MAX, 3), |entry| entry.mode = Some(0o106_755));
        table.change((1, 4), |entry| (entry.mode, entry.device) = (Some(0o020_666), 259));
        table.change((1, 5), |entry| entry.capability = Some([1, 0, 0, 2].into()));
        table.save(&path).expect("the directory is ours");
        assert_eq!(Table::load(&path).expect("it was just written"), table);

        let whole = std::fs::read(&path).expect("it was just written");
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).expect("the directory is ours");
            assert!(Table::load(&path).is_err(), "{length} of {} bytes", whole.len());
        }
        assert_eq!(std::fs::read_dir(directory.path()).expect("it is there").count(), 1, "a file was left");
    }
}
