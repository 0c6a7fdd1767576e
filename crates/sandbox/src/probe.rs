//! The probe: which isolations work here, and for those which do not, what would help.

use std::fmt;
use std::path::{Path, PathBuf};

use nix::libc;

use crate::chroot::Chroot;
use crate::failure::Failure;
use crate::isolation::{Isolation, RunError};
use crate::job::{Job, Report};
use crate::launch;
use crate::namespaces::{Namespaces, NamespacesPlan};
use crate::supervision::Supervised;
use crate::sys::SingleThreaded;
use crate::user_namespace;

/// An isolation that would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// `ns`.
    Ns,
    /// `supervised`.
    Supervised,
    /// `chroot`.
    Chroot,
}

impl Choice {
    /// All of them, the best first. A chroot is the last: what runs in it has no `/proc`, without which programs do not
    /// find their own files (a JVM, .NET), and it keeps nothing from root.
    pub const ALL: [Choice; 3] = [Choice::Ns, Choice::Supervised, Choice::Chroot];

    /// As the command line has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Choice::Ns => "ns",
            Choice::Supervised => "supervised",
            Choice::Chroot => "chroot",
        }
    }
}

/// What every isolation answered.
#[derive(Debug, Clone)]
pub struct Probe {
    /// `ns`: the way in which it works, or every way that was refused.
    pub ns: Result<NamespacesPlan, Vec<Refusal>>,
    /// `supervised`: whether it works.
    pub supervised: Result<(), Refusal>,
    /// `chroot`: whether it works.
    pub chroot: Result<(), Refusal>,
}

impl Probe {
    /// The best of those that work, which is what [`choose`] takes if any would do.
    #[must_use]
    pub fn best(&self) -> Option<Choice> {
        Choice::ALL.into_iter().find(|choice| match choice {
            Choice::Ns => self.ns.is_ok(),
            Choice::Supervised => self.supervised.is_ok(),
            Choice::Chroot => self.chroot.is_ok(),
        })
    }
}

/// Why an isolation does not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which way was tried: `ns`, `ns in a user namespace`, `chroot`.
    pub way: &'static str,
    /// The step, and what the kernel said to it.
    pub failure: Failure,
    /// The smallest change that would help.
    pub remedy: &'static str,
}

/// No isolation that was asked for works; tells why and what would help, one line for each way.
#[derive(Debug, Clone)]
pub struct ChooseError {
    /// Every way that was refused.
    pub refusals: Vec<Refusal>,
}

/// Rehearses every isolation in helpers, with `work_dir` as the place of the roots.
#[must_use]
pub fn probe(work_dir: &Path) -> Probe {
    let work_dir = &absolute(work_dir);
    Probe {
        ns: probe_namespaces(work_dir),
        supervised: probe_supervised(work_dir),
        chroot: probe_chroot(work_dir),
    }
}

/// Chooses the best isolation that works with roots below `work_dir`, of those that would do.
///
/// The chosen one may need this program to move into a user namespace, where it is root. So this is called before
/// the first thread is started, and before anything is made that should have an owner.
pub fn choose(choices: &[Choice], work_dir: &Path) -> Result<Box<dyn Isolation>, ChooseError> {
    let work_dir = &absolute(work_dir);
    let mut refusals = Vec::new();
    for choice in Choice::ALL.into_iter().filter(|choice| choices.contains(choice)) {
        let tried: Result<Box<dyn Isolation>, Vec<Refusal>> = match choice {
            Choice::Ns => probe_namespaces(work_dir)
                .and_then(|plan| enter(plan).map_err(|refusal| vec![refusal]))
                .map(|plan| Box::new(Namespaces::new(plan)) as _),
            Choice::Supervised => probe_supervised(work_dir)
                .map(|()| Box::new(Supervised::default()) as _)
                .map_err(|refusal| vec![refusal]),
            Choice::Chroot => {
                probe_chroot(work_dir).map(|()| Box::new(Chroot) as _).map_err(|refusal| vec![refusal])
            }
        };
        match tried {
            Ok(isolation) => return Ok(isolation),
            Err(refused) => refusals.extend(refused),
        }
    }
    Err(ChooseError { refusals })
}

/// The helper changes its directory, so it is told no relative path. Where there is no current directory, the path
/// is left for the kernel to refuse.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn enter(plan: NamespacesPlan) -> Result<NamespacesPlan, Refusal> {
    if plan.user_namespace {
        let entered = SingleThreaded::check()
            .map_err(|error| Failure::because(format!("enter a user namespace: {error}")))
            .and_then(user_namespace::enter);
        entered.map_err(|failure| refusal(USER_NAMESPACE, failure))?;
    }
    Ok(plan)
}

const PRIVILEGE: &str = "ns";
const USER_NAMESPACE: &str = "ns in a user namespace";
const CHROOT: &str = "chroot";
const SUPERVISED: &str = "supervised";

fn probe_namespaces(work_dir: &Path) -> Result<NamespacesPlan, Vec<Refusal>> {
    let mut refusals = Vec::new();
    for (way, user_namespace) in [(PRIVILEGE, false), (USER_NAMESPACE, true)] {
        let job = Job::RehearseNamespaces { work_dir: work_dir.into(), user_namespace };
        match ask(&job) {
            Ok(Report::NamespacesWork(plan)) => return Ok(plan),
            Ok(_) => refusals.push(refusal(way, Failure::because("the helper gave a wrong answer"))),
            Err(failure) => refusals.push(refusal(way, failure)),
        }
    }
    Err(refusals)
}

