//! The older calls that x86-64 has beside those of every machine.

use nix::libc;
use rustix::io::Errno;

use crate::supervised::calls::attributes::change_times;
use crate::supervised::calls::{FCHMODAT2, Served};
use crate::supervised::serve::Answer;
use crate::supervised::supervisor::Caller;

/// Every call that is another in an older form.
pub(in crate::supervised) const OLDER: &[i64] = &[
    libc::SYS_open,
    libc::SYS_creat,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_faccessat,
    libc::SYS_readlink,
    libc::SYS_mkdir,
    libc::SYS_mknod,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_renameat,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_chmod,
    libc::SYS_fchmodat,
    libc::SYS_chown,
    libc::SYS_lchown,
    libc::SYS_utime,
    libc::SYS_utimes,
    libc::SYS_futimesat,
];

/// Calls that exist on this machine alone and are no other call.
pub(in crate::supervised) const SERVED: &[(&str, i64, Served)] = &[
    ("utime", libc::SYS_utime, utime),
    ("utimes", libc::SYS_utimes, utimes),
    ("futimesat", libc::SYS_futimesat, futimesat),
];

/// Calls of this machine alone that take a path and load it, which no program of this century does.
pub(in crate::supervised) const REFUSED: &[i64] = &[libc::SYS_uselib];

/// The newer form of a call.
pub(in crate::supervised) fn newer(number: i64, [a, b, c, d, e, f]: [u64; 6]) -> (i64, [u64; 6]) {
    const HERE: u64 = libc::AT_FDCWD as u64;
    const STAY: u64 = libc::AT_SYMLINK_NOFOLLOW as u64;
    match number {
        libc::SYS_open => (libc::SYS_openat, [HERE, a, b, c, 0, 0]),
        libc::SYS_creat => {
            let flags = libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC;
            (libc::SYS_openat, [HERE, a, flags as u64, b, 0, 0])
        }
        libc::SYS_stat => (libc::SYS_newfstatat, [HERE, a, b, 0, 0, 0]),
        libc::SYS_lstat => (libc::SYS_newfstatat, [HERE, a, b, STAY, 0, 0]),
        libc::SYS_access => (libc::SYS_faccessat2, [HERE, a, b, 0, 0, 0]),
        libc::SYS_faccessat => (libc::SYS_faccessat2, [a, b, c, 0, 0, 0]),
        libc::SYS_readlink => (libc::SYS_readlinkat, [HERE, a, b, c, 0, 0]),
        libc::SYS_mkdir => (libc::SYS_mkdirat, [HERE, a, b, 0, 0, 0]),
        libc::SYS_mknod => (libc::SYS_mknodat, [HERE, a, b, c, 0, 0]),
        libc::SYS_rmdir => (libc::SYS_unlinkat, [HERE, a, libc::AT_REMOVEDIR as u64, 0, 0, 0]),
        libc::SYS_unlink => (libc::SYS_unlinkat, [HERE, a, 0, 0, 0, 0]),
        libc::SYS_rename => (libc::SYS_renameat2, [HERE, a, HERE, b, 0, 0]),
        libc::SYS_renameat => (libc::SYS_renameat2, [a, b, c, d, 0, 0]),
        libc::SYS_link => (libc::SYS_linkat, [HERE, a, HERE, b, 0, 0]),
        libc::SYS_symlink => (libc::SYS_symlinkat, [a, HERE, b, 0, 0, 0]),
        libc::SYS_chmod => (FCHMODAT2, [HERE, a, b, 0, 0, 0]),
        libc::SYS_fchmodat => (FCHMODAT2, [a, b, c, 0, 0, 0]),
        libc::SYS_chown => (libc::SYS_fchownat, [HERE, a, b, c, 0, 0]),
        libc::SYS_lchown => (libc::SYS_fchownat, [HERE, a, b, c, STAY, 0]),
        _ => (number, [a, b, c, d, e, f]),
    }
}

fn utime(caller: &Caller<'_>, [path, times, ..]: [u64; 6]) -> Result<Answer, Errno> {
    let times = if times == 0 {
        None
    } else {
        let times: libc::utimbuf = caller.memory().read_value(times)?;
        Some([times.actime, times.modtime].map(|tv_sec| libc::timespec { tv_sec, tv_nsec: 0 }))
    };
    change_times(caller, libc::AT_FDCWD, path, times.as_ref(), 0)
}

fn utimes(caller: &Caller<'_>, [path, times, ..]: [u64; 6]) -> Result<Answer, Errno> {
    futimesat(caller, [libc::AT_FDCWD as u64, path, times, 0, 0, 0])
}

fn futimesat(caller: &Caller<'_>, [at, path, times, ..]: [u64; 6]) -> Result<Answer, Errno> {
    let times = if times == 0 {
        None
    } else {
        let size = size_of::<libc::timeval>() as u64;
        let read = |address| -> Result<libc::timespec, Errno> {
            let time: libc::timeval = caller.memory().read_value(address)?;
            if !(0..1_000_000).contains(&time.tv_usec) {
                return Err(Errno::INVAL);
            }
            Ok(libc::timespec { tv_sec: time.tv_sec, tv_nsec: time.tv_usec * 1000 })
        };
        Some([read(times)?, read(times + size)?])
    };
    change_times(caller, at as i32, path, times.as_ref(), 0)
}
