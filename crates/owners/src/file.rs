//! A table as a file: how it gets from who unpacks a root to who runs a process in it, and back.
//!
//! A line of text says what it is, then come entries of fixed size, little-endian, each followed by its capability.
//! The end is counted, so that a file that was cut is noticed.

use std::io;
use std::path::Path;

use crate::Table;
use crate::record::{self, FileError, number};

const HEAD: &[u8] = b"owners 1\n";

impl Table {
    /// Reads a table from a file.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        let mut from = record::open(path, HEAD)?;
        let mut table = Table::new();
        for _ in 0..number(&mut from)? {
            let file = (number(&mut from)?, number(&mut from)?);
            let entry = record::read_entry(&mut from)?;
            table.entries.insert(file, entry);
        }
        Ok(table)
    }

    /// Writes the table: who reads the file sees the old one or the new one.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        record::replace(path, HEAD, |to| {
            record::write_number(to, self.entries.len() as u64)?;
            self.entries.iter().try_for_each(|((device, inode), entry)| {
                record::write_number(to, *device)?;
                record::write_number(to, *inode)?;
                record::write_entry(to, entry)
            })
        })
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
