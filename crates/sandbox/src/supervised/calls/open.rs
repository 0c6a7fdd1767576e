//! Opening: the calls that end with a new descriptor.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;

use nix::libc;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::super::access;
use super::super::area::Kind;
use super::super::credentials::capability;
use super::super::resolve::{Last, Object, Origin, WHICH, open_in, reopen};
use super::super::serve::Answer;
use super::super::spot::Spot;
use super::super::supervisor::{Caller, file_type, identity, stat_in, stat_of};
use super::super::task::lock;
use super::names::own_new;

/// So many threads at most wait for the other end of a fifo.
const WAITING: usize = 128;

/// The devices of a container that may be opened, wherever in the tree they are: by memory(4), random(4), tty(4) and
/// pts(4).
const DEVICES: [(u32, u32, &str); 7] = [
    (1, 3, "/dev/null"),
    (1, 5, "/dev/zero"),
    (1, 7, "/dev/full"),
    (1, 8, "/dev/random"),
    (1, 9, "/dev/urandom"),
    (5, 0, "/dev/tty"),
    (5, 2, "/dev/ptmx"),
];

/// openat(2).
pub(super) fn openat(caller: &Caller<'_>, [at, path, flags, mode, ..]: [u64; 6]) -> Result<Answer, Errno> {
    if let Some(fd) = caller.task.next_to_load() {
        return Ok(Answer::Descriptor { fd, close_on_exec: true });
    }
    // Bits that the kernel does not know are ignored by openat.
    let flags = u32::try_from(flags & u64::from(u32::MAX)).unwrap_or_default();
    open(caller, at as i32, path, flags, (mode & 0o7777) as u32)
}

/// openat2(2). What a caller asks for its own safety is refused if we cannot give it.
pub(super) fn openat2(caller: &Caller<'_>, [at, path, how, size, ..]: [u64; 6]) -> Result<Answer, Errno> {
    if size < size_of::<libc::open_how>() as u64 {
        return Err(Errno::INVAL);
    }
    let how: libc::open_how = caller.memory().read_value(how)?;
    if how.resolve != 0 {
        // Whoever asks for RESOLVE_BENEATH and the like has a way without openat2 as well, for older kernels.
        return Err(Errno::NOSYS);
    }
    let flags = u32::try_from(how.flags).map_err(|_| Errno::INVAL)?;
    open(caller, at as i32, path, flags, (how.mode & 0o7777) as u32)
}

