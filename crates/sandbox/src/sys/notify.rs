//! Seccomp's user notification: calls of another process that wait for our answer. seccomp_unotify(2).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::libc;

/// The end at which calls arrive.
#[derive(Debug)]
pub(crate) struct Listener {
    fd: OwnedFd,
    /// A signal interrupts a caller whose call was received, and is not answered yet: so it is before Linux 5.19.
    pub(crate) is_interruptible: bool,
}

/// A call that waits for an answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Notification {
    /// Names it in the answer.
    pub(crate) id: u64,
    /// The thread that made it.
    pub(crate) task: i32,
    /// The number of the call.
    pub(crate) number: i64,
    /// The address behind the instruction that made it.
    pub(crate) instruction: u64,
    /// Its arguments, as they were in the registers.
    pub(crate) arguments: [u64; 6],
}

/// Installs `filter` for this thread and all it will start, and returns the listener.
pub(crate) fn install(filter: &mut [libc::sock_filter]) -> io::Result<Listener> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?,
        filter: filter.as_mut_ptr(),
    };
    let install = |flags: libc::c_ulong| {
        let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | flags;
        // SAFETY: `program` points to `len` instructions which outlive the call; the kernel copies and verifies them.
        let fd = unsafe {
            libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
        };
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(fd) }
    };
    let (fd, is_interruptible) = match install(libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => (install(0)?, true),
        result => (result?, false),
    };
    let fd = i32::try_from(fd).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    // SAFETY: the call has just made this descriptor, and nobody else knows of it.
    Ok(Listener { fd: unsafe { OwnedFd::from_raw_fd(fd) }, is_interruptible })
}

impl Listener {
    /// One that another process has installed.
    pub(crate) fn new(fd: OwnedFd, is_interruptible: bool) -> Self {
        Listener { fd, is_interruptible }
    }

    /// Waits for a call. `None` if there is nobody left who could make one.
    pub(crate) fn receive(&self) -> io::Result<Option<Notification>> {
        loop {
            // SAFETY: all zeroes is a valid value of this struct of integers, and what the kernel asks for.
            let mut received = unsafe { std::mem::zeroed::<libc::seccomp_notif>() };
            match self.ioctl(libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut received) {
                Ok(_) => {
                    return Ok(Some(Notification {
                        id: received.id,
                        task: received.pid.cast_signed(),
                        number: received.data.nr.into(),
                        instruction: received.data.instruction_pointer,
                        arguments: received.data.args,
                    }));
                }
                // The caller was killed in the meantime, or we were interrupted; or all callers are gone.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                    if self.is_over() {
                        return Ok(None);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether another call is waiting to be received already.
    pub(crate) fn has_more(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut fds, Some(&now)).is_ok() && fds[0].revents().contains(PollFlags::IN)
    }

    /// Whether nobody is left under the filter.
    fn is_over(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut fds, Some(&now)).is_ok() && fds[0].revents().contains(PollFlags::HUP)
    }

    /// Whether a call that was received still waits for its answer.
    pub(crate) fn is_waiting(&self, id: u64) -> bool {
        let mut id = id;
        self.ioctl(libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw mut id).is_ok()
    }

    /// Ends a call with a value, or with an error number if that is not 0. `Err` if the caller is gone, or was interrupted.
    pub(crate) fn answer(&self, id: u64, value: i64, errno: i32) -> io::Result<()> {
        self.respond(libc::seccomp_notif_resp { id, val: value, error: -errno, flags: 0 })
    }

    /// Lets the kernel do a call after all, with whatever its arguments point to by then.
    pub(crate) fn go_on(&self, id: u64) -> io::Result<()> {
        let flags = u32::try_from(libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE).expect("it is a small flag");
        self.respond(libc::seccomp_notif_resp { id, val: 0, error: 0, flags })
    }

    fn respond(&self, mut response: libc::seccomp_notif_resp) -> io::Result<()> {
        self.ioctl(libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut response).map(drop)
    }

    /// Gives the caller a new descriptor, a copy of `fd`, and returns its number, which the call is to be answered with.
    /// Linux 5.9. Descriptors made with `O_PATH` are refused with EBADF.
    pub(crate) fn give(&self, id: u64, fd: BorrowedFd<'_>, close_on_exec: bool) -> io::Result<i32> {
        let mut added = libc::seccomp_notif_addfd {
            id,
            flags: 0,
            srcfd: fd.as_raw_fd().cast_unsigned(),
            newfd: 0,
            newfd_flags: if close_on_exec { libc::O_CLOEXEC.cast_unsigned() } else { 0 },
        };
        self.ioctl(libc::SECCOMP_IOCTL_NOTIF_ADDFD, &raw mut added)
    }

    /// Runs the caller on this processor once it is answered, which halves the way there and back. Linux 6.6; without
    /// it everything works as well.
    pub(crate) fn wake_here(&self) {
        // SAFETY: this request takes a number and no pointer.
        let _ = unsafe { libc::ioctl(self.fd.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, 1u64) };
    }

    fn ioctl<T>(&self, request: libc::Ioctl, argument: *mut T) -> io::Result<i32> {
        // SAFETY: callers pair each request with a live struct of the type whose size the request's number holds.
        let result = unsafe { libc::ioctl(self.fd.as_raw_fd(), request, argument) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
    }
}

impl Notification {
    /// Whether a call is the same as this one, made at the same place by the same thread.
    pub(crate) fn is_again(&self, other: &Notification) -> bool {
        let what = |call: &Notification| (call.task, call.number, call.arguments, call.instruction);
        what(self) == what(other)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
