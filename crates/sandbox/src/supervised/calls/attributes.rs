//! Attributes: mode, owner and times of files that exist.

use std::os::fd::AsFd;

use nix::libc;
use owners::{mode_on_disk, remembered_mode};
use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;

use super::super::access;
use super::super::area::Kind;
use super::super::credentials::capability;
use super::super::proc;
use super::super::resolve::{Last, Object, Origin};
use super::super::serve::Answer;
use super::super::supervisor::{Caller, errno, file_type, identity};
use super::super::task::lock;
use crate::sys::plain;

/// Refuses to change what is no file of the tree, or only to be read. A descriptor does not know its area, so it is
/// found by the path that it was opened with.
pub(super) fn changeable(caller: &Caller<'_>, object: &Object) -> Result<(), Errno> {
    let areas = &caller.supervisor.areas;
    if caller.supervisor.journal.has(identity(&object.stat)) {
        return Ok(());
    }
    let link = proc::link_of(object.fd.as_fd())?;
    let link = link.strip_suffix(b" (deleted)").unwrap_or(&link);
    let (area, _) = areas.seen(link).ok_or(Errno::PERM)?;
    if areas.get(area).kind != Kind::Tree || matches!(object.origin, Origin::Proc(_) | Origin::Written(_)) {
        return Err(Errno::PERM);
    }
    areas.may_change(area)
}

/// Moves the change time of a file of which only the table of owners says something new.
pub(super) fn touch(caller: &Caller<'_>, object: &Object) -> Result<(), Errno> {
    let sv = caller.supervisor;
    // An owner that stays as it is is a change all the same. chown(2)
    rustix::fs::chownat(&object.fd, c"", None, None, AtFlags::EMPTY_PATH)?;
    sv.journal.changed(&sv.areas, object.fd.as_fd(), &object.stat);
    Ok(())
}

/// fchmodat2(2).
pub(super) fn chmod(caller: &Caller<'_>, [at, path, mode, flags, ..]: [u64; 6]) -> Result<Answer, Errno> {
    const KNOWN: u64 = (libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW) as u64;
    if flags & !KNOWN != 0 {
        return Err(Errno::INVAL);
    }
    let path = caller.memory().read_path(path)?;
    let empty_is_self = flags & libc::AT_EMPTY_PATH as u64 != 0;
    let object = caller.object_or_self(at as i32, &path, Last::from_flags(flags), empty_is_self)?;
    set_mode(caller, &object, mode as u32)
}

/// fchmod(2).
pub(super) fn chmod_descriptor(caller: &Caller<'_>, [fd, mode, ..]: [u64; 6]) -> Result<Answer, Errno> {
    set_mode(caller, &caller.descriptor(fd as i32)?, mode as u32)
}

fn set_mode(caller: &Caller<'_>, object: &Object, mode: u32) -> Result<Answer, Errno> {
    let sv = caller.supervisor;
    let seen = sv.seen(object.stat);
    let who = caller.task.credentials();
    access::check_owner(&who, &seen)?;
    if file_type(&seen) == libc::S_IFLNK {
        return Err(Errno::OPNOTSUPP);
    }
    changeable(caller, object)?;
    let mut mode = file_type(&seen) | mode & 0o7777;
    if file_type(&seen) != libc::S_IFDIR && !who.is_in_group(seen.st_gid) && !who.can(capability::FSETID) {
        mode &= !libc::S_ISGID;
    }
    let on_disk = mode_on_disk(file_type(&object.stat) | mode & 0o7777);
    rustix::fs::chmod(proc::own_path(object.fd.as_fd()), Mode::from_raw_mode(on_disk))?;
    sv.journal.changed(&sv.areas, object.fd.as_fd(), &object.stat);
    lock(&sv.owners).change(identity(&object.stat), |entry| {
        entry.mode = remembered_mode(mode, object.stat.st_mode);
    });
    Ok(Answer::Value(0))
}

