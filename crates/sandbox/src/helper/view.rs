//! The view: what a process in our mount namespace finds at `/`.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, mount_change,
    mount_move, unmount,
};

use super::Helper;
use super::in_use::InUse;
use super::mounts::Mounts;
use crate::failure::{During, Failure};
use crate::job::Root;
use crate::namespaces::{NamespacesPlan, OverlayPlan};
use crate::process::{Network, Process};
use crate::sys;

/// Hidden from the process: a file looks empty, a directory too. Docker's list.
const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// What the process can read only; Docker's list.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The devices of a container.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// What a container's `/dev` links to.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Mounts all that `process` is to see and makes it the root of this process. What it gives is to be kept until the
/// process is gone.
pub(super) fn make(
    helper: &Helper,
    process: &Process,
    root: &Root,
    plan: &NamespacesPlan,
) -> Result<InUse, Failure> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .during("make the mounts private")?;
    match root {
        Root::InPlace { dir } => {
            mount_bind_recursive(dir.as_os_str(), dir.as_os_str())
                .during(format_args!("bind {}", dir.display()))?;
            std::env::set_current_dir(dir).during(format_args!("enter {}", dir.display()))?;
        }
        Root::Stacked { lower, upper, work } => {
            let overlay = plan.overlay.clone()?;
            let lower: Vec<PathBuf> = lower.iter().map(PathBuf::from).collect();
            mount_overlay(&lower, upper.as_ref(), work.as_ref(), overlay)?;
            std::env::set_current_dir(upper).during(format_args!("enter {}", upper.display()))?;
        }
    }
    let view = View(
        rustix::fs::open(".", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .during("open the root")?,
    );
    view.mount_proc(plan)?;
    view.mount_sys()?;
    view.mount_dev()?;
    view.mask()?;
    let in_use = Mounts::new(helper, &view, plan).make(&process.mounts)?;
    if process.network == Network::None {
        loopback_up()?;
    }
    drop(view);
    enter()?;
    Ok(in_use)
}

/// The new root, before it is one.
pub(super) struct View(OwnedFd);

impl View {
    /// Opens a path as it will be found inside: symlinks lead to places in the root, and nowhere else.
    pub(super) fn find(&self, path: &Path) -> rustix::io::Result<OwnedFd> {
        openat2(
            &self.0,
            path,
            OFlags::PATH | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
        )
    }

