//! What keeps a process that runs as our own user away from this program.

use std::io;

use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Makes this program's environment, memory and open files unreadable for every other process of the same user,
/// through `/proc` and through ptrace. See `PR_SET_DUMPABLE` in prctl(2).
///
/// Call it after [`crate::choose`]: entering a user namespace needs to write to `/proc/self`, which belongs to root
/// from here on.
pub fn protect_self() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}
