//! Aside: in a root without mounts, what is only there for the time of a run takes the place of what is there
//! otherwise, which waits outside the root.
//!
//! Moving the image's own `/dev` away and bringing it back keeps its inodes, its times and its content, whatever
//! the process does to the one in its place: just as if that were mounted.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, Uid, fstat,
    futimens, makedev, mkdirat, mknodat, openat, openat2, renameat, statat, symlinkat,
};
use rustix::io::Errno;

use crate::failure::{During, Failure};
use crate::process::Mount;

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

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The things of a root that are out of it for now.
#[derive(Debug)]
pub(super) struct Aside {
    root: OwnedFd,
    /// The directory they wait in, beside the root: each under its index in `moved`.
    store: OwnedFd,
    store_path: PathBuf,
    moved: Vec<Moved>,
    parents: Vec<Parent>,
}

#[derive(Debug)]
struct Moved {
    /// Where it belongs.
    path: PathBuf,
    /// The directory it was in.
    parent: OwnedFd,
    /// Where to take the directory that is in its place now; without that it is thrown away.
    lender: Option<PathBuf>,
}

/// A directory of the root that something was moved out of, which shows in its times.
#[derive(Debug)]
struct Parent {
    directory: OwnedFd,
    times: Times,
}

/// Last access and last modification, in seconds and nanoseconds.
type Times = [(i64, i64); 2];

impl Aside {
    /// Makes the place where things wait, beside the root at `dir`.
    pub(super) fn new(dir: &Path) -> Result<Self, Failure> {
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
        Ok(Aside { root, store, store_path, moved: Vec::new(), parents: Vec::new() })
    }

    /// Puts an empty directory in the place of the directory at `path`.
    pub(super) fn empty_directory(&mut self, path: &Path, mode: u32) -> Result<OwnedFd, Failure> {
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

    /// Puts what `mount` describes in its place. A directory to write to comes itself, and goes home afterwards;
    /// everything else is a copy.
    pub(super) fn mount(&mut self, mount: &Mount) -> Result<(), Failure> {
        let (source, target, read_only) = match mount {
            Mount::Tmpfs { target, .. } => return self.empty_directory(target, 0o1777).map(drop),
            Mount::Bind { source, target, read_only } => (source, target, *read_only),
        };
        let step = format!("put {} at {} of the root", source.display(), target.display());
        let is_directory = source.metadata().during(&step)?.is_dir();
        let kind = if is_directory { FileType::Directory } else { FileType::RegularFile };
        let (parent, name) = self.move_away(target, kind)?;
        if !is_directory || read_only {
            return copy(&source.canonicalize().during(&step)?, parent.as_fd(), name).during(&step);
        }
        renameat(CWD, source, &parent, name).during(&step)?;
        self.moved.last_mut().expect("it was just moved away").lender = Some(source.clone());
        Ok(())
    }

    /// Moves what is at `path` to the store: the directory it was in, and its name there.
    fn move_away<'a>(&mut self, path: &'a Path, kind: FileType) -> Result<(OwnedFd, &'a OsStr), Failure> {
        let step = format!("move {} of the root aside", path.display());
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Failure::because(format!("{step}: not a path below /")));
        };
        let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = openat2(&self.root, parent, flags, Mode::empty(), how).during(&step)?;
        let found = statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW).during(&step)?;
        if FileType::from_raw_mode(found.st_mode) != kind {
            return Err(Failure::because(format!("{step}: it is not a {kind:?}")));
        }
        self.remember(&parent).during(&step)?;
        renameat(&parent, name, &self.store, self.moved.len().to_string()).during(&step)?;
        let handle = parent.try_clone().during(&step)?;
        self.moved.push(Moved { path: path.to_owned(), parent, lender: None });
        Ok((handle, name))
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
    pub(super) fn keep_times(&self) -> Result<(), Failure> {
        let mut parents = self.parents.iter();
        parents
            .try_for_each(|parent| set_times(&parent.directory, parent.times))
            .during("set the times in the root")
    }

    /// Brings everything back, the last thing moved first, and removes what was in its place. After a failure it
    /// goes on with the rest: directories that were lent are not the root's to lose.
    pub(super) fn restore(mut self) -> Result<(), Failure> {
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

    /// Brings the thing back that was moved last. What the process removed it could not have removed if it were
    /// mounted: a directory on loan is made anew then, and if the directory around it is gone, it goes too.
    fn bring_back(&self, moved: &Moved) -> io::Result<()> {
        let name = moved.path.file_name().expect("it was moved by this name");
        let place = self.moved.len().to_string();
        let used = statat(&moved.parent, name, AtFlags::SYMLINK_NOFOLLOW).map(|used| used.st_mode);
        let is_directory = used.map(FileType::from_raw_mode) == Ok(FileType::Directory);
        match &moved.lender {
            Some(lender) if is_directory => renameat(&moved.parent, name, CWD, lender)?,
            Some(lender) => std::fs::create_dir(lender)?,
            None => {}
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

fn times(stat: &Stat) -> Times {
    [(stat.st_atime, stat.st_atime_nsec.cast_signed()), (stat.st_mtime, stat.st_mtime_nsec.cast_signed())]
}

fn set_times(fd: &OwnedFd, times: Times) -> rustix::io::Result<()> {
    let [last_access, last_modification] = times.map(|(tv_sec, tv_nsec)| Timespec { tv_sec, tv_nsec });
    futimens(fd, &Timestamps { last_access, last_modification })
}

/// Copies a file or a directory, with modes, owners and times; what is neither of these nor a symlink is left out.
fn copy(from: &Path, parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<()> {
    let found = from.symlink_metadata()?;
    let (uid, gid) = (Uid::from_raw(found.uid()), Gid::from_raw(found.gid()));
    if found.is_symlink() {
        symlinkat(from.read_link()?, parent, name)?;
        return Ok(rustix::fs::chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?);
    }
    let copied = if found.is_dir() {
        mkdirat(parent, name, Mode::RWXU)?;
        let directory = openat(parent, name, DIRECTORY, Mode::empty())?;
        for entry in from.read_dir()? {
            let entry = entry?;
            copy(&entry.path(), directory.as_fd(), &entry.file_name())?;
        }
        directory
    } else if found.is_file() {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let mut file = File::from(openat(parent, name, flags, Mode::RUSR | Mode::WUSR)?);
        io::copy(&mut File::open(from)?, &mut file)?;
        file.into()
    } else {
        return Ok(());
    };
    // The owner first: changing it takes the set-user-id bit away.
    rustix::fs::fchown(&copied, Some(uid), Some(gid))?;
    rustix::fs::fchmod(&copied, Mode::from_raw_mode(found.mode() & 0o7777))?;
    Ok(set_times(&copied, [(found.atime(), found.atime_nsec()), (found.mtime(), found.mtime_nsec())])?)
}
