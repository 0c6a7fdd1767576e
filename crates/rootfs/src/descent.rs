//! Descent: a chain of open directories from a start down to where we are.
//!
//! A tree can be deeper than the number of files a process may have open, and the text of its paths longer
//! than the kernel takes; so the chain goes from name to name and keeps only its lower end open.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, RawDir};
use rustix::io::Errno;

use crate::root::{DIRECTORY, open_child};
use crate::stat::Stat;

/// So many directories are kept open at most.
const OPEN: usize = 32;

/// Room for what one `getdents64` returns.
const LISTING: usize = 32 * 1024;

/// A chain of open directories.
#[derive(Debug)]
pub(crate) struct Descent {
    /// Never empty: the first is where it started.
    levels: Vec<Level>,
}

#[derive(Debug)]
struct Level {
    directory: Option<OwnedFd>,
    identity: (u64, u64),
}

/// A name in a directory, with what the listing says it is, which may be nothing.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) name: CString,
    pub(crate) file_type: FileType,
}

impl Descent {
    pub(crate) fn new(start: OwnedFd) -> io::Result<Self> {
        let identity = Stat::of(&start)?.identity();
        Ok(Descent { levels: vec![Level { directory: Some(start), identity }] })
    }

    /// The directory we are in.
    pub(crate) fn directory(&self) -> BorrowedFd<'_> {
        let last = self.levels.last().and_then(|level| level.directory.as_ref());
        last.expect("the lowest level is always there and open").as_fd()
    }

    /// Goes down into a directory, which must not be a link.
    pub(crate) fn enter(&mut self, name: &CStr) -> io::Result<()> {
        let directory = open_child(self.directory(), name)?;
        let identity = Stat::of(&directory)?.identity();
        self.levels.push(Level { directory: Some(directory), identity });
        // The start stays open: whoever owns the descent may stand on it.
        if let Some(far) = self.levels.len().checked_sub(OPEN + 1).filter(|&far| far > 0) {
            self.levels[far].directory = None;
        }
        Ok(())
    }

    /// Goes up again. Does nothing at the start.
    pub(crate) fn leave(&mut self) -> io::Result<()> {
        if self.levels.len() == 1 {
            return Ok(());
        }
        let left = self.levels.pop().and_then(|level| level.directory);
        let above = self.levels.last_mut().expect("more than one level was there");
        if above.directory.is_none() {
            let left = left.expect("the lowest level is always open");
            let again = rustix::fs::openat(&left, c"..", DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
            if Stat::of(&again)?.identity() != above.identity {
                return Err(Errno::STALE.into());
            }
            above.directory = Some(again);
        }
        Ok(())
    }
}

/// The names in a directory, sorted by their bytes, without `.` and `..`.
pub(crate) fn list(directory: impl AsFd) -> io::Result<Vec<Listed>> {
    // A descriptor of our own, so that its position is the beginning.
    let own = rustix::fs::openat(directory, c".", DIRECTORY, Mode::empty())?;
    let mut buffer = [MaybeUninit::uninit(); LISTING];
    let mut listing = RawDir::new(own, &mut buffer);
    let mut names = Vec::new();
    while let Some(entry) = listing.next() {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(Listed { name: entry.file_name().to_owned(), file_type: entry.file_type() });
        }
    }
    names.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(names)
}
