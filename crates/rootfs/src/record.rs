//! Record: what a directory was like before a run, to find what moved.
//!
//! A path that has the same inode, change time, size and mode as before was not touched: no program can set
//! the change time. A rename of a directory leaves those of its contents alone, but gives them other paths.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use layer::TreePath;
use rustix::fs::{AtFlags, Mode, OFlags};

use crate::stat::Stat;

/// The fingerprints of all paths of a directory: 16 bytes for each.
#[derive(Debug, Default)]
pub(crate) struct Record {
    fingerprints: Vec<[u8; 16]>,
    newest: (i64, u32),
}

impl Record {
    pub(crate) fn insert(&mut self, path: &TreePath, stat: &Stat) {
        self.fingerprints.push(fingerprint(path, stat));
        self.newest = self.newest.max(stat.ctime);
    }

    /// Ends the record, after which paths can be looked up.
    pub(crate) fn sort(&mut self) {
        self.fingerprints.sort_unstable();
    }

    /// True if the path is as it was.
    pub(crate) fn has(&self, path: &TreePath, stat: &Stat) -> bool {
        self.fingerprints.binary_search(&fingerprint(path, stat)).is_ok()
    }

    /// Waits until the filesystem's clock has passed the newest change in the record, which is some
    /// milliseconds at most: before Linux 6.13 change times move in steps of a timer tick, and a change in
    /// the same step as the last one before could not be seen.
    pub(crate) fn settle(&self, scratch: impl AsFd) -> io::Result<()> {
        let name = c"clock";
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = rustix::fs::openat(&scratch, name, flags, Mode::RUSR | Mode::WUSR)?;
        // A change time in the future (the clock was set back) is not waited for.
        for _ in 0..100 {
            rustix::fs::fchmod(&file, Mode::RUSR | Mode::WUSR)?;
            if Stat::of(&file)?.ctime > self.newest {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        rustix::fs::unlinkat(&scratch, name, AtFlags::empty())?;
        Ok(())
    }
}

fn fingerprint(path: &TreePath, stat: &Stat) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    for number in [stat.dev, stat.ino, stat.size, stat.ctime.0.cast_unsigned()] {
        hasher.update(&number.to_le_bytes());
    }
    hasher.update(&stat.ctime.1.to_le_bytes());
    hasher.update(&stat.mode.to_le_bytes());
    hasher.update(path.as_bytes());
    let mut out = [0; 16];
    out.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    out
}
