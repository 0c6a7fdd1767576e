//! Resolving: from a path of the tree to an open file of this machine. path_resolution(7).
//!
//! Most paths are resolved by the kernel at one go, inside an area. What it does not know of are mounts, `/proc` and
//! permissions. Wherever one of them may have a say a path is walked name by name.

use std::borrow::Cow;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use nix::libc;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::access;
use super::area::{Kind, ROOT};
use super::credentials::{Credentials, capability};
use super::proc::{self, InProc};
use super::spot::{begins_with_link, beneath, parent_beneath};
use super::supervisor::{Caller, Supervisor, file_type, identity, stat_of};

/// As many links as the kernel follows.
const LINKS: u32 = 40;
/// How far down a directory may be that has no path any more.
const LEVELS: usize = 4096;
/// As many directories above each other, for each of which a descriptor is held.
const DEPTH: usize = 512;
/// `openat2` says EAGAIN when something was renamed while it resolved a `..`; so often we ask again.
const TRIES: u32 = 100;

/// An open file, with what the kernel says of it.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) fd: OwnedFd,
    pub(super) stat: libc::stat,
    pub(super) area: usize,
    pub(super) origin: Origin,
}

/// By which way an open file was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// By its path.
    Path,
    /// As somebody's descriptor: it may have no path.
    Descriptor,
    /// In `/proc`; and whose it is, if it is about a process.
    Proc(Option<(u32, u32)>),
    /// In `/proc`, where something else is to be read in its place.
    Written(Option<(u32, u32)>),
}

/// A place for a name.
#[derive(Debug)]
pub(super) struct Parent {
    pub(super) directory: Arc<OwnedFd>,
    /// What the kernel says of it.
    pub(super) stat: libc::stat,
    pub(super) name: CString,
    pub(super) area: usize,
    /// The path ended with a slash, so that the name can only be that of a directory.
    pub(super) slash: bool,
}

/// What is at the end of a path.
#[derive(Debug)]
pub(super) enum End {
    /// Something in `/proc`.
    Proc(InProc),
    /// A name, which may lead nowhere, in a directory.
    Name { directory: Level, name: CString, slash: bool },
    /// A directory that was reached without a name: `/`, or by `..`; or a file that is mounted.
    Itself(Level),
}

/// A directory on the way; or a file that is mounted, at its end.
#[derive(Debug, Clone)]
pub(super) struct Level {
    fd: Arc<OwnedFd>,
    area: usize,
    /// Its path in the tree; nothing for the root.
    path: Vec<u8>,
}

/// The path of a call as an absolute one, in the root of the caller.
#[derive(Debug)]
pub(super) struct Whole {
    path: Vec<u8>,
    /// So many names at its beginning lead to the directory that the call is relative to. Who holds a directory need not
    /// be allowed to get there.
    held: usize,
}

/// Whether a link at the end of a path is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    Follow,
    Stay,
}

impl Last {
    pub(super) fn from_flags(flags: u64) -> Self {
        if flags & libc::AT_SYMLINK_NOFOLLOW as u64 == 0 { Last::Follow } else { Last::Stay }
    }
}

/// Opens a file only to say which it is.
pub(super) const WHICH: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

