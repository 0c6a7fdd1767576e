//! Looking: the calls that change nothing.

use std::ffi::{CStr, CString};
use std::os::fd::AsFd;

use nix::libc;
use rustix::io::Errno;

use super::super::access;
use super::super::area::Kind;
use super::super::credentials::capability;
use super::super::proc::{self, InProc};
use super::super::resolve::{End, Last, Object, Origin};
use super::super::serve::Answer;
use super::super::spot::Spot;
use super::super::supervisor::{Caller, Supervisor, errno, file_type, identity, stat_in};
use crate::sys::plain;

/// What a file is said to be.
fn seen(caller: &Caller<'_>, object: &Object) -> libc::stat {
    let mut stat = caller.supervisor.seen(object.stat);
    if let Origin::Proc(Some(of)) | Origin::Written(Some(of)) = object.origin {
        (stat.st_uid, stat.st_gid) = of;
    }
    stat
}

/// A file that is looked at, and not opened.
struct Sight {
    /// What it is said to be.
    stat: libc::stat,
    area: usize,
}

/// Looks at what is at a path.
fn look(caller: &Caller<'_>, at: i32, path: &CStr, last: Last, empty_is_self: bool) -> Result<Sight, Errno> {
    if let Some(sight) = glance(caller, at, path, last) {
        return sight;
    }
    let object = caller.object_or_self(at, path, last, empty_is_self)?;
    Ok(Sight { stat: seen(caller, &object), area: object.area })
}

/// The same in one step, where that can be done.
fn glance(caller: &Caller<'_>, at: i32, path: &CStr, last: Last) -> Option<Result<Sight, Errno>> {
    let sv = caller.supervisor;
    let Spot { directory, name, area } = match caller.spot(at, path.to_bytes())? {
        Ok(spot) => spot,
        Err(error) => return Some(Err(error)),
    };
    match stat_in(&directory, &name) {
        Ok(stat) if is_elsewhere(sv, &stat, last) => None,
        Ok(stat) => Some(Ok(Sight { stat: sv.seen(stat), area })),
        Err(error) => Some(Err(error)),
    }
}

/// Whether what was found by its name is not what a path means that ends in it.
fn is_elsewhere(sv: &Supervisor, stat: &libc::stat, last: Last) -> bool {
    last == Last::Follow && file_type(stat) == libc::S_IFLNK || sv.areas.is_covered(identity(stat))
}

/// Looks at a name in a directory that the caller has open. Any error is said by who looks again.
fn glance_below(caller: &Caller<'_>, at: i32, name: &CStr, last: Last) -> Option<libc::stat> {
    let sv = caller.supervisor;
    let plain = !matches!(name.to_bytes(), b"" | b"." | b"..") && !name.to_bytes().contains(&b'/');
    let everywhere = caller.task.ask(|who| who.can(capability::DAC_OVERRIDE)) && !caller.task.has_root();
    if at < 0 || !plain || !everywhere {
        return None;
    }
    let mut path = proc::descriptor_path(caller.task.id, at).ok()?.into_bytes();
    path.push(b'/');
    path.extend(name.to_bytes());
    let stat = stat_in(rustix::fs::CWD, &CString::new(path).ok()?).ok()?;
    // What is on another filesystem may be in /proc, of which the kernel says something else.
    let fits = stat.st_dev == sv.areas.device() && !is_elsewhere(sv, &stat, last);
    fits.then(|| sv.seen(stat))
}

