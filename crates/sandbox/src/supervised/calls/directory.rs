//! The directory that a process stands in, its root and its umask. The kernel knows of none of them but the umask: to it
//! every process of a RUN stands in the root of the tree.

use std::os::fd::AsFd;
use std::sync::Arc;

use nix::libc;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::super::access;
use super::super::credentials::capability;
use super::super::proc;
use super::super::resolve::{Last, Object, WHICH};
use super::super::serve::Answer;
use super::super::supervisor::{Caller, file_type};

fn enter(caller: &Caller<'_>, object: Object) -> Result<Answer, Errno> {
    if file_type(&object.stat) != libc::S_IFDIR {
        return Err(Errno::NOTDIR);
    }
    let seen = caller.supervisor.seen(object.stat);
    access::check(&caller.task.credentials(), &seen, access::EXECUTE)?;
    // Only what has a path in the tree is a place to stand in (CVE-2024-21626).
    let (at_top, alone_in) = match proc::link_of(object.fd.as_fd()) {
        Ok(link) => {
            let (area, path) = caller.supervisor.areas.seen(&link).ok_or(Errno::ACCESS)?;
            (path == b"/", caller.supervisor.areas.is_alone(area, &path).then_some(area))
        }
        Err(Errno::NAMETOOLONG) => (false, Some(caller.climb(object.fd.as_fd())?)),
        Err(error) => return Err(error),
    };
    caller.task.move_to(|place| {
        place.directory = Arc::new(object.fd);
        place.at_top = at_top;
        place.alone_in = alone_in;
    });
    Ok(Answer::Value(0))
}

/// chdir(2).
pub(super) fn chdir(caller: &Caller<'_>, [path, ..]: [u64; 6]) -> Result<Answer, Errno> {
    let path = caller.read_path(path)?;
    let object = caller.object(libc::AT_FDCWD, path.to_bytes(), Last::Follow, WHICH | OFlags::DIRECTORY)?;
    enter(caller, object)
}

/// fchdir(2).
pub(super) fn fchdir(caller: &Caller<'_>, [fd, ..]: [u64; 6]) -> Result<Answer, Errno> {
    let fd = fd as i32;
    if fd < 0 {
        return Err(Errno::BADF);
    }
    enter(caller, caller.descriptor(fd)?)
}

/// chroot(2). The tracer asks for it.
pub(in super::super) fn chroot(caller: &Caller<'_>, [path, ..]: [u64; 6]) -> Result<Answer, Errno> {
    let path = caller.memory().read_path(path)?;
    let object = caller.object(libc::AT_FDCWD, path.to_bytes(), Last::Follow, WHICH | OFlags::DIRECTORY)?;
    if !caller.task.ask(|who| who.can(capability::SYS_CHROOT)) {
        return Err(Errno::PERM);
    }
    let link = proc::link_of(object.fd.as_fd())?;
    let (_, path) = caller.supervisor.areas.seen(&link).ok_or(Errno::ACCESS)?;
    let root = (path != b"/").then(|| (path, Arc::new(object.fd)));
    caller.task.move_to(|place| place.root = root);
    Ok(Answer::Value(0))
}

/// getcwd(2).
pub(super) fn getcwd(caller: &Caller<'_>, [buffer, size, ..]: [u64; 6]) -> Result<Answer, Errno> {
    let mut path = caller.inside(caller.path_of(libc::AT_FDCWD)?);
    path.push(0);
    if size < path.len() as u64 {
        return Err(Errno::RANGE);
    }
    caller.memory().write(buffer, &path)?;
    Ok(Answer::Value(path.len() as i64))
}

/// umask(2): the kernel's own is set too, for what it makes itself (sockets, queues).
pub(super) fn umask(caller: &Caller<'_>, [mask, ..]: [u64; 6]) -> Result<Answer, Errno> {
    caller.task.move_to(|place| place.umask = mask as u32 & 0o777);
    Ok(Answer::GoOn)
}
