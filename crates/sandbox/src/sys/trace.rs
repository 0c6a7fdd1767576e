//! The requests of ptrace(2), and the waiting that goes with it, for which no crate has a function.

use std::io;

use nix::libc;

/// Something that a traced thread has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// It exited with this status.
    Exited(i32),
    /// It was ended by this signal, and the kernel may have written down its memory. core(5)
    Killed { signal: i32, dumped: bool },
    /// It stopped: the signal, and with it the number of a ptrace event or 0.
    Stopped { signal: i32, event: i32 },
}

/// Waits for any thread that we trace and any child. `None` if there is none left.
pub(crate) fn wait() -> io::Result<Option<(i32, Event)>> {
    loop {
        let mut status = 0;
        // SAFETY: `status` is a live integer.
        let task = unsafe { libc::waitpid(-1, &raw mut status, libc::__WALL) };
        if task < 0 {
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::EINTR) => continue,
                Some(libc::ECHILD) => return Ok(None),
                _ => return Err(error),
            }
        }
        let event = if libc::WIFEXITED(status) {
            Event::Exited(libc::WEXITSTATUS(status))
        } else if libc::WIFSIGNALED(status) {
            Event::Killed { signal: libc::WTERMSIG(status), dumped: libc::WCOREDUMP(status) }
        } else if libc::WIFSTOPPED(status) {
            Event::Stopped { signal: libc::WSTOPSIG(status), event: status >> 16 }
        } else {
            continue;
        };
        return Ok(Some((task, event)));
    }
}

/// Lets a thread that was stopped by a job-control signal stay stopped until SIGCONT.
pub(crate) fn listen(task: i32) -> io::Result<()> {
    let nothing = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: the request takes no pointers.
    super::check(unsafe { libc::ptrace(libc::PTRACE_LISTEN, task, nothing, nothing) })
}
/// Goes on with a thread, delivering a signal of any number, real-time ones too. Until the end of the call that it is in,
/// if asked so.
pub(crate) fn go_on(task: i32, signal: i32, to_end_of_call: bool) -> io::Result<()> {
    let request = if to_end_of_call { libc::PTRACE_SYSCALL } else { libc::PTRACE_CONT };
    let nothing = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: the last argument is a number here, the one before is ignored.
    super::check(unsafe { libc::ptrace(request, task, nothing, libc::c_long::from(signal)) })
}

/// The register set that holds the number of a call on aarch64. `linux/elf.h`
#[cfg(target_arch = "aarch64")]
const NT_ARM_SYSTEM_CALL: i32 = 0x404;

/// The number of the call that a stopped thread is about to make; -1 for none.
#[cfg(target_arch = "aarch64")]
pub(crate) fn call(task: i32) -> io::Result<i32> {
    let mut number: i32 = -1;
    let mut vector = libc::iovec { iov_base: (&raw mut number).cast(), iov_len: size_of::<i32>() };
    // SAFETY: the vector describes a live integer of the size that the register set has.
    super::check(unsafe {
        libc::ptrace(
            libc::PTRACE_GETREGSET,
            task,
            NT_ARM_SYSTEM_CALL as usize as *mut libc::c_void,
            &raw mut vector,
        )
    })?;
    Ok(number)
}

/// Makes it another call, or none.
#[cfg(target_arch = "aarch64")]
pub(crate) fn set_call(task: i32, number: i32) -> io::Result<()> {
    let mut number = number;
    let mut vector = libc::iovec { iov_base: (&raw mut number).cast(), iov_len: size_of::<i32>() };
    // SAFETY: as above.
    super::check(unsafe {
        libc::ptrace(
            libc::PTRACE_SETREGSET,
            task,
            NT_ARM_SYSTEM_CALL as usize as *mut libc::c_void,
            &raw mut vector,
        )
    })
}
