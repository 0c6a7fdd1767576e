//! A file that is not whole yet.

use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tokio::fs::File;
use tokio::io::{AsyncSeekExt as _, AsyncWriteExt as _};

use crate::error::ErrorKind;

/// A file that is being written. Dropped before [`Partial::keep`] it is gone.
#[derive(Debug)]
pub(crate) struct Partial {
    file: File,
    path: PathBuf,
    kept: bool,
}

impl Partial {
    /// A new file with a name that is free in `directory`, readable by its owner alone. It is made here and now: a
    /// future that is dropped while another thread makes it could not take it back.
    pub(crate) fn create(directory: &Path) -> Result<Self, ErrorKind> {
        loop {
            let path = directory.join(format!("download-{:016x}", fastrand::u64(..)));
            let mut options = std::fs::File::options();
            match options.write(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => return Ok(Partial { file: File::from_std(file), path, kept: false }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(ErrorKind::Write { path, source }),
            }
        }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), ErrorKind> {
        let result = self.file.write_all(bytes).await;
        result.map_err(|source| self.failed(source))
    }

    /// Begins again.
    pub(crate) async fn clear(&mut self) -> Result<(), ErrorKind> {
        let result = async {
            self.file.flush().await?;
            self.file.set_len(0).await?;
            self.file.rewind().await.map(drop)
        };
        let result = result.await;
        result.map_err(|source| self.failed(source))
    }

    /// All is written, and right.
    pub(crate) async fn keep(mut self) -> Result<PathBuf, ErrorKind> {
        // The last write may still be under way, and may yet fail.
        let result = self.file.flush().await;
        result.map_err(|source| self.failed(source))?;
        self.kept = true;
        Ok(std::mem::take(&mut self.path))
    }

    fn failed(&self, source: io::Error) -> ErrorKind {
        ErrorKind::Write { path: self.path.clone(), source }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.kept {
            // The directory's owner removes what cannot be removed here.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
