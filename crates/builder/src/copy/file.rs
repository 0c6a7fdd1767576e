//! One file to copy from, as a download is: a directory with nothing else in it.

use std::fs::File;
use std::path::PathBuf;

use layer::{Metadata, TreePath};

use super::{Found, FoundKind, Opened, Source};
use crate::error::{Context, Result};

/// A file of the work directory, known by another name.
pub(crate) struct FileSource {
    /// How messages call where it is from.
    pub(crate) origin: String,
    /// The name it is known by.
    pub(crate) name: TreePath,
    /// Where it is.
    pub(crate) file: PathBuf,
    /// Its length in bytes.
    pub(crate) size: u64,
    /// Its mode, owner and time.
    pub(crate) metadata: Metadata,
}

impl Source for FileSource {
    fn get(&self, path: &TreePath) -> Result<Option<Found>> {
        let (metadata, kind) = if path.is_root() {
            (Metadata { mode: 0o755, ..Metadata::default() }, FoundKind::Directory)
        } else if *path == self.name {
            (self.metadata.clone(), FoundKind::File { size: self.size })
        } else {
            return Ok(None);
        };
        Ok(Some(Found { metadata, kind, link: None }))
    }

    fn names(&self, directory: &TreePath) -> Result<Vec<Box<[u8]>>> {
        Ok(if directory.is_root() { vec![self.name.as_bytes().into()] } else { Vec::new() })
    }

    fn open(&self, _: &TreePath) -> Result<Opened<'_>> {
        Ok(Opened::plain(File::open(&self.file).during(&self.origin)?))
    }

    fn shared(&self) -> Option<&(dyn Source + Sync)> {
        Some(self)
    }

    fn describe(&self) -> String {
        self.origin.clone()
    }
}