/// newfstatat(2).
pub(super) fn stat(caller: &Caller<'_>, [at, path, buffer, flags, ..]: [u64; 6]) -> Result<Answer, Errno> {
    const KNOWN: u64 = (libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW | libc::AT_NO_AUTOMOUNT) as u64;
    if flags & !KNOWN != 0 {
        return Err(Errno::INVAL);
    }
    let empty_is_self = flags & libc::AT_EMPTY_PATH as u64 != 0;
    // A null path is an empty one, since Linux 6.11.
    let path = if path == 0 && empty_is_self { c"".into() } else { caller.memory().read_path(path)? };
    if path.is_empty() && empty_is_self && at as i32 != libc::AT_FDCWD {
        return stat_descriptor(caller, [at, buffer, 0, 0, 0, 0]);
    }
    let last = Last::from_flags(flags);
    let stat = match glance_below(caller, at as i32, &path, last) {
        Some(stat) => stat,
        None => look(caller, at as i32, &path, last, empty_is_self)?.stat,
    };
    caller.memory().write_value(buffer, &stat)?;
    Ok(Answer::Value(0))
}

/// fstat(2).
pub(super) fn stat_descriptor(caller: &Caller<'_>, [fd, buffer, ..]: [u64; 6]) -> Result<Answer, Errno> {
    let path = proc::descriptor_path(caller.task.id, fd as i32)?;
    let stat = errno(plain::stat_at(rustix::fs::CWD, &path, 0));
    let stat = stat.map_err(|error| if error == Errno::NOENT { Errno::BADF } else { error })?;
    caller.memory().write_value(buffer, &caller.supervisor.seen(stat))?;
    Ok(Answer::Value(0))
}

/// statx(2).
pub(super) fn statx(
    caller: &Caller<'_>,
    [at, path, flags, mask, buffer, _]: [u64; 6],
) -> Result<Answer, Errno> {
    const SYNC: u64 = 0x6000;
    const KNOWN: u64 =
        (libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW | libc::AT_NO_AUTOMOUNT) as u64 | SYNC;
    if flags & !KNOWN != 0 || flags & SYNC == SYNC {
        return Err(Errno::INVAL);
    }
    let empty_is_self = flags & libc::AT_EMPTY_PATH as u64 != 0;
    let path = if path == 0 && empty_is_self { c"".into() } else { caller.memory().read_path(path)? };
    let last = Last::from_flags(flags);
    let (sync, mask) = ((flags & SYNC) as i32, mask as u32);
    let (mut statx, stat) = match glance_x(caller, at as i32, &path, last, sync, mask) {
        Some(found) => found?,
        None => {
            let object = caller.object_or_self(at as i32, &path, last, empty_is_self)?;
            let flags = libc::AT_EMPTY_PATH | sync;
            (errno(plain::statx_at(object.fd.as_fd(), c"", flags, mask))?, seen(caller, &object))
        }
    };
    (statx.stx_uid, statx.stx_gid) = (stat.st_uid, stat.st_gid);
    statx.stx_mode = stat.st_mode as u16;
    statx.stx_size = stat.st_size.cast_unsigned();
    statx.stx_rdev_major = rustix::fs::major(stat.st_rdev);
    statx.stx_rdev_minor = rustix::fs::minor(stat.st_rdev);
    caller.memory().write_value(buffer, &statx)?;
    Ok(Answer::Value(0))
}

/// As [`glance`], for statx(2): what the kernel says, and what is to be said.
fn glance_x(
    caller: &Caller<'_>,
    at: i32,
    path: &CStr,
    last: Last,
    sync: i32,
    mask: u32,
) -> Option<Result<(libc::statx, libc::stat), Errno>> {
    let sv = caller.supervisor;
    let Spot { directory, name, .. } = match caller.spot(at, path.to_bytes())? {
        Ok(spot) => spot,
        Err(error) => return Some(Err(error)),
    };
    // Which file it is, and of which type, has to be known here.
    let mask = mask | libc::STATX_BASIC_STATS;
    let flags = libc::AT_SYMLINK_NOFOLLOW | sync;
    let statx = match errno(plain::statx_at(directory.as_fd(), &name, flags, mask)) {
        Ok(statx) => statx,
        Err(error) => return Some(Err(error)),
    };
    let stat = plain::stat_of_statx(&statx);
    (!is_elsewhere(sv, &stat, last)).then(|| Ok((statx, sv.seen(stat))))
}

