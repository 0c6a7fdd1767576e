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

use super::serve::Answer;
use super::supervisor::Caller;
use super::{filter, machine};

pub(super) use directory::chroot;
pub(super) use open::wait_for_fifo;
pub(super) use privileges::OPTIONS;

/// What is done for a call, given its arguments.
pub(super) type Served = fn(&Caller<'_>, [u64; 6]) -> Result<Answer, Errno>;

/// All calls that the filter sends here, by their names and numbers, but for those that are older forms of one of these.
pub(super) const SERVED: &[(&str, i64, Served)] = &[
    ("openat", libc::SYS_openat, open::openat),
    ("openat2", libc::SYS_openat2, open::openat2),
    ("truncate", libc::SYS_truncate, open::truncate),
    ("newfstatat", libc::SYS_newfstatat, look::stat),
    ("fstat", libc::SYS_fstat, look::stat_descriptor),
    ("statx", libc::SYS_statx, look::statx),
    ("statfs", libc::SYS_statfs, look::stat_filesystem),
    ("faccessat2", libc::SYS_faccessat2, look::access),
    ("readlinkat", libc::SYS_readlinkat, look::readlink),
    ("mkdirat", libc::SYS_mkdirat, names::mkdir),
    ("mknodat", libc::SYS_mknodat, names::mknod),
    ("unlinkat", libc::SYS_unlinkat, names::unlink),
    ("renameat2", libc::SYS_renameat2, names::rename),
    ("linkat", libc::SYS_linkat, names::link),
    ("symlinkat", libc::SYS_symlinkat, names::symlink),
    ("fchmodat2", FCHMODAT2, attributes::chmod),
    ("fchmod", libc::SYS_fchmod, attributes::chmod_descriptor),
    ("fchownat", libc::SYS_fchownat, attributes::chown),
    ("fchown", libc::SYS_fchown, attributes::chown_descriptor),
    ("utimensat", libc::SYS_utimensat, attributes::set_times),
    ("setxattr", libc::SYS_setxattr, extended::set),
    ("lsetxattr", libc::SYS_lsetxattr, extended::set_link),
    ("fsetxattr", libc::SYS_fsetxattr, extended::set_descriptor),
    ("getxattr", libc::SYS_getxattr, extended::get),
    ("lgetxattr", libc::SYS_lgetxattr, extended::get_link),
    ("fgetxattr", libc::SYS_fgetxattr, extended::get_descriptor),
    ("listxattr", libc::SYS_listxattr, extended::list),
    ("llistxattr", libc::SYS_llistxattr, extended::list_link),
    ("flistxattr", libc::SYS_flistxattr, extended::list_descriptor),
    ("removexattr", libc::SYS_removexattr, extended::remove),
    ("lremovexattr", libc::SYS_lremovexattr, extended::remove_link),
    ("fremovexattr", libc::SYS_fremovexattr, extended::remove_descriptor),
    ("chdir", libc::SYS_chdir, directory::chdir),
    ("fchdir", libc::SYS_fchdir, directory::fchdir),
    ("getcwd", libc::SYS_getcwd, directory::getcwd),
    ("umask", libc::SYS_umask, directory::umask),
    ("getuid", libc::SYS_getuid, ids::getuid),
    ("geteuid", libc::SYS_geteuid, ids::geteuid),
    ("getgid", libc::SYS_getgid, ids::getgid),
    ("getegid", libc::SYS_getegid, ids::getegid),
    ("getresuid", libc::SYS_getresuid, ids::getresuid),
    ("getresgid", libc::SYS_getresgid, ids::getresgid),
    ("getgroups", libc::SYS_getgroups, ids::getgroups),
    ("setuid", libc::SYS_setuid, ids::setuid),
    ("setgid", libc::SYS_setgid, ids::setgid),
    ("setreuid", libc::SYS_setreuid, ids::setreuid),
    ("setregid", libc::SYS_setregid, ids::setregid),
    ("setresuid", libc::SYS_setresuid, ids::setresuid),
    ("setresgid", libc::SYS_setresgid, ids::setresgid),
    ("setfsuid", libc::SYS_setfsuid, ids::setfsuid),
    ("setfsgid", libc::SYS_setfsgid, ids::setfsgid),
    ("setgroups", libc::SYS_setgroups, ids::setgroups),
    ("capget", libc::SYS_capget, privileges::capget),
    ("capset", libc::SYS_capset, privileges::capset),
    ("prctl", libc::SYS_prctl, privileges::prctl),
    ("kill", libc::SYS_kill, signals::kill),
    ("tkill", libc::SYS_tkill, signals::to_first),
    ("tgkill", libc::SYS_tgkill, signals::to_second),
    ("rt_sigqueueinfo", libc::SYS_rt_sigqueueinfo, signals::to_first),
    ("rt_tgsigqueueinfo", libc::SYS_rt_tgsigqueueinfo, signals::to_second),
    ("pidfd_open", libc::SYS_pidfd_open, signals::to_first),
    ("process_vm_readv", libc::SYS_process_vm_readv, signals::to_first),
    ("process_vm_writev", libc::SYS_process_vm_writev, signals::to_first),
    ("prlimit64", libc::SYS_prlimit64, signals::to_first_or_self),
    ("sched_setparam", libc::SYS_sched_setparam, signals::to_first_or_self),
    ("sched_setscheduler", libc::SYS_sched_setscheduler, signals::to_first_or_self),
    ("sched_setattr", libc::SYS_sched_setattr, signals::to_first_or_self),
    ("sched_setaffinity", libc::SYS_sched_setaffinity, signals::to_first_or_self),
    ("setpriority", libc::SYS_setpriority, signals::set_priority),
    ("ioprio_set", libc::SYS_ioprio_set, signals::set_io_priority),
    ("fcntl", libc::SYS_fcntl, signals::set_owner),
    ("sendto", libc::SYS_sendto, signals::send_to),
];

/// Calls about the task that their first argument names, where 0 is the caller: served if it is another.
pub(super) const ABOUT_A_TASK: [i64; 5] = [
    libc::SYS_prlimit64,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setscheduler,
    libc::SYS_sched_setattr,
    libc::SYS_sched_setaffinity,
];

/// Whether a call is one that no signal is to interrupt: it is served, or the kernel does it at once.
pub(super) fn is_served(number: i64) -> bool {
    // Those may wait, if the kernel does them.
    number != libc::SYS_sendto
        && number != libc::SYS_fcntl
        && (SERVED.iter().any(|(_, served, _)| *served == number) || machine::OLDER.contains(&number))
}

/// Whether a call, in its newer form, returns something else when it is done twice.
pub(super) fn is_done_once(number: i64, arguments: [u64; 6]) -> bool {
    match number {
        libc::SYS_mkdirat
        | libc::SYS_mknodat
        | libc::SYS_unlinkat
        | libc::SYS_renameat2
        | libc::SYS_linkat
        | libc::SYS_symlinkat
        | libc::SYS_removexattr
        | libc::SYS_lremovexattr
        | libc::SYS_fremovexattr
        | libc::SYS_umask
        | libc::SYS_chdir
        | libc::SYS_setfsuid
        | libc::SYS_setfsgid
        | libc::SYS_openat2 => true,
        libc::SYS_kill => (arguments[0] as i32) < 0,
        libc::SYS_openat => arguments[2] & libc::O_EXCL as u64 != 0,
        libc::SYS_setxattr | libc::SYS_lsetxattr | libc::SYS_fsetxattr => {
            arguments[4] & libc::XATTR_CREATE as u64 != 0
        }
        _ => false,
    }
}

/// The name of a call that is answered here or by the tracer.
pub(super) fn name(number: i64) -> Option<&'static str> {
    let served = SERVED.iter().chain(machine::SERVED).map(|(name, number, _)| (*name, *number));
    let mut all = served.chain(filter::TRACED).chain(filter::TRAPPED);
    all.find_map(|(name, found)| (found == number).then_some(name))
}

/// fchmodat2(2) of Linux 6.6, which older C libraries do not know by name.
pub(super) const FCHMODAT2: i64 = 452;
