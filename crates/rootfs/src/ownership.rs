//! Ownership: who keeps the owners of files, and whatever else the kernel lets only some set.

use std::ffi::CStr;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use layer::Metadata;
use owners::{Table, mode_on_disk, remembered_mode};
use rustix::fs::{AtFlags, FileType, Gid, Mode, Uid};

use crate::stat::{Stat, times};
use crate::xattr::{self, CAPABILITY, Xattrs};

/// Who keeps the owners of files in a directory.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Ownership {
    /// The kernel: files are given to their owners with `chown(2)`.
    #[default]
    Kernel,
    /// A table beside the directory, in which every file is our own. It also keeps devices, file capabilities and
    /// those modes that would keep us from a file ourselves.
    Table(Shared),
}

/// A table that several threads fill.
#[derive(Debug, Clone, Default)]
pub struct Shared(Arc<Mutex<Table>>);

impl Shared {
    pub(crate) fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ownership {
    /// Gives a new file or directory its owner, attributes, mode and time. The order matters: `chown(2)` clears the
    /// set-id bits and capabilities, and a mode without `w` refuses attributes to those who are not root.
    pub(crate) fn describe(&self, file: impl AsFd, metadata: &Metadata) -> io::Result<()> {
        let mode = match self {
            Ownership::Kernel => {
                let (uid, gid) = ids(metadata.uid, metadata.gid)?;
                rustix::fs::fchown(&file, uid, gid)?;
                metadata.mode & 0o7777
            }
            Ownership::Table(table) => {
                let stat = Stat::of(&file)?;
                let file_type = stat.mode & FILE_TYPE;
                let capability = metadata.xattrs.get(CAPABILITY).filter(|_| file_type == REGULAR).cloned();
                table.say(&stat, metadata, file_type, 0, capability)?;
                mode_on_disk(file_type | metadata.mode & 0o7777)
            }
        };
        xattr::set(&file, &metadata.xattrs)?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
        Ok(rustix::fs::futimens(&file, &times((metadata.mtime, 0)))?)
    }

    /// Gives a new node that cannot be opened its owner, and its mode if it has one.
    pub(crate) fn describe_at(
        &self,
        directory: impl AsFd,
        name: &CStr,
        metadata: &Metadata,
    ) -> io::Result<()> {
        let stat = Stat::at(&directory, name)?;
        let has_mode = stat.file_type() != FileType::Symlink;
        let mode = match self {
            Ownership::Kernel => {
                let (uid, gid) = ids(metadata.uid, metadata.gid)?;
                rustix::fs::chownat(&directory, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
                metadata.mode & 0o7777
            }
            Ownership::Table(table) => {
                let file_type = stat.mode & FILE_TYPE;
                table.say(&stat, metadata, file_type, 0, None)?;
                mode_on_disk(file_type | metadata.mode & 0o7777)
            }
        };
        if has_mode {
            // Not a link, since we have just made it.
            rustix::fs::chmodat(directory, name, Mode::from_raw_mode(mode), AtFlags::empty())?;
        }
        Ok(())
    }

    /// Makes a device that only the table knows to be one: an empty file on disk. False where the kernel makes them.
    pub(crate) fn make_device(
        &self,
        directory: impl AsFd,
        name: &CStr,
        (file_type, device): (FileType, u64),
        metadata: &Metadata,
    ) -> io::Result<bool> {
        let Ownership::Table(table) = self else { return Ok(false) };
        if !matches!(file_type, FileType::CharacterDevice | FileType::BlockDevice) {
            return Ok(false);
        }
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(&directory, name, FileType::RegularFile, mode, 0)?;
        let stat = Stat::at(&directory, name)?;
        table.say(&stat, metadata, file_type.as_raw_mode(), device, None)?;
        let on_disk = Mode::from_raw_mode(mode_on_disk(REGULAR | metadata.mode & 0o7777));
        rustix::fs::chmodat(directory, name, on_disk, AtFlags::empty())?;
        Ok(true)
    }

    /// What a node is said to be.
    pub(crate) fn seen(&self, stat: &Stat) -> Stat {
        let mut seen = *stat;
        if let Ownership::Table(table) = self {
            let table = table.table();
            let entry = table.get(stat.identity());
            (seen.uid, seen.gid) = entry.map_or((0, 0), |entry| (entry.uid, entry.gid));
            if let Some(entry) = entry
                && let Some(mode) = entry.mode
            {
                seen.mode = mode;
                seen.rdev = entry.device;
            }
        }
        seen
    }

    /// Adds what only the table has of a file's attributes.
    pub(crate) fn add_attributes(&self, stat: &Stat, xattrs: &mut Xattrs) {
        if let Ownership::Table(table) = self
            && let Some(capability) =
                table.table().get(stat.identity()).and_then(|entry| entry.capability.clone())
        {
            xattrs.insert(CAPABILITY.into(), capability);
        }
    }

    /// Writes the table for whoever runs a process in the directory. Nothing where the kernel keeps the owners.
    pub(crate) fn save(&self, path: &Path) -> io::Result<()> {
        match self {
            Ownership::Kernel => Ok(()),
            Ownership::Table(table) => table.table().save(path),
        }
    }

    /// Reads it again after that.
    pub(crate) fn load(&self, path: &Path) -> io::Result<()> {
        if let Ownership::Table(table) = self {
            *table.table() = Table::load(path)?;
        }
        Ok(())
    }
}

/// The type bits of a mode. inode(7)
const FILE_TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;

impl Shared {
    /// Says what a new file is. Its inode may have been another's.
    fn say(
        &self,
        stat: &Stat,
        metadata: &Metadata,
        file_type: u32,
        device: u64,
        capability: Option<Box<[u8]>>,
    ) -> io::Result<()> {
        ids(metadata.uid, metadata.gid)?;
        let mode = file_type | metadata.mode & 0o7777;
        let mut table = self.table();
        table.forget(stat.identity());
        table.change(stat.identity(), |entry| {
            (entry.uid, entry.gid) = (metadata.uid, metadata.gid);
            entry.mode = remembered_mode(mode, stat.mode);
            (entry.device, entry.capability) = (device, capability);
        });
        Ok(())
    }
}

/// The highest number means "as it is" to `chown(2)`; no file can belong to it.
fn ids(uid: u32, gid: u32) -> io::Result<(Option<Uid>, Option<Gid>)> {
    if uid == u32::MAX || gid == u32::MAX {
        let text = format!("no file can have the owner {uid}:{gid}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok((Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))))
}
