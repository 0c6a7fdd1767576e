//! Extended attributes. `security.capability` is in the table of owners, `user.*` on disk; there are no others, as for a
//! process without privilege over the machine. xattr(7).

use std::ffi::{CStr, CString};
use std::os::fd::AsFd;

use nix::libc;
use rustix::fs::XattrFlags;
use rustix::io::Errno;

use super::super::access;
use super::super::credentials::capability;
use super::super::proc;
use super::super::resolve::{Last, Object};
use super::super::serve::Answer;
use super::super::supervisor::{Caller, file_type, identity};
use super::super::task::lock;
use super::attributes::{changeable, touch};

const CAPABILITY: &CStr = c"security.capability";
/// The largest value and the longest list. `linux/limits.h`
const LIMIT: usize = 65536;

fn by_path(caller: &Caller<'_>, path: u64, last: Last) -> Result<Object, Errno> {
    let path = caller.read_path(path)?;
    caller.object_or_self(libc::AT_FDCWD, &path, last, false)
}

macro_rules! on_all_kinds {
    ($work:ident: $path:ident $link:ident $descriptor:ident) => {
        pub(super) fn $path(caller: &Caller<'_>, arguments: [u64; 6]) -> Result<Answer, Errno> {
            $work(caller, &by_path(caller, arguments[0], Last::Follow)?, arguments)
        }
        pub(super) fn $link(caller: &Caller<'_>, arguments: [u64; 6]) -> Result<Answer, Errno> {
            $work(caller, &by_path(caller, arguments[0], Last::Stay)?, arguments)
        }
        pub(super) fn $descriptor(caller: &Caller<'_>, arguments: [u64; 6]) -> Result<Answer, Errno> {
            $work(caller, &caller.descriptor(arguments[0] as i32)?, arguments)
        }
    };
}

pub(super) fn set(caller: &Caller<'_>, arguments: [u64; 6]) -> Result<Answer, Errno> {
    check_new(caller, arguments)?;
    set_on(caller, &by_path(caller, arguments[0], Last::Follow)?, arguments)
}

pub(super) fn set_link(caller: &Caller<'_>, arguments: [u64; 6]) -> Result<Answer, Errno> {
    check_new(caller, arguments)?;
    set_on(caller, &by_path(caller, arguments[0], Last::Stay)?, arguments)
}

pub(super) fn set_descriptor(caller: &Caller<'_>, arguments: [u64; 6]) -> Result<Answer, Errno> {
    let file = caller.descriptor(arguments[0] as i32)?;
    check_new(caller, arguments)?;
    set_on(caller, &file, arguments)
}

/// What is wrong with an attribute is said before what is wrong with a path.
fn check_new(caller: &Caller<'_>, [_, name, _, size, flags, _]: [u64; 6]) -> Result<(), Errno> {
    let known = u64::from((XattrFlags::CREATE | XattrFlags::REPLACE).bits());
    if flags & !known != 0 {
        return Err(Errno::INVAL);
    }
    caller.memory().read_attribute_name(name)?;
    if size > LIMIT as u64 { Err(Errno::TOOBIG) } else { Ok(()) }
}

on_all_kinds!(get_from: get get_link get_descriptor);
on_all_kinds!(list_of: list list_link list_descriptor);
on_all_kinds!(remove_from: remove remove_link remove_descriptor);

fn has_attributes(object: &Object) -> bool {
    matches!(file_type(&object.stat), libc::S_IFREG | libc::S_IFDIR)
}

fn may_set(caller: &Caller<'_>, object: &Object, name: &CString) -> Result<(), Errno> {
    let who = caller.task.credentials();
    let seen = caller.supervisor.seen(object.stat);
    if name.as_c_str() == CAPABILITY {
        if !who.can(capability::SETFCAP) {
            return Err(Errno::PERM);
        }
    } else if name.to_bytes().starts_with(b"user.") {
        if !matches!(file_type(&seen), libc::S_IFREG | libc::S_IFDIR) {
            return Err(Errno::PERM);
        }
        access::check(&who, &seen, access::WRITE)?;
    } else if name.to_bytes().starts_with(b"trusted.") {
        return Err(Errno::PERM);
    } else {
        return Err(Errno::OPNOTSUPP);
    }
    changeable(caller, object)
}

