//! The tracer: births and deaths, and the calls that only their caller can make. ptrace(2)

use std::collections::{HashMap, HashSet};
use std::ffi::CString;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::io::Errno;

use super::calls::{self, names::own_new};
use super::credentials::Grant;
use super::machine::Registers;
use super::memory::Memory;
use super::proc;
use super::program::{self, Program};
use super::resolve::{Last, Parent, WHICH};
use super::room::{Filling, PIECE, Room, Space};
use super::start::Start;
use super::supervisor::{Caller, Supervisor, stat_in};
use super::task::lock;
use crate::process::Exit;
use crate::sys::trace::{self, Event};

/// As many arguments as fit into what the kernel takes of a stack of 8 MiB.
const ARGUMENTS: usize = 256 * 1024;
/// The longest address of a socket in the tree. unix(7)
const SOCKET_PATH: usize = 108;
/// Of so many sockets it is remembered how they were named.
const NAMES: usize = 4096;

/// What a thread is in the middle of.
#[derive(Debug)]
struct Pending {
    /// The registers as it had them.
    before: Registers,
    doing: Doing,
}

#[derive(Debug)]
enum Doing {
    /// A call with changed arguments, which are in this room until it has returned.
    Changed(Room),
    /// An exec.
    Exec { path: Vec<u8>, grant: Grant, start: Box<Start>, _room: Room },
    /// A bind that makes a socket of this name.
    Bind { parent: Parent, named: Named, _room: Room },
    /// A question for a socket's name, which is this address; so much of it may be told.
    Name { address: Vec<u8>, room: u32 },
    /// Mapping so much memory, for the call that comes after it.
    Map(u64),
}

/// How a socket was named.
#[derive(Debug)]
struct Named {
    /// Which it is, as the magic link of its descriptor says.
    socket: Vec<u8>,
    /// The address in the words of who has named it. The kernel knows another.
    address: Vec<u8>,
}

/// The state of the one thread that traces.
#[derive(Debug)]
pub(super) struct Tracer<'a> {
    supervisor: &'a Supervisor,
    main: i32,
    pending: HashMap<i32, Pending>,
    /// The address space of each thread.
    spaces: HashMap<i32, Space>,
    /// Threads that have stopped for the first time before their parent told us of them.
    early: HashSet<i32>,
    /// The names of sockets, as they were given.
    names: HashMap<Vec<u8>, Vec<u8>>,
    exit: Option<Exit>,
}

impl<'a> Tracer<'a> {
    /// Traces `main`, a child of ours, and all that it will start. They die with us.
    pub(super) fn seize(supervisor: &'a Supervisor, main: i32) -> nix::Result<Self> {
        let options = Options::PTRACE_O_TRACESECCOMP
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_EXITKILL;
        ptrace::seize(Pid::from_raw(main), options)?;
        Ok(Tracer {
            supervisor,
            main,
            pending: HashMap::new(),
            spaces: HashMap::new(),
            early: HashSet::new(),
            names: HashMap::new(),
            exit: None,
        })
    }

    /// Stays until the main process and everything it left behind are gone.
    pub(super) fn run(&mut self) -> std::io::Result<Exit> {
        while let Some((task, event)) = trace::wait()? {
            match event {
                Event::Exited(code) => self.gone(task, Exit::Code(code)),
                Event::Killed { signal, dumped } => {
                    if dumped {
                        // The kernel knows every process to stand in the root, and wrote the file there.
                        let areas = &self.supervisor.areas;
                        self.supervisor.journal.all_in(areas, areas.fd(super::area::ROOT));
                    }
                    self.gone(task, Exit::Signal(signal));
                }
                Event::Stopped { signal, event } => self.stopped(task, signal, event),
            }
        }
        Ok(self.exit.unwrap_or(Exit::Signal(libc::SIGKILL)))
    }

    fn gone(&mut self, task: i32, exit: Exit) {
        self.supervisor.tasks.gone(task);
        self.pending.remove(&task);
        self.spaces.remove(&task);
        self.early.remove(&task);
        self.early.retain(|&child| !kill_orphan(child));
        if task == self.main && self.exit.is_none() {
            self.exit = Some(exit);
            for process in self.supervisor.tasks.processes().into_iter().chain(self.early.drain()) {
                let _ = kill(Pid::from_raw(process), Signal::SIGKILL);
            }
        }
    }

