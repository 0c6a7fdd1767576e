//! Furnishing: what is in the tree of a run besides its root, put together as areas.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::libc;
use owners::{Table, remembered_mode};
use rustix::fs::{
    CWD, MemfdFlags, Mode, OFlags, ResolveFlags, SealFlags, memfd_create, mkdirat, openat, openat2,
};
use rustix::io::Errno;

use super::area::{Area, Areas, Kind, ROOT};
use super::proc;
use super::resolve::tidy;
use super::start::write_starter;
use super::supervisor::{file_type, identity, stat_of};
use crate::failure::{During, Failure};
use crate::helper::Helper;
use crate::helper::aside::Aside;
use crate::helper::copy::copy;
use crate::helper::in_use::InUse;
use crate::helper::mounts::missing_in_read_only;
use crate::mount::{Mount, Secret, Writes};

/// The devices of a container, by memory(4), random(4), tty(4) and pts(4).
const DEVICES: [(&str, u32, u32); 7] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
    ("ptmx", 5, 2),
];

/// What `/dev` links to.
const LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// The starter, in that directory.
pub(super) const STARTER: &str = "start";

/// A directory beside the root for what the supervisor makes: devices, the starter and links to it, what is forgotten.
#[derive(Debug)]
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    pub(super) fn new(dir: &Path) -> Result<Self, Failure> {
        let mut name = dir.as_os_str().to_owned();
        name.push(".supervised");
        let scratch = Scratch(name.into());
        for name in ["", "dev", "dev/shm", "dev/pts", "programs"] {
            let path = scratch.0.join(name);
            fs::create_dir(&path).during(format_args!("make a directory {}", path.display()))?;
        }
        let starter = scratch.0.join(STARTER);
        write_starter(&starter).during(format_args!("write {}", starter.display()))?;
        Ok(scratch)
    }
}

impl Scratch {
    /// Forgets what was said of what is in there, before its inodes become other files.
    pub(super) fn forget(&self, table: &mut Table) {
        let mut next = vec![self.0.clone()];
        while let Some(path) = next.pop() {
            let Ok(found) = path.symlink_metadata() else { continue };
            table.forget((found.dev(), found.ino()));
            if found.is_dir() {
                next.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It lies in the work directory, which is removed as a whole.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Opens something of this machine only to say what it is. No part of its path is a link that somebody could have put
/// there.
pub(super) fn open(path: &Path) -> Result<OwnedFd, Failure> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)
        .during(format_args!("open {}", path.display()))
}

/// Puts areas together.
pub(super) struct Furnisher<'a> {
    helper: &'a Helper,
    aside: &'a mut Aside,
    scratch: &'a Scratch,
    areas: Areas,
    table: Table,
    in_use: InUse,
    foreign_terminals: HashSet<u64>,
}

/// What was put together.
pub(super) struct Furnished {
    pub(super) areas: Areas,
    pub(super) table: Table,
    /// Locks to be held until the process is gone.
    pub(super) in_use: InUse,
    /// The terminals that are there already, by their devices.
    pub(super) foreign_terminals: HashSet<u64>,
}

/// The terminals in a directory.
fn terminals(directory: &Path) -> HashSet<u64> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    // Beside them is what makes new ones.
    let numbered = entries.filter(|entry| entry.file_name() != "ptmx");
    numbered.filter_map(|entry| entry.metadata().ok()).map(|found| found.rdev()).collect()
}

impl<'a> Furnisher<'a> {
    /// Begins with the root at `dir`, of whose files `table` tells.
    pub(super) fn new(
        helper: &'a Helper,
        aside: &'a mut Aside,
        scratch: &'a Scratch,
        dir: &Path,
        table: Table,
    ) -> Result<Self, Failure> {
        let root = Area {
            target: Vec::new(),
            fd: open(dir)?,
            host: dir.as_os_str().as_bytes().to_vec(),
            kind: Kind::Tree,
            read_only: false,
            covers: None,
        };
        let areas = Areas::new(root);
        let (in_use, foreign_terminals) = (InUse::default(), HashSet::new());
        Ok(Furnisher { helper, aside, scratch, areas, table, in_use, foreign_terminals })
    }

