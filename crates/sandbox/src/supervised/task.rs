//! Tasks: every thread of a RUN, with what the kernel would know of it if it held it.

use std::collections::HashMap;
use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::credentials::Credentials;
use super::done::Done;

/// A thread.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) id: i32,
    /// The process it belongs to.
    pub(super) process: i32,
    credentials: Mutex<Credentials>,
    place: Arc<Mutex<Place>>,
    /// The path in the tree of the program that it executes: what `/proc/self/exe` says.
    program: Arc<Mutex<Vec<u8>>>,
    /// The files that its starter is given, the next one last.
    to_load: Mutex<Vec<OwnedFd>>,
    /// The last call that was done for it. Locked while one is served, which is what the tracer waits for.
    pub(super) done: Mutex<Option<Done>>,
    /// The texts of the call that is served, by their addresses.
    pub(super) words: Mutex<Vec<(u64, CString)>>,
}

/// Where a process stands in the tree. Threads share it.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) directory: Arc<OwnedFd>,
    /// The directory is the root of the tree.
    pub(super) at_top: bool,
    /// The area that the directory is in, if nothing is mounted below it: then the kernel knows all that is there.
    pub(super) alone_in: Option<usize>,
    /// The root that it has given itself by chroot(2), as a path of the tree; and that directory.
    pub(super) root: Option<(Vec<u8>, Arc<OwnedFd>)>,
    pub(super) umask: u32,
}

impl Task {
    /// The first one.
    pub(super) fn new(id: i32, directory: OwnedFd) -> Self {
        let place =
            Place { directory: Arc::new(directory), at_top: true, alone_in: None, root: None, umask: 0o022 };
        Task {
            id,
            process: id,
            credentials: Mutex::new(Credentials::root()),
            place: Arc::new(Mutex::new(place)),
            program: Arc::default(),
            to_load: Mutex::default(),
            done: Mutex::default(),
            words: Mutex::default(),
        }
    }

    /// A new thread of this one's process.
    fn thread(&self, id: i32) -> Self {
        Task {
            id,
            process: self.process,
            credentials: Mutex::new(self.credentials()),
            place: self.place.clone(),
            program: self.program.clone(),
            to_load: Mutex::default(),
            done: Mutex::default(),
            words: Mutex::default(),
        }
    }

    /// A new process.
    fn child(&self, id: i32) -> Self {
        Task {
            id,
            process: id,
            credentials: Mutex::new(self.credentials()),
            place: Arc::new(Mutex::new(self.place())),
            program: Arc::new(Mutex::new(self.program())),
            to_load: Mutex::default(),
            done: Mutex::default(),
            words: Mutex::default(),
        }
    }

    /// A copy of its credentials.
    pub(super) fn credentials(&self) -> Credentials {
        lock(&self.credentials).clone()
    }

    /// Asks something of its credentials without copying them.
    pub(super) fn ask<T>(&self, question: impl FnOnce(&Credentials) -> T) -> T {
        question(&lock(&self.credentials))
    }

    /// Changes its credentials.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Credentials) -> T) -> T {
        change(&mut lock(&self.credentials))
    }

    pub(super) fn place(&self) -> Place {
        lock(&self.place).clone()
    }

    /// The directory it stands in and the area, if nothing is mounted below it and it has no root of its own.
    pub(super) fn stands_alone(&self) -> Option<(Arc<OwnedFd>, usize)> {
        let place = lock(&self.place);
        let area = place.alone_in.filter(|_| place.root.is_none())?;
        Some((place.directory.clone(), area))
    }

    /// Whether it has given itself a root of its own.
    pub(super) fn has_root(&self) -> bool {
        lock(&self.place).root.is_some()
    }

    pub(super) fn move_to(&self, change: impl FnOnce(&mut Place)) {
        change(&mut lock(&self.place));
    }

    /// The path of the program it executes.
    pub(super) fn program(&self) -> Vec<u8> {
        lock(&self.program).clone()
    }

    /// Gives its starter these files, in their order.
    pub(super) fn load(&self, files: Vec<OwnedFd>) {
        *lock(&self.to_load) = files.into_iter().rev().collect();
    }

    /// The file that its starter opens now, if it is still at work.
    pub(super) fn next_to_load(&self) -> Option<OwnedFd> {
        lock(&self.to_load).pop()
    }
}

/// All tasks.
#[derive(Debug, Default)]
pub(super) struct Tasks(Mutex<HashMap<i32, Arc<Task>>>);

impl Tasks {
    pub(super) fn add(&self, task: Task) {
        lock(&self.0).insert(task.id, Arc::new(task));
    }

    /// Adds what `parent` has given birth to.
    pub(super) fn born(&self, id: i32, parent: i32, is_thread: bool) {
        let mut tasks = lock(&self.0);
        if let Some(parent) = tasks.get(&parent) {
            let task = if is_thread { parent.thread(id) } else { parent.child(id) };
            tasks.insert(id, Arc::new(task));
        }
    }

    /// A process executes another program. The thread that asked for it is its only one now and has its number.
    pub(super) fn executed(
        &self,
        process: i32,
        by: i32,
        program: Vec<u8>,
        change: impl FnOnce(&mut Credentials),
    ) {
        let mut tasks = lock(&self.0);
        let Some(old) = tasks.remove(&by) else { return };
        let new = Task {
            id: process,
            process,
            credentials: Mutex::new(old.credentials()),
            place: Arc::new(Mutex::new(old.place())),
            program: Arc::new(Mutex::new(program)),
            to_load: Mutex::default(),
            done: Mutex::default(),
            words: Mutex::default(),
        };
        new.change(change);
        tasks.insert(process, Arc::new(new));
    }

    pub(super) fn gone(&self, id: i32) {
        lock(&self.0).remove(&id);
    }

    pub(super) fn get(&self, id: i32) -> Option<Arc<Task>> {
        lock(&self.0).get(&id).cloned()
    }

    /// The numbers of all processes.
    pub(super) fn processes(&self) -> Vec<i32> {
        let mut processes: Vec<i32> = lock(&self.0).values().map(|task| task.process).collect();
        processes.sort_unstable();
        processes.dedup();
        processes
    }
}

/// A panic elsewhere has ended the supervisor's work anyway.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
