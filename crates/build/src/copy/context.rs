//! The build context: a directory of the user's, less what `.dockerignore` leaves out.

use std::io::Read;
use std::path::Path;

use dockerfile::Ignore;
use layer::{Metadata, TreePath};
use rootfs::{SourceDirectory, SourceKind};

use super::{Found, FoundKind, Source};
use crate::error::{Context, Error, Result};

/// The directory, opened once; symbolic links in it lead nowhere outside.
pub(crate) struct ContextSource {
    directory: SourceDirectory,
    ignore: Ignore,
}

impl ContextSource {
    pub(crate) fn open(directory: &Path, ignore: Option<&str>) -> Result<Self> {
        let ignore = Ignore::parse(ignore.unwrap_or_default()).during(".dockerignore")?;
        let directory = SourceDirectory::open(directory).during("build context")?;
        Ok(ContextSource { directory, ignore })
    }

    /// True if the ignore file leaves this out. A directory stays if something below it does.
    fn is_hidden(&self, path: &TreePath, is_directory: bool) -> Result<bool> {
        if path.is_root() || !self.ignore.excludes(path.as_bytes()) {
            return Ok(false);
        }
        if !is_directory || !self.ignore.may_contain_included(path.as_bytes()) {
            return Ok(true);
        }
        for name in self.names(path)? {
            let below = path.child(&name);
            let is_directory =
                self.directory.root().stat(&below).during(&below)?.is_some_and(|stat| stat.is_directory());
            if !self.is_hidden(&below, is_directory)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Source for ContextSource {
    fn get(&self, path: &TreePath) -> Result<Option<Found>> {
        let is_directory = match self.directory.root().stat(path).during(self.describe())? {
            None => return Ok(None),
            Some(stat) => stat.is_directory(),
        };
        if self.is_hidden(path, is_directory)? {
            return Ok(None);
        }
        let Some(found) = self.directory.find(path).during(self.describe())? else { return Ok(None) };
        let kind = match found.kind {
            SourceKind::Directory => FoundKind::Directory,
            SourceKind::File { size } => FoundKind::File { size },
            SourceKind::Symlink { target } => FoundKind::Symlink { target },
            SourceKind::Fifo => FoundKind::Fifo,
            SourceKind::CharDevice { .. } | SourceKind::BlockDevice { .. } => {
                return Err(Error::new(format!(
                    "{path} in {} is a device, which is not copied",
                    self.describe()
                )));
            }
        };
        // Who owns a file on the machine that builds is none of the image's business.
        let metadata = Metadata { uid: 0, gid: 0, ..found.metadata };
        let link = (found.stat.nlink > 1 && !is_directory).then(|| found.stat.identity());
        Ok(Some(Found { metadata, kind, link }))
    }

    fn names(&self, directory: &TreePath) -> Result<Vec<Box<[u8]>>> {
        self.directory.names(directory).during(self.describe())
    }

    fn open(&self, path: &TreePath) -> Result<Box<dyn Read + Send + '_>> {
        match self.directory.root().open_file(path) {
            Ok(file) => Ok(Box::new(file)),
            // A socket, which is copied as an empty file: a tar holds none.
            Err(_) if self.get(path)?.is_some_and(|found| found.kind == FoundKind::File { size: 0 }) => {
                Ok(Box::new(std::io::empty()))
            }
            Err(error) => Err(error).during(format!("{path} in {}", self.describe())),
        }
    }

    fn describe(&self) -> String {
        "the build context".to_owned()
    }
}
