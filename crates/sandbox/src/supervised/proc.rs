//! `/proc` as a RUN sees it: the machine's own, less what belongs to other processes, with its links translated.
//!
//! Here magic links are never followed by the kernel, but for a descriptor of the RUN's own. proc(5).

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::area::{Kind, ROOT};
use super::credentials::capability;
use super::resolve::{Last, Object, Origin};
use super::supervisor::{Caller, Supervisor, stat_of};
use super::task::Task;

/// What Docker hides of `/proc`, since it tells of the machine: files appear empty, directories are not there.
const HIDDEN: [&str; 11] = [
    "acpi",
    "asound",
    "interrupts",
    "kcore",
    "keys",
    "kmsg",
    "latency_stats",
    "sched_debug",
    "scsi",
    "timer_list",
    "timer_stats",
];

/// Something in `/proc`.
#[derive(Debug)]
pub(super) enum InProc {
    /// A file or directory of the machine's own `/proc`, by its path; and the task it is about.
    File(Vec<u8>, Option<Arc<Task>>),
    /// A link that was not followed: its path, and what it says.
    Link(Vec<u8>, Vec<u8>, Option<Arc<Task>>),
    /// The file behind a descriptor of a task: the path of the magic link.
    Descriptor(Vec<u8>),
    /// A file that is written for the occasion: the path of the true one, and the text.
    Text(Vec<u8>, Vec<u8>, Option<Arc<Task>>),
    /// On with this path, which is absolute in the tree.
    Elsewhere(Vec<u8>),
}

impl InProc {
    /// Opens it.
    pub(super) fn open(self, caller: &Caller<'_>, flags: OFlags) -> Result<Object, Errno> {
        let owner =
            |task: Option<Arc<Task>>| task.map(|task| task.ask(|who| (who.uid.effective, who.gid.effective)));
        let (fd, origin) = match self {
            InProc::File(path, task) => {
                may_look(caller, task.as_deref(), &path)?;
                (open_here(&path, flags)?, Origin::Proc(owner(task)))
            }
            InProc::Link(path, _, task) => {
                (open_here(&path, flags | OFlags::NOFOLLOW)?, Origin::Proc(owner(task)))
            }
            InProc::Descriptor(path) => (open_here(&path, flags - OFlags::NOFOLLOW)?, Origin::Descriptor),
            InProc::Text(path, text, task) => {
                if flags.intersects(OFlags::WRONLY | OFlags::RDWR | OFlags::TRUNC) {
                    return Err(Errno::ACCESS);
                }
                let fd =
                    if flags.contains(OFlags::PATH) { open_here(&path, flags)? } else { file_of(&text)? };
                (fd, Origin::Written(owner(task)))
            }
            InProc::Elsewhere(_) => return Err(Errno::LOOP),
        };
        let stat = stat_of(fd.as_fd())?;
        let area = match origin {
            Origin::Descriptor => {
                link_of(fd.as_fd()).ok().and_then(|link| caller.supervisor.areas.seen(&link))
            }
            _ => None,
        };
        Ok(Object { fd, stat, area: area.map_or(ROOT, |(area, _)| area), origin })
    }
}

/// Files about a process that only its own user may look at, or who is above that: as ptrace(2) has it.
fn may_look(caller: &Caller<'_>, task: Option<&Task>, path: &[u8]) -> Result<(), Errno> {
    const PRIVATE: [&[u8]; 9] =
        [b"environ", b"mem", b"auxv", b"maps", b"pagemap", b"syscall", b"stack", b"fd", b"fdinfo"];
    let Some(task) = task else { return Ok(()) };
    let private = path.split(|&byte| byte == b'/').any(|name| PRIVATE.contains(&name));
    if !private || task.process == caller.task.process {
        return Ok(());
    }
    let theirs = task.ask(|who| who.uid);
    let may = caller.task.ask(|who| {
        let id = who.uid.file;
        [theirs.real, theirs.effective, theirs.saved].iter().all(|&their| their == id)
            || who.can(capability::KILL)
    });
    if may { Ok(()) } else { Err(Errno::ACCESS) }
}