    /// A thread that died meanwhile is told of once more, so errors of requests do not matter.
    fn stopped(&mut self, task: i32, signal: i32, event: i32) {
        match event {
            libc::PTRACE_EVENT_SECCOMP => self.call(task),
            libc::PTRACE_EVENT_EXEC => self.executed(task),
            libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => {
                self.birth(task, event)
            }
            libc::PTRACE_EVENT_STOP => {
                if self.supervisor.tasks.get(task).is_none() {
                    if self.exit.is_some() {
                        let _ = kill(Pid::from_raw(task), Signal::SIGKILL);
                    } else if !kill_orphan(task) {
                        self.early.insert(task);
                    }
                } else if signal == libc::SIGTRAP {
                    go_on(task, 0);
                } else {
                    // Another thread of its process was told to stop, and the call that it waited for was interrupted too.
                    if let Ok(registers) = Registers::read(task)
                        && let Some(value) = self.unheard(task, &registers)
                    {
                        let _ = registers.answered(value).write(task);
                    }
                    let _ = trace::listen(task);
                }
            }
            0 if signal == libc::SIGTRAP | 0x80 => self.returned(task),
            0 => self.signal(task, signal),
            _ => go_on(task, 0),
        }
    }

    /// A thread is about to get a signal.
    fn signal(&mut self, task: i32, signal: i32) {
        if let Ok(mut registers) = Registers::read(task) {
            if signal == libc::SIGSYS && self.trapped(task, &registers) {
                return;
            }
            if let Some(value) = self.unheard(task, &registers) {
                let _ = registers.answered(value).write(task);
            } else if calls::is_served(registers.number()) && registers.restart() {
                let _ = registers.write(task);
            }
        }
        go_on(task, signal);
    }

    /// What the call was answered with that a signal has interrupted, if it was done. If it is being served, that is waited
    /// for; whoever is waited for does not wait for us.
    fn unheard(&self, task: i32, registers: &Registers) -> Option<u64> {
        let about = self.supervisor.tasks.get(task)?;
        let mut done = lock(&about.done);
        let value = done.as_ref()?.unheard(registers)?;
        *done = None;
        Some(value)
    }

    /// Serves a call that the filter has made a signal of. False if the signal is another's.
    fn trapped(&mut self, task: i32, registers: &Registers) -> bool {
        /// `SYS_SECCOMP` of sigaction(2).
        const BY_FILTER: i32 = 1;
        let by_filter = ptrace::getsiginfo(Pid::from_raw(task)).is_ok_and(|info| info.si_code == BY_FILTER);
        if !by_filter || registers.number() != libc::SYS_chroot {
            return false;
        }
        let Some(about) = self.supervisor.tasks.get(task) else { return false };
        let caller = Caller { supervisor: self.supervisor, task: &about };
        let begin = self.supervisor.tally.begin();
        let outcome = calls::chroot(&caller, registers.arguments());
        self.supervisor.tally.end(begin, registers.number(), outcome.as_ref().err().copied());
        let registers = match outcome {
            Ok(_) => registers.after(0),
            Err(error) => {
                let mut registers = *registers;
                registers.fail(error);
                registers
            }
        };
        let _ = registers.write(task);
        go_on(task, 0);
        true
    }

    fn birth(&mut self, parent: i32, event: i32) {
        if let Ok(child) = ptrace::getevent(Pid::from_raw(parent))
            && let Ok(child) = i32::try_from(child)
        {
            let is_thread = event == libc::PTRACE_EVENT_CLONE
                && std::fs::exists(format!("/proc/{parent}/task/{child}")).unwrap_or_default();
            self.supervisor.tasks.born(child, parent, is_thread);
            let shared = is_thread
                || event == libc::PTRACE_EVENT_VFORK
                || Registers::read(parent).is_ok_and(|registers| registers.shares_memory());
            if let Some(space) = self.spaces.get(&parent) {
                let space = if shared { space.clone() } else { space.forked() };
                self.spaces.insert(child, space);
            }
            if self.exit.is_some() {
                let _ = kill(Pid::from_raw(child), Signal::SIGKILL);
            }
            if self.early.remove(&child) {
                go_on(child, 0);
            }
        }
        go_on(parent, 0);
    }

