//! The view: what a process in our mount namespace finds at `/`.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    UnmountFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount,
    mount_bind, mount_bind_recursive, mount_change, mount_move, move_mount, unmount,
};

use super::Helper;
use super::in_use::InUse;
use super::mounts::Mounts;
use crate::failure::{During, Failure};
use crate::job::Root;
use crate::namespaces::{NamespacesPlan, OverlayPlan};
use crate::process::{Network, Process};
use crate::sys;

/// The kernel takes at most a page of mount options, and cuts the rest off without a word.
const PAGE: usize = 4096;

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

    /// Makes it the current directory, as it must be to become the root.
    pub(super) fn be_current(&self) -> Result<(), Failure> {
        rustix::process::fchdir(&self.0).during("enter the root")
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
    // Relative to the directory they share, the paths are short.
    let paths = lower.iter().map(PathBuf::as_path).chain([upper, work]);
    let base =
        common_ancestor(paths).ok_or_else(|| Failure::because(format!("{}: a path is relative", step())))?;
    std::env::set_current_dir(&base).during(format_args!("enter {}", base.display()))?;
    let relative = |path: &Path| {
        let path = path.strip_prefix(&base).expect("the ancestor of all is a prefix of each");
        if path.as_os_str().is_empty() { PathBuf::from(".") } else { path.to_owned() }
    };
    let lower: Vec<PathBuf> = lower.iter().map(|path| relative(path)).collect();
    let (upper, work) = (relative(upper), relative(work));
    // Not `redirect_dir=off`: where the module's redirect_always_follow is set, as by default, that means `follow`,
    // which is refused together with `userxattr`.
    let mut flags: Vec<(&str, &str)> =
        vec![("index", "off"), ("redirect_dir", "nofollow"), ("metacopy", "off"), ("xino", "off")];
    flags.extend(plan.user_xattr.then_some(("userxattr", "")));
    flags.extend(plan.volatile.then_some(("volatile", "")));

    let options = overlay_options(&lower, &upper, &work, &flags);
    if options.len() < PAGE {
        let options = CString::new(options).during(step())?;
        return mount("overlay", &upper, "overlay", MountFlags::empty(), Some(options.as_c_str()))
            .during(step());
    }
    // Linux 6.7 takes the layers one by one.
    let overlay = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).during(step())?;
    for path in &lower {
        fsconfig_set_string(&overlay, "lowerdir+", path)
            .during(format_args!("{}, too many for one page of options", step()))?;
    }
    fsconfig_set_string(&overlay, "upperdir", &upper).during(step())?;
    fsconfig_set_string(&overlay, "workdir", &work).during(step())?;
    for (key, value) in flags {
        if value.is_empty() {
            fsconfig_set_flag(&overlay, key).during(step())?;
        } else {
            fsconfig_set_string(&overlay, key, value).during(step())?;
        }
    }
    fsconfig_create(&overlay).during(step())?;
    let mounted = fsmount(&overlay, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).during(step())?;
    move_mount(&mounted, "", rustix::fs::CWD, &upper, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).during(step())
}

/// The options as one text. The kernel splits it at commas, and the layers at colons.
fn overlay_options(lower: &[PathBuf], upper: &Path, work: &Path, flags: &[(&str, &str)]) -> Vec<u8> {
    let mut options = b"lowerdir=".to_vec();
    for (index, path) in lower.iter().enumerate() {
        if index > 0 {
            options.push(b':');
        }
        escape(&mut options, path);
    }
    options.extend(b",upperdir=");
    escape(&mut options, upper);
    options.extend(b",workdir=");
    escape(&mut options, work);
    for (key, value) in flags {
        let equals = if value.is_empty() { "" } else { "=" };
        options.extend([",", key, equals, value].concat().as_bytes());
    }
    options
}

fn escape(options: &mut Vec<u8>, path: &Path) {
    for &byte in path.as_os_str().as_bytes() {
        if matches!(byte, b':' | b',' | b'\\') {
            options.push(b'\\');
        }
        options.push(byte);
    }
}

/// The longest directory that all of `paths` lie in or are; `None` if one is relative.
fn common_ancestor<'a>(mut paths: impl Iterator<Item = &'a Path>) -> Option<PathBuf> {
    let mut common: Vec<Component<'a>> = paths.next()?.components().collect();
    for path in paths {
        let same = common.iter().zip(path.components()).take_while(|(one, other)| **one == *other).count();
        common.truncate(same);
    }
    (!common.is_empty()).then(|| common.iter().collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_escaped() {
        let lower = ["a", "b:c,d", "e\\f"].map(PathBuf::from);
        let options =
            overlay_options(&lower, "u".as_ref(), "w,".as_ref(), &[("index", "off"), ("userxattr", "")]);
        let text = String::from_utf8(options).unwrap();
        assert_eq!(text, r"lowerdir=a:b\:c\,d:e\\f,upperdir=u,workdir=w\,,index=off,userxattr");
    }

    #[test]
    fn ancestors_are_shared_components() {
        for (paths, expected) in [
            (&["/w/l/1", "/w/l/2", "/w/u"][..], Some("/w")),
            (&["/w/ab", "/w/a"], Some("/w")),
            (&["/w/a", "/w/a"], Some("/w/a")),
            (&["/a", "/b"], Some("/")),
            (&["/a", "b"], None),
        ] {
            assert_eq!(
                common_ancestor(paths.iter().map(Path::new)),
                expected.map(PathBuf::from),
                "{paths:?}"
            );
        }
    }
}
