//! Together: a caller and the thread that serves it, on one processor.
//!
//! Who is woken goes to a processor that has nothing to do, if there is one, and to wake that takes longer than the call,
//! in a virtual machine above all. An answer wakes its caller here, see [`wake_here`]; to hand over a descriptor wakes the
//! caller and then us, and knows nothing of that. So both may be nowhere else for that time.
//!
//! [`wake_here`]: crate::sys::notify::Listener::wake_here

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};

/// A thread that waits for us, and this one, until this is dropped: then both may be where they could before.
#[derive(Debug)]
pub(super) struct Together {
    /// Each of them: 0 is the thread that asks. sched_setaffinity(2)
    before: [(Option<Pid>, CpuSet); 2],
}

impl Together {
    /// Keeps both here. Nothing is lost if that is not allowed.
    pub(super) fn with(task: i32) -> Option<Self> {
        let task = Pid::from_raw(task);
        let before = [(task, sched_getaffinity(task).ok()?), (None, sched_getaffinity(None).ok()?)];
        let mut here = CpuSet::new();
        here.set(sched_getcpu());
        let together = Together { before };
        sched_setaffinity(task, &here).and_then(|()| sched_setaffinity(None, &here)).ok()?;
        Some(together)
    }
}

impl Drop for Together {
    fn drop(&mut self) {
        for (task, set) in &self.before {
            // If it is gone it needs no processor.
            let _ = sched_setaffinity(*task, set);
        }
    }
}
