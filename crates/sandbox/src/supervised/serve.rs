//! Serving: the threads that receive calls and answer them.

use std::os::fd::OwnedFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::calls::{self, Served};
use super::machine;
use super::supervisor::{Caller, Supervisor};
use super::task::lock;
use super::together::Together;
use crate::sys::notify::Notification;

/// How many calls are served at a time.
const WORKERS: usize = 4;

/// What a call is answered with.
#[derive(Debug)]
pub(super) enum Answer {
    /// This value.
    Value(i64),
    /// The kernel does it after all.
    GoOn,
    /// A descriptor.
    Descriptor { fd: OwnedFd, close_on_exec: bool },
    /// A descriptor, once somebody has opened the other end.
    Fifo { fifo: OwnedFd, flags: OFlags, close_on_exec: bool },
}

/// What is done for a call, by its number.
type Table = Vec<Option<Served>>;

/// Starts the workers. They end when the last process of the RUN has.
pub(super) fn start(supervisor: &Arc<Supervisor>) -> std::io::Result<()> {
    let mut table = Table::new();
    for (_, number, served) in calls::SERVED.iter().chain(machine::SERVED) {
        let index = usize::try_from(*number).expect("system call numbers are small");
        table.resize(table.len().max(index + 1), None);
        table[index] = Some(*served);
    }
    let shared = Arc::new((table, Mutex::new(0)));
    for _ in 0..WORKERS {
        let (supervisor, shared) = (supervisor.clone(), shared.clone());
        std::thread::Builder::new()
            .name("serve".into())
            .spawn(move || work(&supervisor, &shared.0, &shared.1))?;
    }
    Ok(())
}

/// Every how many calls the one who has the turn looks whether another call waits.
const SELDOM: u32 = 8;
/// For how many calls it looks each time after one did.
const CROWDED: u32 = 64;

/// A call that arrives wakes every thread that waits for one, and only one gets it. So only one waits: it has the turn, and
/// passes it on when a second call is there before it has served the first. As long as a RUN does one thing at a time
/// nobody else is woken, and whether there is a second call is looked at now and then only: no call takes long.
fn work(supervisor: &Arc<Supervisor>, table: &Table, turn: &Mutex<u32>) {
    loop {
        let mut mine = Some(lock(turn));
        while let Some(left) = &mut mine {
            // An error of the listener's own means that there is nobody left to serve.
            let Ok(Some(call)) = supervisor.listener.receive() else { return };
            let looks = **left > SELDOM || **left == 0;
            **left = if **left == 0 { SELDOM } else { **left - 1 };
            if looks && supervisor.listener.has_more() {
                **left = CROWDED;
                mine = None;
            }
            serve(supervisor, table, &call);
        }
    }
}

fn serve(supervisor: &Arc<Supervisor>, table: &Table, call: &Notification) {
    let listener = &supervisor.listener;
    let begin = supervisor.tally.begin();
    let (number, arguments) = machine::newer(call.number, call.arguments);
    let served = usize::try_from(number).ok().and_then(|number| *table.get(number)?);
    let answer = match (served, supervisor.tasks.get(call.task)) {
        (Some(handler), Some(task)) => handler(&Caller { supervisor, task: &task }, arguments),
        (None, _) => Err(Errno::NOSYS),
        // It was born past the tracer.
        (_, None) => Err(Errno::PERM),
    };
    let error = answer.as_ref().err().copied();
    // Whoever is gone in the meantime needs no answer.
    let _ = match answer {
        Ok(Answer::Value(value)) => listener.answer(call.id, value, 0),
        Ok(Answer::GoOn) => listener.go_on(call.id),
        Ok(Answer::Descriptor { fd, close_on_exec }) => {
            hand_over(supervisor, call, fd, close_on_exec);
            Ok(())
        }
        Ok(Answer::Fifo { fifo, flags, close_on_exec }) => {
            let (supervisor, call) = (supervisor.clone(), *call);
            std::thread::spawn(move || {
                match calls::wait_for_fifo(&fifo, flags) {
                    Ok(fd) => hand_over(&supervisor, &call, fd, close_on_exec),
                    Err(error) => drop(supervisor.listener.answer(call.id, 0, error.raw_os_error())),
                }
                supervisor.waiting.fetch_sub(1, Ordering::Relaxed);
            });
            Ok(())
        }
        Err(error) => listener.answer(call.id, 0, error.raw_os_error()),
    };
    supervisor.tally.end(begin, number, error);
}

fn hand_over(supervisor: &Supervisor, call: &Notification, fd: OwnedFd, close_on_exec: bool) {
    let together = Together::with(call.task);
    let given = supervisor.listener.give(call.id, fd, close_on_exec);
    // Before it goes on: it may ask for its processors, and pass them on.
    drop(together);
    // If the caller was killed in the meantime, its descriptor went with it.
    let _ = match given {
        Ok(number) => supervisor.listener.answer(call.id, number.into(), 0),
        Err(error) => {
            // It has as many open as it may.
            let errno = error.raw_os_error().unwrap_or(Errno::MFILE.raw_os_error());
            supervisor.listener.answer(call.id, 0, errno)
        }
    };
}
