//! What a pod's settings amount to for a container: user, capabilities, system calls, what of `/proc` it sees.

use anyhow::{Context as _, Result};
use e2e::pod::CAPABILITIES;
use serde_json::{Value, json};

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

/// The ids of a pod with `hostUsers: false`: its 0 is this one of the node.
pub(crate) const HOST_IDS: u32 = 65536 * 100;
/// How many ids such a pod has.
pub(crate) const ID_COUNT: u32 = 65536;

/// The settings of a pod's `securityContext` that matter to a build.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Security {
    /// `runAsUser`, and the group of the same number.
    pub(crate) user: u32,
    /// `capabilities`, or all of them as with `privileged`.
    pub(crate) capabilities: Capabilities,
    /// Those that its setuid programs could have.
    pub(crate) bounding: Capabilities,
    /// `allowPrivilegeEscalation: false`.
    pub(crate) no_new_privileges: bool,
    /// `seccompProfile`.
    pub(crate) seccomp: Seccomp,
    /// `procMount: Unmasked`, or a privileged container: nothing of `/proc` is hidden.
    pub(crate) unmasked: bool,
    /// `readOnlyRootFilesystem`.
    pub(crate) read_only: bool,
    /// `hostUsers: false`.
    pub(crate) user_namespace: bool,
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
    /// `RuntimeDefault` of CRI-O.
    CriO,
    /// The default of podman, which allows namespaces and mounts.
    Podman,
    /// `Localhost`: a list of the node's own, which is `RuntimeDefault` without these.
    Without(&'static [&'static str]),
}

/// Which capabilities a container has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Capabilities {
    /// `drop: [ALL]`
    None,
    /// What a container has that asks for nothing.
    Default,
    /// The same, and `add: [SYS_ADMIN]`.
    WithAdmin,
    /// What a container has that asks for nothing, with CRI-O.
    CriO,
    /// `privileged`: all that this machine has.
    All,
}

/// A pod whose author asked for nothing.
pub(crate) const DEFAULT: Security = Security {
    user: 0,
    capabilities: Capabilities::Default,
    bounding: Capabilities::Default,
    no_new_privileges: false,
    seccomp: Seccomp::Unconfined,
    unmasked: false,
    read_only: false,
    user_namespace: false,
    volume: &[],
};

/// What the Pod Security Standard "restricted" asks for.
pub(crate) const RESTRICTED: Security = Security {
    user: 1000,
    capabilities: Capabilities::None,
    bounding: Capabilities::None,
    no_new_privileges: true,
    seccomp: Seccomp::RuntimeDefault,
    ..DEFAULT
};

/// `privileged: true`.
pub(crate) const PRIVILEGED: Security =
    Security { capabilities: Capabilities::All, bounding: Capabilities::All, unmasked: true, ..DEFAULT };

impl Capabilities {
    fn names(self) -> Vec<&'static str> {
        match self {
            Capabilities::None => Vec::new(),
            Capabilities::Default => CAPABILITIES.to_vec(),
            Capabilities::WithAdmin => [&CAPABILITIES[..], &["CAP_SYS_ADMIN"]].concat(),
            Capabilities::CriO => CRI_O_CAPABILITIES.to_vec(),
            // A machine that lacks some cannot grant them.
            Capabilities::All => bounding_set().unwrap_or_default(),
        }
    }
}

impl Seccomp {
    /// The profile for a container with these capabilities, from the runtime's own list.
    fn profile(self, capabilities: &[&str]) -> Result<Option<Value>> {
        let text = match self {
            Seccomp::Unconfined => return Ok(None),
            Seccomp::RuntimeDefault | Seccomp::Without(_) => include_str!("seccomp/containerd.json"),
            Seccomp::CriO => include_str!("seccomp/cri-o.json"),
            Seccomp::Podman => include_str!("seccomp/podman.json"),
        };
        let mut profile: Value = serde_json::from_str(text).context("a list of system calls")?;
        let rules = profile["syscalls"].as_array_mut().context("a list of system calls has rules")?;
        let has = |rule: &Value, which: &str, all: bool| {
            let wanted = rule[which]["caps"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let mut found = wanted.map(|name| capabilities.contains(&name));
            if all { found.all(|has| has) } else { found.any(|has| has) }
        };
        rules.retain(|rule| has(rule, "includes", true) && !has(rule, "excludes", false));
        for rule in rules.iter_mut().filter_map(Value::as_object_mut) {
            rule.remove("includes");
            rule.remove("excludes");
        }
        if let Seccomp::Without(refused) = self {
            for names in rules.iter_mut().filter_map(|rule| rule["names"].as_array_mut()) {
                names.retain(|name| !refused.iter().any(|refused| name == refused));
            }
            rules.retain(|rule| rule["names"].as_array().is_some_and(|names| !names.is_empty()));
        }
        Ok(Some(profile))
    }
}

impl Security {
    /// Puts the settings into a runtime's `config.json`.
    pub(crate) fn apply(&self, spec: &mut Value) -> Result<()> {
        let (capabilities, bounding) = (self.capabilities.names(), self.bounding.names());
        let process = &mut spec["process"];
        process["user"] = json!({"uid": self.user, "gid": self.user});
        process["noNewPrivileges"] = json!(self.no_new_privileges);
        process["capabilities"] = json!({
            "bounding": bounding, "effective": capabilities, "permitted": capabilities,
            "inheritable": [], "ambient": [],
        });
        spec["root"]["readonly"] = json!(self.read_only);
        let linux = &mut spec["linux"];
        linux["resources"] =
            json!({"devices": [{"allow": self.bounding == Capabilities::All, "access": "rwm"}]});
        if !self.unmasked {
            linux["maskedPaths"] = json!([
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
            linux["readonlyPaths"] =
                json!(["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]);
        }
        if self.user_namespace {
            let ids = json!([{"containerID": 0, "hostID": HOST_IDS, "size": ID_COUNT}]);
            linux["uidMappings"] = ids.clone();
            linux["gidMappings"] = ids;
            linux["namespaces"].as_array_mut().context("there are namespaces")?.push(json!({"type": "user"}));
        }
        if let Some(profile) = self.seccomp.profile(&bounding)? {
            linux["seccomp"] = profile;
        }
        Ok(())
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
