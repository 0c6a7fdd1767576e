//! Signals, and other calls that reach another process: those of this RUN and nobody else.

use nix::libc;
use nix::sys::signal::{Signal, kill as send};
use nix::unistd::Pid;
use rustix::io::Errno;

use super::super::credentials::capability;
use super::super::serve::Answer;
use super::super::supervisor::Caller;
use super::super::task::Task;

/// Whether the caller may send a signal to somebody. kill(2)
fn may_signal(caller: &Caller<'_>, task: &Task) -> bool {
    let them = task.ask(|who| who.uid);
    caller.task.process == task.process
        || caller.task.ask(|who| {
            let own = [who.uid.real, who.uid.effective];
            who.can(capability::KILL) || own.contains(&them.real) || own.contains(&them.saved)
        })
}

/// kill(2).
pub(super) fn kill(caller: &Caller<'_>, [process, signal, ..]: [u64; 6]) -> Result<Answer, Errno> {
    let sv = caller.supervisor;
    let process = process as i32;
    if process > 0 {
        let task = sv.tasks.get(process).ok_or(Errno::SRCH)?;
        return if may_signal(caller, &task) { Ok(Answer::GoOn) } else { Err(Errno::PERM) };
    }
    if process == 0 || process < -1 && group_of(caller.task.process) == process.checked_neg() {
        // Its own group, which is of this RUN, as the session is.
        return Ok(Answer::GoOn);
    }
    // Everybody, or a group: one by one, so that nobody else is hit.
    let signal = match signal as i32 {
        0 => None,
        number => Some(Signal::try_from(number).map_err(|_| Errno::INVAL)?),
    };
    let (mut found, mut reached) = (false, false);
    for other in sv.tasks.processes() {
        let pid = Pid::from_raw(other);
        let is_meant = if process == -1 {
            other != caller.task.process
        } else {
            group_of(other) == process.checked_neg()
        };
        let Some(task) = sv.tasks.get(other).filter(|_| is_meant) else { continue };
        found = true;
        if may_signal(caller, &task) {
            reached |= send(pid, signal).is_ok();
        }
    }
    match (found, reached) {
        (_, true) => Ok(Answer::Value(0)),
        (true, false) => Err(Errno::PERM),
        (false, false) => Err(Errno::SRCH),
    }
}

fn about(caller: &Caller<'_>, task: i32) -> Result<Answer, Errno> {
    if task <= 0 {
        return Err(Errno::INVAL);
    }
    let task = caller.supervisor.tasks.get(task).ok_or(Errno::SRCH)?;
    if may_signal(caller, &task) { Ok(Answer::GoOn) } else { Err(Errno::PERM) }
}

/// A call whose first argument is the task it is about.
pub(super) fn to_first(caller: &Caller<'_>, [task, ..]: [u64; 6]) -> Result<Answer, Errno> {
    about(caller, task as i32)
}

/// A call whose second argument is the thread that it is about.
pub(super) fn to_second(caller: &Caller<'_>, [process, task, ..]: [u64; 6]) -> Result<Answer, Errno> {
    if process as i32 <= 0 {
        return Err(Errno::INVAL);
    }
    about(caller, task as i32)
}

/// A call about a task, where 0 is the caller.
pub(super) fn to_first_or_self(caller: &Caller<'_>, [task, ..]: [u64; 6]) -> Result<Answer, Errno> {
    if task as i32 == 0 { Ok(Answer::GoOn) } else { about(caller, task as i32) }
}

fn group_of(process: i32) -> Option<i32> {
    nix::unistd::getpgid(Some(Pid::from_raw(process))).ok().map(Pid::as_raw)
}

/// Whether a group of processes, or that of the caller if it is 0, is one of this RUN.
fn has_group(caller: &Caller<'_>, group: i32) -> bool {
    group == 0
        || caller.supervisor.tasks.processes().into_iter().any(|process| group_of(process) == Some(group))
}

/// A priority of processes: of one, of a group, or of a user, who is the builder as well.
fn prioritise(caller: &Caller<'_>, kind: i32, whom: i32) -> Result<Answer, Errno> {
    match kind {
        PROCESS => to_first_or_self(caller, [whom as u64, 0, 0, 0, 0, 0]),
        GROUP if !has_group(caller, whom) => Err(Errno::SRCH),
        USER => Err(Errno::PERM),
        _ => Ok(Answer::GoOn),
    }
}

/// What setpriority(2) calls them; ioprio_set(2) begins with one.
const PROCESS: i32 = libc::PRIO_PROCESS as i32;
const GROUP: i32 = libc::PRIO_PGRP as i32;
const USER: i32 = libc::PRIO_USER as i32;

/// setpriority(2).
pub(super) fn set_priority(caller: &Caller<'_>, [kind, whom, ..]: [u64; 6]) -> Result<Answer, Errno> {
    prioritise(caller, kind as i32, whom as i32)
}

/// ioprio_set(2).
pub(super) fn set_io_priority(caller: &Caller<'_>, [kind, whom, ..]: [u64; 6]) -> Result<Answer, Errno> {
    prioritise(caller, (kind as i32).wrapping_sub(1), whom as i32)
}

/// `F_SETOWN` of fcntl(2): whom the kernel sends signals to about a file, which are as if we sent them.
pub(super) fn set_owner(caller: &Caller<'_>, [_, _, owner, ..]: [u64; 6]) -> Result<Answer, Errno> {
    let owner = owner as i32;
    match owner {
        0 => Ok(Answer::GoOn),
        // Natively the right is asked for when the signal is sent.
        1.. => about(caller, owner),
        i32::MIN => Err(Errno::INVAL),
        _ if has_group(caller, -owner) => Ok(Answer::GoOn),
        _ => Err(Errno::SRCH),
    }
}

/// sendto(2) with an address. A socket of the tree cannot be reached without a connection, since its path means something
/// else to the kernel.
pub(super) fn send_to(caller: &Caller<'_>, [.., address, length]: [u64; 6]) -> Result<Answer, Errno> {
    let mut family = [0; 3];
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(family.len());
    caller.memory().read(address, &mut family[..length])?;
    let is_path = family[2] != 0;
    if i32::from(u16::from_le_bytes([family[0], family[1]])) == libc::AF_UNIX && is_path {
        return Err(Errno::CONNREFUSED);
    }
    Ok(Answer::GoOn)
}
