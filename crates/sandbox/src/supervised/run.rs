//! A run: the helper sets everything up, becomes the supervisor, and stays until all is over.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use owners::{Log, Table};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use rustix::process::{
    DumpableBehavior, Resource, set_child_subreaper, set_dumpable_behavior, set_parent_process_death_signal,
};

use super::area::Kind;
use super::directories::Directories;
use super::elf::{self, PF_R, PF_X, PT_LOAD};
use super::furnish::{Furnished, Furnisher, STARTER, Scratch, open};
use super::journal::Journal;
use super::machine;
use super::supervisor::{Supervisor, identity, stat_of};
use super::tally::Tally;
use super::task::{Task, Tasks, lock};
use super::tracer::Tracer;
use super::{filter, serve};
use crate::failure::{During, Failure};
use crate::helper::aside::Aside;
use crate::helper::{Helper, program};
use crate::job::Report;
use crate::process::{Exit, Network, Process, User};
use crate::sys::landlock;
use crate::sys::notify::{self, Listener};

/// How long processes have between the signal of a cancel and SIGKILL.
const GRACE: Duration = Duration::from_secs(3);

/// Runs `process` in the root at `dir`, whose files belong to whom the table at `owners` says; reports how it ended.
/// What it may have changed is written to `log`.
pub(crate) fn run(
    helper: &Helper,
    process: &Process,
    dir: &Path,
    owners: &Path,
    log: &Path,
    traced: bool,
) -> Result<(), Failure> {
    let tally = if traced { Tally::counting() } else { Tally::default() };
    let table = Table::load(owners).map_err(std::io::Error::from).during("read the table of owners")?;
    // Links in the way would make the paths of descriptors others than ours.
    let dir = &dir.canonicalize().during(format_args!("find the root {}", dir.display()))?;
    let mut aside = Aside::new(dir)?;
    let scratch = Scratch::new(dir)?;
    let result = Furnisher::new(helper, &mut aside, &scratch, dir, table)
        .and_then(|furnisher| furnisher.furnish(&process.mounts))
        .and_then(|furnished| supervise(helper, process, furnished, &scratch, tally));
    // Whatever happened, the root is made what it was.
    if let Err(failure) = aside.restore() {
        helper.report(&Report::NotRestored(failure));
    }
    let (exit, mut table, journal) = result?;
    scratch.forget(&mut table);
    table.save(owners).during("write the table of owners")?;
    journal.save(log).during("write the log of the run")?;
    drop(scratch);
    helper.report(&Report::Exited(exit));
    Ok(())
}

/// Tries everything: a program of ours is run in a root of its own below `work_dir`.
pub(crate) fn rehearse(helper: &Helper, work_dir: &Path) -> Result<(), Failure> {
    let now = std::time::UNIX_EPOCH.elapsed().map_or(0, |now| now.as_nanos());
    let place = work_dir.join(format!(".rehearsal-{}-{now}", std::process::id()));
    fs::create_dir(&place).during(format_args!("make a directory in {}", work_dir.display()))?;
    let result = (|| {
        let found = rustix::fs::statvfs(&place).during("statvfs")?;
        if found.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC) {
            return Err(Failure::because("run a program from the work directory: it is mounted noexec"));
        }
        let inside = ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(CWD, &place, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), inside)
            .during("openat2")?;
        let dir = place.join("root");
        for name in ["", "dev", "proc", "sys"] {
            fs::create_dir(dir.join(name)).during("make a directory in the work directory")?;
        }
        let file = dir.join("program");
        fs::write(&file, smallest_program()).during("write to the work directory")?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755))
            .during("make a file in the work directory executable")?;
        let process = Process {
            argv: vec![OsString::from("/program")],
            env: Vec::new(),
            cwd: "/".into(),
            user: User { uid: 12_345, gid: 12_345, groups: vec![12_345] },
            hostname: String::new(),
            network: Network::Host,
            mounts: Vec::new(),
        };
        let dir = dir.canonicalize().during("find the work directory")?;
        let mut aside = Aside::new(&dir)?;
        let scratch = Scratch::new(&dir)?;
        let result = Furnisher::new(helper, &mut aside, &scratch, &dir, Table::new())
            .and_then(|furnisher| furnisher.furnish(&process.mounts))
            .and_then(|furnished| supervise(helper, &process, furnished, &scratch, Tally::default()));
        aside.restore()?;
        match result?.0 {
            Exit::Code(SMALLEST_EXIT) => Ok(()),
            other => Err(Failure::because(format!(
                "run a program from the work directory: it ended with {other:?}"
            ))),
        }
    })();
    // What cannot be removed is left in the work directory, which is removed as a whole.
    let _ = fs::remove_dir_all(&place);
    result
}

