//! The log of a run: which paths it may have changed, as who served it saw them.
//!
//! It names candidates: what is in no log was not changed, what is in it may be as it was. A directory that was made
//! or moved is logged as a whole, so that nothing in it needs to be. As each move is logged at its destination, the
//! path that a name had when it was logged is right at the end, or lies in something that is logged as a whole.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use crate::Identity;
use crate::record::{self, FileError, number};

const HEAD: &[u8] = b"log 1\n";
/// `PATH_MAX`.
const PATH: u64 = 4096;

/// What a run may have changed. Paths are relative to the root, which is the empty one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    /// Names by the directory that they are in, itself a candidate.
    names: HashMap<Box<[u8]>, HashSet<Box<[u8]>>>,
    /// Directories with all that is in them.
    whole: HashSet<Box<[u8]>>,
    /// Files that had several names when they were changed: every name of theirs is a candidate.
    linked: HashSet<Identity>,
}

impl Log {
    /// A name in a directory was made, changed or removed.
    pub fn name(&mut self, directory: &[u8], name: &[u8]) {
        match self.names.get_mut(directory) {
            Some(names) if names.contains(name) => {}
            Some(names) => drop(names.insert(name.into())),
            None => drop(self.names.insert(directory.into(), HashSet::from([name.into()]))),
        }
    }

    /// Something was changed itself, by this path of it.
    pub fn path(&mut self, path: &[u8]) {
        match path.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => self.name(&path[..slash], &path[slash + 1..]),
            None if path.is_empty() => drop(self.names.entry(Box::default()).or_default()),
            None => self.name(b"", path),
        }
    }

    /// A directory is new at this path.
    pub fn whole(&mut self, path: &[u8]) {
        self.path(path);
        self.whole.insert(path.into());
    }

    /// A file that has several names was changed.
    pub fn linked(&mut self, file: Identity) {
        self.linked.insert(file);
    }

    /// Every path that is a candidate itself.
    pub fn paths(&self) -> impl Iterator<Item = Vec<u8>> {
        self.names.iter().flat_map(|(directory, names)| {
            let join = |name: &[u8]| match &directory[..] {
                b"" => name.to_vec(),
                directory => [directory, b"/", name].concat(),
            };
            names.iter().map(move |name| join(name)).chain([directory.to_vec()])
        })
    }

    /// The directories that are candidates as a whole.
    pub fn wholes(&self) -> impl Iterator<Item = &[u8]> {
        self.whole.iter().map(|path| &path[..])
    }

    /// Whether a file is a candidate by whatever name.
    #[must_use]
    pub fn is_linked(&self, file: Identity) -> bool {
        self.linked.contains(&file)
    }

    /// Whether there are such files.
    #[must_use]
    pub fn has_linked(&self) -> bool {
        !self.linked.is_empty()
    }

    /// Writes it to a file.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let mut to = BufWriter::new(File::create(path)?);
        to.write_all(HEAD)?;
        let text = |to: &mut BufWriter<File>, text: &[u8]| {
            to.write_all(&(text.len() as u64).to_le_bytes())?;
            to.write_all(text)
        };
        to.write_all(&(self.names.len() as u64).to_le_bytes())?;
        for (directory, names) in &self.names {
            text(&mut to, directory)?;
            to.write_all(&(names.len() as u64).to_le_bytes())?;
            names.iter().try_for_each(|name| text(&mut to, name))?;
        }
        to.write_all(&(self.whole.len() as u64).to_le_bytes())?;
        self.whole.iter().try_for_each(|path| text(&mut to, path))?;
        to.write_all(&(self.linked.len() as u64).to_le_bytes())?;
        for (device, inode) in &self.linked {
            to.write_all(&device.to_le_bytes())?;
            to.write_all(&inode.to_le_bytes())?;
        }
        to.into_inner().map_err(io::IntoInnerError::into_error).map(drop)
    }

    /// Reads it from a file; all of it, or not.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        let mut from = record::open(path, HEAD)?;
        let mut log = Log::default();
        for _ in 0..number(&mut from)? {
            let directory = text(&mut from)?;
            let names = (0..number(&mut from)?).map(|_| text(&mut from)).collect::<Result<_, _>>()?;
            log.names.insert(directory, names);
        }
        for _ in 0..number(&mut from)? {
            log.whole.insert(text(&mut from)?);
        }
        for _ in 0..number(&mut from)? {
            log.linked.insert((number(&mut from)?, number(&mut from)?));
        }
        Ok(log)
    }
}

fn text(from: &mut impl Read) -> Result<Box<[u8]>, FileError> {
    let length = number(from)?;
    if length > PATH {
        return Err(FileError::Format);
    }
    let mut text = Vec::new();
    from.take(length).read_to_end(&mut text)?;
    if text.len() as u64 == length { Ok(text.into()) } else { Err(FileError::Format) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_comes_back_as_it_was() {
        let directory = tempfile::tempdir().expect("there is a place for temporary files");
        let path = directory.path().join("log");
        let mut log = Log::default();
        log.path(b"");
        log.path(b"etc");
        log.name(b"etc", b"a\nname");
        log.whole(b"opt/new");
        log.linked((1, 2));
        log.save(&path).expect("the directory is ours");
        assert_eq!(Log::load(&path).expect("it was just written"), log);
        let mut paths: Vec<Vec<u8>> = log.paths().collect();
        paths.sort();
        assert_eq!(paths, [&b""[..], b"etc", b"etc", b"etc/a\nname", b"opt", b"opt/new"]);

        let whole = std::fs::read(&path).expect("it was just written");
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).expect("the directory is ours");
            assert!(Log::load(&path).is_err(), "{length} of {} bytes", whole.len());
        }
    }
}