    /// Mounts what every process has, and then what this one asked for.
    pub(super) fn furnish(mut self, mounts: &[Mount]) -> Result<Furnished, Failure> {
        let dev = self.devices()?;
        self.show(Path::new("/proc"), "/proc".as_ref(), Kind::Processes, false)?;
        self.show(Path::new("/sys"), "/sys".as_ref(), Kind::Machine, true)?;
        self.show(&dev, "/dev".as_ref(), Kind::Tree, false)?;
        if let Ok(found) = fs::metadata("/dev/pts/ptmx")
            && !found.is_dir()
        {
            self.foreign_terminals = terminals(Path::new("/dev/pts"));
            self.show(Path::new("/dev/pts"), "/dev/pts".as_ref(), Kind::Machine, false)?;
        }
        for (index, mount) in mounts.iter().enumerate() {
            self.mount(index, mount)?;
        }
        self.aside.keep_times()?;
        Ok(Furnished {
            areas: self.areas,
            table: self.table,
            in_use: self.in_use,
            foreign_terminals: self.foreign_terminals,
        })
    }

    fn mount(&mut self, index: usize, mount: &Mount) -> Result<(), Failure> {
        match mount {
            Mount::Bind { source, target, writes } => match writes {
                Writes::Refused => self.show(source, target, Kind::Tree, true),
                Writes::Kept { in_use } => {
                    self.in_use.lock(self.helper, in_use, false)?;
                    self.show(source, target, Kind::Tree, false)
                }
                Writes::Discarded { scratch } => {
                    let step = || format!("copy {} to be written to", source.display());
                    let directory = File::open(scratch).during(step())?;
                    copy(source, directory.as_fd(), OsStr::new("copy")).during(step())?;
                    inherit(&mut self.table, source, &scratch.join("copy")).during(step())?;
                    self.show(&scratch.join("copy"), target, Kind::Tree, false)
                }
            },
            Mount::Tmpfs { target, mode, read_only, .. } => {
                let directory = self.scratch.0.join(format!("tmpfs-{index}"));
                fs::create_dir(&directory)
                    .during(format_args!("make a directory for {}", target.display()))?;
                self.say(open(&directory)?.as_fd(), libc::S_IFDIR | *mode & 0o7777, (0, 0))?;
                self.show(&directory, target, Kind::Tree, *read_only)
            }
            Mount::Secret { target, content, mode, uid, gid } => {
                let file = secret(content)?;
                self.say(file.as_fd(), libc::S_IFREG | *mode & 0o7777, (*uid, *gid))?;
                self.show_open(file, target, Kind::Tree, true)
            }
        }
    }

    /// Shows something of this machine in the tree.
    fn show(&mut self, source: &Path, target: &Path, kind: Kind, read_only: bool) -> Result<(), Failure> {
        self.show_open(open(source)?, target, kind, read_only)
    }

    fn show_open(&mut self, fd: OwnedFd, target: &Path, kind: Kind, read_only: bool) -> Result<(), Failure> {
        let step = || format!("mount on {}", target.display());
        let is_directory = file_type(&stat_of(fd.as_fd()).during(step())?) == libc::S_IFDIR;
        let path = tidy(target.as_os_str().as_bytes());
        let (area, rest) = self.areas.of(&path);
        if area == ROOT && is_directory {
            // What is covered must not be found by whoever comes through a link.
            self.aside.empty_directory(target, 0o755)?;
        }
        let covered = self.target(area, rest, target, is_directory)?;
        let covers = Some(identity(&stat_of(covered.as_fd()).during(step())?));
        let host = proc::link_of(fd.as_fd()).during(step())?;
        self.areas.mount(Area { target: path.into_owned(), fd, host, kind, read_only, covers });
        Ok(())
    }

