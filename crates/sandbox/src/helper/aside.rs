//! Aside: in a root without mounts, what is only there for the time of a run takes the place of what is there
//! otherwise, which waits outside the root.
//!
//! Moving the image's own `/dev` away and bringing it back keeps its inodes, its times and its content, whatever
//! the process does to the one in its place: just as if that were mounted.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, makedev, mkdirat, mknodat, openat,
    openat2, renameat, statat, symlinkat,
};
use rustix::io::Errno;

use super::Helper;
use super::copy::{DIRECTORY, Times, copy, set_times};
use super::in_use::InUse;
use super::mounts::{missing_in_read_only, write_secret};
use crate::failure::{During, Failure};
use crate::mount::{Mount, Writes};

/// The character devices of a container, by memory(4), random(4) and tty(4).
const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// What `/dev` links to; dangling where the root has no `/proc`.
const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// The things of a root that are out of it for now.
#[derive(Debug)]
pub(crate) struct Aside {
    root: OwnedFd,
    /// The directory they wait in, beside the root: each under its index in `moved`.
    store: OwnedFd,
    store_path: PathBuf,
    moved: Vec<Moved>,
    parents: Vec<Parent>,
    /// What was put where, and whether it is only to be read.
    mounted: Vec<(PathBuf, bool)>,
    in_use: InUse,
}

#[derive(Debug)]
struct Moved {
    /// Where it belongs.
    path: PathBuf,
    /// The directory it was in.
    parent: OwnedFd,
    /// Whose directory is in its place now; without that it is thrown away.
    lender: Option<Lent>,
}

/// A directory that goes back to where it came from.
#[derive(Debug)]
struct Lent {
    path: PathBuf,
    /// It is still there as well, since it could not be moved to the root's filesystem.
    is_copy: bool,
}

/// A directory of the root that something was moved out of, which shows in its times.
#[derive(Debug)]
struct Parent {
    directory: OwnedFd,
    times: Times,
}

