//! A container as Kubernetes makes one: root without any privilege beyond a container's usual ones.

use std::path::Path;

use serde_json::{Value, json};

/// What Docker and containerd grant a container that asks for nothing.
pub const CAPABILITIES: [&str; 14] = [
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

/// Gives a runtime's `config.json` a pod's privileges, and a command line.
pub fn unprivileged(spec: &mut Value, arguments: &[&str]) {
    let sets = ["bounding", "effective", "permitted"];
    spec["process"]["capabilities"] =
        sets.iter().map(|set| ((*set).to_owned(), json!(CAPABILITIES))).collect();
    spec["process"]["noNewPrivileges"] = json!(true);
    spec["process"]["args"] = json!(arguments);
}

/// Adds a folder of this machine as a volume.
pub fn volume(spec: &mut Value, from: &Path, to: &str) {
    let mount = json!({"destination": to, "type": "bind", "source": from, "options": ["rbind", "rw"]});
    if let Some(mounts) = spec["mounts"].as_array_mut() {
        mounts.push(mount);
    }
}

/// Sets an environment variable.
pub fn variable(spec: &mut Value, name: &str, value: &str) {
    if let Some(environment) = spec["process"]["env"].as_array_mut() {
        environment.push(json!(format!("{name}={value}")));
    }
}
