//! Areas: the directories and files of this machine that the tree of a RUN is made of. The first is the root; the others
//! are what is mounted in it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use owners::Identity;
use rustix::io::Errno;

use super::supervisor::stat_of;

/// What kind of files an area has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Files, of which the table of owners knows.
    Tree,
    /// `/sys`, a filesystem of the machine's: to be read as it is.
    Machine,
    /// `/proc`, which is shown as [`super::proc`] says.
    Processes,
}

/// A part of the tree.
#[derive(Debug)]
pub(super) struct Area {
    /// Where it is in the tree; nothing for the root.
    pub(super) target: Vec<u8>,
    /// Itself, opened with `O_PATH`.
    pub(super) fd: OwnedFd,
    /// Its path on this machine, by which descriptors are recognised.
    pub(super) host: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) read_only: bool,
    /// The file of another area that it covers.
    pub(super) covers: Option<Identity>,
}

/// The number of the root among the areas.
pub(super) const ROOT: usize = 0;

/// All areas.
#[derive(Debug)]
pub(super) struct Areas {
    all: Vec<Area>,
    /// The filesystem of the root.
    device: u64,
}

impl Areas {
    pub(super) fn new(root: Area) -> Self {
        // Without it nothing is known to be there, which takes longer.
        let device = stat_of(root.fd.as_fd()).map_or(0, |stat| stat.st_dev);
        Areas { all: vec![root], device }
    }

    /// The filesystem that the root is on.
    pub(super) fn device(&self) -> u64 {
        self.device
    }

    /// Mounts an area over what is there.
    pub(super) fn mount(&mut self, area: Area) {
        self.all.push(area);
    }

    pub(super) fn get(&self, index: usize) -> &Area {
        &self.all[index]
    }

    pub(super) fn fd(&self, index: usize) -> BorrowedFd<'_> {
        self.all[index].fd.as_fd()
    }

    /// The area in which a path lies that has no links, and the rest of the path.
    pub(super) fn of<'a>(&self, path: &'a [u8]) -> (usize, &'a [u8]) {
        let mut best = (ROOT, path);
        for (index, area) in self.all.iter().enumerate().skip(1) {
            // Of two at the same place the later one covers the other.
            if let Some(rest) = below(path, &area.target)
                && rest.len() <= best.1.len()
            {
                best = (index, rest);
            }
        }
        best
    }

    /// Whether a directory of an area has none of the others below it, and its files are what they seem.
    pub(super) fn is_alone(&self, area: usize, path: &[u8]) -> bool {
        let path = if path == b"/" { b"" } else { path };
        self.all[area].kind == Kind::Tree
            && self.all.iter().skip(1).enumerate().all(|(index, other)| {
                index + 1 == area && other.target.len() <= path.len() || below(&other.target, path).is_none()
            })
    }

    /// The area that is mounted at a path.
    pub(super) fn at(&self, path: &[u8]) -> Option<usize> {
        (1..self.all.len()).rev().find(|&index| self.all[index].target == path)
    }

    /// True for a file that is covered by an area.
    pub(super) fn is_covered(&self, file: Identity) -> bool {
        self.all.iter().any(|area| area.covers == Some(file))
    }

    /// The path in the tree of a path on this machine, as the kernel tells it of a descriptor; and the area.
    pub(super) fn seen(&self, host: &[u8]) -> Option<(usize, Vec<u8>)> {
        let mut best: Option<(usize, &[u8])> = None;
        for (index, area) in self.all.iter().enumerate() {
            if let Some(rest) = below(host, &area.host)
                && best.is_none_or(|(_, found)| rest.len() < found.len())
            {
                best = Some((index, rest));
            }
        }
        let (index, rest) = best?;
        let mut path = [&self.all[index].target, rest].concat();
        if path.is_empty() {
            path.push(b'/');
        }
        Some((index, path))
    }

    /// Refuses changes in what is only to be read.
    pub(super) fn may_change(&self, index: usize) -> Result<(), Errno> {
        if self.all[index].read_only { Err(Errno::ROFS) } else { Ok(()) }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Area> {
        self.all.iter()
    }
}

/// The rest of `path` below `directory`, with its slash; nothing if they are the same.
fn below<'a>(path: &'a [u8], directory: &[u8]) -> Option<&'a [u8]> {
    let rest = path.strip_prefix(directory)?;
    (rest.is_empty() || rest[0] == b'/').then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::below;

    #[test]
    fn what_is_below() {
        for (path, directory, rest) in [
            ("/proc/self", "/proc", Some("/self")),
            ("/proc", "/proc", Some("")),
            ("/process", "/proc", None),
            ("/usr", "", Some("/usr")),
            ("", "", Some("")),
        ] {
            assert_eq!(below(path.as_bytes(), directory.as_bytes()), rest.map(str::as_bytes), "{path}");
        }
    }
}