/// Looks something up by the names of its path below `/proc`.
pub(super) fn look_up(
    caller: &Caller<'_>,
    names: &[Vec<u8>],
    last: Last,
    slash: bool,
) -> Result<InProc, Errno> {
    let supervisor = caller.supervisor;
    // Goes up by itself, since the kernel would go up to its own /proc.
    let mut path: Vec<&[u8]> = Vec::new();
    for (index, name) in names.iter().enumerate() {
        if name == b".." {
            if path.pop().is_none() {
                return Ok(InProc::Elsewhere([b"/", &names[index + 1..].join(&b'/')[..]].concat()));
            }
            continue;
        }
        path.push(name);
        let rest = &names[index + 1..];
        let stays = rest.is_empty() && last == Last::Stay && !slash;
        let on = |text: Vec<u8>| {
            let mut text = text;
            for name in rest {
                text.push(b'/');
                text.extend(name);
            }
            Ok(InProc::Elsewhere(text))
        };
        let link = |text: Vec<u8>, of: Option<Arc<Task>>| Ok(InProc::Link(host_path(&path), text, of));
        match path[..] {
            [b"self"] => {
                let text = caller.task.process.to_string().into_bytes();
                return if stays { link(text, None) } else { on([b"/proc/", &text[..]].concat()) };
            }
            [b"thread-self"] => {
                let text = format!("{}/task/{}", caller.task.process, caller.task.id).into_bytes();
                return if stays { link(text, None) } else { on([b"/proc/", &text[..]].concat()) };
            }
            [b"mounts"] => {
                return if stays {
                    link(b"self/mounts".to_vec(), None)
                } else {
                    on(b"/proc/self/mounts".to_vec())
                };
            }
            [first] if HIDDEN.iter().any(|hidden| hidden.as_bytes() == first) => {
                let directory = matches!(first, b"acpi" | b"asound" | b"scsi");
                return if directory || !rest.is_empty() {
                    Err(Errno::NOENT)
                } else {
                    Ok(InProc::Text(host_path(&path), Vec::new(), None))
                };
            }
            [first, ..] if is_number(first) => {
                let Some(about) = about(supervisor, &path)? else { continue };
                let inner = inner(&path);
                match inner {
                    [b"cwd" | b"root" | b"exe"] => {
                        may_look(caller, Some(&about), b"fd")?;
                        let text = caller.inside(link_of_task(supervisor, &about, inner[0])?);
                        return if stays { link(text, Some(about)) } else { on(text) };
                    }
                    [b"fd", _] => {
                        may_look(caller, Some(&about), b"fd")?;
                        let host = host_path(&path);
                        let text = readlink(&host)?;
                        let seen =
                            supervisor.areas.seen(&text).map(|(area, seen)| (area, caller.inside(seen)));
                        if stays {
                            return link(seen.map_or(text, |(_, seen)| seen), Some(about));
                        }
                        if rest.is_empty() && !slash {
                            // A file of the machine that is in no area could only have been reached by a race.
                            if text.first() == Some(&b'/') && seen.is_none() && !is_shared(&text) {
                                return Err(Errno::ACCESS);
                            }
                            return Ok(InProc::Descriptor(host));
                        }
                        return match seen {
                            Some((_, text)) => on(text),
                            None => Err(Errno::NOTDIR),
                        };
                    }
                    [b"map_files", ..] => return Err(Errno::NOENT),
                    [name] if rest.is_empty() => {
                        if let Some(text) = text(caller, &about, name, &path)? {
                            return Ok(InProc::Text(host_path(&path), text, Some(about)));
                        }
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
    let about = match path.first() {
        Some(first) if is_number(first) => about(supervisor, &path)?,
        _ => None,
    };
    Ok(InProc::File(host_path(&path), about))
}

/// What is not in the tree and yet everybody's: the devices and deleted files that descriptors lead to.
fn is_shared(host: &[u8]) -> bool {
    host.starts_with(b"/dev/") || host.ends_with(b" (deleted)") || host.starts_with(b"/memfd:")
}

/// The task that a path below `/proc` is about; an error for one that is not of this RUN.
fn about(supervisor: &Supervisor, path: &[&[u8]]) -> Result<Option<Arc<Task>>, Errno> {
    let number = match path {
        [_, b"task", thread, ..] => thread,
        [process, ..] => process,
        [] => return Ok(None),
    };
    let number = std::str::from_utf8(number).ok().and_then(|text| text.parse().ok()).ok_or(Errno::NOENT)?;
    let first = std::str::from_utf8(path[0]).ok().and_then(|text| text.parse().ok()).ok_or(Errno::NOENT)?;
    // Both of them: a path must not begin with a process that is none of ours.
    supervisor.tasks.get(first).ok_or(Errno::NOENT)?;
    supervisor.tasks.get(number).map(Some).ok_or(Errno::NOENT)
}

/// The path below the directory of a task.
fn inner<'a, 'b>(path: &'b [&'a [u8]]) -> &'b [&'a [u8]] {
    match path {
        [_, b"task", _, inner @ ..] => inner,
        [_, inner @ ..] => inner,
        [] => &[],
    }
}

fn link_of_task(supervisor: &Supervisor, task: &Task, name: &[u8]) -> Result<Vec<u8>, Errno> {
    let place = task.place();
    match name {
        b"cwd" => {
            let link = link_of(place.directory.as_fd())?;
            Ok(supervisor.areas.seen(&link).map_or(link, |(_, path)| path))
        }
        b"root" => Ok(place.root.map_or_else(|| b"/".to_vec(), |(path, _)| path)),
        _ => {
            let program = task.program();
            if program.is_empty() { Err(Errno::NOENT) } else { Ok(program) }
        }
    }
}

/// What is written for the occasion: where the machine's file would tell of the machine, or of the user that we are.
fn text(caller: &Caller<'_>, about: &Task, name: &[u8], path: &[&[u8]]) -> Result<Option<Vec<u8>>, Errno> {
    let areas = &caller.supervisor.areas;
    let read = || {
        may_look(caller, Some(about), name)?;
        std::fs::read(std::ffi::OsString::from_vec(host_path(path)))
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    };
    use std::os::unix::ffi::OsStringExt as _;
    Ok(Some(match name {
        b"status" => status(&read()?, about),
        b"maps" | b"smaps" | b"numa_maps" => {
            let mut text = read()?;
            for area in areas.iter().filter(|area| area.kind == Kind::Tree) {
                text = replace(&text, &area.host, &area.target);
            }
            text
        }
        b"mounts" => {
            mounts(areas.iter().map(|area| (area.target.as_slice(), area.kind, area.read_only)), false)
        }
        b"mountinfo" => {
            mounts(areas.iter().map(|area| (area.target.as_slice(), area.kind, area.read_only)), true)
        }
        b"mountstats" => Vec::new(),
        b"uid_map" | b"gid_map" => b"         0          0 4294967295\n".to_vec(),
        _ => return Ok(None),
    }))
}

/// `/proc/PID/status` with the ids and capabilities that a task is said to have.
fn status(true_status: &[u8], task: &Task) -> Vec<u8> {
    let who = task.credentials();
    let ids = |ids: super::credentials::Ids| {
        format!("{}\t{}\t{}\t{}", ids.real, ids.effective, ids.saved, ids.file)
    };
    let groups: String = who.groups.iter().map(|group| format!("{group} ")).collect();
    let set = |set: u64| format!("{set:016x}");
    let said = [
        ("Uid:", ids(who.uid)),
        ("Gid:", ids(who.gid)),
        ("Groups:", groups),
        ("CapInh:", set(who.inheritable)),
        ("CapPrm:", set(who.permitted)),
        ("CapEff:", set(who.effective)),
        ("CapBnd:", set(who.bounding)),
        ("CapAmb:", set(who.ambient)),
        ("NoNewPrivs:", u32::from(who.no_new_privileges).to_string()),
        ("TracerPid:", "0".to_owned()),
    ];
    let place = task.place();
    let mut text = Vec::with_capacity(true_status.len());
    for line in true_status.split_inclusive(|&byte| byte == b'\n') {
        if line.starts_with(b"Umask:") {
            text.extend(format!("Umask:\t{:04o}\n", place.umask).into_bytes());
            continue;
        }
        match said.iter().find(|(name, _)| line.starts_with(name.as_bytes())) {
            Some((name, value)) => text.extend(format!("{name}\t{value}\n").into_bytes()),
            None => text.extend(line),
        }
    }
    text
}

/// `/proc/PID/mounts` or `/proc/PID/mountinfo`.
fn mounts<'a>(areas: impl Iterator<Item = (&'a [u8], Kind, bool)>, info: bool) -> Vec<u8> {
    let mut text = Vec::new();
    for (index, (target, kind, read_only)) in areas.enumerate() {
        let target = if target.is_empty() { &b"/"[..] } else { target };
        let target = String::from_utf8_lossy(target).replace(' ', "\\040");
        let (source, filesystem) = match kind {
            Kind::Tree if index == ROOT => ("overlay", "overlay"),
            Kind::Tree => ("tmpfs", "tmpfs"),
            Kind::Machine => ("sysfs", "sysfs"),
            Kind::Processes => ("proc", "proc"),
        };
        let mode = if read_only { "ro" } else { "rw" };
        let line = if info {
            let parent = usize::from(index != ROOT);
            format!(
                "{} {parent} 0:{} / {target} {mode},relatime - {filesystem} {source} {mode}\n",
                index + 1,
                index + 20
            )
        } else {
            format!("{source} {target} {filesystem} {mode},relatime 0 0\n")
        };
        text.extend(line.into_bytes());
    }
    text
}

fn replace(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(from.len().max(1)).position(|window| window == from) {
        result.extend(&rest[..at]);
        result.extend(to);
        rest = &rest[at + from.len()..];
    }
    result.extend(rest);
    result
}

/// A file with this text, to be read.
fn file_of(text: &[u8]) -> Result<OwnedFd, Errno> {
    use std::io::Write;
    let mut file = std::fs::File::from(rustix::fs::memfd_create(c"proc", rustix::fs::MemfdFlags::CLOEXEC)?);
    file.write_all(text).map_err(|_| Errno::NOSPC)?;
    super::resolve::reopen(file.as_fd(), OFlags::RDONLY | OFlags::CLOEXEC)
}

fn is_number(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(u8::is_ascii_digit)
}

/// A path below the machine's `/proc`.
fn host_path(names: &[&[u8]]) -> Vec<u8> {
    let mut path = b"/proc".to_vec();
    for name in names {
        path.push(b'/');
        path.extend(*name);
    }
    path
}

fn open_here(path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(CWD, path, flags | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())
}

fn readlink(path: &[u8]) -> Result<Vec<u8>, Errno> {
    Ok(rustix::fs::readlinkat(CWD, path, Vec::with_capacity(256))?.into_bytes())
}

/// The path on this machine of a file that we have open.
pub(super) fn link_of(file: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    readlink(own_path(file).as_bytes())
}

/// The path on this machine of a file that a task has open.
pub(super) fn link_of_descriptor(task: i32, fd: i32) -> Result<Vec<u8>, Errno> {
    readlink(descriptor_path(task, fd)?.as_bytes())
        .map_err(|error| if error == Errno::NOENT { Errno::BADF } else { error })
}

/// The magic link of a descriptor of a task's.
pub(super) fn descriptor_path(task: i32, fd: i32) -> Result<CString, Errno> {
    if fd < 0 {
        return Err(Errno::BADF);
    }
    Ok(CString::new(format!("/proc/{task}/fd/{fd}")).expect("numbers hold no NUL"))
}

/// The magic link of a descriptor of our own.
pub(super) fn own_path(file: BorrowedFd<'_>) -> CString {
    CString::new(format!("/proc/self/fd/{}", file.as_raw_fd())).expect("numbers hold no NUL")
}