fn open(caller: &Caller<'_>, at: i32, path: u64, raw_flags: u32, mode: u32) -> Result<Answer, Errno> {
    let path = caller.read_path(path)?;
    let asked = OFlags::from_bits_retain(raw_flags);
    let close_on_exec = asked.contains(OFlags::CLOEXEC);
    let last = if asked.contains(OFlags::NOFOLLOW) { Last::Stay } else { Last::Follow };
    let sv = caller.supervisor;
    if asked.contains(OFlags::PATH) {
        let directory = asked & OFlags::DIRECTORY;
        let object = caller.object(at, path.to_bytes(), last, WHICH | directory)?;
        return which(&object).map(|fd| Answer::Descriptor { fd, close_on_exec });
    }
    // What the kernel would do besides opening.
    let flags = (asked - (OFlags::CREATE | OFlags::EXCL | OFlags::TRUNC)) | OFlags::CLOEXEC | OFlags::NOCTTY;
    if asked.contains(OFlags::TMPFILE) {
        return unnamed(caller, at, path.to_bytes(), asked, mode)
            .map(|fd| Answer::Descriptor { fd, close_on_exec });
    }
    if asked.contains(OFlags::CREATE) {
        if asked.contains(OFlags::DIRECTORY) {
            return Err(Errno::INVAL);
        }
        if let Some(fd) = create(caller, at, path.to_bytes(), asked, flags, mode)? {
            return Ok(Answer::Descriptor { fd, close_on_exec });
        }
    }
    if !asked.intersects(OFlags::WRONLY | OFlags::RDWR | OFlags::TRUNC | OFlags::CREATE)
        && let Some(opened) = open_spot(caller, at, path.to_bytes(), flags)
    {
        return opened.map(|fd| Answer::Descriptor { fd, close_on_exec });
    }
    let object = caller.object(at, path.to_bytes(), last, WHICH)?;
    let seen = sv.seen(object.stat);
    let who = caller.task.credentials();
    let writes = asked.intersects(OFlags::WRONLY | OFlags::RDWR);
    let mut wanted = 0;
    if !asked.contains(OFlags::WRONLY) {
        wanted |= access::READ;
    }
    if writes || asked.contains(OFlags::TRUNC) {
        wanted |= access::WRITE;
    }
    match file_type(&seen) {
        libc::S_IFLNK => return Err(Errno::LOOP),
        libc::S_IFSOCK => return Err(Errno::NXIO),
        libc::S_IFDIR if writes || asked.contains(OFlags::CREATE) => return Err(Errno::ISDIR),
        libc::S_IFDIR => {}
        _ if asked.contains(OFlags::DIRECTORY) => return Err(Errno::NOTDIR),
        _ => {}
    }
    // Who holds one as a descriptor has it from its owner.
    if object.origin != Origin::Descriptor && sv.foreign_terminals.contains(&object.stat.st_rdev) {
        return Err(Errno::ACCESS);
    }
    let special = matches!(file_type(&object.stat), libc::S_IFIFO | libc::S_IFCHR);
    let checked = match object.origin {
        Origin::Path => sv.areas.get(object.area).kind == Kind::Tree,
        // Who has a pipe or a terminal open may open it again, as its owner is made to be natively.
        Origin::Descriptor => !special,
        Origin::Proc(_) | Origin::Written(_) => false,
    };
    if checked {
        access::check(&who, &seen, wanted)?;
    }
    if wanted & access::WRITE != 0 && object.origin == Origin::Proc(None) {
        // It is about the machine, whatever the kernel would let us do.
        return Err(Errno::ROFS);
    }
    if wanted & access::WRITE != 0 && matches!(file_type(&seen), libc::S_IFREG | libc::S_IFDIR) {
        sv.areas.may_change(object.area)?;
    }
    let flags = flags | (asked & OFlags::TRUNC);
    if wanted & access::WRITE != 0 && file_type(&seen) == libc::S_IFREG {
        lose_privileges(caller, &object, &seen);
        sv.journal.changed(&sv.areas, object.fd.as_fd(), &object.stat);
    }
    match file_type(&seen) {
        libc::S_IFCHR if seen.st_rdev == rustix::fs::makedev(5, 0) => {
            terminal(caller, flags).map(|fd| Answer::Descriptor { fd, close_on_exec })
        }
        libc::S_IFCHR | libc::S_IFBLK if file_type(&object.stat) == libc::S_IFREG => {
            device(seen.st_rdev, flags).map(|fd| Answer::Descriptor { fd, close_on_exec })
        }
        libc::S_IFIFO if !asked.contains(OFlags::NONBLOCK) && !asked.contains(OFlags::RDWR) => {
            if sv.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING {
                sv.waiting.fetch_sub(1, Ordering::Relaxed);
                return Err(Errno::NFILE);
            }
            Ok(Answer::Fifo { fifo: object.fd, flags, close_on_exec })
        }
        _ if matches!(object.origin, Origin::Written(_)) => {
            let object = caller.object(at, path.to_bytes(), last, flags)?;
            Ok(Answer::Descriptor { fd: object.fd, close_on_exec })
        }
        _ => Ok(Answer::Descriptor { fd: reopen(object.fd.as_fd(), flags)?, close_on_exec }),
    }
}

/// Opens a file or a directory to be read, for a caller who may read everything, where its name leads there without more
/// ado.
fn open_spot(caller: &Caller<'_>, at: i32, path: &[u8], flags: OFlags) -> Option<Result<OwnedFd, Errno>> {
    let Spot { directory, name, .. } = match caller.spot(at, path)? {
        Ok(spot) => spot,
        Err(error) => return Some(Err(error)),
    };
    let sv = caller.supervisor;
    let stat = match stat_in(&directory, &name) {
        Ok(stat) => stat,
        Err(error) => return Some(Err(error)),
    };
    let kind = file_type(&stat);
    let plain = matches!(kind, libc::S_IFREG | libc::S_IFDIR) && file_type(&sv.seen(stat)) == kind;
    if !plain || sv.areas.is_covered(identity(&stat)) {
        return None;
    }
    if kind == libc::S_IFREG && flags.contains(OFlags::DIRECTORY) {
        return Some(Err(Errno::NOTDIR));
    }
    // By now it may be a fifo, for whose other end nobody is to wait here.
    let at_once = (flags | OFlags::NONBLOCK) - OFlags::NOFOLLOW;
    let links = ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
    let fd = open_in(directory.as_fd(), name.to_bytes(), at_once, Mode::empty(), links).ok()?;
    let same = stat_of(fd.as_fd()).is_ok_and(|now| identity(&now) == identity(&stat));
    if !same {
        return None;
    }
    if !flags.contains(OFlags::NONBLOCK) {
        rustix::fs::fcntl_setfl(&fd, flags).ok()?;
    }
    Some(Ok(fd))
}