impl<'a> Caller<'a> {
    /// Makes the path of a call absolute.
    pub(super) fn whole(&self, at: i32, path: &[u8]) -> Result<Whole, Errno> {
        if path.first() == Some(&b'/') {
            return Ok(Whole { path: path.to_vec(), held: 0 });
        }
        let mut whole = self.path_of(at)?;
        if let Some((root, _)) = self.task.place().root {
            whole = match whole.strip_prefix(&root[..]) {
                Some(rest) if rest.is_empty() || rest[0] == b'/' => rest.to_vec(),
                // It holds a directory outside of its root. Native processes get out that way; here nobody does.
                _ => return Err(Errno::NOENT),
            };
        }
        let held = whole.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).count();
        whole.push(b'/');
        whole.extend(path);
        if whole.len() >= libc::PATH_MAX as usize {
            // Each part of it may be short enough.
            return Err(Errno::NAMETOOLONG);
        }
        Ok(Whole { path: whole, held })
    }

    /// A path of the tree as the caller sees it, who may have a root of its own.
    pub(super) fn inside(&self, path: Vec<u8>) -> Vec<u8> {
        let Some((root, _)) = self.task.place().root else { return path };
        match path.strip_prefix(&root[..]) {
            Some(b"") => b"/".to_vec(),
            Some(rest) if rest[0] == b'/' => rest.to_vec(),
            _ => [b"(unreachable)", &path[..]].concat(),
        }
    }

    /// The path in the tree of a directory that a call is relative to.
    pub(super) fn path_of(&self, at: i32) -> Result<Vec<u8>, Errno> {
        let link = if at == libc::AT_FDCWD {
            let place = self.task.place();
            if place.at_top {
                return Ok(b"/".to_vec());
            }
            proc::link_of(place.directory.as_fd())?
        } else {
            proc::link_of_descriptor(self.task.id, at)?
        };
        if link.ends_with(b" (deleted)") {
            return Err(Errno::NOENT);
        }
        match self.supervisor.areas.seen(&link) {
            Some((_, path)) => Ok(path),
            None => Err(Errno::NOTDIR),
        }
    }

    /// Opens what is at a path. An empty path means the descriptor `at` itself, if that is allowed.
    pub(super) fn object_or_self(
        &self,
        at: i32,
        path: &CStr,
        last: Last,
        empty_is_self: bool,
    ) -> Result<Object, Errno> {
        if !path.is_empty() {
            return self.object(at, path.to_bytes(), last, WHICH);
        }
        if !empty_is_self {
            return Err(Errno::NOENT);
        }
        self.descriptor(at)
    }

    /// What a descriptor of the caller's refers to.
    pub(super) fn descriptor(&self, fd: i32) -> Result<Object, Errno> {
        if fd == libc::AT_FDCWD {
            let fd = self.task.place().directory.try_clone().map_err(|_| Errno::MFILE)?;
            let stat = stat_of(fd.as_fd())?;
            return Ok(Object { fd, stat, area: ROOT, origin: Origin::Descriptor });
        }
        let path = proc::descriptor_path(self.task.id, fd)?;
        let fd = rustix::fs::openat(CWD, path, WHICH, Mode::empty()).map_err(bad_descriptor)?;
        let stat = stat_of(fd.as_fd())?;
        Ok(Object { fd, stat, area: ROOT, origin: Origin::Descriptor })
    }

    /// Opens what is at a path.
    pub(super) fn object(&self, at: i32, path: &[u8], last: Last, flags: OFlags) -> Result<Object, Errno> {
        if path.is_empty() {
            return Err(Errno::NOENT);
        }
        if let Some(near) = self.near(at, path, last, flags) {
            return near;
        }
        match self.whole(at, path) {
            Err(Errno::NAMETOOLONG) => {
                let (directory, area) = self.far(at)?;
                let (directory, rest) = self.upwards(directory, path)?;
                let rest = if rest.is_empty() { b"." } else { rest };
                let found = beneath(directory.as_fd(), area, rest, last, flags);
                found.unwrap_or(Err(Errno::NAMETOOLONG))
            }
            whole => self.object_at(&whole?, last, flags),
        }
    }

    /// Goes up as often as a path says at its beginning, but not above the root; and the rest of the path.
    fn upwards<'p>(&self, from: Arc<OwnedFd>, path: &'p [u8]) -> Result<(Arc<OwnedFd>, &'p [u8]), Errno> {
        let root = identity(&stat_of(self.supervisor.areas.fd(ROOT))?);
        let (mut directory, mut rest) = (from, path);
        while rest == b".." || rest.starts_with(b"../") {
            // Whoever moves a directory moves it within the root, so that only this one leads out of it.
            if identity(&stat_of(directory.as_fd())?) != root {
                let above = rustix::fs::openat(&*directory, c"..", WHICH | OFlags::DIRECTORY, Mode::empty())?;
                directory = Arc::new(above);
            }
            rest = &rest[2..];
            rest = &rest[rest.iter().take_while(|&&byte| byte == b'/').count()..];
        }
        Ok((directory, rest))
    }

    /// A directory whose path is longer than any that the kernel tells, and its area.
    fn far(&self, at: i32) -> Result<(Arc<OwnedFd>, usize), Errno> {
        if !self.task.ask(|who| who.can(capability::DAC_OVERRIDE)) || self.task.place().root.is_some() {
            return Err(Errno::NAMETOOLONG);
        }
        let object = self.descriptor(at)?;
        if file_type(&object.stat) != libc::S_IFDIR {
            return Err(Errno::NOTDIR);
        }
        let area = self.climb(object.fd.as_fd())?;
        Ok((Arc::new(object.fd), area))
    }

    /// The area of a directory that is too far down to have a path: the root, if all that is above it leads there.
    pub(super) fn climb(&self, directory: BorrowedFd<'_>) -> Result<usize, Errno> {
        let root = identity(&stat_of(self.supervisor.areas.fd(ROOT))?);
        let mut level = rustix::fs::openat(directory, c".", WHICH | OFlags::DIRECTORY, Mode::empty())?;
        let mut here = identity(&stat_of(level.as_fd())?);
        for _ in 0..LEVELS {
            if here == root {
                return Ok(ROOT);
            }
            level = rustix::fs::openat(&level, c"..", WHICH | OFlags::DIRECTORY, Mode::empty())?;
            let above = identity(&stat_of(level.as_fd())?);
            if above == here {
                return Err(Errno::NOENT);
            }
            here = above;
        }
        Err(Errno::NAMETOOLONG)
    }

    fn object_at(&self, whole: &Whole, last: Last, flags: OFlags) -> Result<Object, Errno> {
        if let Some(quick) = self.quick(&whole.path, last, flags) {
            return quick;
        }
        match self.walk(whole, last)? {
            End::Proc(found) => found.open(self, flags),
            End::Itself(level) => level.reopen(flags),
            End::Name { directory, name, slash } => {
                let flags = if slash { flags | OFlags::DIRECTORY } else { flags };
                let fd = rustix::fs::openat(&*directory.fd, &name, flags | OFlags::NOFOLLOW, Mode::empty());
                let fd =
                    fd.map_err(|error| if slash && error == Errno::LOOP { Errno::NOTDIR } else { error })?;
                let stat = stat_of(fd.as_fd())?;
                Ok(Object { fd, stat, area: directory.area, origin: Origin::Path })
            }
        }
    }

    /// Lets the kernel resolve a path. `None` where it cannot be trusted to know all.
    fn quick(&self, whole: &[u8], last: Last, flags: OFlags) -> Option<Result<Object, Errno>> {
        let areas = &self.supervisor.areas;
        if !self.task.ask(|who| who.can(capability::DAC_OVERRIDE)) || self.task.place().root.is_some() {
            return None;
        }
        let path = tidy(whole);
        let dots = path.split(|&byte| byte == b'/').any(|name| name == b"..");
        let (area, rest) = areas.of(&path);
        let kind = areas.get(area).kind;
        if kind == Kind::Processes || dots && area != ROOT {
            return None;
        }
        let flags = if last == Last::Stay { flags | OFlags::NOFOLLOW } else { flags };
        if rest.is_empty() {
            return Some(Level::of_area(self.supervisor, area).and_then(|level| level.reopen(flags)));
        }
        let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        // Without links first: then what the kernel does not find is not there.
        let straight = within | ResolveFlags::NO_SYMLINKS;
        let mut found = if begins_with_link(rest) && area == ROOT {
            Err(Errno::LOOP)
        } else {
            open_in(areas.fd(area), rest, flags, Mode::empty(), straight)
        };
        let by_links = found.as_ref().err() == Some(&Errno::LOOP);
        if by_links && area == ROOT {
            found = open_in(areas.fd(area), rest, flags, Mode::empty(), within);
        }
        match found {
            Ok(fd) => match stat_of(fd.as_fd()) {
                Ok(stat) if areas.is_covered(identity(&stat)) => None,
                Ok(stat) => Some(Ok(Object { fd, stat, area, origin: Origin::Path })),
                Err(error) => Some(Err(error)),
            },
            Err(Errno::LOOP) if area != ROOT => None,
            // A link may lead to where something is mounted, of which the kernel knows nothing.
            Err(Errno::NOENT | Errno::NOTDIR) if by_links || dots => None,
            Err(error) => Some(Err(error)),
        }
    }

    /// Finds the directory for the name at the end of a path, which is not followed.
    pub(super) fn parent(&self, at: i32, path: &[u8]) -> Result<Parent, Errno> {
        if path.is_empty() {
            return Err(Errno::NOENT);
        }
        if let Some(near) = self.parent_near(at, path) {
            return near;
        }
        if path.first() == Some(&b'/')
            && let Some(spot) = self.spot(at, path)
        {
            return spot?.into_parent();
        }
        let Whole { path: whole, held } = match self.whole(at, path) {
            Err(Errno::NAMETOOLONG) => {
                let (directory, area) = self.far(at)?;
                let far = parent_beneath(&directory, area, path);
                return far.unwrap_or(Err(Errno::NAMETOOLONG));
            }
            whole => whole?,
        };
        if let Some(spot) = self.spot(libc::AT_FDCWD, &whole) {
            return spot?.into_parent();
        }
        let ends_in_slash = whole.ends_with(b"/");
        let trimmed = whole.iter().rposition(|&byte| byte != b'/').map_or(&b""[..], |end| &whole[..=end]);
        let split = trimmed.iter().rposition(|&byte| byte == b'/').unwrap_or_default();
        let (above, name) = (&trimmed[..split], trimmed.get(split + 1..).unwrap_or_default());
        if name.len() > 255 {
            return Err(Errno::NAMETOOLONG);
        }
        if name.is_empty() || name == b"." || name == b".." {
            // The caller's call says which error that is.
            return Err(if name == b"." { Errno::INVAL } else { Errno::EXIST });
        }
        let above = if above.is_empty() { b"/" } else { above };
        let target = tidy(trimmed);
        let object = self.directory(&Whole { path: above.to_vec(), held })?;
        if file_type(&object.stat) != libc::S_IFDIR {
            return Err(Errno::NOTDIR);
        }
        if matches!(object.origin, Origin::Proc(_) | Origin::Written(_)) {
            // In /proc nobody makes or removes a name.
            return Err(Errno::PERM);
        }
        let name = CString::new(name).map_err(|_| Errno::INVAL)?;
        if self.supervisor.areas.at(&target).is_some() && self.task.place().root.is_none() {
            // Something is mounted there.
            return Err(Errno::BUSY);
        }
        let directory = Arc::new(object.fd);
        Ok(Parent { directory, stat: object.stat, name, area: object.area, slash: ends_in_slash })
    }

    /// Opens a directory to look for a name in.
    fn directory(&self, whole: &Whole) -> Result<Object, Errno> {
        let object = self.object_at(whole, Last::Follow, WHICH | OFlags::DIRECTORY)?;
        let who = self.task.credentials();
        if !who.can(capability::DAC_OVERRIDE) {
            access::check(&who, &self.supervisor.seen(object.stat), access::EXECUTE)?;
        }
        Ok(object)
    }

    /// Resolves a path name by name.
    pub(super) fn walk(&self, whole: &Whole, last: Last) -> Result<End, Errno> {
        let who = self.task.credentials();
        let place = self.task.place();
        let start = match &place.root {
            Some((path, fd)) => Level { fd: fd.clone(), area: ROOT, path: path.clone() },
            None => Level::of_area(self.supervisor, ROOT)?,
        };
        let mut levels = vec![start];
        let mut names: Vec<Vec<u8>> = Vec::new();
        push_names(&mut names, &whole.path);
        let mut slash = ends_with_directory(&whole.path);
        let mut held = whole.held;
        let mut links = 0;
        while let Some(name) = names.pop() {
            let here = levels.last().expect("the root is never popped").clone();
            if name == b".." {
                if levels.len() > 1 {
                    levels.pop();
                }
                continue;
            }
            if held > 0 {
                held -= 1;
            } else {
                self.may_search(&who, &here)?;
            }
            let is_last = names.is_empty();
            let path = [&here.path[..], b"/", &name].concat();
            if let Some(area) = self.supervisor.areas.at(&path) {
                if self.supervisor.areas.get(area).kind == Kind::Processes {
                    let rest: Vec<Vec<u8>> = names.drain(..).rev().collect();
                    match proc::look_up(self, &rest, last, slash)? {
                        InProc::Elsewhere(text) => {
                            links += 1;
                            if links > LINKS {
                                return Err(Errno::LOOP);
                            }
                            slash |= ends_with_directory(&text);
                            levels.truncate(1);
                            push_names(&mut names, &text);
                            continue;
                        }
                        found => return Ok(End::Proc(found)),
                    }
                }
                levels.push(Level::of_area(self.supervisor, area)?);
                continue;
            }
            if name.len() > 255 {
                return Err(Errno::NAMETOOLONG);
            }
            let c_name = CString::new(name).map_err(|_| Errno::INVAL)?;
            let opened = rustix::fs::openat(&*here.fd, &c_name, WHICH | OFlags::NOFOLLOW, Mode::empty());
            let fd = match opened {
                Err(Errno::NOENT) if is_last => {
                    return Ok(End::Name { directory: here, name: c_name, slash });
                }
                opened => opened?,
            };
            let stat = stat_of(fd.as_fd())?;
            if file_type(&stat) == libc::S_IFLNK && !(is_last && last == Last::Stay && !slash) {
                links += 1;
                if links > LINKS {
                    return Err(Errno::LOOP);
                }
                let text = rustix::fs::readlinkat(&fd, c"", Vec::new())?.into_bytes();
                if text.first() == Some(&b'/') {
                    levels.truncate(1);
                }
                slash |= is_last && ends_with_directory(&text);
                push_names(&mut names, &text);
                continue;
            }
            if is_last {
                return Ok(End::Name { directory: here, name: c_name, slash });
            }
            if file_type(&stat) != libc::S_IFDIR {
                return Err(Errno::NOTDIR);
            }
            if levels.len() >= DEPTH {
                return Err(Errno::NAMETOOLONG);
            }
            levels.push(Level { fd: Arc::new(fd), area: here.area, path });
        }
        Ok(End::Itself(levels.pop().expect("the root is never popped")))
    }

    fn may_search(&self, who: &Credentials, level: &Level) -> Result<(), Errno> {
        let stat = stat_of(level.fd.as_fd())?;
        if file_type(&stat) != libc::S_IFDIR {
            return Err(Errno::NOTDIR);
        }
        if who.can(capability::DAC_OVERRIDE) {
            return Ok(());
        }
        access::check(who, &self.supervisor.seen(stat), access::EXECUTE)
    }
}