    /// Opens a directory of the root's that something is to be mounted on. A symlink there would be followed to
    /// a directory that is already something else.
    pub(super) fn directory(&self, path: &str) -> Result<OwnedFd, Failure> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat2(&self.0, path, flags, Mode::empty(), ResolveFlags::IN_ROOT)
            .during(format_args!("open the directory {path} of the root"))
    }

    fn mount_proc(&self, plan: &NamespacesPlan) -> Result<(), Failure> {
        let at = self.directory("/proc")?;
        if plan.fresh_proc {
            let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
            mount("proc", by_fd(&at), "proc", flags, None).during("mount /proc")
        } else {
            mount_bind_recursive("/proc", by_fd(&at)).during("bind /proc")
        }
    }

    /// A new sysfs belongs to whoever owns the network namespace; the container's shows the same.
    fn mount_sys(&self) -> Result<(), Failure> {
        let at = self.directory("/sys")?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC | MountFlags::RDONLY;
        if mount("sysfs", by_fd(&at), "sysfs", flags, None).is_err() {
            mount_bind_recursive("/sys", by_fd(&at)).during("bind /sys")?;
            return read_only(self.directory("/sys")?.as_fd()).during("make /sys read-only");
        }
        // Where language runtimes read how much memory they may take.
        if let Ok(at) = self.directory("/sys/fs/cgroup")
            && mount_bind_recursive("/sys/fs/cgroup", by_fd(&at)).is_ok()
        {
            read_only(self.directory("/sys/fs/cgroup")?.as_fd()).during("make /sys/fs/cgroup read-only")?;
        }
        Ok(())
    }

    fn mount_dev(&self) -> Result<(), Failure> {
        let at = self.directory("/dev")?;
        let flags = MountFlags::NOSUID | MountFlags::STRICTATIME;
        mount("tmpfs", by_fd(&at), "tmpfs", flags, Some(c"mode=755,size=65536k")).during("mount /dev")?;
        let dev = self.directory("/dev")?;
        for name in DEVICES {
            // A node made here could not be opened in a user namespace; the container's can.
            let host = Path::new("/dev").join(name);
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            let file = rustix::fs::openat(&dev, name, flags, Mode::from_raw_mode(0o666))
                .during(format_args!("make /dev/{name}"))?;
            mount_bind(&host, by_fd(&file)).during(format_args!("bind {}", host.display()))?;
        }
        for (name, target) in LINKS {
            rustix::fs::symlinkat(target, &dev, name).during(format_args!("make /dev/{name}"))?;
        }
        for name in ["pts", "shm", "mqueue"] {
            rustix::fs::mkdirat(&dev, name, Mode::from_raw_mode(0o755))
                .during(format_args!("make /dev/{name}"))?;
        }
        let quiet = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        let shm = self.directory("/dev/shm")?;
        mount("shm", by_fd(&shm), "tmpfs", quiet, Some(c"mode=1777,size=65536k")).during("mount /dev/shm")?;
        let pts = self.directory("/dev/pts")?;
        let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
        // Group 5 is tty by convention; it may have no mapping in the user namespace.
        mount("devpts", by_fd(&pts), "devpts", flags, Some(c"newinstance,ptmxmode=0666,mode=0620,gid=5"))
            .or_else(|_| {
                mount("devpts", by_fd(&pts), "devpts", flags, Some(c"newinstance,ptmxmode=0666,mode=0620"))
            })
            .during("mount /dev/pts")?;
        let mqueue = self.directory("/dev/mqueue")?;
        match mount("mqueue", by_fd(&mqueue), "mqueue", quiet, None) {
            // ENODEV: a kernel without POSIX message queues.
            Ok(()) | Err(Errno::NODEV) => Ok(()),
            Err(error) => Err(error).during("mount /dev/mqueue"),
        }
    }

    fn mask(&self) -> Result<(), Failure> {
        for path in MASKED {
            let Some(at) = self.find_if_any(path)? else { continue };
            if is_directory(&at)? {
                let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
                mount("tmpfs", by_fd(&at), "tmpfs", flags, None).during(format_args!("mask {path}"))?;
            } else {
                mount_bind("/dev/null", by_fd(&at)).during(format_args!("mask {path}"))?;
            }
        }
        for path in READ_ONLY {
            let Some(at) = self.find_if_any(path)? else { continue };
            mount_bind_recursive(by_fd(&at), by_fd(&at)).during(format_args!("bind {path}"))?;
            let Some(at) = self.find_if_any(path)? else { continue };
            read_only(at.as_fd()).during(format_args!("make {path} read-only"))?;
        }
        Ok(())
    }

    fn find_if_any(&self, path: &str) -> Result<Option<OwnedFd>, Failure> {
        match self.find(path.as_ref()) {
            Ok(at) => Ok(Some(at)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error).during(format_args!("open {path}")),
        }
    }
}

