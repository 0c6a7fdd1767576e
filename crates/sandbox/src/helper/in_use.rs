//! In use: locks that say that a directory which outlives the run may be changing.
//!
//! The program that asked for the run has locks of its own. But when it is killed, those are gone at once, while
//! we still have to end the process and bring things back; so we have one too, which ends with us.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::Helper;
use crate::failure::{During, Failure};

/// How often a lock that somebody else has is tried again.
const RETRY: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// The locks of one run. They are closed by the exec of whatever it starts.
#[derive(Debug, Default)]
pub(crate) struct InUse {
    held: Vec<(PathBuf, File)>,
}

impl InUse {
    /// Takes the lock of `file`, shared or exclusively, and waits for it if need be; but not if the program tells
    /// us something meanwhile, which can only be that the run is over. A lock is taken once.
    pub(crate) fn lock(&mut self, helper: &Helper, file: &Path, exclusive: bool) -> Result<(), Failure> {
        if self.held.iter().any(|(known, _)| known == file) {
            return Ok(());
        }
        let step = || format!("lock {}", file.display());
        let opened = File::options().read(true).write(true).open(file).during(step())?;
        let operation = match exclusive {
            true => FlockOperation::NonBlockingLockExclusive,
            false => FlockOperation::NonBlockingLockShared,
        };
        loop {
            match flock(opened.as_fd(), operation) {
                Ok(()) => break,
                Err(Errno::WOULDBLOCK | Errno::INTR) => {}
                Err(error) => return Err(error).during(step()),
            }
            let mut fds = [PollFd::new(&helper.socket, PollFlags::IN)];
            match poll(&mut fds, Some(&RETRY)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Err(Failure::because(format!("{}: told to end while waiting", step()))),
                Err(error) => return Err(error).during(step()),
            }
        }
        self.held.push((file.to_owned(), opened));
        Ok(())
    }
}
