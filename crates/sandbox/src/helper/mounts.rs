//! Mounts: what a process asked to see besides its root, as the kernel's mounts.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, ResolveFlags, Uid, mkdirat, openat, openat2};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, unmount};

use super::Helper;
use super::copy::{DIRECTORY, copy, dress};
use super::in_use::InUse;
use super::view::{View, by_fd, is_directory, mount_overlay, read_only};
use crate::failure::{During, Failure};
use crate::mount::{Mount, Secret, Writes};
use crate::namespaces::NamespacesPlan;

/// Where secrets are made, in the process's own `/dev`, before there is a process to look.
const MEMORY: &str = ".secrets";

/// Mounts one thing after the other.
pub(super) struct Mounts<'a> {
    helper: &'a Helper,
    view: &'a View,
    plan: &'a NamespacesPlan,
    in_use: InUse,
}

impl<'a> Mounts<'a> {
    pub(super) fn new(helper: &'a Helper, view: &'a View, plan: &'a NamespacesPlan) -> Self {
        Mounts { helper, view, plan, in_use: InUse::default() }
    }

    /// Mounts all. The locks are to be held until the process is gone.
    pub(super) fn make(mut self, wanted: &[Mount]) -> Result<InUse, Failure> {
        // In the `/dev` that we have just made, whatever is mounted over it later.
        let memory = match wanted.iter().any(|mount| matches!(mount, Mount::Secret { .. })) {
            true => Some(Memory::new(self.view, wanted)?),
            false => None,
        };
        for (number, mount) in wanted.iter().enumerate() {
            let target = mount.target();
            match mount {
                Mount::Bind { source, target, writes } => self.bind(source, target, writes)?,
                Mount::Tmpfs { target, size, mode, read_only } => {
                    self.tmpfs(target, *size, *mode, *read_only)?;
                }
                Mount::Secret { .. } => {
                    let memory = memory.as_ref().expect("it was made for such mounts");
                    let (file, at) = (memory.file(number)?, self.target(target, false)?);
                    mount_bind(by_fd(&file), by_fd(&at))
                        .during(format_args!("mount a secret on {}", target.display()))?;
                    self.refuse_writes(target)?;
                }
            }
        }
        memory.map_or(Ok(()), Memory::hide)?;
        Ok(self.in_use)
    }

    fn bind(&mut self, source: &Path, target: &Path, writes: &Writes) -> Result<(), Failure> {
        let step = || format!("bind {} on {}", source.display(), target.display());
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        // Somebody else may be changing what is there, who is not to lead us elsewhere.
        let resolve = ResolveFlags::NO_SYMLINKS;
        let mut from = openat2(CWD, source, flags, Mode::empty(), resolve).during(step())?;
        match writes {
            Writes::Refused => {}
            Writes::Discarded { scratch } => from = self.discarding(&from, source, scratch)?,
            Writes::Kept { in_use } => self.in_use.lock(self.helper, in_use, false)?,
        }
        let at = self.target(target, is_directory(&from)?)?;
        mount_bind_recursive(by_fd(&from), by_fd(&at)).during(step())?;
        if *writes == Writes::Refused { self.refuse_writes(target) } else { Ok(()) }
    }

    fn refuse_writes(&self, target: &Path) -> Result<(), Failure> {
        let step = format!("make {} read-only", target.display());
        read_only(self.view.find(target).during(&step)?.as_fd()).during(step)
    }