/// Natively a file that is written to loses its capabilities, and its set-id bits but for root. We do not see the write.
fn lose_privileges(caller: &Caller<'_>, object: &Object, seen: &libc::stat) {
    let keeps = caller.task.ask(|who| who.can(capability::FSETID));
    let set_id = seen.st_mode & (libc::S_ISUID | libc::S_ISGID) != 0;
    let mut owners = lock(&caller.supervisor.owners);
    let file = identity(&object.stat);
    if owners.get(file).is_some_and(|entry| entry.capability.is_some() || set_id && !keeps) {
        owners.change(file, |entry| {
            entry.capability = None;
            if !keeps {
                let mode = seen.st_mode & !(libc::S_ISUID | libc::S_ISGID);
                entry.mode = owners::remembered_mode(mode, object.stat.st_mode);
            }
        });
    }
}

/// A descriptor cannot be handed over that only says which file it is; so one for reading stands for it.
fn which(object: &Object) -> Result<OwnedFd, Errno> {
    match file_type(&object.stat) {
        libc::S_IFLNK => Err(Errno::OPNOTSUPP),
        libc::S_IFDIR => reopen(object.fd.as_fd(), OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC),
        _ => reopen(object.fd.as_fd(), OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC),
    }
}

/// Makes a file, if there is none. `None` if there is one that may be opened instead.
fn create(
    caller: &Caller<'_>,
    at: i32,
    path: &[u8],
    asked: OFlags,
    flags: OFlags,
    mode: u32,
) -> Result<Option<OwnedFd>, Errno> {
    let parent = match caller.parent(at, path) {
        Ok(parent) => parent,
        // It is `/`, a mount or in /proc, or ends in `.` or `..`: a file that exists, if it is one.
        Err(Errno::BUSY | Errno::EXIST | Errno::INVAL | Errno::PERM) if !asked.contains(OFlags::EXCL) => {
            return Ok(None);
        }
        Err(Errno::BUSY) => return Err(Errno::EXIST),
        Err(error) => return Err(error),
    };
    if parent.slash {
        return Err(Errno::ISDIR);
    }
    let exclusive = asked.contains(OFlags::EXCL);
    let mode = mode & !caller.task.place().umask;
    // Most who ask for a new file get one.
    let sv = caller.supervisor;
    let writable =
        access::check(&caller.task.credentials(), &sv.seen(parent.stat), access::WRITE | access::EXECUTE);
    if writable.is_ok()
        && sv.areas.may_change(parent.area).is_ok()
        && let Some(fd) = make(caller, &parent, flags, mode)?
    {
        return Ok(Some(fd));
    }
    let found = stat_in(&parent.directory, &parent.name);
    match found {
        Ok(_) if exclusive => return Err(Errno::EXIST),
        Ok(stat) if file_type(&stat) == libc::S_IFLNK && !asked.contains(OFlags::NOFOLLOW) => {
            // The link may lead to where nothing is yet.
            return match caller.object(at, path, Last::Follow, WHICH) {
                Ok(_) => Ok(None),
                Err(Errno::NOENT) => create_at_end(caller, at, path, flags, mode).map(Some),
                Err(error) => Err(error),
            };
        }
        Ok(_) => return Ok(None),
        Err(Errno::NOENT) => {}
        Err(error) => return Err(error),
    }
    make(caller, &parent, flags, mode)
}

/// Makes a file in a directory.
fn make(
    caller: &Caller<'_>,
    parent: &super::super::resolve::Parent,
    flags: OFlags,
    mode: u32,
) -> Result<Option<OwnedFd>, Errno> {
    let sv = caller.supervisor;
    sv.areas.may_change(parent.area)?;
    access::check(&caller.task.credentials(), &sv.seen(parent.stat), access::WRITE | access::EXECUTE)?;
    let flags = flags | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
    let on_disk = Mode::from_raw_mode(owners::mode_on_disk(libc::S_IFREG | mode));
    match rustix::fs::openat(&parent.directory, &parent.name, flags, on_disk) {
        // Somebody else was faster.
        Err(Errno::EXIST) => Ok(None),
        Err(error) => Err(error),
        Ok(fd) => {
            let stat = stat_of(fd.as_fd())?;
            sv.journal.made(&sv.areas, parent, &stat);
            own_new(caller, &parent.stat, &stat, libc::S_IFREG | mode, 0);
            Ok(Some(fd))
        }
    }
}

/// Makes a file where a link leads.
fn create_at_end(
    caller: &Caller<'_>,
    at: i32,
    path: &[u8],
    flags: OFlags,
    mode: u32,
) -> Result<OwnedFd, Errno> {
    let mut path = path.to_vec();
    for _ in 0..40 {
        let parent = caller.parent(at, &path)?;
        match rustix::fs::readlinkat(&parent.directory, &parent.name, Vec::new()) {
            Ok(text) => {
                let text = text.into_bytes();
                if text.first() == Some(&b'/') {
                    path = text;
                } else {
                    let keep = path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
                    path.truncate(keep);
                    path.extend(text);
                }
            }
            Err(Errno::NOENT) => {
                return make(caller, &parent, flags, mode)?.ok_or(Errno::EXIST);
            }
            Err(_) => {
                return caller.object(at, &path, Last::Stay, flags).map(|object| object.fd);
            }
        }
    }
    Err(Errno::LOOP)
}

