//! The calls that are served, each in the form that the newest kernels have of it.

pub(super) mod attributes;
mod directory;
mod extended;
mod ids;
mod look;
pub(super) mod names;
mod open;
mod privileges;
mod signals;

use nix::libc;
use rustix::io::Errno;

use super::machine;
use super::serve::Answer;
use super::supervisor::Caller;

pub(super) use directory::chroot;
pub(super) use open::wait_for_fifo;
pub(super) use privileges::OPTIONS;

/// What is done for a call, given its arguments.
pub(super) type Served = fn(&Caller<'_>, [u64; 6]) -> Result<Answer, Errno>;

/// All calls that the filter sends here, but for those that are older forms of one of these.
pub(super) const SERVED: &[(i64, Served)] = &[
    (libc::SYS_openat, open::openat),
    (libc::SYS_openat2, open::openat2),
    (libc::SYS_truncate, open::truncate),
    (libc::SYS_newfstatat, look::stat),
    (libc::SYS_fstat, look::stat_descriptor),
    (libc::SYS_statx, look::statx),
    (libc::SYS_statfs, look::stat_filesystem),
    (libc::SYS_faccessat2, look::access),
    (libc::SYS_readlinkat, look::readlink),
    (libc::SYS_mkdirat, names::mkdir),
    (libc::SYS_mknodat, names::mknod),
    (libc::SYS_unlinkat, names::unlink),
    (libc::SYS_renameat2, names::rename),
    (libc::SYS_linkat, names::link),
    (libc::SYS_symlinkat, names::symlink),
    (FCHMODAT2, attributes::chmod),
    (libc::SYS_fchmod, attributes::chmod_descriptor),
    (libc::SYS_fchownat, attributes::chown),
    (libc::SYS_fchown, attributes::chown_descriptor),
    (libc::SYS_utimensat, attributes::set_times),
    (libc::SYS_setxattr, extended::set),
    (libc::SYS_lsetxattr, extended::set_link),
    (libc::SYS_fsetxattr, extended::set_descriptor),
    (libc::SYS_getxattr, extended::get),
    (libc::SYS_lgetxattr, extended::get_link),
    (libc::SYS_fgetxattr, extended::get_descriptor),
    (libc::SYS_listxattr, extended::list),
    (libc::SYS_llistxattr, extended::list_link),
    (libc::SYS_flistxattr, extended::list_descriptor),
    (libc::SYS_removexattr, extended::remove),
    (libc::SYS_lremovexattr, extended::remove_link),
    (libc::SYS_fremovexattr, extended::remove_descriptor),
    (libc::SYS_chdir, directory::chdir),
    (libc::SYS_fchdir, directory::fchdir),
    (libc::SYS_getcwd, directory::getcwd),
    (libc::SYS_umask, directory::umask),
    (libc::SYS_getuid, ids::getuid),
    (libc::SYS_geteuid, ids::geteuid),
    (libc::SYS_getgid, ids::getgid),
    (libc::SYS_getegid, ids::getegid),
    (libc::SYS_getresuid, ids::getresuid),
    (libc::SYS_getresgid, ids::getresgid),
    (libc::SYS_getgroups, ids::getgroups),
    (libc::SYS_setuid, ids::setuid),
    (libc::SYS_setgid, ids::setgid),
    (libc::SYS_setreuid, ids::setreuid),
    (libc::SYS_setregid, ids::setregid),
    (libc::SYS_setresuid, ids::setresuid),
    (libc::SYS_setresgid, ids::setresgid),
    (libc::SYS_setfsuid, ids::setfsuid),
    (libc::SYS_setfsgid, ids::setfsgid),
    (libc::SYS_setgroups, ids::setgroups),
    (libc::SYS_capget, privileges::capget),
    (libc::SYS_capset, privileges::capset),
    (libc::SYS_prctl, privileges::prctl),
    (libc::SYS_kill, signals::kill),
    (libc::SYS_tkill, signals::to_first),
    (libc::SYS_tgkill, signals::to_second),
    (libc::SYS_rt_sigqueueinfo, signals::to_first),
    (libc::SYS_rt_tgsigqueueinfo, signals::to_second),
    (libc::SYS_pidfd_open, signals::to_first),
    (libc::SYS_process_vm_readv, signals::to_first),
    (libc::SYS_process_vm_writev, signals::to_first),
    (libc::SYS_prlimit64, signals::to_first_or_self),
    (libc::SYS_sendto, signals::send_to),
];

/// Whether a call is always served, never by the kernel, and done in no time.
pub(super) fn is_served(number: i64) -> bool {
    // With an address only, which is not known here.
    number != libc::SYS_sendto
        && (SERVED.iter().any(|(served, _)| *served == number) || machine::OLDER.contains(&number))
}

/// fchmodat2(2) of Linux 6.6, which older C libraries do not know by name.
pub(super) const FCHMODAT2: i64 = 452;