/// The path that mount(2) takes for an open file, so that nothing is looked up twice.
pub(super) fn by_fd(fd: impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

pub(super) fn is_directory(fd: &OwnedFd) -> Result<bool, Failure> {
    let stat = rustix::fs::fstat(fd).during("stat")?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// Makes a mount and those below it read-only. A kernel or a seccomp profile without mount_setattr leaves
/// remounting, which reaches one mount and must repeat the flags that it already has.
pub(super) fn read_only(at: BorrowedFd<'_>) -> std::io::Result<()> {
    match sys::set_read_only(at) {
        Err(error) if matches!(error.raw_os_error(), Some(nix::libc::ENOSYS | nix::libc::EPERM)) => {
            let now = rustix::fs::fstatvfs(at)?.f_flag;
            let mut flags = MountFlags::BIND | MountFlags::RDONLY;
            for (bit, flag) in [
                (rustix::fs::StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
                (rustix::fs::StatVfsMountFlags::NODEV, MountFlags::NODEV),
                (rustix::fs::StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
                (rustix::fs::StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
                (rustix::fs::StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
                (rustix::fs::StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
            ] {
                flags.set(flag, now.contains(bit));
            }
            Ok(rustix::mount::mount_remount(by_fd(at), flags, c"")?)
        }
        result => result,
    }
}

/// Mounts the overlay over its own upper directory: it needs no further one, and only our namespace sees it.
pub(super) fn mount_overlay(
    lower: &[PathBuf],
    upper: &Path,
    work: &Path,
    plan: OverlayPlan,
) -> Result<(), Failure> {
    let step = || format!("mount an overlay of {} layers on {}", lower.len(), upper.display());
    let open = |path: &Path| {
        rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .during(format_args!("open {}", path.display()))
    };
    let lowers = lower.iter().map(|path| open(path)).collect::<Result<Vec<OwnedFd>, Failure>>()?;
    let (upper, work) = (open(upper)?, open(work)?);
    // The kernel takes at most a page of options, and cuts the rest off without a word. By the numbers of their descriptors
    // as many layers fit into it as may be mounted, and no name has a comma or a colon.
    let number = |fd: &OwnedFd| fd.as_raw_fd().to_string();
    let lowers = lowers.iter().map(number).collect::<Vec<_>>().join(":");
    // Not `redirect_dir=off`: where the module's redirect_always_follow is set, as by default, that means `follow`,
    // which is refused together with `userxattr`.
    let mut options = format!(
        "lowerdir={lowers},upperdir={},workdir={},index=off,redirect_dir=nofollow,metacopy=off,xino=off",
        number(&upper),
        number(&work)
    );
    if plan.user_xattr {
        options.push_str(",userxattr");
    }
    if plan.volatile {
        options.push_str(",volatile");
    }
    let options = CString::new(options).during(step())?;
    let before = open(Path::new("."))?;
    std::env::set_current_dir("/proc/self/fd").during("enter /proc/self/fd")?;
    let mounted = mount("overlay", number(&upper), "overlay", MountFlags::empty(), Some(options.as_c_str()));
    rustix::process::fchdir(before).during("enter the directory again")?;
    mounted.during(step())
}

/// Makes the current directory `/`, and lets go of what was there before.
pub(super) fn enter() -> Result<(), Failure> {
    // A seccomp profile may refuse pivot_root and allow mounting, as Docker's does.
    if rustix::process::pivot_root(".", ".").is_ok() {
        unmount(".", UnmountFlags::DETACH).during("unmount the old root")?;
    } else {
        mount_move(".", "/").during("move the root to /")?;
        rustix::process::chroot(".").during("chroot to the moved root")?;
    }
    std::env::set_current_dir("/").during("enter the new root")
}

/// Sets the loopback interface up: a link message with index 1 and the flag IFF_UP. rtnetlink(7).
fn loopback_up() -> Result<(), Failure> {
    use rustix::net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
    };

    const RTM_NEWLINK: u16 = 16;
    const REQUEST_AND_ACKNOWLEDGE: u16 = 1 | 4;
    const IFF_UP: u32 = 1;
    const LOOPBACK: i32 = 1;
    const LENGTH: u32 = 32;

    let mut message = Vec::new();
    message.extend(LENGTH.to_ne_bytes());
    message.extend(RTM_NEWLINK.to_ne_bytes());
    message.extend(REQUEST_AND_ACKNOWLEDGE.to_ne_bytes());
    message.extend([0; 8]); // sequence number and port
    message.extend([0; 4]); // address family and device type
    message.extend(LOOPBACK.to_ne_bytes());
    message.extend(IFF_UP.to_ne_bytes()); // the flags
    message.extend(IFF_UP.to_ne_bytes()); // which of them to change

    let step = "set the loopback interface up";
    let socket =
        socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None).during(step)?;
    send(&socket, &message, SendFlags::empty()).during(step)?;
    let mut answer = [0u8; 128];
    let (_, length) = recv(&socket, &mut answer, RecvFlags::empty()).during(step)?;
    // A header of 16 bytes, then the negative error number.
    match answer.get(16..20).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes) {
        Some(0) if length >= 20 => Ok(()),
        // Without CAP_NET_ADMIN it stays down, which is even less of a network.
        Some(error) if error == -nix::libc::EPERM => Ok(()),
        Some(error) => Err(Failure { step: step.to_owned(), errno: -error }),
        None => Err(Failure::because(step)),
    }
}
