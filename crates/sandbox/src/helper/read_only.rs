//! Read-only: the helper runs from a mount of this program that cannot be written to.
//!
//! An image can have the kernel execute `/proc/self/exe`, as the interpreter of a script for example, and then reach
//! through `/proc/PID/exe` for the program that the helper runs, which is us, to overwrite it (CVE-2019-5736 of runc).
//! What a process executes it keeps open through the mount that it was found in. So if that is read-only, there is
//! no way to write, whoever asks.

use std::convert::Infallible;
use std::os::fd::AsFd;
use std::os::linux::fs::MetadataExt;

use nix::fcntl::AtFlags;
use nix::sched::{CloneFlags, unshare};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};

use super::view::read_only;
use crate::failure::{During, Failure};
use crate::job::{HELPER_WORD, READ_ONLY_WORD};

/// Executes this program again from a read-only mount. Comes back where that is not possible: without the privilege
/// to mount there is only `chroot`, which protects nobody from root anyway.
pub(super) fn exec_again() {
    let Err(_refused) = try_exec_again();
}

fn try_exec_again() -> Result<Infallible, Failure> {
    unshare(CloneFlags::CLONE_NEWNS).during("unshare the mount namespace")?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .during("make the mounts private")?;
    let running = std::fs::metadata("/proc/self/exe").during("find this program")?;
    let path = std::fs::read_link("/proc/self/exe").during("find this program")?;
    mount_bind(&path, &path).during("bind this program to its path")?;
    let bound =
        rustix::fs::open(&path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).during("find this program")?;
    let found = rustix::fs::fstat(&bound).during("find this program")?;
    if (found.st_dev, found.st_ino) != (running.st_dev(), running.st_ino()) {
        return Err(Failure::because("this program is not at its path any more"));
    }
    read_only(bound.as_fd()).during("make the mount read-only")?;
    let arguments = [c"isolation-helper".to_owned(), c_string(HELPER_WORD), c_string(READ_ONLY_WORD)];
    nix::unistd::execveat(&bound, c"", &arguments, &[] as &[std::ffi::CString], AtFlags::AT_EMPTY_PATH)
        .during("execute this program again")
}

fn c_string(word: &str) -> std::ffi::CString {
    std::ffi::CString::new(word).expect("our words hold no NUL")
}