fn probe_chroot(work_dir: &Path) -> Result<(), Refusal> {
    let job = Job::RehearseChroot { work_dir: work_dir.into() };
    ask(&job).map(drop).map_err(|failure| refusal(CHROOT, failure))
}

fn probe_supervised(work_dir: &Path) -> Result<(), Refusal> {
    let job = Job::RehearseSupervised { work_dir: work_dir.into() };
    ask(&job).map(drop).map_err(|failure| refusal(SUPERVISED, failure))
}

/// The answer to a rehearsal.
fn ask(job: &Job) -> Result<Report, Failure> {
    let because = |error: RunError| Failure::because(error.to_string());
    // Of several failures the first is the reason of the others.
    match launch::ask(job).map_err(because)?.into_iter().next() {
        Some(Report::Failed(failure)) => Err(failure),
        Some(report) => Ok(report),
        None => Err(Failure::because("the helper gave no answer")),
    }
}

fn refusal(way: &'static str, failure: Failure) -> Refusal {
    let remedy = remedy(way, &failure);
    Refusal { way, failure, remedy }
}

/// What to change in the pod for the refused step. The steps are named in `helper::rehearsal`.
fn remedy(way: &str, failure: &Failure) -> &'static str {
    let step = failure.step.as_str();
    let starts = |words: &[&str]| words.iter().any(|word| step.starts_with(word));
    if starts(&["make a directory", "write to the work directory"]) {
        "give the work directory to the user that runs this program"
    } else if starts(&["unshare the user namespace"]) && failure.errno == libc::ENOSPC {
        "raise the sysctl user.max_user_namespaces on the node"
    } else if starts(&["unshare the user namespace"]) {
        "set seccompProfile to Unconfined (Docker: --security-opt seccomp=unconfined), \
         and allow unprivileged user namespaces on the node"
    } else if starts(&[
        "run new",
        "newuidmap",
        "newgidmap",
        "map ",
        "read /etc/sub",
        "write uid_map",
        "write gid_map",
    ]) {
        "run as user 0 with the capabilities SETUID, SETGID and SETFCAP, or install newuidmap and newgidmap with file \
         capabilities and grant the user 65536 ids in /etc/subuid and /etc/subgid"
    } else if (way == USER_NAMESPACE || failure.errno == libc::EACCES)
        && starts(&["make the mounts", "mount", "bind"])
    {
        "set appArmorProfile to Unconfined (Docker: --security-opt apparmor=unconfined)"
    } else if starts(&["supervise a program"]) {
        "build on x86-64 or aarch64, or run as user 0 with the capability SYS_ADMIN"
    } else if starts(&["install a seccomp filter"]) {
        "run on Linux 5.10 or later, with a runtime that lets a container filter its own calls (gVisor does not)"
    } else if starts(&["openat2"]) {
        "run on Linux 5.10 or later, and allow the system call openat2 in the container's seccomp profile"
    } else if starts(&["ptrace"]) {
        "allow ptrace of one's own children: kernel.yama.ptrace_scope 0 or 1 on the node, and the call ptrace in the \
         container's seccomp profile"
    } else if starts(&["mknod"]) {
        "add the capabilities MKNOD and SYS_CHROOT, which CRI-O grants nobody who does not ask; \
         a pod with hostUsers: false can make no devices"
    } else if starts(&["open a device", "write to a device"]) {
        "mount the work directory's volume without nodev"
    } else if starts(&["run a program"]) {
        "mount the work directory's volume without noexec"
    } else if starts(&["chroot"]) {
        "run as user 0 with the capability SYS_CHROOT"
    } else if starts(&["drop capability"]) {
        "add the capability SETPCAP"
    } else if starts(&["chown", "setgroups", "setres"]) {
        "run as user 0 with the capabilities CHOWN, SETUID and SETGID"
    } else {
        "run as user 0 with the capability SYS_ADMIN, or privileged"
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} (to allow it: {})", self.way, self.failure, self.remedy)
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ns {
            Ok(plan) => writeln!(f, "ns: works, {plan}")?,
            Err(refusals) => {
                for refusal in refusals {
                    writeln!(f, "{refusal}")?;
                }
            }
        }
        match &self.supervised {
            Ok(()) => {
                f.write_str("supervised: works, roots in place, system calls answered by a supervisor\n")?;
            }
            Err(refusal) => writeln!(f, "{refusal}")?,
        }
        match &self.chroot {
            Ok(()) => {
                f.write_str("chroot: works, roots in place, without /proc, /sys and a host name of its own")
            }
            Err(refusal) => refusal.fmt(f),
        }
    }
}

impl fmt::Display for NamespacesPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let privilege = if self.user_namespace { "in a user namespace" } else { "with the privilege it has" };
        let proc = if self.fresh_proc { "a new /proc" } else { "the container's /proc and processes" };
        match &self.overlay {
            Ok(_) => write!(f, "{privilege}, overlay, {proc}"),
            Err(failure) => write!(f, "{privilege}, roots in place ({failure}), {proc}"),
        }
    }
}

impl fmt::Display for ChooseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no isolation for RUN works here")?;
        self.refusals.iter().try_for_each(|refusal| write!(f, "\n  {refusal}"))
    }
}

impl std::error::Error for ChooseError {}