    /// What is mounted on. In a mount that comes before, what is missing is made.
    fn target(&self, area: usize, rest: &[u8], target: &Path, directory: bool) -> Result<OwnedFd, Failure> {
        let step = || format!("find the mount target {}", target.display());
        let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut at = self.areas.fd(area).try_clone_to_owned().during(step())?;
        let mut names = rest.split(|&byte| byte == b'/').filter(|name| !name.is_empty()).peekable();
        while let Some(name) = names.next() {
            let here = at;
            let open = || openat2(&here, name, flags, Mode::empty(), how);
            at = match open() {
                Err(Errno::NOENT) if area != ROOT => {
                    if self.areas.get(area).read_only {
                        return Err(missing_in_read_only(target));
                    }
                    let made = if directory || names.peek().is_some() {
                        mkdirat(&here, name, Mode::from_raw_mode(0o755))
                    } else {
                        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                        openat(&here, name, flags, Mode::from_raw_mode(0o644)).map(drop)
                    };
                    made.and_then(|()| open()).during(step())?
                }
                opened => opened.during(step())?,
            };
        }
        Ok(at)
    }

    /// Makes what is in `/dev`: devices are files on disk, of which the table says what they are.
    fn devices(&mut self) -> Result<PathBuf, Failure> {
        let dev = self.scratch.0.join("dev");
        for (name, major, minor) in DEVICES {
            let step = || format!("make the device /dev/{name} of the root");
            let file = File::create(dev.join(name)).during(step())?;
            self.say(file.as_fd(), libc::S_IFCHR | 0o666, (0, 0))?;
            let stat = stat_of(file.as_fd()).during(step())?;
            self.table.change(identity(&stat), |entry| entry.device = rustix::fs::makedev(major, minor));
        }
        for (name, target) in LINKS {
            std::os::unix::fs::symlink(target, dev.join(name))
                .during(format_args!("make /dev/{name} of the root"))?;
        }
        self.say(open(&dev.join("shm"))?.as_fd(), libc::S_IFDIR | 0o1777, (0, 0))?;
        Ok(dev)
    }

    /// Says what a file of ours is in the run.
    fn say(&mut self, file: BorrowedFd<'_>, mode: u32, (uid, gid): (u32, u32)) -> Result<(), Failure> {
        let stat = stat_of(file).during("look at a file of ours")?;
        if file_type(&stat) != libc::S_IFLNK {
            let on_disk =
                Mode::from_raw_mode(owners::mode_on_disk(stat.st_mode & libc::S_IFMT | mode & 0o7777));
            rustix::fs::chmod(proc::own_path(file), on_disk).during("set the mode of a file of ours")?;
        }
        self.table.forget(identity(&stat));
        self.table.change(identity(&stat), |entry| {
            (entry.uid, entry.gid) = (uid, gid);
            entry.mode = remembered_mode(mode, stat.st_mode);
        });
        Ok(())
    }
}

/// Says of a copy what is said of the original.
fn inherit(table: &mut Table, original: &Path, copy: &Path) -> std::io::Result<()> {
    let mut next = vec![PathBuf::new()];
    while let Some(path) = next.pop() {
        let name = |base: &Path| if path.as_os_str().is_empty() { base.to_owned() } else { base.join(&path) };
        let (from, to) = (name(original).symlink_metadata()?, name(copy).symlink_metadata());
        // Devices are not copied.
        let Ok(to) = to else { continue };
        let entry = table.get((from.dev(), from.ino())).cloned();
        table.forget((to.dev(), to.ino()));
        if let Some(entry) = entry {
            table.change((to.dev(), to.ino()), |new| *new = entry);
        }
        if from.is_dir() {
            for entry in fs::read_dir(name(original))? {
                next.push(path.join(entry?.file_name()));
            }
        }
    }
    Ok(())
}

/// A file with a secret that is in memory alone.
fn secret(content: &Secret) -> Result<OwnedFd, Failure> {
    let step = "write a secret";
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(memfd_create(c"secret", flags).during(step)?);
    file.write_all(content.expose()).during(step)?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(&file, seals).during(step)?;
    Ok(file.into())
}
