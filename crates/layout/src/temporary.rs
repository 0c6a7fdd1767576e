//! Temporary files of a layout: what is not yet whole.
//!
//! They lie in the layout itself, as only a rename within one filesystem is atomic. Each is locked
//! ([flock(2)]) for as long as somebody writes it, so a file that can be locked was left by a process
//! that is gone. umoci tells its leftovers apart in the same way.
//!
//! [flock(2)]: https://man7.org/linux/man-pages/man2/flock.2.html

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::retry_on_intr;
use tempfile::NamedTempFile;

use crate::LayoutError;
use crate::error::failed;

const PREFIX: &str = ".bako-";

/// A file that vanishes unless it is given its final name.
#[derive(Debug)]
pub(crate) struct Temporary(NamedTempFile);

impl Temporary {
    /// A new and empty file in a layout's directory.
    pub(crate) fn create(layout: &Path) -> Result<Self, LayoutError> {
        loop {
            let file = tempfile::Builder::new()
                .prefix(PREFIX)
                .permissions(Permissions::from_mode(0o644))
                .tempfile_in(layout)
                .map_err(failed("create a file in", layout))?;
            lock(file.as_file()).map_err(failed("lock", file.path()))?;
            // Before it was locked, a neighbour could have taken it for a leftover.
            if file.as_file().metadata().map_err(failed("read", file.path()))?.nlink() > 0 {
                return Ok(Temporary(file));
            }
        }
    }

    /// Writes to the file's end.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), LayoutError> {
        self.0.as_file_mut().write_all(bytes).map_err(failed("write", self.0.path()))
    }

    /// Gives the file its final name in place of what had it, once the bytes are on the disk.
    pub(crate) fn persist(self, path: &Path) -> Result<(), LayoutError> {
        self.0.as_file().sync_all().map_err(failed("write", self.0.path()))?;
        // The lock goes with the descriptor, which has to outlive the rename.
        let _locked = self.0.persist(path).map_err(|error| failed("create", path)(error.error))?;
        sync_directory(path.parent().expect("every file of a layout is in a directory"))
    }
}

/// Removes what dead processes left behind. A layout that cannot be written to is left as it is.
pub(crate) fn collect(layout: &Path) -> Result<(), LayoutError> {
    for entry in fs::read_dir(layout).map_err(failed("list", layout))? {
        let entry = entry.map_err(failed("list", layout))?;
        if !entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
            continue;
        }
        // It may be finished and gone by now, it may belong to somebody else: then it is not our concern.
        let Ok(file) = File::options().read(true).write(true).open(entry.path()) else { continue };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            // Names are not used twice, so this is either the leftover or nothing.
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}

/// Waits for the exclusive lock of a file, which lasts until the file is closed.
pub(crate) fn lock(file: &File) -> io::Result<()> {
    Ok(retry_on_intr(|| flock(file, FlockOperation::LockExclusive))?)
}

/// Makes the names in a directory survive a power failure.
pub(crate) fn sync_directory(path: &Path) -> Result<(), LayoutError> {
    match File::open(path).and_then(|directory| directory.sync_all()) {
        // Some network filesystems cannot sync a directory.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
        result => result.map_err(failed("sync", path)),
    }
}