    /// Something like `from` to write to: an overlay on it, or a copy of it where there can be none.
    fn discarding(&self, from: &OwnedFd, source: &Path, scratch: &Path) -> Result<OwnedFd, Failure> {
        let step = || format!("make {} writable", source.display());
        let open = |path: &Path| {
            rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).during(step())
        };
        if is_directory(from)?
            && let Ok(plan) = &self.plan.overlay
        {
            let [upper, work] = ["upper", "work"].map(|name| scratch.join(name));
            for directory in [&upper, &work] {
                mkdirat(CWD, directory, Mode::RWXU).during(step())?;
            }
            let top = openat(CWD, &upper, DIRECTORY, Mode::empty()).during(step())?;
            dress(&top, &source.metadata().during(step())?).during(step())?;
            let mounted = mount_overlay(&[source.to_owned()], &upper, &work, *plan);
            if mounted.is_ok() {
                return open(&upper);
            }
        }
        let directory = openat(CWD, scratch, DIRECTORY, Mode::empty()).during(step())?;
        copy(source, directory.as_fd(), OsStr::new("copy")).during(step())?;
        open(&scratch.join("copy"))
    }

    fn tmpfs(&self, target: &Path, size: Option<u64>, mode: u32, read_only: bool) -> Result<(), Failure> {
        let mut options = format!("mode={mode:o}");
        if let Some(size) = size {
            options.push_str(&format!(",size={size}"));
        }
        let mut flags = MountFlags::NOSUID | MountFlags::NODEV;
        flags.set(MountFlags::RDONLY, read_only);
        let options = CString::new(options).expect("numbers hold no NUL");
        mount("tmpfs", by_fd(&self.target(target, true)?), "tmpfs", flags, Some(options.as_c_str()))
            .during(format_args!("mount a tmpfs on {}", target.display()))
    }

    /// Opens what is to be mounted on. What is missing lies in something that is mounted for this run, and is made.
    fn target(&self, target: &Path, directory: bool) -> Result<OwnedFd, Failure> {
        match self.view.find(target) {
            Err(Errno::NOENT) => {}
            found => return found.during(format_args!("open the mount target {}", target.display())),
        }
        let step = || format!("make the mount target {}", target.display());
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            return Err(Failure::because(step()));
        };
        let parent = self.target(parent, true)?;
        let made = match directory {
            true => mkdirat(&parent, name, Mode::from_raw_mode(0o755)),
            false => {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                openat(&parent, name, flags, Mode::from_raw_mode(0o644)).map(drop)
            }
        };
        match made {
            Ok(()) => self.view.find(target).during(step()),
            Err(Errno::ROFS) => Err(missing_in_read_only(target)),
            Err(error) => Err(error).during(step()),
        }
    }
}

/// The error for a mount on something that is not there and cannot be made.
pub(crate) fn missing_in_read_only(target: &Path) -> Failure {
    Failure::because(format!(
        "the mount target {} does not exist in the read-only mount around it",
        target.display()
    ))
}

/// A filesystem without a disk behind it, with the secrets of one run.
struct Memory {
    dev: OwnedFd,
    directory: OwnedFd,
}

impl Memory {
    fn new(view: &View, wanted: &[Mount]) -> Result<Self, Failure> {
        let step = "make a place for secrets";
        let dev = view.directory("/dev")?;
        mkdirat(&dev, MEMORY, Mode::RWXU).during(step)?;
        let open = || openat(&dev, MEMORY, DIRECTORY, Mode::empty()).during(step);
        let executable =
            wanted.iter().any(|mount| matches!(mount, Mount::Secret { mode, .. } if mode & 0o111 != 0));
        let mut flags = MountFlags::NOSUID | MountFlags::NODEV;
        flags.set(MountFlags::NOEXEC, !executable);
        let at = open()?;
        // A ramfs is never swapped out.
        mount("ramfs", by_fd(&at), "ramfs", flags, Some(c"mode=700"))
            .or_else(|_| mount("tmpfs", by_fd(&at), "tmpfs", flags, Some(c"mode=700")))
            .during(step)?;
        let memory = Memory { directory: open()?, dev };
        for (number, mount) in wanted.iter().enumerate() {
            if let Mount::Secret { content, mode, uid, gid, .. } = mount {
                write_secret(
                    memory.directory.as_fd(),
                    number.to_string().as_ref(),
                    content,
                    *mode,
                    *uid,
                    *gid,
                )?;
            }
        }
        Ok(memory)
    }

    fn file(&self, number: usize) -> Result<OwnedFd, Failure> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&self.directory, number.to_string(), flags, Mode::empty()).during("find a secret")
    }

    /// Leaves each file where it is mounted and nowhere else.
    fn hide(self) -> Result<(), Failure> {
        let step = "hide the place of secrets";
        unmount(by_fd(&self.directory), UnmountFlags::DETACH).during(step)?;
        rustix::fs::unlinkat(&self.dev, MEMORY, AtFlags::REMOVEDIR).during(step)
    }
}

/// Writes a secret to a file that was not there.
pub(super) fn write_secret(
    directory: BorrowedFd<'_>,
    name: &OsStr,
    content: &Secret,
    mode: u32,
    uid: u32,
    gid: u32,
) -> Result<(), Failure> {
    use std::io::Write;
    let step = "write a secret";
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = openat(directory, name, flags, Mode::RUSR | Mode::WUSR).during(step)?;
    let mut file = std::fs::File::from(file);
    file.write_all(content.expose()).during(step)?;
    rustix::fs::fchown(&file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
        .during(format_args!("{step}: chown {uid}:{gid}"))?;
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode & 0o7777)).during(step)
}

/// What is on a filesystem in memory is on no disk.
pub(crate) fn is_in_memory(directory: &Path) -> std::io::Result<bool> {
    const TMPFS: i64 = 0x0102_1994;
    const RAMFS: i64 = 0x8584_58f6;
    let kind = rustix::fs::statfs(directory)?.f_type;
    Ok(matches!(kind, TMPFS | RAMFS))
}