fn set_on(
    caller: &Caller<'_>,
    object: &Object,
    [_, name, value, size, flags, _]: [u64; 6],
) -> Result<Answer, Errno> {
    let name = caller.read_attribute_name(name)?;
    let size = usize::try_from(size).ok().filter(|size| *size <= LIMIT).ok_or(Errno::TOOBIG)?;
    let mut bytes = vec![0; size];
    caller.memory().read(value, &mut bytes)?;
    let is_capability = name.as_c_str() == CAPABILITY;
    // Version 2 has 20 bytes, version 3, with the root of a user namespace, 24. linux/capability.h
    if is_capability && !matches!((size, bytes.get(3)), (20, Some(2)) | (24, Some(3))) {
        return Err(Errno::INVAL);
    }
    may_set(caller, object, &name)?;
    if !is_capability {
        let flags = XattrFlags::from_bits_retain(flags as u32);
        rustix::fs::setxattr(proc::own_path(object.fd.as_fd()), &name, &bytes, flags)?;
        caller.supervisor.journal.changed(&caller.supervisor.areas, object.fd.as_fd(), &object.stat);
        return Ok(Answer::Value(0));
    }
    if file_type(&object.stat) != libc::S_IFREG {
        return Err(Errno::INVAL);
    }
    bytes.truncate(20);
    bytes[3] = 2;
    touch(caller, object)?;
    lock(&caller.supervisor.owners)
        .change(identity(&object.stat), |entry| entry.capability = Some(bytes.into()));
    Ok(Answer::Value(0))
}

fn get_from(
    caller: &Caller<'_>,
    object: &Object,
    [_, name, buffer, size, ..]: [u64; 6],
) -> Result<Answer, Errno> {
    let name = caller.memory().read_attribute_name(name)?;
    let value: Box<[u8]> = if name.as_c_str() == CAPABILITY {
        let owners = lock(&caller.supervisor.owners);
        let entry = owners.get(identity(&object.stat));
        entry.and_then(|entry| entry.capability.clone()).ok_or(Errno::NODATA)?
    } else if name.to_bytes().starts_with(b"user.") {
        if !has_attributes(object) {
            return Err(Errno::NODATA);
        }
        let seen = caller.supervisor.seen(object.stat);
        access::check(&caller.task.credentials(), &seen, access::READ)?;
        let mut value = vec![0; LIMIT];
        let length = rustix::fs::getxattr(proc::own_path(object.fd.as_fd()), &name, &mut value[..])?;
        value.truncate(length);
        value.into()
    } else if name.to_bytes().starts_with(b"system.") {
        return Err(Errno::OPNOTSUPP);
    } else {
        return Err(Errno::NODATA);
    };
    hand_over(caller, &value, buffer, size)
}

fn list_of(caller: &Caller<'_>, object: &Object, [_, buffer, size, ..]: [u64; 6]) -> Result<Answer, Errno> {
    let mut names = Vec::new();
    if has_attributes(object) {
        let mut list = vec![0; LIMIT];
        let length = rustix::fs::listxattr(proc::own_path(object.fd.as_fd()), &mut list[..])
            .or_else(|error| if error == Errno::OPNOTSUPP { Ok(0) } else { Err(error) })?;
        for name in list[..length].split_inclusive(|&byte| byte == 0) {
            if name.starts_with(b"user.") {
                names.extend(name);
            }
        }
    }
    let owners = lock(&caller.supervisor.owners);
    if owners.get(identity(&object.stat)).is_some_and(|entry| entry.capability.is_some()) {
        names.extend(CAPABILITY.to_bytes_with_nul());
    }
    drop(owners);
    hand_over(caller, &names, buffer, size)
}

fn remove_from(caller: &Caller<'_>, object: &Object, [_, name, ..]: [u64; 6]) -> Result<Answer, Errno> {
    let name = caller.read_attribute_name(name)?;
    may_set(caller, object, &name)?;
    if name.as_c_str() != CAPABILITY {
        rustix::fs::removexattr(proc::own_path(object.fd.as_fd()), &name)?;
        caller.supervisor.journal.changed(&caller.supervisor.areas, object.fd.as_fd(), &object.stat);
        return Ok(Answer::Value(0));
    }
    let mut owners = lock(&caller.supervisor.owners);
    if owners.get(identity(&object.stat)).is_none_or(|entry| entry.capability.is_none()) {
        return Err(Errno::NODATA);
    }
    owners.change(identity(&object.stat), |entry| entry.capability = None);
    drop(owners);
    touch(caller, object)?;
    Ok(Answer::Value(0))
}

/// Writes a value of variable length where the caller wants it; with no room given only its length is asked for.
fn hand_over(caller: &Caller<'_>, value: &[u8], buffer: u64, size: u64) -> Result<Answer, Errno> {
    if size != 0 {
        if size < value.len() as u64 {
            return Err(Errno::RANGE);
        }
        caller.memory().write(buffer, value)?;
    }
    Ok(Answer::Value(value.len() as i64))
}
