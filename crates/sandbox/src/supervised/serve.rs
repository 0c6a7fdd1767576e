//! Serving: the threads that receive calls and answer them.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::calls;
use super::supervisor::{Caller, Supervisor};
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

type Table = HashMap<i64, fn(&Caller<'_>, [u64; 6]) -> Result<Answer, Errno>>;

/// Starts the workers. They end when the last process of the RUN has.
pub(super) fn start(supervisor: &Arc<Supervisor>) -> std::io::Result<()> {
    let table: Arc<Table> = Arc::new(calls::SERVED.iter().chain(calls::x86_64::SERVED).copied().collect());
    for _ in 0..WORKERS {
        let (supervisor, table) = (supervisor.clone(), table.clone());
        std::thread::Builder::new().name("serve".into()).spawn(move || work(&supervisor, &table))?;
    }
    Ok(())
}

fn work(supervisor: &Arc<Supervisor>, table: &Table) {
    // An error of the listener's own means that there is nobody left to serve.
    while let Ok(Some(call)) = supervisor.listener.receive() {
        serve(supervisor, table, &call);
    }
}

fn serve(supervisor: &Arc<Supervisor>, table: &Table, call: &Notification) {
    let listener = &supervisor.listener;
    let (number, arguments) = calls::x86_64::newer(call.number, call.arguments);
    let answer = match (table.get(&number), supervisor.tasks.get(call.task)) {
        (Some(handler), Some(task)) => handler(&Caller { supervisor, task: &task }, arguments),
        (None, _) => Err(Errno::NOSYS),
        // It was born past the tracer.
        (_, None) => Err(Errno::PERM),
    };
    // Whoever is gone in the meantime needs no answer.
    let _ = match answer {
        Ok(Answer::Value(value)) => listener.answer(call.id, value, 0),
        Ok(Answer::GoOn) => listener.go_on(call.id),
        Ok(Answer::Descriptor { fd, close_on_exec }) => {
            hand_over(supervisor, call.id, fd, close_on_exec);
            Ok(())
        }
        Ok(Answer::Fifo { fifo, flags, close_on_exec }) => {
            let (supervisor, id) = (supervisor.clone(), call.id);
            std::thread::spawn(move || {
                match calls::wait_for_fifo(&fifo, flags) {
                    Ok(fd) => hand_over(&supervisor, id, fd, close_on_exec),
                    Err(error) => drop(supervisor.listener.answer(id, 0, error.raw_os_error())),
                }
                supervisor.waiting.fetch_sub(1, Ordering::Relaxed);
            });
            Ok(())
        }
        Err(error) => listener.answer(call.id, 0, error.raw_os_error()),
    };
}

fn hand_over(supervisor: &Supervisor, id: u64, fd: OwnedFd, close_on_exec: bool) {
    if let Err(error) = supervisor.listener.answer_with(id, fd, close_on_exec) {
        // It has as many open as it may.
        let errno = error.raw_os_error().unwrap_or(Errno::MFILE.raw_os_error());
        let _ = supervisor.listener.answer(id, 0, errno);
    }
}
