//! Read-only: the helper runs from a mount of this program that cannot be written to.
//!
//! An image can have the kernel execute `/proc/self/exe`, as the interpreter of a script for example, and then reach
//! through `/proc/PID/exe` for the program that the helper runs, which is us, to overwrite it (CVE-2019-5736 of runc).
//! What a process executes it keeps open through the mount that it was found in. So if that is read-only, there is
//! no way to write, whoever asks.

use std::convert::Infallible;
use std::os::linux::fs::MetadataExt;

use nix::fcntl::AtFlags;
use nix::sched::{CloneFlags, unshare};
use rustix::fs::CWD;
use rustix::mount::{MountPropagationFlags, OpenTreeFlags, mount_change, open_tree};

use crate::failure::{During, Failure};
use crate::job::{HELPER_WORD, READ_ONLY_WORD};
use crate::sys;

/// Executes this program again from a read-only mount. Comes back where that is not possible: without the privilege
/// to mount there is only `chroot`, which protects nobody from root anyway.
pub(super) fn exec_again() {
    let Err(_refused) = try_exec_again();
}

fn try_exec_again() -> Result<Infallible, Failure> {
    // Only mounts of our own namespace can be cloned; the one that we were started from is found there by its path.
    unshare(CloneFlags::CLONE_NEWNS).during("unshare the mount namespace")?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .during("make the mounts private")?;
    let running = std::fs::metadata("/proc/self/exe").during("find this program")?;
    let path = std::fs::read_link("/proc/self/exe").during("find this program")?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let clone = open_tree(CWD, path, flags).during("clone the mount of this program")?;
    let found = rustix::fs::fstat(&clone).during("find this program")?;
    if (found.st_dev, found.st_ino) != (running.st_dev(), running.st_ino()) {
        return Err(Failure::because("this program is not at its path any more"));
    }
    sys::set_read_only(std::os::fd::AsFd::as_fd(&clone)).during("make the mount read-only")?;
    let arguments = [c"isolation-helper".to_owned(), c_string(HELPER_WORD), c_string(READ_ONLY_WORD)];
    nix::unistd::execveat(&clone, c"", &arguments, &[] as &[std::ffi::CString], AtFlags::AT_EMPTY_PATH)
        .during("execute this program again")
}

fn c_string(word: &str) -> std::ffi::CString {
    std::ffi::CString::new(word).expect("our words hold no NUL")
}
