//! Spots: paths that the kernel can follow at one go, so that a call of a RUN takes about one of ours.
//!
//! That is so for callers who may go everywhere, where nothing is mounted on the way. Any other path is walked.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use nix::libc;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::area::ROOT;
use super::credentials::capability;
use super::directories::Found;
use super::proc;
use super::resolve::{Last, Object, Origin, Parent, WHICH, open_in, tidy};
use super::supervisor::{Caller, stat_of};

/// A name in a directory, of which the kernel can say all that there is to say, but for what is mounted right there.
#[derive(Debug)]
pub(super) struct Spot {
    pub(super) directory: Arc<OwnedFd>,
    pub(super) name: CString,
    pub(super) area: usize,
}

impl Spot {
    pub(super) fn into_parent(self) -> Result<Parent, Errno> {
        let Spot { directory, name, area } = self;
        let stat = stat_of(directory.as_fd())?;
        Ok(Parent { directory, stat, name, area, slash: false })
    }
}

impl Caller<'_> {
    /// The directory that the caller stands in, and its area, if the kernel knows all of what is below it and the caller
    /// may go everywhere.
    pub(super) fn known_here(&self, at: i32, path: &[u8]) -> Option<(Arc<OwnedFd>, usize)> {
        if at != libc::AT_FDCWD || path.first() == Some(&b'/') {
            return None;
        }
        let (directory, area) = self.task.stands_alone()?;
        self.task.ask(|who| who.can(capability::DAC_OVERRIDE)).then_some((directory, area))
    }

    /// The place that a path ends in, for a caller who may go everywhere: it stands there, or it was found before. `None` if
    /// it is not as plain as that.
    pub(super) fn spot(&self, at: i32, path: &[u8]) -> Option<Result<Spot, Errno>> {
        if path.first() != Some(&b'/') {
            if path.contains(&b'/') || matches!(path, b"" | b"." | b"..") {
                return None;
            }
            let (directory, area) = self.known_here(at, path)?;
            return Some(Ok(Spot { directory, name: CString::new(path).ok()?, area }));
        }
        if !self.task.ask(|who| who.can(capability::DAC_OVERRIDE)) || self.task.has_root() {
            return None;
        }
        let path = tidy(path);
        let split = path.iter().rposition(|&byte| byte == b'/')?;
        let (above, name) = (&path[..split], &path[split + 1..]);
        if matches!(name, b"" | b"..") || self.supervisor.areas.of(&path).0 != ROOT {
            return None;
        }
        let found = self.supervisor.directories.get(above, || self.find_directory(above))?;
        let name = CString::new(name).ok()?;
        Some(found.map(|found| Spot { directory: found.fd, name, area: ROOT }))
    }

    /// Finds a directory of the root by its path. `None` where a link leads to what is mounted.
    fn find_directory(&self, path: &[u8]) -> Option<Result<Found, Errno>> {
        let areas = &self.supervisor.areas;
        let rest = if path.is_empty() { b"/" } else { path };
        let flags = WHICH | OFlags::DIRECTORY;
        let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let dots = path.split(|&byte| byte == b'/').any(|name| name == b"..");
        if !dots && !begins_with_link(path) {
            let straight = within | ResolveFlags::NO_SYMLINKS;
            match open_in(areas.fd(ROOT), rest, flags, Mode::empty(), straight) {
                Ok(fd) => return Some(Ok(Found { fd: Arc::new(fd), straight: true })),
                Err(Errno::LOOP) => {}
                Err(error) => return Some(Err(error)),
            }
        }
        let fd = open_in(areas.fd(ROOT), rest, flags, Mode::empty(), within).ok()?;
        let (area, seen) = areas.seen(&proc::link_of(fd.as_fd()).ok()?)?;
        let is_plain = area == ROOT && areas.of(&seen).0 == ROOT;
        is_plain.then(|| Ok(Found { fd: Arc::new(fd), straight: false }))
    }

    /// Lets the kernel resolve a path that leads down from where the caller stands. `None` if it leads elsewhere.
    pub(super) fn near(
        &self,
        at: i32,
        path: &[u8],
        last: Last,
        flags: OFlags,
    ) -> Option<Result<Object, Errno>> {
        let (directory, area) = self.known_here(at, path)?;
        beneath(directory.as_fd(), area, path, last, flags)
    }

    /// The same for a path that leads down from where the caller stands. `None` for any that is not plain.
    pub(super) fn parent_near(&self, at: i32, path: &[u8]) -> Option<Result<Parent, Errno>> {
        let (directory, area) = self.known_here(at, path)?;
        parent_beneath(&directory, area, path)
    }
}

/// Lets the kernel resolve a path that leads down from a directory with nothing mounted below it. `None` if it leads up,
/// or by a link that is absolute.
pub(super) fn beneath(
    directory: BorrowedFd<'_>,
    area: usize,
    path: &[u8],
    last: Last,
    flags: OFlags,
) -> Option<Result<Object, Errno>> {
    let flags = if last == Last::Stay { flags | OFlags::NOFOLLOW } else { flags };
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    match open_in(directory, path, flags, Mode::empty(), within) {
        Ok(fd) => Some(stat_of(fd.as_fd()).map(|stat| Object { fd, stat, area, origin: Origin::Path })),
        Err(Errno::XDEV | Errno::AGAIN) => None,
        Err(error) => Some(Err(error)),
    }
}

/// The directory for the name at the end of such a path.
pub(super) fn parent_beneath(
    directory: &Arc<OwnedFd>,
    area: usize,
    path: &[u8],
) -> Option<Result<Parent, Errno>> {
    let split = path.iter().rposition(|&byte| byte == b'/');
    let (above, name) = split.map_or((&b""[..], path), |split| (&path[..split], &path[split + 1..]));
    if matches!(name, b"" | b"." | b"..") || name.len() > 255 {
        return None;
    }
    let name = CString::new(name).ok()?;
    if above.is_empty() {
        let directory = directory.clone();
        let stat = stat_of(directory.as_fd());
        return Some(stat.map(|stat| Parent { directory, stat, name, area, slash: false }));
    }
    let object = beneath(directory.as_fd(), area, above, Last::Follow, WHICH | OFlags::DIRECTORY)?;
    Some(object.map(|Object { fd, stat, area, .. }| Parent {
        directory: Arc::new(fd),
        stat,
        name,
        area,
        slash: false,
    }))
}

/// Whether a path begins with one of the directories that are links in most images: a guess that saves a try.
pub(super) fn begins_with_link(path: &[u8]) -> bool {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    let first = path.split(|&byte| byte == b'/').next().unwrap_or_default();
    matches!(first, b"bin" | b"lib" | b"lib64" | b"sbin") && path.len() > first.len()
}
