//! What a pod's settings amount to for a container: user, capabilities, system calls, what of `/proc` it sees.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// What Docker and containerd grant a container that asks for nothing.
const DEFAULT_CAPABILITIES: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// What CRI-O grants a container that asks for nothing.
const CRI_O_CAPABILITIES: [&str; 9] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
];

/// Those of a privileged container, by number; capabilities(7).
const ALL_CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// What containerd's default profile refuses without `CAP_SYS_ADMIN`, of what might be tried here.
const REFUSED_CALLS: [&str; 23] = [
    "bpf",
    "fsconfig",
    "fsmount",
    "fsopen",
    "fspick",
    "io_uring_setup",
    "keyctl",
    "mount",
    "mount_setattr",
    "move_mount",
    "open_by_handle_at",
    "open_tree",
    "perf_event_open",
    "pidfd_getfd",
    "pivot_root",
    "setdomainname",
    "sethostname",
    "setns",
    "syslog",
    "umount2",
    "unshare",
    "userfaultfd",
    "quotactl",
];

/// The same of podman's.
const REFUSED_BY_PODMAN: [&str; 7] =
    ["bpf", "open_by_handle_at", "perf_event_open", "quotactl", "setdomainname", "sethostname", "syslog"];

const EPERM: u32 = 1;
const ENOSYS: u32 = 38;

/// The flags of clone(2) that ask for namespaces: cgroup, ipc, network, mount, pid, user, uts.
const NAMESPACE_FLAGS: [u64; 7] =
    [0x0200_0000, 0x0800_0000, 0x4000_0000, 0x0002_0000, 0x2000_0000, 0x1000_0000, 0x0400_0000];

/// The settings of a pod's `securityContext` that matter to a build.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Security {
    /// `runAsUser`, and the group of the same number.
    pub(crate) user: u32,
    /// `capabilities`, or all of them as with `privileged`.
    pub(crate) capabilities: Capabilities,
    /// `allowPrivilegeEscalation: false`.
    pub(crate) no_new_privileges: bool,
    /// `seccompProfile`.
    pub(crate) seccomp: Seccomp,
    /// `readOnlyRootFilesystem`.
    pub(crate) read_only: bool,
    /// How the node has mounted the volume, beside `rw`.
    pub(crate) volume: &'static [&'static str],
}

/// Which system calls a container may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seccomp {
    /// All: what a cluster gives that sets no default.
    Unconfined,
    /// `RuntimeDefault` of containerd, which is Docker's.
    RuntimeDefault,
    /// The default of podman, which allows namespaces and mounts.
    Podman,
}

/// Which capabilities a container has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Capabilities {
    /// `drop: [ALL]`
    None,
    /// What a container has that asks for nothing.
    Default,
    /// The same with CRI-O.
    CriO,
    /// `privileged`: all that this machine has. Then nothing of `/proc` is hidden either.
    All,
}

/// A pod whose author asked for nothing.
pub(crate) const DEFAULT: Security = Security {
    user: 0,
    capabilities: Capabilities::Default,
    no_new_privileges: false,
    seccomp: Seccomp::Unconfined,
    read_only: false,
    volume: &[],
};

/// What the Pod Security Standard "restricted" asks for.
pub(crate) const RESTRICTED: Security = Security {
    user: 1000,
    capabilities: Capabilities::None,
    no_new_privileges: true,
    seccomp: Seccomp::RuntimeDefault,
    read_only: false,
    volume: &[],
};

impl Security {
    /// Puts the settings into a runtime's `config.json`.
    pub(crate) fn apply(&self, spec: &mut Value) {
        let capabilities: Vec<&str> = match self.capabilities {
            Capabilities::None => Vec::new(),
            Capabilities::Default => DEFAULT_CAPABILITIES.to_vec(),
            Capabilities::CriO => CRI_O_CAPABILITIES.to_vec(),
            // A machine that lacks some cannot grant them.
            Capabilities::All => bounding_set().unwrap_or_default(),
        };
        let process = &mut spec["process"];
        process["user"] = json!({"uid": self.user, "gid": self.user});
        process["noNewPrivileges"] = json!(self.no_new_privileges);
        process["capabilities"] = json!({
            "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
            "inheritable": [], "ambient": [],
        });
        spec["root"]["readonly"] = json!(self.read_only);
        let privileged = self.capabilities == Capabilities::All;
        spec["linux"]["resources"] = json!({"devices": [{"allow": privileged, "access": "rwm"}]});
        if !privileged {
            spec["linux"]["maskedPaths"] = json!([
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
            ]);
            spec["linux"]["readonlyPaths"] =
                json!(["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]);
        }
        let refused = |names: &[&str], error: u32, arguments: Value| json!({"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": error, "args": arguments});
        let calls = match self.seccomp {
            Seccomp::Unconfined => return,
            Seccomp::Podman => vec![refused(&REFUSED_BY_PODMAN, EPERM, json!([]))],
            Seccomp::RuntimeDefault => {
                let mut calls = vec![
                    refused(&REFUSED_CALLS, EPERM, json!([])),
                    // Its flags are in memory, where no filter can look. After this error libc falls back to clone.
                    refused(&["clone3"], ENOSYS, json!([])),
                ];
                calls.extend(NAMESPACE_FLAGS.map(|flag| {
                    let set =
                        json!([{"index": 0, "value": flag, "valueTwo": flag, "op": "SCMP_CMP_MASKED_EQ"}]);
                    refused(&["clone"], EPERM, set)
                }));
                calls
            }
        };
        // The real profiles list what they allow.
        spec["linux"]["seccomp"] = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": calls});
    }
}

/// The capabilities that this process may grant.
fn bounding_set() -> Result<Vec<&'static str>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let set = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).context("no bounding set")?;
    let set = u64::from_str_radix(set.trim(), 16)?;
    let numbered = ALL_CAPABILITIES.iter().enumerate();
    Ok(numbered.filter(|(number, _)| set >> number & 1 == 1).map(|(_, name)| *name).collect())
}