    /// A thread is about to make a traced call.
    fn call(&mut self, task: i32) {
        let Ok(before) = Registers::read(task) else { return };
        let Some(about) = self.supervisor.tasks.get(task) else { return go_on(task, 0) };
        let caller = Caller { supervisor: self.supervisor, task: &about };
        let space = self.spaces.entry(task).or_default().clone();
        let mut registers = before;
        let begin = self.supervisor.tally.begin();
        let changed = match before.number() {
            libc::SYS_execve | libc::SYS_execveat => execute(&caller, &space, &mut registers),
            libc::SYS_bind | libc::SYS_connect => address(&caller, &space, &mut registers),
            libc::SYS_inotify_add_watch => watch(&caller, &space, &mut registers),
            libc::SYS_getsockname => Ok(self.name(&caller, &registers)),
            _ => Ok(None),
        };
        // It is made once more with room.
        if !matches!(changed, Ok(Some(Doing::Map(_)))) {
            self.supervisor.tally.end(begin, before.number(), changed.as_ref().err().copied());
        }
        match changed {
            Ok(None) => go_on(task, 0),
            Ok(Some(doing)) => {
                if let Doing::Map(length) = doing {
                    registers = before;
                    registers.map(length);
                }
                if registers.write(task).is_ok() {
                    self.pending.insert(task, Pending { before, doing });
                    let _ = trace::go_on(task, 0, true);
                }
            }
            Err(error) => {
                registers = before;
                registers.fail(error);
                let _ = registers.write(task);
                go_on(task, 0);
            }
        }
    }

    /// A call with changed arguments has returned: the thread finds its registers as it left them.
    fn returned(&mut self, task: i32) {
        if let (Some(Pending { before, doing }), Ok(now)) =
            (self.pending.remove(&task), Registers::read(task))
        {
            let result = now.result();
            if now.is_to_be_made_again() {
                // By the kernel, as the signal's handler asks for; then it is changed once more.
                let _ = before.interrupted(&now).write(task);
                return go_on(task, 0);
            }
            let registers = match doing {
                // An error is a number right below 0.
                Doing::Map(_) if result > u64::MAX - 4096 => before.after(result),
                Doing::Map(length) => {
                    self.spaces.entry(task).or_default().add(result, length);
                    before.again()
                }
                Doing::Bind { parent, named, .. } => {
                    if result == 0 {
                        self.bound(task, &parent, named);
                    }
                    before.after(result)
                }
                Doing::Name { address, room } => {
                    let told =
                        if result == 0 { self.tell_name(task, &before, &address, room) } else { Ok(()) };
                    match told {
                        Ok(()) => before.after(result),
                        Err(error) => before.after(i64::from(-error.raw_os_error()).cast_unsigned()),
                    }
                }
                Doing::Changed(_) | Doing::Exec { .. } => before.after(result),
            };
            let _ = registers.write(task);
        }
        go_on(task, 0);
    }

    /// What is to be told of a socket's name instead of what the kernel tells.
    fn name(&self, caller: &Caller<'_>, registers: &Registers) -> Option<Doing> {
        let [socket, _, length, ..] = registers.arguments();
        if self.names.is_empty() {
            return None;
        }
        let socket = proc::link_of_descriptor(caller.task.id, socket as i32).ok()?;
        let address = self.names.get(&socket)?.clone();
        let room = caller.memory().read_value(length).ok()?;
        Some(Doing::Name { address, room })
    }

    /// Writes over the name that the kernel has told. getsockname(2)
    fn tell_name(&self, task: i32, before: &Registers, address: &[u8], room: u32) -> Result<(), Errno> {
        let about = self.supervisor.tasks.get(task).ok_or(Errno::SRCH)?;
        let memory = Caller { supervisor: self.supervisor, task: &about }.memory();
        let [_, to, length, ..] = before.arguments();
        let fits = address.len().min(room as usize);
        memory.write(to, &address[..fits])?;
        memory.write(length, &(address.len() as u32).to_ne_bytes())
    }

    /// A socket has got a name, and is the caller's.
    fn bound(&mut self, task: i32, parent: &Parent, named: Named) {
        if self.names.len() >= NAMES {
            self.names.clear();
        }
        self.names.insert(named.socket, named.address);
        let Some(about) = self.supervisor.tasks.get(task) else { return };
        let caller = Caller { supervisor: self.supervisor, task: &about };
        // Another may have removed it since.
        if let Ok(socket) = stat_in(&parent.directory, &parent.name) {
            own_new(&caller, &parent.stat, &socket, socket.st_mode, 0);
        }
    }