impl Level {
    pub(super) fn of_area(supervisor: &Supervisor, area: usize) -> Result<Self, Errno> {
        let fd = supervisor.areas.get(area).fd.try_clone().map_err(|_| Errno::MFILE)?;
        Ok(Level { fd: Arc::new(fd), area, path: supervisor.areas.get(area).target.clone() })
    }

    /// What a link in it says.
    pub(super) fn read_link(&self, name: &CStr) -> Result<Vec<u8>, Errno> {
        Ok(rustix::fs::readlinkat(&*self.fd, name, Vec::new())?.into_bytes())
    }

    /// Opens it again, with flags of the caller's.
    fn reopen(&self, flags: OFlags) -> Result<Object, Errno> {
        let fd = reopen(self.fd.as_fd(), flags)?;
        let stat = stat_of(fd.as_fd())?;
        Ok(Object { fd, stat, area: self.area, origin: Origin::Path })
    }
}

/// Opens an open file once more, with other flags.
pub(super) fn reopen(file: BorrowedFd<'_>, flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = proc::own_path(file);
    rustix::fs::openat(CWD, path, flags - OFlags::NOFOLLOW, Mode::empty())
}

/// openat2(2) with as many tries as it wants.
pub(super) fn open_in(
    directory: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    mode: Mode,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Errno> {
    // With O_PATH it refuses what has no meaning then.
    let with_path = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let flags = if flags.contains(OFlags::PATH) { flags & with_path } else { flags };
    let mut tries = 0;
    loop {
        match rustix::fs::openat2(directory, path, flags, mode, resolve) {
            Err(Errno::AGAIN) if tries < TRIES => tries += 1,
            result => return result,
        }
    }
}

/// Leaves out what means nothing: `//` and `/./`, and `..` at the beginning. A path that ends in a slash, or in `/.`,
/// ends in a slash.
pub(super) fn tidy(path: &[u8]) -> Cow<'_, [u8]> {
    if is_tidy(path) {
        return path.into();
    }
    let mut tidy = Vec::with_capacity(path.len());
    for name in path.split(|&byte| byte == b'/') {
        if name.is_empty() || name == b"." || name == b".." && tidy.is_empty() {
            continue;
        }
        tidy.push(b'/');
        tidy.extend(name);
    }
    if ends_with_directory(path) && !tidy.is_empty() {
        tidy.push(b'/');
    }
    tidy.into()
}