/// statfs(2).
pub(super) fn stat_filesystem(caller: &Caller<'_>, [path, buffer, ..]: [u64; 6]) -> Result<Answer, Errno> {
    let path = caller.memory().read_path(path)?;
    let object = caller.object_or_self(libc::AT_FDCWD, &path, Last::Follow, false)?;
    let statfs = errno(plain::stat_filesystem(object.fd.as_fd()))?;
    caller.memory().write_value(buffer, &statfs)?;
    Ok(Answer::Value(0))
}

/// faccessat2(2).
pub(super) fn access(caller: &Caller<'_>, [at, path, mode, flags, ..]: [u64; 6]) -> Result<Answer, Errno> {
    const KNOWN: u64 = (libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW | libc::AT_EACCESS) as u64;
    if flags & !KNOWN != 0 || mode & !7 != 0 {
        return Err(Errno::INVAL);
    }
    let path = caller.memory().read_path(path)?;
    let empty_is_self = flags & libc::AT_EMPTY_PATH as u64 != 0;
    let Sight { stat: seen, area: index } =
        look(caller, at as i32, &path, Last::from_flags(flags), empty_is_self)?;
    let wanted = mode as u32;
    let area = caller.supervisor.areas.get(index);
    let changes = wanted & access::WRITE != 0 && matches!(file_type(&seen), libc::S_IFREG | libc::S_IFDIR);
    if changes && area.kind == Kind::Tree {
        caller.supervisor.areas.may_change(index)?;
    }
    if file_type(&seen) != libc::S_IFLNK && wanted != 0 {
        let who = caller.task.credentials();
        if flags & libc::AT_EACCESS as u64 != 0 {
            access::check(&who, &seen, wanted)?;
        } else {
            access::check_real(&who, &seen, wanted)?;
        }
    }
    Ok(Answer::Value(0))
}

/// readlinkat(2).
pub(super) fn readlink(caller: &Caller<'_>, [at, path, buffer, size, ..]: [u64; 6]) -> Result<Answer, Errno> {
    if size as i32 <= 0 {
        return Err(Errno::INVAL);
    }
    let path = caller.memory().read_path(path)?;
    let text = if path.is_empty() {
        let object = caller.descriptor(at as i32)?;
        rustix::fs::readlinkat(&object.fd, c"", Vec::new()).map_err(|_| Errno::NOENT)?.into_bytes()
    } else {
        text_of_link(caller, at as i32, path.to_bytes())?
    };
    let length = text.len().min(size as usize);
    caller.memory().write(buffer, &text[..length])?;
    Ok(Answer::Value(length as i64))
}

fn text_of_link(caller: &Caller<'_>, at: i32, path: &[u8]) -> Result<Vec<u8>, Errno> {
    // Who wants to know a path without links asks for each name in it.
    if let Some(spot) = caller.spot(at, path) {
        if path.first() == Some(&b'/') && caller.supervisor.directories.has_straight(path) {
            return Err(Errno::INVAL);
        }
        let Spot { directory, name, .. } = spot?;
        return Ok(rustix::fs::readlinkat(&directory, &name, Vec::with_capacity(256))?.into_bytes());
    }
    let object = caller.object(at, path, Last::Stay, super::super::resolve::WHICH);
    match object {
        // Links of /proc say something else than the machine's.
        Ok(object) if object.origin == Origin::Path => {
            if file_type(&object.stat) != libc::S_IFLNK {
                return Err(Errno::INVAL);
            }
            Ok(rustix::fs::readlinkat(&object.fd, c"", Vec::new())?.into_bytes())
        }
        Err(error) => Err(error),
        Ok(_) => match caller.walk(&caller.whole(at, path)?, Last::Stay)? {
            End::Proc(InProc::Link(_, text, _)) => Ok(text),
            End::Proc(InProc::File(path, _)) => {
                Ok(rustix::fs::readlinkat(rustix::fs::CWD, path, Vec::new())?.into_bytes())
            }
            End::Name { directory, name, .. } => directory.read_link(&name),
            _ => Err(Errno::INVAL),
        },
    }
}
