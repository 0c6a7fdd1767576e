//! A byte stream of a process or a socket, read with patience but not for ever.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use transport::{Cause, Failure};

use crate::error::ErrorKind;
use crate::http::Blame;
use crate::stop::Stop;

/// How often the switch is looked at while nothing comes.
const GLANCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// A reader that gives up when nothing comes for long, or when the work is ended.
pub(crate) struct Patient<R> {
    pub(crate) inner: R,
    pub(crate) stop: Stop,
    pub(crate) idle: Duration,
    /// For the message.
    pub(crate) host: String,
    pub(crate) blame: Blame,
}

impl<R: Read + AsFd> Read for Patient<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let since = Instant::now();
        loop {
            if self.stop.is_thrown() {
                return Err(self.blamed(ErrorKind::Cancelled));
            }
            let mut waiting = [PollFd::new(&self.inner, PollFlags::IN)];
            match poll(&mut waiting, Some(&GLANCE)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return self.inner.read(buffer),
                Err(error) => return Err(error.into()),
            }
            if since.elapsed() >= self.idle {
                let reason = Failure::silence(self.idle).reason;
                let host = self.host.clone();
                return Err(self.blamed(ErrorKind::Unreachable { host, reason, cause: Cause::Network }));
            }
        }
    }
}

impl<R> Patient<R> {
    fn blamed(&self, kind: ErrorKind) -> io::Error {
        let error = io::Error::other(kind.to_string());
        *self.blame.lock().unwrap_or_else(PoisonError::into_inner) = Some(kind);
        error
    }
}