impl Aside {
    /// Makes the place where things wait, beside the root at `dir`.
    pub(crate) fn new(dir: &Path) -> Result<Self, Failure> {
        let root = openat(CWD, dir, DIRECTORY, Mode::empty())
            .during(format_args!("open the root {}", dir.display()))?;
        let name = dir
            .file_name()
            .ok_or_else(|| Failure::because("the root of a chroot is the builder's own root"))?;
        let mut store_name = name.to_owned();
        store_name.push(".aside");
        let store_path = dir.with_file_name(store_name);
        let step = format!("make {}", store_path.display());
        mkdirat(CWD, &store_path, Mode::RWXU).during(&step)?;
        let store = openat(CWD, &store_path, DIRECTORY, Mode::empty()).during(&step)?;
        let (moved, parents, mounted) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Aside { root, store, store_path, moved, parents, mounted, in_use: InUse::default() })
    }

    /// Puts an empty directory in the place of the directory at `path`.
    pub(crate) fn empty_directory(&mut self, path: &Path, mode: u32) -> Result<OwnedFd, Failure> {
        let step = format!("put an empty directory at {} of the root", path.display());
        let (parent, name) = self.move_away(path, FileType::Directory)?;
        mkdirat(&parent, name, Mode::from_raw_mode(mode)).during(&step)?;
        let directory = openat(&parent, name, DIRECTORY, Mode::empty()).during(&step)?;
        rustix::fs::fchmod(&directory, Mode::from_raw_mode(mode)).during(&step)?;
        Ok(directory)
    }

    /// Puts devices and the usual links in the place of `/dev`.
    pub(super) fn devices(&mut self) -> Result<(), Failure> {
        let dev = self.empty_directory("/dev".as_ref(), 0o755)?;
        for (name, major, minor) in DEVICES {
            let mode = Mode::from_raw_mode(0o666);
            let step = format!("make the device /dev/{name} of the root");
            mknodat(&dev, name, FileType::CharacterDevice, mode, makedev(major, minor)).during(&step)?;
            // The umask has its say in mknod.
            rustix::fs::chmodat(&dev, name, mode, AtFlags::empty()).during(&step)?;
        }
        for (name, target) in LINKS {
            symlinkat(target, &dev, name).during(format_args!("make /dev/{name} of the root"))?;
        }
        mkdirat(&dev, "shm", Mode::from_raw_mode(0o777)).during("make /dev/shm of the root")?;
        rustix::fs::chmodat(&dev, "shm", Mode::from_raw_mode(0o1777), AtFlags::empty())
            .during("make /dev/shm of the root")
    }

    /// Puts what `mount` describes in its place. A directory whose writes are kept comes itself, and goes home
    /// afterwards; everything else is a copy.
    pub(super) fn mount(&mut self, helper: &Helper, mount: &Mount) -> Result<(), Failure> {
        let (source, target, writes) = match mount {
            Mount::Tmpfs { target, mode, .. } => {
                self.empty_directory(target, *mode).map(drop)?;
                return self.note_read_only(mount);
            }
            Mount::Secret { target, content, mode, uid, gid } => {
                let (parent, name) = self.move_away(target, FileType::RegularFile)?;
                return write_secret(parent.as_fd(), name, content, *mode, *uid, *gid);
            }
            Mount::Bind { source, target, writes } => (source, target, writes),
        };
        let step = format!("put {} at {} of the root", source.display(), target.display());
        let is_directory = source.metadata().during(&step)?.is_dir();
        let kind = if is_directory { FileType::Directory } else { FileType::RegularFile };
        let kept = match writes {
            Writes::Kept { in_use } if is_directory => {
                if self
                    .moved
                    .iter()
                    .any(|moved| moved.lender.as_ref().is_some_and(|lent| lent.path == *source))
                {
                    return Err(Failure::because(format!("{step}: a directory cannot be at two places")));
                }
                self.in_use.lock(helper, in_use, true)?;
                true
            }
            _ => false,
        };
        let (parent, name) = self.move_away(target, kind)?;
        let moved_in = kept && moved(renameat(CWD, source, &parent, name)).during(&step)?;
        if !moved_in {
            copy(source, parent.as_fd(), name).during(&step)?;
        }
        if kept {
            let lent = Lent { path: source.clone(), is_copy: !moved_in };
            self.moved.last_mut().expect("it was just moved away").lender = Some(lent);
        }
        self.note_read_only(mount)
    }

    /// Remembers where other isolations would make nothing new.
    fn note_read_only(&mut self, mount: &Mount) -> Result<(), Failure> {
        let read_only = match mount {
            Mount::Bind { writes, .. } => *writes == Writes::Refused,
            Mount::Tmpfs { read_only, .. } => *read_only,
            Mount::Secret { .. } => true,
        };
        self.mounted.push((mount.target().to_owned(), read_only));
        Ok(())
    }

    /// Moves what is at `path` to the store: the directory it was in, and its name there. What is missing there
    /// lies in something that was put into the root before.
    fn move_away<'a>(&mut self, path: &'a Path, kind: FileType) -> Result<(OwnedFd, &'a OsStr), Failure> {
        let step = format!("move {} of the root aside", path.display());
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Failure::because(format!("{step}: not a path below /")));
        };
        let parent = self.open_parent(path, parent)?;
        match statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) if FileType::from_raw_mode(found.st_mode) != kind => {
                return Err(Failure::because(format!("{step}: it is not a {kind:?}")));
            }
            Ok(_) => {
                self.remember(&parent).during(&step)?;
                renameat(&parent, name, &self.store, self.moved.len().to_string()).during(&step)?;
            }
            Err(Errno::NOENT) => {
                self.refuse_new(path)?;
                self.remember(&parent).during(&step)?;
            }
            Err(error) => return Err(error).during(&step),
        }
        let handle = parent.try_clone().during(&step)?;
        self.moved.push(Moved { path: path.to_owned(), parent, lender: None });
        Ok((handle, name))
    }

    /// Opens the directory that the mount target `path` lies in, or is to lie in.
    fn open_parent(&self, path: &Path, parent: &Path) -> Result<OwnedFd, Failure> {
        let step = format!("open {} of the root", parent.display());
        let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match openat2(&self.root, parent, flags, Mode::empty(), how) {
            Err(Errno::NOENT) => {}
            opened => return opened.during(&step),
        }
        self.refuse_new(path)?;
        let (Some(above), Some(name)) = (parent.parent(), parent.file_name()) else {
            return Err(Failure::because(step));
        };
        let above = self.open_parent(path, above)?;
        mkdirat(&above, name, Mode::from_raw_mode(0o755)).during(&step)?;
        openat(&above, name, DIRECTORY, Mode::empty()).during(&step)
    }

    /// As where there are mounts, nothing is made in those that cannot be written to.
    fn refuse_new(&self, path: &Path) -> Result<(), Failure> {
        let around = self.mounted.iter().rev().find(|(mounted, _)| path.starts_with(mounted));
        if around.is_some_and(|(_, read_only)| *read_only) { Err(missing_in_read_only(path)) } else { Ok(()) }
    }

    /// Keeps the times of a directory, if it is the first time that something is moved out of it.
    fn remember(&mut self, directory: &OwnedFd) -> io::Result<()> {
        let found = fstat(directory)?;
        for known in &self.parents {
            let known = fstat(&known.directory)?;
            if (known.st_dev, known.st_ino) == (found.st_dev, found.st_ino) {
                return Ok(());
            }
        }
        let directory = directory.try_clone()?;
        self.parents.push(Parent { directory, times: times(&found) });
        Ok(())
    }

    /// Makes the directories look as if nothing had been moved: then a new time is the process's doing.
    pub(crate) fn keep_times(&self) -> Result<(), Failure> {
        let mut parents = self.parents.iter();
        parents
            .try_for_each(|parent| set_times(&parent.directory, parent.times))
            .during("set the times in the root")
    }

    /// Brings everything back, the last thing moved first, and removes what was in its place. After a failure it
    /// goes on with the rest: directories that were lent are not the root's to lose.
    pub(crate) fn restore(mut self) -> Result<(), Failure> {
        let mut result = Ok(());
        for parent in &mut self.parents {
            match fstat(&parent.directory) {
                Ok(found) => parent.times = times(&found),
                Err(error) => result = result.and(Err(error).during("read the times in the root")),
            }
        }
        while let Some(moved) = self.moved.pop() {
            let step = format!("bring {} of the root back", moved.path.display());
            result = result.and(self.bring_back(&moved).during(step));
        }
        result = result.and(self.keep_times());
        let step = format!("remove {}", self.store_path.display());
        result.and(std::fs::remove_dir_all(&self.store_path).during(step))
    }

    /// Puts what was made of a copy in the place of the original, which stays until all is there.
    fn copy_home(&self, parent: &OwnedFd, name: &OsStr, home: &Path) -> io::Result<()> {
        let made = format!("/proc/self/fd/{}", parent.as_raw_fd());
        let [fresh, old] = [".new", ".old"].map(|end| {
            let mut path = home.as_os_str().to_owned();
            path.push(end);
            PathBuf::from(path)
        });
        for left in [&fresh, &old] {
            match std::fs::remove_dir_all(left) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        copy(&Path::new(&made).join(name), CWD, fresh.as_os_str())?;
        std::fs::rename(home, &old)?;
        std::fs::rename(&fresh, home)?;
        std::fs::remove_dir_all(&old)
    }

    /// Brings the thing back that was moved last. What the process removed it could not have removed if it were
    /// mounted: a directory on loan is made anew then, and if the directory around it is gone, it goes too.
    fn bring_back(&self, moved: &Moved) -> io::Result<()> {
        let name = moved.path.file_name().expect("it was moved by this name");
        let place = self.moved.len().to_string();
        let used = statat(&moved.parent, name, AtFlags::SYMLINK_NOFOLLOW).map(|used| used.st_mode);
        let is_directory = used.map(FileType::from_raw_mode) == Ok(FileType::Directory);
        match &moved.lender {
            Some(Lent { path, is_copy: false }) if is_directory => renameat(&moved.parent, name, CWD, path)?,
            Some(Lent { path, is_copy: false }) => std::fs::create_dir(path)?,
            Some(Lent { path, is_copy: true }) if is_directory => {
                self.copy_home(&moved.parent, name, path)?
            }
            Some(Lent { is_copy: true, .. }) | None => {}
        }
        for (from, from_name, to, to_name) in [
            (&moved.parent, name, &self.store, OsStr::new(&format!("{place}.used"))),
            (&self.store, OsStr::new(&place), &moved.parent, name),
        ] {
            match renameat(from, from_name, to, to_name) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Whether a rename was done; not if it leads to another filesystem.
fn moved(result: rustix::io::Result<()>) -> rustix::io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(Errno::XDEV) => Ok(false),
        Err(error) => Err(error),
    }
}

fn times(stat: &Stat) -> Times {
    [(stat.st_atime, stat.st_atime_nsec.cast_signed()), (stat.st_mtime, stat.st_mtime_nsec.cast_signed())]
}
