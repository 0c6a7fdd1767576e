//! Supervise: stay with a process until it and everything it left behind are gone.

use std::io::Read;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Helper;
use crate::failure::{During, Failure};
use crate::process::Exit;

/// How long processes have between the signal of a cancel and SIGKILL.
const GRACE: Duration = Duration::from_secs(3);

/// While processes are being killed, how often to look for those born in the meantime.
const RESCAN: Duration = Duration::from_millis(20);

/// Where to find the processes to signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// We are process 1 of a pid namespace: everybody else in it.
    PidNamespace,
    /// We are the reaper of our descendants: those, as `/proc` shows them.
    Descendants,
}

/// SIGCHLD as something to poll. Made before the first fork, so that no death is missed.
#[derive(Debug)]
pub(super) struct ChildSignal(SignalFd);

impl ChildSignal {
    pub(super) fn block() -> Result<Self, Failure> {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGCHLD);
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&mask), None).during("block SIGCHLD")?;
        let fd = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK);
        Ok(ChildSignal(fd.during("signalfd")?))
    }

    /// Takes the signals that are pending; one of them may stand for many deaths.
    fn clear(&self) {
        while let Ok(Some(_)) = self.0.read_signal() {}
    }
}

/// Waits for `main`, reaping everybody else meanwhile and passing signals on; then kills and reaps the rest.
pub(super) fn supervise(
    helper: &Helper,
    children: &ChildSignal,
    main: rustix::process::Pid,
    scope: Scope,
) -> Result<Exit, Failure> {
    let mut kill_at: Option<Instant> = None;
    let mut program_gone = false;
    let exit = loop {
        if let Some(exit) = reap(main) {
            break exit;
        }
        let timeout = kill_at.map(|at| at.saturating_duration_since(Instant::now()));
        let mut fds = vec![PollFd::from_borrowed_fd(children.0.as_fd(), PollFlags::IN)];
        if !program_gone {
            fds.push(PollFd::new(&helper.socket, PollFlags::IN));
        }
        wait(&mut fds, timeout)?;
        let spoken_to = fds.get(1).is_some_and(|fd| !fd.revents().is_empty());
        children.clear();
        if spoken_to {
            let mut signal = [0];
            match (&helper.socket).read(&mut signal) {
                Ok(1) => {
                    signal_all(scope, signal[0].into());
                    kill_at.get_or_insert_with(|| Instant::now() + GRACE);
                }
                _ => {
                    program_gone = true;
                    kill_at = Some(Instant::now());
                }
            }
        }
        if kill_at.is_some_and(|at| at <= Instant::now()) {
            signal_all(scope, nix::libc::SIGKILL);
            kill_at = Some(Instant::now() + RESCAN);
        }
    };
    bury(children, scope)?;
    Ok(exit)
}

/// Kills and reaps until there is no child left. Orphans become ours, so every descendant is a child in the end.
fn bury(children: &ChildSignal, scope: Scope) -> Result<(), Failure> {
    loop {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => break,
                Ok(_) | Err(nix::Error::EINTR) => {}
                Err(nix::Error::ECHILD) => return Ok(()),
                Err(error) => return Err(error).during("wait for leftover processes"),
            }
        }
        signal_all(scope, nix::libc::SIGKILL);
        wait(&mut [PollFd::from_borrowed_fd(children.0.as_fd(), PollFlags::IN)], Some(RESCAN))?;
        children.clear();
    }
}

/// Reaps whoever is dead; how `main` ended if it is among them.
fn reap(main: rustix::process::Pid) -> Option<Exit> {
    let main = Pid::from_raw(main.as_raw_nonzero().get());
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == main => return Some(Exit::Code(code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == main => {
                return Some(Exit::Signal(signal as i32));
            }
            Ok(WaitStatus::StillAlive) | Err(nix::Error::ECHILD) => return None,
            Ok(_) | Err(_) => {}
        }
    }
}

fn wait(fds: &mut [PollFd<'_>], timeout: Option<Duration>) -> Result<(), Failure> {
    let timeout = timeout.map(|timeout| Timespec {
        tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    match poll(fds, timeout.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error).during("poll"),
    }
}

/// Sends a signal to everybody in `scope`. Those who died meanwhile, or who are not ours to signal, are no error.
fn signal_all(scope: Scope, signal: i32) {
    let Ok(signal) = Signal::try_from(signal) else { return };
    match scope {
        Scope::PidNamespace => {
            let _ = kill(Pid::from_raw(-1), signal);
        }
        Scope::Descendants => {
            for pid in descendants() {
                let _ = kill(Pid::from_raw(pid), signal);
            }
        }
    }
}

/// The process ids of our descendants.
fn descendants() -> Vec<i32> {
    let mut parents: Vec<(i32, i32)> = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        if let Some(parent) = parent_of(&stat) {
            parents.push((pid, parent));
        }
    }
    let mut found = vec![i32::try_from(std::process::id()).unwrap_or_default()];
    let mut next = 0;
    while let Some(&ancestor) = found.get(next) {
        found.extend(parents.iter().filter(|&&(_, parent)| parent == ancestor).map(|&(pid, _)| pid));
        next += 1;
    }
    found.split_off(1)
}

/// The parent in a line of `/proc/PID/stat`: the second word after the name, which is in parentheses and may hold
/// anything. proc_pid_stat(5).
fn parent_of(stat: &str) -> Option<i32> {
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::parent_of;

    #[test]
    fn parents_are_read_whatever_the_name() {
        for (stat, parent) in [
            ("7 (sh) S 3 7 7 0 -1", Some(3)),
            ("7 (a) b) R 9 (x) S 4 1", Some(4)),
            ("7 (sh", None),
            ("", None),
        ] {
            assert_eq!(parent_of(stat), parent, "{stat}");
        }
    }
}
