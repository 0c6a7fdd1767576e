//! For the fuzzer alone: the supervisor without a process, so that what it reads of calls and of memory can be anything.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use nix::libc;
use owners::Table;

use super::area::{Area, Areas, Kind};
use super::calls;
use super::directories::Directories;
use super::journal::Journal;
use super::machine;
use super::proc;
use super::program;
use super::resolve::Last;
use super::serve::Answer;
use super::supervisor::{Caller, Supervisor};
use super::tally::Tally;
use super::task::{Task, Tasks, lock};
use crate::sys::notify::Listener;

/// A tree and a task in it, whose memory is that of the fuzzer itself.
#[derive(Debug)]
pub struct World {
    supervisor: Supervisor,
    task: i32,
}

impl World {
    /// A world whose root is this directory, with the machine's `/proc` in it.
    pub fn new(root: &Path, scratch: PathBuf) -> std::io::Result<Self> {
        let open = |path: &Path| -> std::io::Result<OwnedFd> {
            super::furnish::open(path).map_err(std::io::Error::other)
        };
        let area = |target: &str, path: &Path, kind| -> std::io::Result<Area> {
            let fd = open(path)?;
            let host = proc::link_of(std::os::fd::AsFd::as_fd(&fd))?;
            Ok(Area { target: target.into(), fd, host, kind, read_only: false, covers: None })
        };
        let mut areas = Areas::new(area("", root, Kind::Tree)?);
        areas.mount(area("/proc", Path::new("/proc"), Kind::Processes)?);
        let task = rustix::thread::gettid().as_raw_nonzero().get();
        let supervisor = Supervisor {
            listener: Listener::new(open(Path::new("/dev/null"))?, false),
            areas,
            directories: Directories::default(),
            tasks: Tasks::default(),
            owners: Mutex::new(Table::new()),
            journal: Journal::default(),
            gone: Mutex::default(),
            programs: scratch,
            starter: (0, 0),
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            waiting: AtomicUsize::new(0),
            foreign_terminals: std::collections::HashSet::new(),
            tally: Tally::default(),
        };
        supervisor.tasks.add(Task::new(task, open(root)?));
        Ok(World { supervisor, task })
    }

    /// Serves one of the calls, whichever the number comes to; what it was answered with, or the number of an error. Then
    /// all is as if it were to be executed, too.
    pub fn call(&self, which: usize, arguments: [u64; 6]) -> Result<i64, i32> {
        let all = calls::SERVED.len() + machine::OLDER.len();
        let number = match which % (all + 1) {
            index if index < calls::SERVED.len() => calls::SERVED[index].1,
            index if index < all => machine::OLDER[index - calls::SERVED.len()],
            _ => libc::SYS_execve,
        };
        let (number, arguments) = machine::newer(number, arguments);
        let task = self.supervisor.tasks.get(self.task).ok_or(libc::ESRCH)?;
        let caller = Caller { supervisor: &self.supervisor, task: &task };
        if number == libc::SYS_execve {
            let path = caller.memory().read_path(arguments[0]).map_err(|error| error.raw_os_error())?;
            let found = program::find(&caller, libc::AT_FDCWD, path.to_bytes(), Last::Follow, false);
            return found.map(|_| 0).map_err(|error| error.raw_os_error());
        }
        let served = calls::SERVED.iter().chain(machine::SERVED).find(|(_, served, _)| *served == number);
        let (_, _, handler) = served.ok_or(libc::ENOSYS)?;
        match handler(&caller, arguments) {
            Ok(Answer::Value(value)) => Ok(value),
            Ok(Answer::GoOn | Answer::Fifo { .. }) => Ok(0),
            Ok(Answer::Descriptor { fd, .. }) => {
                // What is opened lies in the tree, or is the machine's in /proc or for all.
                let path = proc::link_of(std::os::fd::AsFd::as_fd(&fd)).unwrap_or_default();
                let is_shared =
                    path.starts_with(b"/proc/") || path.starts_with(b"/dev/") || !path.starts_with(b"/");
                let seen = self.supervisor.areas.seen(&path).is_some() || path.ends_with(b" (deleted)");
                assert!(is_shared || seen, "{}", String::from_utf8_lossy(&path));
                Ok(0)
            }
            Err(error) => Err(error.raw_os_error()),
        }
    }

    /// What was written down in the journal can be written to a file and read again.
    pub fn journal(&self, file: &Path) {
        let log = self.supervisor.journal.take().unwrap_or_default();
        assert!(log.save(file).is_err() || owners::Log::load(file).is_ok_and(|read| read == log), "the log");
        drop(lock(&self.supervisor.owners));
    }
}
