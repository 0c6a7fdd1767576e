//! Names: the calls that make, move and remove them.

use std::os::fd::{AsFd, OwnedFd};

use nix::libc;
use owners::{Identity, remembered_mode};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use super::super::access;
use super::super::area::Kind;
use super::super::credentials::capability;
use super::super::proc;
use super::super::resolve::{Last, Parent, WHICH};
use super::super::serve::Answer;
use super::super::supervisor::{Caller, file_type, identity, stat_in};
use super::super::task::lock;

/// Says whose a new file is: the caller's, and of the directory's group where that passes its group on. Its inode may
/// have been another file's before.
pub(in super::super) fn own_new(
    caller: &Caller<'_>,
    directory: &libc::stat,
    file: &libc::stat,
    mode: u32,
    device: u64,
) {
    let above = caller.supervisor.seen(*directory);
    let (uid, mut gid) = caller.task.ask(|who| (who.uid.file, who.gid.file));
    let mut mode = mode;
    if above.st_mode & libc::S_ISGID != 0 {
        gid = above.st_gid;
        if mode & libc::S_IFMT == libc::S_IFDIR {
            mode |= libc::S_ISGID;
        }
    }
    lock(&caller.supervisor.gone).remove(&identity(file));
    let mut owners = lock(&caller.supervisor.owners);
    owners.forget(identity(file));
    owners.change(identity(file), |entry| {
        (entry.uid, entry.gid, entry.device) = (uid, gid, device);
        entry.mode = remembered_mode(mode, file.st_mode);
    });
}

impl Caller<'_> {
    /// Something was made by this name, which a call ends with.
    fn made(&self, parent: &Parent, mode: u32, device: u64) -> Result<Answer, Errno> {
        let sv = self.supervisor;
        let Ok(made) = stat_in(&parent.directory, &parent.name) else {
            // Somebody has moved or removed it meanwhile.
            sv.journal.name(&sv.areas, parent);
            return Ok(Answer::Value(0));
        };
        if file_type(&made) == libc::S_IFDIR {
            sv.journal.made_directory(&sv.areas, parent, &made);
        } else {
            sv.journal.made(&sv.areas, parent, &made);
        }
        own_new(self, &parent.stat, &made, mode, device);
        Ok(Answer::Value(0))
    }
}

/// A file that may be about to lose its last name.
#[derive(Debug)]
struct Losing {
    file: Identity,
    /// As long as it is open its inode is no other file's.
    _open: OwnedFd,
}

/// Takes hold of a file that something is said of, before it may lose its last name. Whoever has it open may still ask
/// and change whose it is, so that it is forgotten at the end only.
fn losing(parent: &Parent, caller: &Caller<'_>, stat: &libc::stat) -> Option<Losing> {
    let file = identity(stat);
    let is_last = file_type(stat) == libc::S_IFDIR || stat.st_nlink <= 1;
    if !is_last || lock(&caller.supervisor.owners).get(file).is_none() {
        return None;
    }
    let open = rustix::fs::openat(&parent.directory, &parent.name, WHICH | OFlags::NOFOLLOW, Mode::empty());
    Some(Losing { file, _open: open.ok()? })
}

/// It has lost its name.
fn lost(caller: &Caller<'_>, losing: Option<Losing>) {
    if let Some(losing) = losing {
        lock(&caller.supervisor.gone).insert(losing.file);
    }
}

/// A place where the caller may make, or remove, a name.
fn place(caller: &Caller<'_>, at: u64, path: u64) -> Result<Parent, Errno> {
    let path = caller.read_path(path)?;
    let parent = caller.parent(at as i32, path.to_bytes())?;
    writable(caller, &parent)?;
    Ok(parent)
}

fn writable(caller: &Caller<'_>, parent: &Parent) -> Result<(), Errno> {
    let sv = caller.supervisor;
    sv.areas.may_change(parent.area)?;
    if sv.areas.get(parent.area).kind != Kind::Tree {
        return Err(Errno::PERM);
    }
    access::check(&caller.task.credentials(), &sv.seen(parent.stat), access::WRITE | access::EXECUTE)
}

/// A place for a new name. Where something is mounted there is one already; so at `/`.
fn new_place(caller: &Caller<'_>, at: u64, path: u64) -> Result<Parent, Errno> {
    match place(caller, at, path) {
        Err(Errno::BUSY | Errno::INVAL) => Err(Errno::EXIST),
        Err(Errno::ACCESS | Errno::ROFS | Errno::PERM) if exists(caller, at, path) => Err(Errno::EXIST),
        result => result,
    }
}

/// That a name exists is said before that it could not be made.
fn exists(caller: &Caller<'_>, at: u64, path: u64) -> bool {
    let found = caller.read_path(path);
    found.is_ok_and(|path| caller.object(at as i32, path.to_bytes(), Last::Stay, WHICH).is_ok())
}

