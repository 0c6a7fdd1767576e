//! Tarballs: tars that we write. Entries have fixed times, owners and modes, so that equal images make equal bytes, and
//! the file has its name only once it is whole and on the disk.

use std::fs::Permissions;
use std::io::{self, BufWriter, Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// A tar that is being written. Dropped before [`finish`](Tarball::finish), it leaves nothing.
pub(crate) struct Tarball {
    to: PathBuf,
    tar: tar::Builder<BufWriter<NamedTempFile>>,
}

impl Tarball {
    /// Begins a tar that is to have this name.
    pub(crate) fn create(to: &Path) -> io::Result<Self> {
        // Only within one filesystem is a rename atomic.
        let file = NamedTempFile::new_in(folder(to))?;
        Ok(Tarball { to: to.to_owned(), tar: tar::Builder::new(BufWriter::new(file)) })
    }

    /// The directory that it is in.
    pub(crate) fn folder(&self) -> &Path {
        folder(&self.to)
    }

    /// Adds a file of so many bytes.
    pub(crate) fn append(&mut self, name: &str, size: u64, data: impl Read) -> io::Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_size(size);
        header.set_mode(0o644);
        header.set_mtime(0);
        self.tar.append_data(&mut header, name, data)
    }

    /// Ends the tar, and gives it its name.
    pub(crate) fn finish(self) -> io::Result<()> {
        let mut file = self.tar.into_inner()?;
        file.flush()?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        std::fs::set_permissions(file.path(), Permissions::from_mode(0o644))?;
        file.persist(&self.to).map_err(|error| error.error)?;
        Ok(())
    }
}

fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