/// fchownat(2).
pub(super) fn chown(caller: &Caller<'_>, [at, path, uid, gid, flags, _]: [u64; 6]) -> Result<Answer, Errno> {
    const KNOWN: u64 = (libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW) as u64;
    if flags & !KNOWN != 0 {
        return Err(Errno::INVAL);
    }
    let path = caller.memory().read_path(path)?;
    let empty_is_self = flags & libc::AT_EMPTY_PATH as u64 != 0;
    let object = caller.object_or_self(at as i32, &path, Last::from_flags(flags), empty_is_self)?;
    set_owner(caller, &object, uid as u32, gid as u32)
}

/// fchown(2).
pub(super) fn chown_descriptor(caller: &Caller<'_>, [fd, uid, gid, ..]: [u64; 6]) -> Result<Answer, Errno> {
    set_owner(caller, &caller.descriptor(fd as i32)?, uid as u32, gid as u32)
}

fn set_owner(caller: &Caller<'_>, object: &Object, uid: u32, gid: u32) -> Result<Answer, Errno> {
    const SAME: u32 = u32::MAX;
    let sv = caller.supervisor;
    let seen = sv.seen(object.stat);
    let who = caller.task.credentials();
    if !who.can(capability::CHOWN) {
        let owns = who.uid.file == seen.st_uid;
        let same_user = uid == SAME || owns && uid == seen.st_uid;
        let own_group = gid == SAME || owns && (gid == seen.st_gid || who.is_in_group(gid));
        if !same_user || !own_group {
            return Err(Errno::PERM);
        }
    }
    match changeable(caller, object) {
        // The outputs of a RUN are given to its user: a pipe, whose owner matters to nobody here.
        Err(Errno::PERM) if matches!(file_type(&seen), libc::S_IFIFO | libc::S_IFCHR | libc::S_IFSOCK) => {
            return Ok(Answer::Value(0));
        }
        result => result?,
    }
    touch(caller, object)?;
    let mut mode = seen.st_mode;
    // A file with other owners has lost what it would run as.
    if file_type(&seen) == libc::S_IFREG {
        mode &= !libc::S_ISUID;
        if mode & 0o010 != 0 {
            mode &= !libc::S_ISGID;
        }
    }
    lock(&sv.owners).change(identity(&object.stat), |entry| {
        entry.uid = if uid == SAME { seen.st_uid } else { uid };
        entry.gid = if gid == SAME { seen.st_gid } else { gid };
        entry.mode = remembered_mode(mode, object.stat.st_mode);
        entry.capability = None;
    });
    Ok(Answer::Value(0))
}

/// utimensat(2).
pub(super) fn set_times(
    caller: &Caller<'_>,
    [at, path, times, flags, ..]: [u64; 6],
) -> Result<Answer, Errno> {
    let times: Option<[libc::timespec; 2]> =
        if times == 0 { None } else { Some(caller.memory().read_value(times)?) };
    change_times(caller, at as i32, path, times.as_ref(), flags)
}

/// Sets times that were read already: also for the older forms of the call.
pub(in super::super) fn change_times(
    caller: &Caller<'_>,
    at: i32,
    path: u64,
    times: Option<&[libc::timespec; 2]>,
    flags: u64,
) -> Result<Answer, Errno> {
    const KNOWN: u64 = (libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW) as u64;
    if flags & !KNOWN != 0 {
        return Err(Errno::INVAL);
    }
    let object = if path == 0 && at != libc::AT_FDCWD {
        caller.descriptor(at)?
    } else {
        let path = caller.memory().read_path(path)?;
        let empty_is_self = flags & libc::AT_EMPTY_PATH as u64 != 0;
        caller.object_or_self(at, &path, Last::from_flags(flags), empty_is_self)?
    };
    let seen = caller.supervisor.seen(object.stat);
    let who = caller.task.credentials();
    let now = times.is_none_or(|times| times.iter().all(|time| time.tv_nsec == libc::UTIME_NOW));
    match access::check_owner(&who, &seen) {
        Err(_) if now => access::check(&who, &seen, access::WRITE)?,
        result => result?,
    }
    changeable(caller, &object)?;
    errno(plain::set_times(object.fd.as_fd(), c"", times, libc::AT_EMPTY_PATH))?;
    let sv = caller.supervisor;
    sv.journal.changed(&sv.areas, object.fd.as_fd(), &object.stat);
    Ok(Answer::Value(0))
}
