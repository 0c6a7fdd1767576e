//! A file that nobody can see until it is whole.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// A file being written beside its final place. Dropped without [`Pending::commit`] it is gone.
///
/// It is locked while it lives, so that what a killed build has left can be told from what a running one
/// is still writing.
#[derive(Debug)]
pub struct Pending {
    file: File,
    path: PathBuf,
    committed: bool,
}

impl Pending {
    /// A new file in `directory`, which must be on the filesystem of its final place.
    pub(crate) fn create(directory: &Path) -> io::Result<Self> {
        // Process id and address-space randomness do not suffice across pods that share a volume, so the
        // name is tried until it is new.
        for attempt in 0u64.. {
            let stamp =
                std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
            let name = format!("{}-{}-{attempt}", std::process::id(), stamp.as_nanos());
            let path = directory.join(name);
            match File::options().read(true).write(true).create_new(true).open(&path) {
                Ok(file) => {
                    // Between the two calls another build may have taken the file for a dead one's.
                    let locked = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
                    if locked && path.exists() {
                        return Ok(Pending { file, path, committed: false });
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(at(&path, &error)),
            }
        }
        unreachable!("there are more names than files")
    }

    /// A second handle that reads from the start of what has been written so far.
    pub fn reader(&self) -> io::Result<File> {
        File::open(&self.path).map_err(|error| at(&self.path, &error))
    }

    /// Where the bytes are until they are committed.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its name. One that has the name already is as good: names are digests.
    pub(crate) fn commit(mut self, place: &Path) -> io::Result<()> {
        std::fs::rename(&self.path, place).map_err(|error| at(place, &error))?;
        self.committed = true;
        Ok(())
    }

    /// Removes what killed builds have left in `directory`.
    pub(crate) fn collect(directory: &Path) -> io::Result<()> {
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            // Gone in the meantime: its owner has committed it.
            let Ok(file) = File::open(&path) else { continue };
            if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
                match std::fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&path, &error)),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

impl Write for Pending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes).map_err(|error| at(&self.path, &error))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.committed {
            // Nothing to be done if it fails; the next build collects it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

pub(crate) fn at(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
