//! What a file is said to be where the kernel will not hold it: owners, modes, devices and capabilities by inode.
//!
//! Without privilege every file that we make is our own, no device can be made and no capability given. A [`Table`]
//! remembers what was meant. It says nothing of a file that belongs to `0:0` and has the mode it has on disk, which
//! most files of an image do.
//!
//! Inodes are reused. So whoever makes a file forgets its inode first ([`Table::forget`]), and whoever removes the last
//! name of one does too, which keeps the table small.
#![forbid(unsafe_code)]

mod file;
mod kept;
mod log;
mod record;

use std::collections::HashMap;

pub use kept::{Kept, Version};
pub use log::Log;
pub use record::FileError;

/// The file itself, whatever its names: device and inode.
pub type Identity = (u64, u64);

/// The type bits of a mode. inode(7).
const TYPE: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;
const LINK: u32 = 0o120_000;

/// What is said of one file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Type and permissions, if they are not those on disk.
    pub mode: Option<u32>,
    /// Which device it is, if it is one: a number as in `st_rdev`.
    pub device: u64,
    /// The value of `security.capability`.
    pub capability: Option<Box<[u8]>>,
}

/// Entries by file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    entries: HashMap<Identity, Entry>,
}

impl Table {
    /// A table that says nothing of any file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What is said of a file, if anything is.
    #[must_use]
    pub fn get(&self, file: Identity) -> Option<&Entry> {
        self.entries.get(&file)
    }

    /// Changes what is said of a file.
    pub fn change(&mut self, file: Identity, change: impl FnOnce(&mut Entry)) {
        let entry = self.entries.entry(file).or_default();
        change(entry);
        if *entry == Entry::default() {
            self.entries.remove(&file);
        }
    }

    /// Says nothing more of a file: it is new, or gone.
    pub fn forget(&mut self, file: Identity) {
        self.entries.remove(&file);
    }

    /// How many files something is said of.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if nothing is said of any file.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// The permissions on disk of a file that is said to have `mode`: those who serve it must be able to read, write and
/// search it. Set-id and sticky bits are never on disk.
#[must_use]
pub fn mode_on_disk(mode: u32) -> u32 {
    let ours = if mode & TYPE == DIRECTORY { 0o700 } else { 0o600 };
    mode & 0o777 | ours
}

/// What is to be remembered of a mode (type and permissions) with which a file of type `on_disk` is made or changed:
/// nothing if the disk can hold it. The modes of links mean nothing.
#[must_use]
pub fn remembered_mode(mode: u32, on_disk: u32) -> Option<u32> {
    let same = mode & TYPE == on_disk & TYPE && mode & 0o7777 == mode_on_disk(mode);
    (mode & TYPE != LINK && !same).then_some(mode & (TYPE | 0o7777))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_that_the_disk_holds_are_not_remembered() {
        for (mode, disk, remembered) in [
            (0o100_644, 0o644, None),
            (0o100_755, 0o755, None),
            (0o100_444, 0o644, Some(0o100_444)),
            (0o100_000, 0o600, Some(0o100_000)),
            (0o104_755, 0o755, Some(0o104_755)),
            (0o040_755, 0o755, None),
            (0o040_555, 0o755, Some(0o040_555)),
            (0o041_777, 0o777, Some(0o041_777)),
            (0o120_777, 0o777, None),
        ] {
            assert_eq!(mode_on_disk(mode), disk, "{mode:o}");
            assert_eq!(remembered_mode(mode, mode), remembered, "{mode:o}");
        }
        // A device is an ordinary file on disk.
        assert_eq!(remembered_mode(0o020_666, 0o100_666), Some(0o020_666));
    }

    #[test]
    fn what_is_said_of_nothing_is_not_kept() {
        let mut table = Table::new();
        table.change((1, 2), |entry| entry.uid = 7);
        assert_eq!(table.get((1, 2)).map(|entry| entry.uid), Some(7));
        table.change((1, 2), |entry| entry.uid = 0);
        assert!(table.is_empty());
        table.change((1, 2), |entry| entry.mode = Some(0o100_000));
        table.forget((1, 2));
        assert_eq!(table.len(), 0);
    }
}