/// mkdirat(2).
pub(super) fn mkdir(caller: &Caller<'_>, [at, path, mode, ..]: [u64; 6]) -> Result<Answer, Errno> {
    let parent = new_place(caller, at, path)?;
    // Of the special bits only the sticky one is heeded.
    let mode = libc::S_IFDIR | mode as u32 & 0o1777 & !caller.task.place().umask;
    let on_disk = Mode::from_raw_mode(owners::mode_on_disk(mode));
    rustix::fs::mkdirat(&parent.directory, &parent.name, on_disk)?;
    caller.made(&parent, mode, 0)
}

/// mknodat(2). A device is an empty file on disk.
pub(super) fn mknod(caller: &Caller<'_>, [at, path, mode, device, ..]: [u64; 6]) -> Result<Answer, Errno> {
    let mode = mode as u32;
    let file_type = match mode & libc::S_IFMT {
        0 | libc::S_IFREG => libc::S_IFREG,
        device @ (libc::S_IFCHR | libc::S_IFBLK) => {
            // An overlay's whiteout needs no privilege.
            if !caller.task.ask(|who| who.can(capability::MKNOD)) {
                return Err(Errno::PERM);
            }
            device
        }
        other @ (libc::S_IFIFO | libc::S_IFSOCK) => other,
        libc::S_IFDIR => return Err(Errno::PERM),
        _ => return Err(Errno::INVAL),
    };
    let parent = new_place(caller, at, path)?;
    if parent.slash {
        return Err(Errno::NOENT);
    }
    let mode = file_type | mode & 0o7777 & !caller.task.place().umask;
    let on_disk = Mode::from_raw_mode(owners::mode_on_disk(mode));
    let real = match file_type {
        libc::S_IFIFO => FileType::Fifo,
        libc::S_IFSOCK => FileType::Socket,
        _ => FileType::RegularFile,
    };
    rustix::fs::mknodat(&parent.directory, &parent.name, real, on_disk, 0)?;
    let device = if matches!(file_type, libc::S_IFCHR | libc::S_IFBLK) { device } else { 0 };
    caller.made(&parent, mode, device)
}

/// symlinkat(2).
pub(super) fn symlink(caller: &Caller<'_>, [text, at, path, ..]: [u64; 6]) -> Result<Answer, Errno> {
    let text = caller.read_path(text)?;
    if text.is_empty() {
        return Err(Errno::NOENT);
    }
    let parent = new_place(caller, at, path)?;
    if parent.slash {
        return Err(Errno::NOENT);
    }
    rustix::fs::symlinkat(&text, &parent.directory, &parent.name)?;
    caller.made(&parent, libc::S_IFLNK | 0o777, 0)
}

/// Refuses to take a name from a sticky directory.
fn may_take(caller: &Caller<'_>, parent: &Parent, file: &libc::stat) -> Result<(), Errno> {
    let sv = caller.supervisor;
    let (directory, file) = (sv.seen(parent.stat), sv.seen(*file));
    caller.task.ask(|who| access::check_sticky(who, &directory, &file))
}

/// Whether paths may lead by way of this file.
fn leads_on(file: &libc::stat) -> bool {
    matches!(file_type(file), libc::S_IFDIR | libc::S_IFLNK)
}

/// unlinkat(2).
pub(super) fn unlink(caller: &Caller<'_>, [at, path, flags, ..]: [u64; 6]) -> Result<Answer, Errno> {
    let as_directory = flags & libc::AT_REMOVEDIR as u64 != 0;
    if flags & !(libc::AT_REMOVEDIR as u64) != 0 {
        return Err(Errno::INVAL);
    }
    let parent = match place(caller, at, path) {
        Err(Errno::EXIST) => {
            return Err(match caller.read_path(path)? {
                _ if !as_directory => Errno::ISDIR,
                path if path.to_bytes().iter().all(|&byte| byte == b'/') => Errno::BUSY,
                _ => Errno::NOTEMPTY,
            });
        }
        Err(Errno::INVAL) if !as_directory => return Err(Errno::ISDIR),
        result => result?,
    };
    let file = stat_in(&parent.directory, &parent.name)?;
    may_take(caller, &parent, &file)?;
    if parent.slash && !as_directory {
        let is_directory = file_type(&file) == libc::S_IFDIR;
        return Err(if is_directory { Errno::ISDIR } else { Errno::NOTDIR });
    }
    if caller.supervisor.areas.is_covered(identity(&file)) {
        return Err(Errno::BUSY);
    }
    let flags = if as_directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
    let losing = losing(&parent, caller, &file);
    let changing = leads_on(&file).then(|| caller.supervisor.directories.changing());
    rustix::fs::unlinkat(&parent.directory, &parent.name, flags)?;
    drop(changing);
    caller.supervisor.journal.removed(&caller.supervisor.areas, &parent, &file);
    lost(caller, losing);
    Ok(Answer::Value(0))
}

