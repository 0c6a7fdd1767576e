//! Ids: who a task is, asked and changed.

use rustix::io::Errno;

use super::super::credentials::capability;
use super::super::credentials::{Credentials, Ids};
use super::super::serve::Answer;
use super::super::supervisor::Caller;

/// As many groups as the kernel takes. `linux/limits.h`
const GROUPS: usize = 65536;

fn ask(caller: &Caller<'_>, which: impl FnOnce(&Credentials) -> u32) -> Result<Answer, Errno> {
    Ok(Answer::Value(caller.task.ask(which).into()))
}

fn change(
    caller: &Caller<'_>,
    change: impl FnOnce(&mut Credentials) -> Result<(), Errno>,
) -> Result<Answer, Errno> {
    caller.task.change(change).map(|()| Answer::Value(0))
}

pub(super) fn getuid(caller: &Caller<'_>, _: [u64; 6]) -> Result<Answer, Errno> {
    ask(caller, |who| who.uid.real)
}

pub(super) fn geteuid(caller: &Caller<'_>, _: [u64; 6]) -> Result<Answer, Errno> {
    ask(caller, |who| who.uid.effective)
}

pub(super) fn getgid(caller: &Caller<'_>, _: [u64; 6]) -> Result<Answer, Errno> {
    ask(caller, |who| who.gid.real)
}

pub(super) fn getegid(caller: &Caller<'_>, _: [u64; 6]) -> Result<Answer, Errno> {
    ask(caller, |who| who.gid.effective)
}

fn three(caller: &Caller<'_>, ids: Ids, [real, effective, saved, ..]: [u64; 6]) -> Result<Answer, Errno> {
    for (address, id) in [(real, ids.real), (effective, ids.effective), (saved, ids.saved)] {
        caller.memory().write_value(address, &id)?;
    }
    Ok(Answer::Value(0))
}

pub(super) fn getresuid(caller: &Caller<'_>, arguments: [u64; 6]) -> Result<Answer, Errno> {
    three(caller, caller.task.ask(|who| who.uid), arguments)
}

pub(super) fn getresgid(caller: &Caller<'_>, arguments: [u64; 6]) -> Result<Answer, Errno> {
    three(caller, caller.task.ask(|who| who.gid), arguments)
}

pub(super) fn getgroups(caller: &Caller<'_>, [size, list, ..]: [u64; 6]) -> Result<Answer, Errno> {
    let groups = caller.task.ask(|who| who.groups.clone());
    let size = usize::try_from(size as i32).map_err(|_| Errno::INVAL)?;
    if size != 0 {
        if size < groups.len() {
            return Err(Errno::INVAL);
        }
        let bytes: Vec<u8> = groups.iter().flat_map(|group| group.to_le_bytes()).collect();
        caller.memory().write(list, &bytes)?;
    }
    Ok(Answer::Value(groups.len() as i64))
}

pub(super) fn setgroups(caller: &Caller<'_>, [size, list, ..]: [u64; 6]) -> Result<Answer, Errno> {
    if !caller.task.ask(|who| who.can(capability::SETGID)) {
        return Err(Errno::PERM);
    }
    let size = usize::try_from(size as i32).ok().filter(|size| *size <= GROUPS).ok_or(Errno::INVAL)?;
    let mut bytes = vec![0; size * 4];
    caller.memory().read(list, &mut bytes)?;
    let group = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("chunks of four"));
    let groups = bytes.chunks_exact(4).map(group).collect();
    change(caller, |who| who.set_groups(groups))
}

pub(super) fn setuid(caller: &Caller<'_>, [id, ..]: [u64; 6]) -> Result<Answer, Errno> {
    change(caller, |who| who.set_uid(id as u32))
}

pub(super) fn setgid(caller: &Caller<'_>, [id, ..]: [u64; 6]) -> Result<Answer, Errno> {
    change(caller, |who| who.set_gid(id as u32))
}

pub(super) fn setreuid(caller: &Caller<'_>, [real, effective, ..]: [u64; 6]) -> Result<Answer, Errno> {
    change(caller, |who| who.set_real_uid(real as u32, effective as u32))
}

pub(super) fn setregid(caller: &Caller<'_>, [real, effective, ..]: [u64; 6]) -> Result<Answer, Errno> {
    change(caller, |who| who.set_real_gid(real as u32, effective as u32))
}

pub(super) fn setresuid(
    caller: &Caller<'_>,
    [real, effective, saved, ..]: [u64; 6],
) -> Result<Answer, Errno> {
    change(caller, |who| who.set_uids([real, effective, saved].map(|id| id as u32)))
}

pub(super) fn setresgid(
    caller: &Caller<'_>,
    [real, effective, saved, ..]: [u64; 6],
) -> Result<Answer, Errno> {
    change(caller, |who| who.set_gids([real, effective, saved].map(|id| id as u32)))
}

pub(super) fn setfsuid(caller: &Caller<'_>, [id, ..]: [u64; 6]) -> Result<Answer, Errno> {
    Ok(Answer::Value(caller.task.change(|who| who.set_file_uid(id as u32)).into()))
}

pub(super) fn setfsgid(caller: &Caller<'_>, [id, ..]: [u64; 6]) -> Result<Answer, Errno> {
    Ok(Answer::Value(caller.task.change(|who| who.set_file_gid(id as u32)).into()))
}