/// Whether there is nothing to leave out, as in most paths.
fn is_tidy(path: &[u8]) -> bool {
    let Some(path) = path.strip_prefix(b"/") else { return path.is_empty() };
    let path = path.strip_suffix(b"/").unwrap_or(path);
    let mut names = path.split(|&byte| byte == b'/');
    !path.starts_with(b"..") && names.all(|name| !name.is_empty() && name != b".")
}

fn ends_with_directory(path: &[u8]) -> bool {
    path.ends_with(b"/") || path.ends_with(b"/.")
}

/// Puts the names of a path on the stack of those to come, the next one last.
fn push_names(names: &mut Vec<Vec<u8>>, path: &[u8]) {
    let of_path = path.split(|&byte| byte == b'/').filter(|name| !name.is_empty() && *name != b".");
    let begin = names.len();
    names.extend(of_path.map(<[u8]>::to_vec));
    names[begin..].reverse();
}

fn bad_descriptor(error: Errno) -> Errno {
    if error == Errno::NOENT { Errno::BADF } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_tidied() {
        for (path, expected) in [
            ("/", ""),
            ("//a///b", "/a/b"),
            ("/./a/./b/", "/a/b/"),
            ("/../../a", "/a"),
            ("/a/../b", "/a/../b"),
            ("/a/.", "/a/"),
            ("/a/b/", "/a/b/"),
            ("/.a/..b", "/.a/..b"),
            ("/..a", "/..a"),
            ("/a//", "/a/"),
            ("", ""),
        ] {
            assert_eq!(*tidy(path.as_bytes()), *expected.as_bytes(), "{path}");
        }
    }
}
