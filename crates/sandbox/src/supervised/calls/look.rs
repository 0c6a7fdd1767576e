//! Looking: the calls that change nothing.

use std::os::fd::AsFd;

use nix::libc;
use rustix::io::Errno;

use super::super::access;
use super::super::area::Kind;
use super::super::proc::{self, InProc};
use super::super::resolve::{End, Last, Object, Origin};
use super::super::serve::Answer;
use super::super::supervisor::{Caller, errno, file_type};
use crate::sys::plain;

/// What a file is said to be.
fn seen(caller: &Caller<'_>, object: &Object) -> libc::stat {
    let mut stat = caller.supervisor.seen(object.stat);
    if let Origin::Proc(Some(of)) | Origin::Written(Some(of)) = object.origin {
        (stat.st_uid, stat.st_gid) = of;
    }
    stat
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
    let object = caller.object_or_self(at as i32, &path, Last::from_flags(flags), empty_is_self)?;
    caller.memory().write_value(buffer, &seen(caller, &object))?;
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
    let object = caller.object_or_self(at as i32, &path, Last::from_flags(flags), empty_is_self)?;
    let stat = seen(caller, &object);
    let flags = libc::AT_EMPTY_PATH | (flags & SYNC) as i32;
    let mut statx = errno(plain::statx_at(object.fd.as_fd(), c"", flags, mask as u32))?;
    (statx.stx_uid, statx.stx_gid) = (stat.st_uid, stat.st_gid);
    statx.stx_mode = stat.st_mode as u16;
    statx.stx_size = stat.st_size.cast_unsigned();
    statx.stx_rdev_major = rustix::fs::major(stat.st_rdev);
    statx.stx_rdev_minor = rustix::fs::minor(stat.st_rdev);
    caller.memory().write_value(buffer, &statx)?;
    Ok(Answer::Value(0))
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
    let object = caller.object_or_self(at as i32, &path, Last::from_flags(flags), empty_is_self)?;
    let seen = seen(caller, &object);
    let wanted = mode as u32;
    let area = caller.supervisor.areas.get(object.area);
    let changes = wanted & access::WRITE != 0 && matches!(file_type(&seen), libc::S_IFREG | libc::S_IFDIR);
    if changes && area.kind == Kind::Tree {
        caller.supervisor.areas.may_change(object.area)?;
    }
    if file_type(&seen) != libc::S_IFLNK {
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