/// renameat2(2).
pub(super) fn rename(
    caller: &Caller<'_>,
    [from_at, from_path, to_at, to_path, flags, _]: [u64; 6],
) -> Result<Answer, Errno> {
    let flags = u32::try_from(flags).map_err(|_| Errno::INVAL)?;
    let known = libc::RENAME_NOREPLACE | libc::RENAME_EXCHANGE;
    if flags & !known != 0 || flags == known {
        // A whiteout is a device, which overlayfs alone wants.
        return Err(Errno::INVAL);
    }
    let busy = |error| if matches!(error, Errno::EXIST | Errno::INVAL) { Errno::BUSY } else { error };
    let from = place(caller, from_at, from_path).map_err(busy)?;
    let to = place(caller, to_at, to_path).map_err(busy)?;
    if from.area != to.area {
        return Err(Errno::XDEV);
    }
    let file = stat_in(&from.directory, &from.name)?;
    may_take(caller, &from, &file)?;
    let is_directory = file_type(&file) == libc::S_IFDIR;
    if (from.slash || to.slash) && !is_directory {
        return Err(Errno::NOTDIR);
    }
    if caller.supervisor.areas.is_covered(identity(&file)) {
        return Err(Errno::BUSY);
    }
    let replaced = stat_in(&to.directory, &to.name).ok();
    if let Some(replaced) = &replaced {
        may_take(caller, &to, replaced)?;
        if caller.supervisor.areas.is_covered(identity(replaced)) {
            return Err(Errno::BUSY);
        }
    }
    // A directory that moves to another is changed itself: its `..`.
    if is_directory && identity(&from.stat) != identity(&to.stat) {
        let seen = caller.supervisor.seen(file);
        access::check(&caller.task.credentials(), &seen, access::WRITE)?;
    }
    let flags = RenameFlags::from_bits_retain(flags);
    let may_lead = leads_on(&file) || replaced.as_ref().is_some_and(leads_on);
    let moved_directory = is_directory || replaced.is_some_and(|it| file_type(&it) == libc::S_IFDIR);
    let replaced = replaced
        .filter(|replaced| !flags.contains(RenameFlags::EXCHANGE) && identity(replaced) != identity(&file));
    let losing = replaced.as_ref().and_then(|replaced| losing(&to, caller, replaced));
    let changing = may_lead.then(|| caller.supervisor.directories.changing());
    rustix::fs::renameat_with(&from.directory, &from.name, &to.directory, &to.name, flags)?;
    drop(changing);
    caller.supervisor.journal.moved(&caller.supervisor.areas, &from, &to, moved_directory);
    if let Some(replaced) = &replaced {
        caller.supervisor.journal.replaced(replaced);
    }
    lost(caller, losing);
    Ok(Answer::Value(0))
}

/// linkat(2).
pub(super) fn link(
    caller: &Caller<'_>,
    [from_at, from_path, to_at, to_path, flags, _]: [u64; 6],
) -> Result<Answer, Errno> {
    const KNOWN: u64 = (libc::AT_EMPTY_PATH | libc::AT_SYMLINK_FOLLOW) as u64;
    if flags & !KNOWN != 0 {
        return Err(Errno::INVAL);
    }
    let path = caller.read_path(from_path)?;
    let empty_is_self = flags & libc::AT_EMPTY_PATH as u64 != 0;
    let last = if flags & libc::AT_SYMLINK_FOLLOW as u64 == 0 { Last::Stay } else { Last::Follow };
    let from = caller.object_or_self(from_at as i32, &path, last, empty_is_self)?;
    if file_type(&from.stat) == libc::S_IFDIR {
        return Err(Errno::PERM);
    }
    let to = new_place(caller, to_at, to_path)?;
    if to.slash {
        return Err(Errno::NOENT);
    }
    // The kernel refuses another filesystem, and with it another area in most cases; the rest is refused here.
    let (area, _) = caller.supervisor.areas.seen(&proc::link_of(from.fd.as_fd())?).ok_or(Errno::XDEV)?;
    if area != to.area {
        return Err(Errno::XDEV);
    }
    let through = proc::own_path(from.fd.as_fd());
    rustix::fs::linkat(CWD, &through, &to.directory, &to.name, AtFlags::SYMLINK_FOLLOW)?;
    caller.supervisor.journal.name(&caller.supervisor.areas, &to);
    lock(&caller.supervisor.gone).remove(&identity(&from.stat));
    Ok(Answer::Value(0))
}
