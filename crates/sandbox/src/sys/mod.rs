//! The system calls that no crate wraps safely. Everything `unsafe` of the project is in this module.
#![expect(unsafe_code, reason = "this module is the fence")]

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) mod landlock;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) mod notify;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) mod plain;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) mod starter;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) mod trace;

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use nix::libc;
use rustix::process::Pid;

/// Has memory for at most so many groups of threads kept apart: `M_ARENA_MAX` of mallopt(3). Other C libraries than
/// glibc do not keep it apart.
pub(crate) fn limit_arenas(count: i32) {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes two numbers and changes a limit that is looked at when a thread first asks for memory; a value
    // that it does not want is refused, which changes nothing.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, count);
    }
    #[cfg(not(target_env = "gnu"))]
    let _ = count;
}

/// The proof that this process has one thread: what forking without exec needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SingleThreaded(());

impl SingleThreaded {
    /// Looks at the threads of this process. The caller starts none afterwards.
    pub(crate) fn check() -> io::Result<Self> {
        match std::fs::read_dir("/proc/self/task")?.count() {
            1 => Ok(SingleThreaded(())),
            threads => Err(io::Error::other(format!("this process has {threads} threads"))),
        }
    }

    /// Forks: the child's id in the parent, `None` in the child. fork(2).
    pub(crate) fn fork(self) -> io::Result<Option<Pid>> {
        // SAFETY: with one thread no lock can be held by a thread that is missing in the child, so the child may
        // do whatever this process may; `self` is the proof.
        match unsafe { nix::unistd::fork() }? {
            nix::unistd::ForkResult::Parent { child } => Ok(Pid::from_raw(child.as_raw())),
            nix::unistd::ForkResult::Child => Ok(None),
        }
    }
}

/// What [`close_from_three`] does to descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Close {
    /// They are closed at once. Only for a process that has not opened any itself.
    Inherited,
    /// They are closed by the next exec.
    OnExec,
}

/// Closes every descriptor from 3 on. close_range(2), Linux 5.9.
pub(crate) fn close_from_three(how: Close) -> io::Result<()> {
    /// More than a process opens that has closed what it has inherited: a new one has the lowest number that is free.
    const OWN: i32 = 4096;
    let flags = match how {
        Close::Inherited => 0,
        Close::OnExec => libc::CLOSE_RANGE_CLOEXEC,
    };
    // SAFETY: takes no pointer. `OnExec` leaves every descriptor open in this process. `Inherited` is called before
    // the first descriptor was opened here, so no owned descriptor is closed behind its owner's back.
    match check(unsafe { libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, flags) }) {
        // Linux 5.11 knows that flag.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) && how == Close::OnExec => {
            for number in 3..OWN {
                // SAFETY: takes no pointer, and closes nothing. Whether there is such a descriptor does not matter.
                unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
            }
            Ok(())
        }
        result => result,
    }
}

/// Gives every signal its default action and unblocks all: what a new process expects to find. signal(7).
pub(crate) fn reset_signals() {
    for signal in 1..=64 {
        // SAFETY: SIG_DFL installs no handler; numbers that cannot be set are answered with an error, which is
        // what we want for SIGKILL, SIGSTOP and libc's own.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: an empty set is a valid one; the old mask is not asked for.
    unsafe {
        let mut none = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Makes the mount at `at`, and those below it, read-only. mount_setattr(2), Linux 5.12.
pub(crate) fn set_read_only(at: BorrowedFd<'_>) -> io::Result<()> {
    let attributes =
        libc::mount_attr { attr_set: libc::MOUNT_ATTR_RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 };
    // SAFETY: `at` is open for the time of the call, the path is an empty C string, and the attributes are a live
    // struct whose size is given.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            at.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | libc::AT_RECURSIVE,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    })
}

/// Installs `filter` for this process and all it will start. Needs CAP_SYS_ADMIN or no_new_privs. seccomp(2).
pub(crate) fn install_seccomp(filter: &mut [libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: `program` points to `len` instructions which outlive the call; the kernel copies and verifies them.
    check(unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const program) })
}

fn check(result: libc::c_long) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
