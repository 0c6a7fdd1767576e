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
    if process == 0 {
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
            nix::unistd::getpgid(Some(pid)).is_ok_and(|group| group.as_raw() == -process)
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