    fn executed(&mut self, process: i32) {
        let by = ptrace::getevent(Pid::from_raw(process)).ok().and_then(|by| i32::try_from(by).ok());
        let by = by.unwrap_or(process);
        let pending = self.pending.remove(&by);
        self.pending.remove(&process);
        self.spaces.remove(&by);
        let Ok(registers) = Registers::read(process) else { return };
        self.spaces.insert(process, Space::new(registers.stack()));
        if let Some(Pending { doing: Doing::Exec { path, grant, start, .. }, .. }) = pending {
            let tasks = &self.supervisor.tasks;
            // Another thread may have written over the name meanwhile.
            let is_starter = std::fs::metadata(format!("/proc/{process}/exe"))
                .is_ok_and(|found| (found.dev(), found.ino()) == self.supervisor.starter);
            if !is_starter {
                let _ = kill(Pid::from_raw(process), Signal::SIGKILL);
                return go_on(process, 0);
            }
            tasks.executed(process, by, path, |who| who.execute(&grant));
            let told = tasks.get(process).ok_or(Errno::SRCH).and_then(|task| {
                start.tell(Memory(process), registers.stack(), &task.credentials())?;
                task.load(start.into_files());
                Ok(())
            });
            if told.is_err() {
                // There is nothing to go back to. execve(2)
                let _ = kill(Pid::from_raw(process), Signal::SIGKILL);
            }
        }
        go_on(process, 0);
    }
}

/// Kills a process whose parent was killed before it told us of the birth: nobody will, and who it is is not known. True
/// if it was one.
fn kill_orphan(child: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")?.trim().parse().ok());
    // The orphans of a RUN become ours.
    let is_orphan = parent == Some(std::process::id());
    if is_orphan {
        let _ = kill(Pid::from_raw(child), Signal::SIGKILL);
    }
    is_orphan
}

fn go_on(task: i32, signal: i32) {
    let _ = trace::go_on(task, signal, false);
}

/// Makes an exec one of the file that it means.
fn execute(caller: &Caller<'_>, space: &Space, registers: &mut Registers) -> Result<Option<Doing>, Errno> {
    let arguments = registers.arguments();
    let memory = caller.memory();
    let (at, path, argv, env, flags) = if registers.number() == libc::SYS_execveat {
        (arguments[0] as i32, arguments[1], arguments[2], arguments[3], arguments[4])
    } else {
        (libc::AT_FDCWD, arguments[0], arguments[1], arguments[2], 0)
    };
    let path = memory.read_path(path)?;
    let by_descriptor = path.is_empty() && flags & libc::AT_EMPTY_PATH as u64 != 0;
    let program = program::find(caller, at, path.to_bytes(), Last::from_flags(flags), by_descriptor)?;
    let Program { file, arguments: new, path, grant, start } = program;
    let old = if new.is_empty() { Vec::new() } else { memory.read_pointers(argv, ARGUMENTS)? };

    let texts: usize = new.iter().map(|text| text.to_bytes_with_nul().len()).sum();
    let size = (file.to_bytes_with_nul().len() + texts + 8 * (old.len() + new.len() + 1)) as u64
        + PIECE * (new.len() as u64 + 4);
    let room = match space.room(registers, size) {
        Ok(room) => room,
        Err(length) => return Ok(Some(Doing::Map(length))),
    };
    let mut below = Filling::new(&room);
    let file = below.push(file.to_bytes_with_nul());
    let argv = if new.is_empty() {
        argv
    } else {
        let mut pointers: Vec<u64> = new.iter().map(|text| below.push(text.to_bytes_with_nul())).collect();
        pointers.extend(old.get(1..).unwrap_or_default());
        pointers.push(0);
        let bytes: Vec<u8> = pointers.iter().flat_map(|pointer| pointer.to_le_bytes()).collect();
        below.push(&bytes)
    };
    below.write(caller)?;
    registers.set_number(libc::SYS_execve);
    registers.set_arguments([file, argv, env, 0, 0, 0]);
    Ok(Some(Doing::Exec { path, grant, start: Box::new(start), _room: room }))
}

