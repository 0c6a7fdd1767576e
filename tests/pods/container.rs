//! A container with the privileges of a Kubernetes pod, under runc: bako's binary, a shell and a volume.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use e2e::process::{Finished, finish};
use e2e::{Bako, bases, host};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::security::{HOST_IDS, Security};

/// Where the volume is in the container.
pub(crate) const VOLUME: &str = "/workspace";

/// A container's files. It has a process only while one of the functions runs it.
#[derive(Debug)]
pub(crate) struct Container {
    folder: TempDir,
    security: Security,
}

impl Container {
    /// Makes the root filesystem and an empty volume.
    pub(crate) fn new(bako: &Bako, security: Security) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("bako-pod-").tempdir()?;
        // A user of a container has to get through.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let root = folder.path().join("rootfs");
        for name in ["bin", "dev", "etc", "proc", "sys", "tmp", "var/tmp", &VOLUME[1..]] {
            fs::create_dir_all(root.join(name))?;
        }
        fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
        fs::copy(&bako.program, root.join("bin/bako"))?;
        fs::copy(bases::busybox_binary()?, root.join("bin/busybox"))?;
        symlink("busybox", root.join("bin/sh"))?;
        for name in ["resolv.conf", "hosts"] {
            fs::write(root.join("etc").join(name), "")?;
            // As the kubelet does it, these are mounts.
            let mut text = fs::read(Path::new("/etc").join(name)).unwrap_or_default();
            if name == "hosts" {
                text.extend(b"\n127.0.0.1 pod\n");
            }
            fs::write(folder.path().join(name), text)?;
        }
        let container = Self { folder, security };
        // An emptyDir is everybody's.
        fs::create_dir(container.volume())?;
        fs::set_permissions(container.volume(), fs::Permissions::from_mode(0o777))?;
        if security.user_namespace {
            // What the id-mapped mounts of a node amount to.
            let ids = format!("{HOST_IDS}:{HOST_IDS}");
            finish(Command::new("chown").args(["-hR", &ids]).arg(container.folder.path()))?.success()?;
        }
        Ok(container)
    }

    /// The volume, as this machine sees it.
    pub(crate) fn volume(&self) -> PathBuf {
        self.folder.path().join("volume")
    }

    /// Runs a command as process 1 to its end.
    pub(crate) fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Finished> {
        finish(&mut self.command(arguments, environment)?)
    }

    /// Starts a command as process 1; its standard error is a pipe.
    pub(crate) fn start(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Child> {
        let mut command = self.command(arguments, environment)?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command.spawn().context("cannot start runc")
    }

    /// Sends a signal to process 1.
    pub(crate) fn kill(&self, signal: &str) -> Result<()> {
        finish(self.runc()?.args(["kill", &self.id(), signal]))?.success().map(drop)
    }

    /// Process 1, as this machine counts.
    pub(crate) fn process(&self) -> Result<u32> {
        let state = finish(self.runc()?.args(["state", &self.id()]))?.success()?;
        let state: Value = serde_json::from_str(&state.stdout)?;
        state["pid"].as_u64().and_then(|pid| pid.try_into().ok()).context("runc knows no process")
    }

    fn id(&self) -> String {
        self.folder.path().file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    fn runc(&self) -> Result<Command> {
        let mut command = Command::new(host::find("runc").context("runc is not installed")?);
        command.arg("--root").arg(self.folder.path().join("state"));
        Ok(command)
    }

    fn command(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Command> {
        let spec = serde_json::to_vec(&self.spec(arguments, environment)?)?;
        fs::write(self.folder.path().join("config.json"), spec)?;
        let mut command = self.runc()?;
        command.args(["run", "--no-new-keyring", "--bundle"]).arg(self.folder.path()).arg(self.id());
        Ok(command)
    }

    /// The runtime's `config.json`: the shape that containerd gives it, on this machine's network.
    fn spec(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Value> {
        let mount = |kind: &str, to: &str, options: &[&str]| json!({"destination": to, "type": kind, "source": kind, "options": options});
        let bind = |from: &Path, to: &str| json!({"destination": to, "type": "bind", "source": from, "options": ["rbind", "rw"]});
        let quiet = ["nosuid", "noexec", "nodev"];
        let file = |name: &str| bind(&self.folder.path().join(name), &format!("/etc/{name}"));
        let mut variables = vec!["PATH=/bin".to_owned(), "HOME=/workspace".to_owned()];
        variables.extend(environment.iter().map(|(name, value)| format!("{name}={value}")));
        let mut volume = bind(&self.volume(), VOLUME);
        volume["options"] = ["rbind", "rw"].iter().chain(self.security.volume).copied().collect();
        let sys = if self.security.user_namespace {
            // Without a network of its own it may mount none.
            json!({"destination": "/sys", "type": "none", "source": "/sys", "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]})
        } else {
            mount("sysfs", "/sys", &["nosuid", "noexec", "nodev", "ro"])
        };
        let mut spec = json!({
            "ociVersion": "1.0.2",
            "hostname": "pod",
            "root": {"path": "rootfs"},
            "process": {"terminal": false, "cwd": "/", "args": arguments, "env": variables},
            "mounts": [
                mount("proc", "/proc", &quiet),
                mount("tmpfs", "/dev", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
                mount("devpts", "/dev/pts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
                mount("tmpfs", "/dev/shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
                mount("mqueue", "/dev/mqueue", &quiet),
                sys,
                file("resolv.conf"),
                file("hosts"),
                volume,
            ],
            "linux": {
                "namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}],
            },
        });
        self.security.apply(&mut spec)?;
        Ok(spec)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Only a test that failed has left a process in it.
        if let Ok(mut runc) = self.runc() {
            finish(runc.args(["delete", "--force", &self.id()])).ok();
        }
    }
}
