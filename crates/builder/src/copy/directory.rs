//! A directory to copy from, less what `.dockerignore` leaves out: the build context, or a named one.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use dockerfile::Ignore;
use layer::{Metadata, TreePath};
use rootfs::{SourceDirectory, SourceKind};

use super::{Found, FoundKind, Opened, Source};
use crate::error::{Context, Error, Result};

/// The directory, opened once; symbolic links in it lead nowhere outside.
pub(crate) struct DirectorySource {
    /// How messages call it, as in "not found in the build context".
    name: String,
    /// Where it is, without links.
    path: PathBuf,
    directory: SourceDirectory,
    ignore: Ignore,
}

impl DirectorySource {
    /// Opens a directory. `ignore` is the text of its ignore file.
    pub(crate) fn open(name: &str, path: &Path, ignore: Option<&str>) -> Result<Self> {
        let ignore = Ignore::parse(ignore.unwrap_or_default()).during(format!(".dockerignore of {name}"))?;
        let directory = SourceDirectory::open(path).during(name)?;
        let path = path.canonicalize().during(name)?;
        Ok(DirectorySource { name: name.to_owned(), path, directory, ignore })
    }

    /// Where something of this machine is in it, if it is.
    pub(crate) fn place_of(&self, path: &Path) -> Option<TreePath> {
        let below = path.strip_prefix(&self.path).ok()?;
        TreePath::new(below.as_os_str().as_bytes()).ok()
    }

    /// Where on this machine `path` is, and whether it is a directory, if a process may be shown it as it is:
    /// nothing is left out of it, and all of it belongs to root, as it would if it were copied. `except` is never
    /// shown.
    pub(crate) fn as_it_is(&self, path: &TreePath, except: &Path) -> Result<Option<(PathBuf, bool)>> {
        let except = self.place_of(except);
        if !self.ignore.is_empty() || except.is_some_and(|except| except.is_within(path)) {
            return Ok(None);
        }
        let mut is_directory = None;
        let mut pending = vec![path.clone()];
        while let Some(path) = pending.pop() {
            let Some(stat) = self.directory.root().stat(&path).during(&self.name)? else {
                return Ok(None);
            };
            // Directories, files, links and pipes; what is behind a device or a socket is not in the context.
            let kind = stat.mode & 0o170_000;
            if (stat.uid, stat.gid) != (0, 0) || ![0o040_000, 0o100_000, 0o120_000, 0o010_000].contains(&kind)
            {
                return Ok(None);
            }
            if stat.is_directory() {
                pending.extend(self.names(&path)?.iter().map(|name| path.child(name)));
            }
            is_directory.get_or_insert(stat.is_directory());
        }
        Ok(is_directory.map(|is_directory| (self.path.join(path.as_relative()), is_directory)))
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

impl Source for DirectorySource {
    fn get(&self, path: &TreePath) -> Result<Option<Found>> {
        let Some(stat) = self.directory.stat(path).during(&self.name)? else { return Ok(None) };
        let is_directory = stat.is_directory();
        if self.is_hidden(path, is_directory)? {
            return Ok(None);
        }
        let found = self.directory.read(path, stat).during(&self.name)?;
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
        self.directory.names(directory).during(&self.name)
    }

    fn open(&self, path: &TreePath) -> Result<Opened<'_>> {
        let during = || format!("{path} in {}", self.name);
        match self.directory.open_file(path) {
            Ok(file) => {
                let xattrs = SourceDirectory::attributes(&file)
                    .map_err(|error| Error::new(error.to_string()).during(during()))?;
                Ok(Opened { data: Box::new(file), xattrs })
            }
            // A socket, which is copied as an empty file: a tar holds none.
            Err(_) if self.get(path)?.is_some_and(|found| found.kind == FoundKind::File { size: 0 }) => {
                Ok(Opened::plain(std::io::empty()))
            }
            Err(error) => Err(error).during(during()),
        }
    }

    fn shared(&self) -> Option<&(dyn Source + Sync)> {
        Some(self)
    }

    fn why_missing(&self, path: &TreePath) -> Option<String> {
        // A path that cannot be looked at is not there for that reason.
        let is_there = matches!(self.directory.root().stat(path), Ok(Some(_)));
        is_there.then(|| "it is in the directory, but .dockerignore leaves it out".to_owned())
    }

    fn describe(&self) -> String {
        self.name.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::select;

    #[test]
    fn what_is_left_out_is_not_there() {
        let directory = tempfile::tempdir().unwrap();
        for path in ["a.txt", "b.txt", "d/a.txt", "d/keep/b.txt", "e/a.txt"] {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        std::os::unix::fs::symlink("a.txt", directory.path().join("l")).unwrap();
        let context =
            DirectorySource::open("the build context", directory.path(), Some("a.txt\nd\n!d/keep\ne\n"))
                .unwrap();
        let found = |written| match select(&context, written, &Ignore::default()) {
            Ok(paths) => paths.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            Err(error) => match error.hint {
                Some(hint) => format!("{}; {hint}", error.message),
                None => error.message,
            },
        };
        let left_out =
            "not found in the build context; it is in the directory, but .dockerignore leaves it out";
        for (written, expected) in [
            ("*", "/b.txt /d /l"),
            ("d/*", "/d/keep"),
            ("d/keep/*", "/d/keep/b.txt"),
            ("*/*.txt", ""),
            ("a.txt", &format!("\"/a.txt\": {left_out}")),
            ("l", &format!("\"/l\": {left_out}")),
            ("e/a.txt", &format!("\"/e/a.txt\": {left_out}")),
            ("c.txt", "\"/c.txt\": not found in the build context"),
            ("b.txt/c", "\"/b.txt/c\": not found in the build context"),
        ] {
            assert_eq!(found(written), expected, "{written}");
        }
    }
}
