//! Privileges: capget(2), capset(2), and what prctl(2) has to say of them.

use nix::libc;
use rustix::io::Errno;

use super::super::credentials::capability;
use super::super::serve::Answer;
use super::super::supervisor::Caller;

/// `_LINUX_CAPABILITY_VERSION_1`, and 2 and 3, which have sets of 64 bits in two halves.
const VERSION_1: u32 = 0x1998_0330;
const VERSION_2: u32 = 0x2007_1026;
const VERSION_3: u32 = 0x2008_0522;

/// Reads a header: the number of halves, and the task it is about.
fn header(caller: &Caller<'_>, address: u64) -> Result<(usize, i32), Errno> {
    let [version, task]: [u32; 2] = caller.memory().read_value(address)?;
    match version {
        VERSION_1 => Ok((1, task.cast_signed())),
        VERSION_2 | VERSION_3 => Ok((2, task.cast_signed())),
        _ => {
            caller.memory().write_value(address, &VERSION_3)?;
            Err(Errno::INVAL)
        }
    }
}

pub(super) fn capget(caller: &Caller<'_>, [head, data, ..]: [u64; 6]) -> Result<Answer, Errno> {
    let (halves, task) = match header(caller, head) {
        // Asked only for the version.
        Err(Errno::INVAL) if data == 0 => return Ok(Answer::Value(0)),
        result => result?,
    };
    let who = match task {
        0 => caller.task.credentials(),
        task => caller.supervisor.tasks.get(task).ok_or(Errno::SRCH)?.credentials(),
    };
    let mut words = Vec::new();
    for shift in [0, 32].into_iter().take(halves) {
        for set in [who.effective, who.permitted, who.inheritable] {
            words.extend(((set >> shift) as u32).to_le_bytes());
        }
    }
    if data != 0 {
        caller.memory().write(data, &words)?;
    }
    Ok(Answer::Value(0))
}

pub(super) fn capset(caller: &Caller<'_>, [head, data, ..]: [u64; 6]) -> Result<Answer, Errno> {
    let (halves, task) = header(caller, head)?;
    if task != 0 && task != caller.task.id {
        return Err(Errno::PERM);
    }
    let words: Vec<u32> = if halves == 2 {
        caller.memory().read_value::<[u32; 6]>(data)?.to_vec()
    } else {
        caller.memory().read_value::<[u32; 3]>(data)?.to_vec()
    };
    let set = |which: usize| {
        u64::from(words[which]) | words.get(which + 3).map_or(0, |high| u64::from(*high) << 32)
    };
    caller.task.change(|who| who.set_capabilities(set(0), set(1), set(2)))?;
    Ok(Answer::Value(0))
}

/// The options that the filter sends here.
pub(in super::super) const OPTIONS: [i32; 10] = [
    libc::PR_SET_DUMPABLE,
    libc::PR_SET_KEEPCAPS,
    libc::PR_GET_KEEPCAPS,
    libc::PR_CAPBSET_READ,
    libc::PR_CAPBSET_DROP,
    libc::PR_CAP_AMBIENT,
    libc::PR_GET_SECUREBITS,
    libc::PR_SET_SECUREBITS,
    libc::PR_SET_NO_NEW_PRIVS,
    libc::PR_GET_NO_NEW_PRIVS,
];

pub(super) fn prctl(caller: &Caller<'_>, [option, second, third, ..]: [u64; 6]) -> Result<Answer, Errno> {
    let task = caller.task;
    let bit = |number: u64| if number < 64 { Ok(1u64 << number) } else { Err(Errno::INVAL) };
    let value = match option as i32 {
        // A process that cannot be read could not be served.
        libc::PR_SET_DUMPABLE => 0,
        libc::PR_SET_NO_NEW_PRIVS => {
            task.change(|who| who.no_new_privileges = true);
            0
        }
        libc::PR_GET_NO_NEW_PRIVS => i64::from(task.ask(|who| who.no_new_privileges)),
        libc::PR_GET_KEEPCAPS => i64::from(task.ask(|who| who.keeps_capabilities())),
        libc::PR_SET_KEEPCAPS => {
            if second > 1 {
                return Err(Errno::INVAL);
            }
            task.change(|who| who.keep_capabilities(second != 0));
            0
        }
        libc::PR_CAPBSET_READ => {
            if second > 40 {
                return Err(Errno::INVAL);
            }
            let bit = bit(second)?;
            i64::from(task.ask(|who| who.bounding & bit != 0))
        }
        libc::PR_CAPBSET_DROP => {
            let bit = bit(second)?;
            task.change(|who| {
                if !who.can(capability::SETPCAP) {
                    return Err(Errno::PERM);
                }
                who.bounding &= !bit;
                Ok(())
            })?;
            0
        }
        libc::PR_GET_SECUREBITS => i64::from(task.ask(|who| who.secure_bits)),
        libc::PR_SET_SECUREBITS => {
            task.change(|who| {
                if !who.can(capability::SETPCAP) {
                    return Err(Errno::PERM);
                }
                who.secure_bits = second as u32;
                Ok(())
            })?;
            0
        }
        libc::PR_CAP_AMBIENT => ambient(caller, second as i32, third)?,
        _ => return Ok(Answer::GoOn),
    };
    Ok(Answer::Value(value))
}

fn ambient(caller: &Caller<'_>, what: i32, capability: u64) -> Result<i64, Errno> {
    if what == libc::PR_CAP_AMBIENT_CLEAR_ALL {
        caller.task.change(|who| who.ambient = 0);
        return Ok(0);
    }
    if capability > 40 {
        return Err(Errno::INVAL);
    }
    let bit = 1u64 << capability;
    caller.task.change(|who| match what {
        libc::PR_CAP_AMBIENT_IS_SET => Ok(i64::from(who.ambient & bit != 0)),
        libc::PR_CAP_AMBIENT_LOWER => {
            who.ambient &= !bit;
            Ok(0)
        }
        libc::PR_CAP_AMBIENT_RAISE if who.permitted & who.inheritable & bit != 0 => {
            who.ambient |= bit;
            Ok(0)
        }
        libc::PR_CAP_AMBIENT_RAISE => Err(Errno::PERM),
        _ => Err(Errno::INVAL),
    })
}
