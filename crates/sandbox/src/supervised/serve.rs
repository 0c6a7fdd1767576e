//! Serving: the threads that receive calls and answer them.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use nix::libc;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::calls::{self, Served};
use super::done::{Done, Given};
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
    let begin = supervisor.tally.begin();
    let (number, arguments) = machine::newer(call.number, call.arguments);
    let served = usize::try_from(number).ok().and_then(|number| *table.get(number)?);
    let Some(task) = supervisor.tasks.get(call.task) else {
        // It was born past the tracer.
        let _ = supervisor.listener.answer(call.id, 0, Errno::PERM.raw_os_error());
        return;
    };
    let mut done = lock(&task.done);
    // Whoever was interrupted before it is done makes it once more.
    if supervisor.listener.is_interruptible && !supervisor.listener.is_waiting(call.id) {
        return;
    }
    if let Some(Done { answer, words, .. }) = done.take_if(|done| done.is_made_again(call)) {
        let (answer, is_taken) = give(supervisor, call, answer);
        *done = Some(Done { call: *call, answer, is_taken, words });
        return;
    }
    drop(done.take_if(|done| !done.is_owed()));
    lock(&task.words).clear();
    let caller = Caller { supervisor, task: &task };
    let answer = served.ok_or(Errno::NOSYS).and_then(|served| served(&caller, arguments));
    let error = answer.as_ref().err().copied();
    let given = match answer {
        Ok(Answer::Value(value)) => Some(Given::Value(value)),
        Ok(Answer::Descriptor { fd, close_on_exec }) => Some(Given::Descriptor { fd, close_on_exec }),
        Err(error) => Some(Given::Value((-error.raw_os_error()).into())),
        Ok(Answer::GoOn) => {
            // Whoever is gone in the meantime needs no answer.
            let _ = supervisor.listener.go_on(call.id);
            None
        }
        Ok(Answer::Fifo { fifo, flags, close_on_exec }) => {
            let (supervisor, call) = (supervisor.clone(), *call);
            std::thread::spawn(move || {
                let answer = match calls::wait_for_fifo(&fifo, flags) {
                    Ok(fd) => Given::Descriptor { fd, close_on_exec },
                    Err(error) => Given::Value((-error.raw_os_error()).into()),
                };
                // It can be opened again.
                drop(give(&supervisor, &call, answer));
                supervisor.waiting.fetch_sub(1, Ordering::Relaxed);
            });
            None
        }
    };
    if let Some((answer, is_taken)) = given.map(|answer| give(supervisor, call, answer)) {
        let words = std::mem::take(&mut *lock(&task.words));
        let now = Done { call: *call, answer, is_taken, words };
        // A file that was only opened can be opened again.
        if calls::is_done_once(number, arguments) || !is_taken && !now.is_owed() {
            done.get_or_insert(now);
        }
    }
    supervisor.tally.end(begin, number, error);
}

/// Answers a call. What it was answered with, or is still to be; and whether the kernel has taken that.
fn give(supervisor: &Supervisor, call: &Notification, answer: Given) -> (Given, bool) {
    let value = match answer {
        Given::Value(value) => value,
        Given::Descriptor { fd, close_on_exec } => {
            let together = Together::with(call.task);
            let given = supervisor.listener.give(call.id, fd.as_fd(), close_on_exec);
            // Before it goes on: it may ask for its processors, and pass them on.
            drop(together);
            match given {
                // Ours is closed before the caller goes on: one that writes a program, closes it and starts it would else
                // be told that the file is busy (ETXTBSY), and the end of a pipe would come late.
                Ok(number) => {
                    drop(fd);
                    number.into()
                }
                Err(error)
                    if matches!(
                        error.raw_os_error(),
                        Some(libc::ENOENT | libc::ESRCH | libc::EINPROGRESS)
                    ) =>
                {
                    return (Given::Descriptor { fd, close_on_exec }, false);
                }
                // It has as many open as it may.
                Err(error) => (-error.raw_os_error().unwrap_or(libc::EMFILE)).into(),
            }
        }
    };
    let answered = if value < 0 {
        let errno = i32::try_from(-value).expect("error numbers are small");
        supervisor.listener.answer(call.id, 0, errno)
    } else {
        supervisor.listener.answer(call.id, value, 0)
    };
    (Given::Value(value), answered.is_ok())
}
