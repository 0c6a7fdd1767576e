//! The rehearsal: every step of an isolation, done once with nothing at stake.
//!
//! What works cannot be told from a uid, a kernel version or a capability: seccomp profiles, AppArmor and the
//! filesystem of the work directory each refuse steps of their own. So each step is tried.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use nix::sched::{CloneFlags, unshare};
use rustix::fs::{CWD, FileType, Gid, Mode, StatVfsMountFlags, Uid, makedev, mknodat};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, unmount,
};
use rustix::process::{WaitOptions, waitpid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use serde::{Serialize, de::DeserializeOwned};

use super::{Helper, capabilities, view};
use crate::failure::{During, Failure};
use crate::namespaces::{NamespacesPlan, OverlayPlan};
use crate::user_namespace;

/// An id that is nobody's here: files of an image belong to such.
const FOREIGN: u32 = 12_345;

/// Tries the isolation `ns`.
pub(super) fn namespaces(
    helper: &Helper,
    work_dir: &Path,
    user_namespace: bool,
) -> Result<NamespacesPlan, Failure> {
    if user_namespace {
        user_namespace::enter(helper.single)?;
    }
    unshare(
        CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWPID,
    )
    .during("unshare the mount, pid, ipc and uts namespaces")?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .during("make the mounts private")?;
    let scratch = Scratch::new(work_dir)?;
    foreign_owner(&scratch)?;
    let directory = scratch.directory("tmpfs")?;
    mount("tmpfs", &directory, "tmpfs", MountFlags::empty(), None).during("mount a tmpfs")?;
    unmount(&directory, UnmountFlags::DETACH).during("unmount a tmpfs")?;
    let overlay = overlay(&scratch);
    if overlay.is_err() {
        executable(&scratch)?;
    }
    // In the new pid namespace, where the first process is the only one that can start others. In a mount namespace
    // of its own again: pivot_root moves everybody in it.
    let fresh_proc = trial(helper, || {
        unshare(CloneFlags::CLONE_NEWNS).during("unshare the mount namespace")?;
        let directory = scratch.directory("proc")?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        let fresh_proc = mount("proc", &directory, "proc", flags, None).is_ok();
        let root = scratch.directory("root")?;
        mount_bind(&root, &root).during("bind a directory")?;
        std::env::set_current_dir(&root).during("enter a directory")?;
        view::enter()?;
        foreign_user()?;
        Ok(fresh_proc)
    })?;
    Ok(NamespacesPlan { user_namespace, overlay, fresh_proc })
}

/// Tries the isolation `chroot`.
pub(super) fn chroot(helper: &Helper, work_dir: &Path) -> Result<(), Failure> {
    let scratch = Scratch::new(work_dir)?;
    foreign_owner(&scratch)?;
    executable(&scratch)?;
    let null = scratch.0.join("null");
    mknodat(CWD, &null, FileType::CharacterDevice, Mode::from_raw_mode(0o666), makedev(1, 3))
        .during("mknod /dev/null")?;
    let mut opened =
        File::options().write(true).open(&null).during("open a device made in the work directory")?;
    opened.write_all(b"x").during("write to a device made in the work directory")?;
    trial(helper, || {
        rustix::process::chroot(&scratch.0).during("chroot")?;
        foreign_user()
    })
}

/// Does `attempt` in a child, which may change itself as it likes.
fn trial<T: Serialize + DeserializeOwned>(
    helper: &Helper,
    attempt: impl FnOnce() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let (mut ours, theirs) = UnixStream::pair().during("socketpair")?;
    let child = helper.fork(|| {
        let answer = serde_json::to_vec(&attempt()).expect("an answer is text and numbers");
        (&theirs).write_all(&answer).during("report")
    })?;
    drop(theirs);
    let mut answer = Vec::new();
    ours.read_to_end(&mut answer).during("hear from a rehearsal")?;
    let _ = rustix::io::retry_on_intr(|| waitpid(Some(child), WaitOptions::empty()));
    serde_json::from_slice(&answer)
        .unwrap_or_else(|_| Err(Failure::because("a rehearsal ended without an answer")))
}

/// Makes a file and gives it to somebody else, as unpacking an image does.
fn foreign_owner(scratch: &Scratch) -> Result<(), Failure> {
    let file = scratch.0.join("owned");
    fs::write(&file, "x").during("write to the work directory")?;
    rustix::fs::chown(&file, Some(Uid::from_raw(FOREIGN)), Some(Gid::from_raw(FOREIGN)))
        .during(format_args!("chown a file to {FOREIGN}"))
}

/// Asks whether programs in the work directory can be executed; an overlay asks its own mount instead.
fn executable(scratch: &Scratch) -> Result<(), Failure> {
    let found = rustix::fs::statvfs(&scratch.0).during("statvfs")?;
    if found.f_flag.contains(StatVfsMountFlags::NOEXEC) {
        return Err(Failure::because("run a program from the work directory: it is mounted noexec"));
    }
    Ok(())
}

/// Gives up privilege and becomes somebody else, as a `RUN` after `USER` does.
fn foreign_user() -> Result<(), Failure> {
    capabilities::limit()?;
    let (uid, gid) = (Uid::from_raw(FOREIGN), Gid::from_raw(FOREIGN));
    set_thread_groups(&[gid]).during("setgroups")?;
    set_thread_res_gid(gid, gid, gid).during(format_args!("setresgid {FOREIGN}"))?;
    set_thread_res_uid(uid, uid, uid).during(format_args!("setresuid {FOREIGN}"))
}

/// Which overlay works in the work directory. With real privilege `trusted.*` attributes are the ones that every
/// kernel and filesystem has; a user namespace has none of them.
fn overlay(scratch: &Scratch) -> Result<OverlayPlan, Failure> {
    let mut result = Err(Failure::because("no overlay was tried"));
    for (index, (user_xattr, volatile)) in
        [(false, true), (false, false), (true, true), (true, false)].into_iter().enumerate()
    {
        let plan = OverlayPlan { user_xattr, volatile };
        result = try_overlay(&scratch.directory(&format!("overlay-{index}"))?, plan).map(|()| plan);
        if result.is_ok() {
            break;
        }
    }
    result
}

/// Appends, removes, replaces a directory, renames: what needs attributes and whiteouts in the upper directory.
fn try_overlay(base: &Path, plan: OverlayPlan) -> Result<(), Failure> {
    let [lower, upper, work] = ["lower", "upper", "work"].map(|name| base.join(name));
    for directory in [&lower, &upper, &work, &lower.join("directory")] {
        fs::create_dir(directory).during("make a directory")?;
    }
    for file in ["file", "directory/file"] {
        fs::write(lower.join(file), "x").during("write to the work directory")?;
    }
    // What shows the upper directory once the overlay covers its path.
    let beneath =
        rustix::fs::open(&upper, rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC, Mode::empty())
            .during("open the upper directory")?;
    view::mount_overlay(&[lower], &upper, &work, plan)?;
    let exercise = || {
        File::options()
            .append(true)
            .open(upper.join("file"))
            .and_then(|mut file| file.write_all(b"y"))
            .during("append to a file in an overlay")?;
        fs::remove_file(upper.join("file")).during("remove a file in an overlay")?;
        fs::remove_dir_all(upper.join("directory")).during("remove a directory in an overlay")?;
        fs::create_dir(upper.join("directory")).during("make a directory again in an overlay")?;
        fs::rename(upper.join("directory"), upper.join("renamed"))
            .during("rename a directory in an overlay")?;
        let whiteout = rustix::fs::statat(&beneath, "file", rustix::fs::AtFlags::SYMLINK_NOFOLLOW)
            .during("find the whiteout of an overlay")?;
        if FileType::from_raw_mode(whiteout.st_mode) == FileType::CharacterDevice && whiteout.st_rdev == 0 {
            Ok(())
        } else {
            Err(Failure::because("an overlay made no whiteout"))
        }
    };
    let result = exercise();
    unmount(&upper, UnmountFlags::DETACH).during("unmount an overlay")?;
    result
}

/// A directory for one rehearsal, removed by whoever may: in a user namespace its files have other owners.
struct Scratch(PathBuf);

impl Scratch {
    fn new(work_dir: &Path) -> Result<Self, Failure> {
        // Two programs in two containers may have the same work directory and the same process id.
        let now = UNIX_EPOCH.elapsed().map_or(0, |now| now.as_nanos());
        let path = work_dir.join(format!(".rehearsal-{}-{now}", std::process::id()));
        fs::create_dir(&path).during(format_args!("make a directory in {}", work_dir.display()))?;
        Ok(Scratch(path))
    }

    fn directory(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = self.0.join(name);
        fs::create_dir(&path).during(format_args!("make a directory in {}", self.0.display()))?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is left in the work directory, which is removed as a whole.
        let _ = fs::remove_dir_all(&self.0);
    }
}
