//! Landlock: a process gives up, for itself and all it starts, what is outside of some directories. landlock(7).

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::libc;

/// All rights to files of the first version (Linux 5.13).
const FILES: u64 = (1 << 13) - 1;
/// `LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET` and `LANDLOCK_SCOPE_SIGNAL`, of version 6 (Linux 6.12).
const SCOPES: u64 = 3;
/// `LANDLOCK_RULE_PATH_BENEATH`.
const BENEATH: i32 = 1;

/// `struct landlock_ruleset_attr`.
#[repr(C)]
struct Ruleset {
    files: u64,
    network: u64,
    scopes: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct Beneath {
    allowed: u64,
    parent: i32,
}

/// Leaves this thread the directories given, and no signal to processes outside. An error where the kernel has no
/// Landlock; needs no_new_privs.
pub(crate) fn restrict(directories: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut ruleset = create(&Ruleset { files: FILES, network: 0, scopes: SCOPES }, 24);
    if ruleset.is_err() {
        ruleset = create(&Ruleset { files: FILES, network: 0, scopes: 0 }, 8);
    }
    let ruleset = ruleset?;
    for directory in directories {
        let rule = Beneath { allowed: FILES, parent: directory.as_raw_fd() };
        // SAFETY: `rule` is a live struct of the type that the third argument names.
        super::check(unsafe {
            libc::syscall(libc::SYS_landlock_add_rule, ruleset.as_raw_fd(), BENEATH, &raw const rule, 0)
        })?;
    }
    // SAFETY: takes no pointer.
    super::check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) })
}

fn create(ruleset: &Ruleset, size: usize) -> io::Result<OwnedFd> {
    // SAFETY: `ruleset` is a live struct of at least `size` bytes.
    let result = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const *ruleset, size, 0) };
    match i32::try_from(result) {
        // SAFETY: the call has just made this descriptor.
        Ok(fd @ 0..) => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}