/// The exit code of the smallest program.
const SMALLEST_EXIT: i32 = 7;

/// A program that does nothing but exit. elf(5)
fn smallest_program() -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let code = machine::EXIT_7;
    let length = HEADERS + code.len() as u64;
    let headers = [[PT_LOAD, PF_R | PF_X, 0, BASE, length, length]];
    let mut bytes = elf::beginning(elf::FIXED, BASE + HEADERS, &headers);
    bytes.extend(code);
    bytes
}

/// Starts the process, serves it, and stays until it and all it left behind are gone.
fn supervise(
    helper: &Helper,
    process: &Process,
    furnished: Furnished,
    scratch: &Scratch,
    tally: Tally,
) -> Result<(Exit, Table, Log), Failure> {
    // The locks are held to the end.
    let Furnished { areas, table, in_use: _in_use, foreign_terminals } = furnished;
    set_child_subreaper(Some(rustix::process::Pid::INIT)).during("PR_SET_CHILD_SUBREAPER")?;
    let starter = open(&scratch.0.join(STARTER))?;
    let starter = identity(&stat_of(starter.as_fd()).during("look at the starter")?);
    let root = areas.fd(super::area::ROOT).try_clone_to_owned().during("copy a descriptor")?;
    let (ours, theirs) = UnixStream::pair().during("socketpair")?;
    let allowed: Vec<OwnedFd> = areas
        .iter()
        .filter(|area| area.kind == Kind::Tree)
        .map(|area| area.fd.try_clone())
        .chain([open(&scratch.0).map_err(|_| std::io::ErrorKind::NotFound.into())])
        .collect::<Result<_, _>>()
        .during("copy a descriptor")?;
    let us = rustix::process::getpid();
    let child = helper.fork(|| {
        // It has both ends of the socket, so that nothing else would tell it that we have failed and are gone.
        set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).during("PR_SET_PDEATHSIG")?;
        if rustix::process::getppid() != Some(us) {
            return Err(Failure::because("the supervisor is gone"));
        }
        confine(&root, &allowed)?;
        let listener =
            notify::install(&mut filter::filter()).during("install a seccomp filter with a listener")?;
        send(&theirs, &listener).during("hand over the listener")?;
        drop(listener);
        // Served from here on. The supervisor says when.
        (&theirs).read_exact(&mut [0]).during("wait for the supervisor")?;
        program::become_program(helper, process)
    })?;
    drop(theirs);
    crate::helper::namespaces::forget_outputs()?;
    rustix::process::umask(Mode::empty());
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let _ = rustix::process::setrlimit(
        Resource::Nofile,
        rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum },
    );
    let Some(listener) = receive(&ours).during("take over the listener")? else {
        // The child has reported what it failed with.
        return Err(wait_for_reason(child));
    };
    listener.wake_here();
    let child = child.as_raw_nonzero().get();
    let supervisor = Arc::new(Supervisor {
        listener,
        areas,
        directories: Directories::default(),
        tasks: Tasks::default(),
        owners: table.into(),
        journal: Journal::default(),
        gone: Mutex::default(),
        programs: scratch.0.join("programs"),
        starter,
        uid: rustix::process::geteuid().as_raw(),
        gid: rustix::process::getegid().as_raw(),
        waiting: AtomicUsize::new(0),
        foreign_terminals,
        tally,
    });
    supervisor.tasks.add(Task::new(child, root));
    let mut tracer = Tracer::seize(&supervisor, child).during("ptrace a child")?;
    serve::start(&supervisor).during("start a thread")?;
    listen(helper, &supervisor).during("start a thread")?;
    (&ours).write_all(&[0]).during("start the process")?;
    let exit = tracer.run().during("wait for the process")?;
    if let Some(calls) = supervisor.tally.take() {
        helper.report(&Report::Served(calls));
    }
    let mut table = std::mem::take(&mut *lock(&supervisor.owners));
    for file in lock(&supervisor.gone).drain() {
        table.forget(file);
    }
    let log = supervisor.journal.take().during("write down what the process changes")?;
    Ok((exit, table, log))
}