/// Gives a socket's address the path that the kernel knows it by. It stands in the root, so that the path from there is
/// shorter than the caller's own, if it has no links.
fn address(caller: &Caller<'_>, space: &Space, registers: &mut Registers) -> Result<Option<Doing>, Errno> {
    let mut arguments = registers.arguments();
    let length = usize::try_from(arguments[2]).unwrap_or(usize::MAX);
    let memory = caller.memory();
    let mut address = [0; 2 + SOCKET_PATH];
    let length = length.min(address.len());
    memory.read(arguments[1], &mut address[..length])?;
    let family = i32::from(u16::from_le_bytes([address[0], address[1]]));
    // Not a path: abstract, or without a name.
    if family != libc::AF_UNIX || length <= 2 || address[2] == 0 {
        return Ok(None);
    }
    let Ok(socket) = proc::link_of_descriptor(caller.task.id, arguments[0] as i32) else {
        // The kernel says what is wrong with it.
        return Ok(None);
    };
    let path = address[2..length].split(|&byte| byte == 0).next().unwrap_or_default();
    let areas = &caller.supervisor.areas;
    let mut new = None;
    let host = if registers.number() == libc::SYS_bind {
        let parent = match caller.parent(libc::AT_FDCWD, path) {
            Err(Errno::BUSY | Errno::EXIST | Errno::INVAL) => return Err(Errno::ADDRINUSE),
            result => result?,
        };
        areas.may_change(parent.area)?;
        let seen = caller.supervisor.seen(parent.stat);
        let who = caller.task.credentials();
        super::access::check(&who, &seen, super::access::WRITE | super::access::EXECUTE)?;
        caller.supervisor.journal.name(areas, &parent);
        let mut host = proc::link_of(parent.directory.as_fd())?;
        host.push(b'/');
        host.extend(parent.name.to_bytes());
        new = Some(parent);
        host
    } else {
        let object = caller.object(libc::AT_FDCWD, path, Last::Follow, WHICH)?;
        let seen = caller.supervisor.seen(object.stat);
        super::access::check(&caller.task.credentials(), &seen, super::access::WRITE)?;
        proc::link_of(object.fd.as_fd())?
    };
    let root = &areas.get(super::area::ROOT).host;
    let short = match host.strip_prefix(&root[..]) {
        Some([b'/', rest @ ..]) => rest,
        _ => &host,
    };
    if short.len() >= SOCKET_PATH {
        return Err(Errno::NAMETOOLONG);
    }
    let mut bytes = address[..2].to_vec();
    bytes.extend(short);
    bytes.push(0);
    arguments[2] = bytes.len() as u64;
    Ok(match (point(caller, space, registers, arguments, &bytes)?, new) {
        (Some(Doing::Changed(room)), Some(parent)) => {
            // With its NUL, as unix(7) returns it.
            let named = Named { socket, address: [&address[..2], path, b"\0"].concat() };
            Some(Doing::Bind { parent, named, _room: room })
        }
        (doing, _) => doing,
    })
}

/// Gives inotify the path that the kernel knows.
fn watch(caller: &Caller<'_>, space: &Space, registers: &mut Registers) -> Result<Option<Doing>, Errno> {
    const DONT_FOLLOW: u64 = libc::IN_DONT_FOLLOW as u64;
    let arguments = registers.arguments();
    let path = caller.memory().read_path(arguments[1])?;
    let last = if arguments[2] & DONT_FOLLOW == 0 { Last::Follow } else { Last::Stay };
    let object = caller.object(libc::AT_FDCWD, path.to_bytes(), last, WHICH)?;
    let host = CString::new(proc::link_of(object.fd.as_fd())?).map_err(|_| Errno::NOENT)?;
    point(caller, space, registers, arguments, host.to_bytes_with_nul())
}

/// Makes the second argument of a call point to these bytes.
fn point(
    caller: &Caller<'_>,
    space: &Space,
    registers: &mut Registers,
    mut arguments: [u64; 6],
    bytes: &[u8],
) -> Result<Option<Doing>, Errno> {
    let room = match space.room(registers, bytes.len() as u64 + 2 * PIECE) {
        Ok(room) => room,
        Err(length) => return Ok(Some(Doing::Map(length))),
    };
    let mut below = Filling::new(&room);
    arguments[1] = below.push(bytes);
    below.write(caller)?;
    registers.set_arguments(arguments);
    Ok(Some(Doing::Changed(room)))
}