/// `O_TMPFILE`: a file without a name.
fn unnamed(caller: &Caller<'_>, at: i32, path: &[u8], asked: OFlags, mode: u32) -> Result<OwnedFd, Errno> {
    let sv = caller.supervisor;
    let directory = caller.object(at, path, Last::Follow, WHICH | OFlags::DIRECTORY)?;
    sv.areas.may_change(directory.area)?;
    access::check(&caller.task.credentials(), &sv.seen(directory.stat), access::WRITE | access::EXECUTE)?;
    let mode = libc::S_IFREG | mode & !caller.task.place().umask;
    let flags = (asked - OFlags::NOFOLLOW) | OFlags::CLOEXEC;
    let on_disk = Mode::from_raw_mode(owners::mode_on_disk(mode));
    let fd = open_in(directory.fd.as_fd(), b".", flags, on_disk, ResolveFlags::BENEATH)?;
    own_new(caller, &directory.stat, &stat_of(fd.as_fd())?, mode, 0);
    Ok(fd)
}

/// A device that is a placeholder on disk: the machine's own in its place, if it is a harmless one.
fn device(number: u64, flags: OFlags) -> Result<OwnedFd, Errno> {
    let number = (rustix::fs::major(number), rustix::fs::minor(number));
    let (_, _, path) =
        DEVICES.iter().find(|(major, minor, _)| (*major, *minor) == number).ok_or(Errno::PERM)?;
    let flags = flags - (OFlags::NOFOLLOW | OFlags::TRUNC | OFlags::DIRECTORY);
    rustix::fs::openat(CWD, *path, flags | OFlags::NOCTTY, Mode::empty())
}

/// `/dev/tty`: the caller's own terminal, by the number that is the seventh in `/proc/PID/stat`. proc(5)
fn terminal(caller: &Caller<'_>, flags: OFlags) -> Result<OwnedFd, Errno> {
    /// The first of the eight major numbers of pseudo-terminals.
    const PTS: u32 = 136;
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", caller.task.id)).map_err(|_| Errno::NXIO)?;
    // The name in parentheses may hold anything.
    let (_, rest) = stat.rsplit_once(')').ok_or(Errno::NXIO)?;
    let number: u32 =
        rest.split_ascii_whitespace().nth(4).and_then(|text| text.parse().ok()).ok_or(Errno::NXIO)?;
    let (major, minor) = (number >> 8 & 0xfff, number & 0xff | number >> 12 & 0xf_ff00);
    if !(PTS..PTS + 8).contains(&major) {
        return Err(Errno::NXIO);
    }
    let path = format!("/dev/pts/{}", (major - PTS) * 256 + minor);
    let flags = flags - (OFlags::NOFOLLOW | OFlags::TRUNC | OFlags::DIRECTORY);
    rustix::fs::openat(CWD, path, flags | OFlags::NOCTTY, Mode::empty())
}

/// truncate(2).
pub(super) fn truncate(caller: &Caller<'_>, [path, length, ..]: [u64; 6]) -> Result<Answer, Errno> {
    let path = caller.memory().read_path(path)?;
    let object = caller.object(libc::AT_FDCWD, path.to_bytes(), Last::Follow, WHICH)?;
    let sv = caller.supervisor;
    let seen = sv.seen(object.stat);
    if matches!(object.origin, Origin::Proc(_) | Origin::Written(_)) {
        return Err(Errno::PERM);
    }
    match file_type(&seen) {
        libc::S_IFDIR => return Err(Errno::ISDIR),
        libc::S_IFREG => {}
        _ => return Err(Errno::INVAL),
    }
    sv.areas.may_change(object.area)?;
    access::check(&caller.task.credentials(), &seen, access::WRITE)?;
    let file = reopen(object.fd.as_fd(), OFlags::WRONLY | OFlags::CLOEXEC)?;
    let length = u64::try_from(length.cast_signed()).map_err(|_| Errno::INVAL)?;
    rustix::fs::ftruncate(file, length)?;
    sv.journal.changed(&sv.areas, object.fd.as_fd(), &object.stat);
    Ok(Answer::Value(0))
}

/// Waits in a thread of its own for the other end of a fifo.
pub(crate) fn wait_for_fifo(fifo: &OwnedFd, flags: OFlags) -> Result<OwnedFd, Errno> {
    reopen(fifo.as_fd(), flags)
}
