//! Registries on loopback: bako's own, and Debian's `docker-registry` (the reference implementation).

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::wait_until;
use crate::program::Bako;
use crate::{host, http};

/// A running registry; dropping it ends it and throws its images away.
#[derive(Debug)]
pub struct Registry {
    child: Child,
    /// `127.0.0.1:PORT`
    pub address: String,
    folder: TempDir,
}

impl Registry {
    /// Bako's own registry.
    pub fn ours(bako: &Bako) -> Result<Self> {
        Self::start(|folder, address| {
            let mut command = bako.command();
            command.args(["registry", "serve", "--listen", address, "--dir"]).arg(folder.join("images"));
            Ok(command)
        })
    }

    /// Bako's own registry with the images of a folder that [`Registry::images`] once named.
    pub fn stocked(bako: &Bako, images: &Path) -> Result<Self> {
        Self::start(|folder, address| {
            let own = folder.join("images");
            copy_folder(images, &own)?;
            let mut command = bako.command();
            command.args(["registry", "serve", "--listen", address, "--dir"]).arg(own);
            Ok(command)
        })
    }

    /// Bako's own registry over a folder that stays, and that others may serve at the same time.
    pub fn of_folder(bako: &Bako, images: &Path) -> Result<Self> {
        Self::start(|_, address| {
            let mut command = bako.command();
            command.args(["registry", "serve", "--listen", address, "--dir"]).arg(images);
            Ok(command)
        })
    }

    /// Debian's registry.
    pub fn debian() -> Result<Self> {
        let program = host::find("docker-registry").context("docker-registry is not installed")?;
        Self::start(|folder, address| {
            let images = folder.join("images");
            let config = format!(
                "version: 0.1\nlog: {{level: warn, accesslog: {{disabled: false}}}}\n\
                 storage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n\
                 http: {{addr: '{address}'}}\n",
                images.display()
            );
            let file = folder.join("config.yml");
            std::fs::write(&file, config)?;
            let mut command = Command::new(&program);
            command.arg("serve").arg(file);
            Ok(command)
        })
    }

    /// Starts a registry on a free port. The port is free only until somebody else takes it, so a
    /// registry that ends at once is started again on another.
    fn start(command: impl Fn(&Path, &str) -> Result<Command>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let log = folder.path().join("log");
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            let address = format!("127.0.0.1:{port}");
            let output = File::create(&log)?;
            let mut child = command(folder.path(), &address)?
                .stdin(Stdio::null())
                .stdout(output.try_clone()?)
                .stderr(output)
                .spawn()
                .context("cannot start the registry")?;
            let mut ended = false;
            let up = wait_until(Duration::from_secs(20), || {
                ended = !matches!(child.try_wait(), Ok(None));
                ended || http::get(&address, "/v2/").is_ok_and(|response| response.status == 200)
            });
            if up && !ended {
                return Ok(Self { child, address, folder });
            }
            child.kill().ok();
            child.wait().ok();
        }
        bail!("the registry does not start: {}", std::fs::read_to_string(&log).unwrap_or_default());
    }

    /// `ADDRESS/name`
    #[must_use]
    pub fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    /// Everything the registry has logged so far; an access log is part of it.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.folder.path().join("log"))?)
    }

    /// Where the registry keeps its images.
    #[must_use]
    pub fn images(&self) -> std::path::PathBuf {
        self.folder.path().join("images")
    }

    /// Whether `name` has this tag.
    pub fn has_tag(&self, name: &str, tag: &str) -> Result<bool> {
        let response = http::get(&self.address, &format!("/v2/{name}/manifests/{tag}"))?;
        Ok(response.status == 200)
    }

    /// The digest of a tag.
    pub fn digest(&self, name: &str, tag: &str) -> Result<String> {
        let response = http::get(&self.address, &format!("/v2/{name}/manifests/{tag}"))?;
        response.header("docker-content-digest").map(str::to_owned).context("no such tag")
    }

    /// The manifest of a tag.
    pub fn manifest(&self, name: &str, tag: &str) -> Result<Value> {
        let response = http::get(&self.address, &format!("/v2/{name}/manifests/{tag}"))?;
        Ok(serde_json::from_slice(&response.body)?)
    }

    /// The config of the image at a tag.
    pub fn config(&self, name: &str, tag: &str) -> Result<Value> {
        let manifest = self.manifest(name, tag)?;
        let digest = manifest["config"]["digest"].as_str().context("a manifest has a config")?;
        let response = http::get(&self.address, &format!("/v2/{name}/blobs/{digest}"))?;
        Ok(serde_json::from_slice(&response.body)?)
    }

    /// Stores an index of one image under two platforms, this machine's and one that does not exist.
    pub fn put_index(&self, name: &str, tag: &str, of: &str) -> Result<()> {
        let response = http::get(&self.address, &format!("/v2/{name}/manifests/{of}"))?;
        let digest = response.header("docker-content-digest").context("no such tag")?;
        let media_type = response.header("content-type").context("a manifest has a type")?;
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let entry = |architecture: &str| {
            serde_json::json!({
                "mediaType": media_type, "digest": digest, "size": response.body.len(),
                "platform": {"os": "linux", "architecture": architecture},
            })
        };
        let media_type = "application/vnd.oci.image.index.v1+json";
        let index = serde_json::json!({
            "schemaVersion": 2, "mediaType": media_type,
            "manifests": [entry("riscv64"), entry(architecture)],
        });
        let path = format!("/v2/{name}/manifests/{tag}");
        let stored = http::put(&self.address, &path, media_type, &serde_json::to_vec(&index)?)?;
        anyhow::ensure!(stored.status == 201, "index refused: {}", String::from_utf8_lossy(&stored.body));
        Ok(())
    }
}

/// Copies folders and files; what is there already stays.
pub fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
