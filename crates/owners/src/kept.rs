//! What is kept of a table for a directory that outlives it, by inode and change time.
//!
//! The device is left out: it is another one when a volume is mounted again. Whatever else changes a file meanwhile moves
//! its change time, and so does the reuse of its inode; then nothing is known of it any more.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use crate::Entry;
use crate::record::{self, FileError, number, write_number};

const HEAD: &[u8] = b"owners kept 1\n";

/// A file as it was: inode, and change time in seconds and nanoseconds.
pub type Version = (u64, (i64, u32));

/// Entries by file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept(HashMap<Version, Entry>);

impl Kept {
    /// Reads what was kept in a file. An absent one says nothing.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        let mut from = match record::open(path, HEAD) {
            Err(FileError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Kept::default());
            }
            opened => opened?,
        };
        let mut kept = Kept::default();
        for _ in 0..number(&mut from)? {
            let (inode, seconds) = (number(&mut from)?, number(&mut from)?.cast_signed());
            let nanoseconds = u32::try_from(number(&mut from)?).map_err(|_| FileError::Format)?;
            kept.0.insert((inode, (seconds, nanoseconds)), record::read_entry(&mut from)?);
        }
        Ok(kept)
    }

    /// Writes it: who reads the file sees the old one or the new one.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        record::replace(path, HEAD, |to| {
            write_number(to, self.0.len() as u64)?;
            self.0.iter().try_for_each(|((inode, (seconds, nanoseconds)), entry)| {
                write_number(to, *inode)?;
                write_number(to, seconds.cast_unsigned())?;
                write_number(to, (*nanoseconds).into())?;
                record::write_entry(to, entry)
            })
        })
    }

    /// What is said of a file, if it is as it was.
    #[must_use]
    pub fn get(&self, file: Version) -> Option<&Entry> {
        self.0.get(&file)
    }

    /// Keeps what is said of a file.
    pub fn insert(&mut self, file: Version, entry: Entry) {
        self.0.insert(file, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_comes_back_for_files_as_they_were() {
        let directory = tempfile::tempdir().expect("there is a place for temporary files");
        let path = directory.path().join("owners");
        assert_eq!(Kept::load(&path).expect("no file is no error"), Kept::default());
        let mut kept = Kept::default();
        let entry = Entry { uid: 7, mode: Some(0o104_755), capability: Some([1].into()), ..Entry::default() };
        kept.insert((5, (-1, 999)), entry.clone());
        kept.save(&path).expect("the directory is ours");
        let read = Kept::load(&path).expect("it was just written");
        assert_eq!(read, kept);
        assert_eq!((read.get((5, (-1, 999))), read.get((5, (0, 999)))), (Some(&entry), None));

        std::fs::write(&path, b"owners 1\n").expect("the directory is ours");
        assert!(Kept::load(&path).is_err());
    }
}