fn wait_for_reason(child: rustix::process::Pid) -> Failure {
    use rustix::process::{WaitOptions, waitpid};
    let _ = rustix::io::retry_on_intr(|| waitpid(Some(child), WaitOptions::empty()));
    Failure::because("the process could not be confined")
}

/// What the process gives up before its first call is served: every capability, and what is not in the areas.
fn confine(root: &OwnedFd, allowed: &[OwnedFd]) -> Result<(), Failure> {
    // As it inherits it from us, whom nobody may look into, nobody could serve it.
    set_dumpable_behavior(DumpableBehavior::Dumpable).during("PR_SET_DUMPABLE")?;
    rustix::process::fchdir(root).during("enter the root")?;
    rustix::thread::set_no_new_privs(true).during("PR_SET_NO_NEW_PRIVS")?;
    crate::helper::capabilities::give_up_all()?;
    let allowed: Vec<BorrowedFd<'_>> = allowed.iter().map(AsFd::as_fd).collect();
    // The second wall: kernels before 5.13, or without it, have only the first.
    let _ = landlock::restrict(&allowed);
    Ok(())
}

/// Listens to the program that started us: a signal goes to all, its end is everybody's.
fn listen(helper: &Helper, supervisor: &Arc<Supervisor>) -> std::io::Result<()> {
    let socket = helper.socket.try_clone()?;
    let supervisor = supervisor.clone();
    std::thread::Builder::new().name("listen".into()).spawn(move || {
        let signal_all = |signal| {
            for process in supervisor.tasks.processes() {
                let _ = kill(Pid::from_raw(process), signal);
            }
        };
        let mut byte = [0];
        while let Ok(1) = (&socket).read(&mut byte) {
            let Ok(signal) = Signal::try_from(i32::from(byte[0])) else { continue };
            signal_all(signal);
            let supervisor = supervisor.clone();
            std::thread::spawn(move || {
                std::thread::sleep(GRACE);
                for process in supervisor.tasks.processes() {
                    let _ = kill(Pid::from_raw(process), Signal::SIGKILL);
                }
            });
        }
        signal_all(Signal::SIGKILL);
    })?;
    Ok(())
}

fn send(socket: &UnixStream, listener: &Listener) -> std::io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = SendAncillaryBuffer::new(&mut space);
    let fds = [listener.as_fd()];
    message.push(SendAncillaryMessage::ScmRights(&fds));
    let byte = [u8::from(listener.is_interruptible)];
    rustix::net::sendmsg(socket, &[std::io::IoSlice::new(&byte)], &mut message, SendFlags::empty())?;
    Ok(())
}

/// The listener; nothing if the child has ended without one.
fn receive(socket: &UnixStream) -> std::io::Result<Option<Listener>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut message = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut into = [std::io::IoSliceMut::new(&mut byte)];
    rustix::net::recvmsg(socket, &mut into, &mut message, RecvFlags::CMSG_CLOEXEC)?;
    for received in message.drain() {
        if let RecvAncillaryMessage::ScmRights(mut fds) = received {
            return Ok(fds.next().map(|fd| Listener::new(fd, byte[0] != 0)));
        }
    }
    Ok(None)
}
