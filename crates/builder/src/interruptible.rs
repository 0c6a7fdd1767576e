//! Reading that ends with the build.

use std::io::{self, Read};
use std::os::fd::AsFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sandbox::Cancel;

/// How often a reader that waits looks whether the build is to end: 0.2 s.
const POLL: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// Reads until the build is told to end.
pub(crate) struct Interruptible<'a, R> {
    pub(crate) inner: R,
    pub(crate) cancel: &'a Cancel,
}

impl<R: Read> Read for Interruptible<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        check(self.cancel)?;
        self.inner.read(buffer)
    }
}

/// Reads a pipe or the like, whose other end may be silent for long, until the build is told to end.
pub(crate) struct Patient<'a, R> {
    pub(crate) inner: R,
    pub(crate) cancel: &'a Cancel,
}

impl<R: Read + AsFd> Read for Patient<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            check(self.cancel)?;
            let mut waiting = [PollFd::new(&self.inner, PollFlags::IN)];
            match poll(&mut waiting, Some(&POLL)) {
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return self.inner.read(buffer),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// An error once the build is told to end.
pub(crate) fn check(cancel: &Cancel) -> io::Result<()> {
    match cancel.signal() {
        Some(signal) => Err(io::Error::other(format!("ended by signal {signal}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;

    #[test]
    fn a_silent_pipe_does_not_hold_up_the_end() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let mut writer = File::from(writer);
        let cancel = Cancel::new();
        let mut patient = Patient { inner: File::from(reader), cancel: &cancel };
        writer.write_all(b"ab").unwrap();
        let mut buffer = [0; 8];
        assert_eq!(patient.read(&mut buffer).unwrap(), 2);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| patient.read(&mut [0; 8]));
            cancel.cancel(15);
            assert_eq!(waiting.join().unwrap().unwrap_err().to_string(), "ended by signal 15");
        });
        drop(writer);
    }

    #[test]
    fn a_file_ends_too() {
        let cancel = Cancel::new();
        let mut reader = Interruptible { inner: &b"ab"[..], cancel: &cancel };
        assert_eq!(reader.read(&mut [0; 1]).unwrap(), 1);
        cancel.cancel(2);
        assert!(reader.read(&mut [0; 1]).is_err());
    }
}
