//! An image as tools that are not ours see it: fetched by skopeo, unpacked by umoci, run by runc.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::host;
use crate::process::{Finished, finish, output};
use crate::tree::{self, Tree};

/// What these judges are; [`crate::require`] them before [`Image::fetch`].
pub const JUDGES: &[&str] = &["root", "skopeo", "umoci"];

/// An image on disk.
#[derive(Debug)]
pub struct Image {
    folder: TempDir,
    /// The image's config document.
    pub config: Value,
    /// The image's manifest.
    pub manifest: Value,
}

impl Image {
    /// Fetches an image that skopeo can name: `docker://…`, `oci:…`, `docker-archive:…`.
    pub fn fetch(source: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let layout = folder.path().join("layout");
        skopeo(&["copy", "--src-tls-verify=false", source, &format!("oci:{}:image", layout.display())])?;
        let index: Value = document(&layout.join("index.json"))?;
        let manifest = blob(&layout, &index["manifests"][0]["digest"])?;
        let config = blob(&layout, &manifest["config"]["digest"])?;
        Ok(Self { folder, config, manifest })
    }

    /// Fetches from a registry on loopback.
    pub fn pull(reference: &str) -> Result<Self> {
        Self::fetch(&format!("docker://{reference}"))
    }

    /// Unpacks the image, once; the folder that holds `rootfs` and a runtime's `config.json`.
    pub fn bundle(&self) -> Result<PathBuf> {
        let bundle = self.folder.path().join("bundle");
        if !bundle.exists() {
            let image = format!("{}:image", self.folder.path().join("layout").display());
            if self.config["os"] == "windows" {
                // No runtime here has a configuration for it.
                std::fs::create_dir(&bundle)?;
                let mut unpack = Command::new("umoci");
                output(unpack.args(["raw", "unpack", "--image", &image]).arg(bundle.join("rootfs")))?;
            } else {
                output(Command::new("umoci").args(["unpack", "--image", &image]).arg(&bundle))?;
            }
        }
        Ok(bundle)
    }

    /// The image's filesystem.
    pub fn tree(&self) -> Result<Tree> {
        tree::read(&self.bundle()?.join("rootfs"))
    }

    /// The image's filesystem in detail.
    pub fn entries(&self) -> Result<std::collections::BTreeMap<String, tree::Entry>> {
        tree::entries(&self.bundle()?.join("rootfs"))
    }

    /// Where in the image these bytes are: its config, or the contents or name of a file.
    pub fn holds(&self, bytes: &[u8]) -> Result<Option<String>> {
        let within = |text: &[u8]| text.windows(bytes.len()).any(|part| part == bytes);
        if within(self.config.to_string().as_bytes()) || within(self.manifest.to_string().as_bytes()) {
            return Ok(Some("the config".to_owned()));
        }
        let mut folders = vec![self.bundle()?.join("rootfs")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder)? {
                let entry = entry?;
                let kind = entry.file_type()?;
                let found = within(entry.file_name().as_encoded_bytes())
                    || (kind.is_file() && within(&std::fs::read(entry.path())?));
                if found {
                    return Ok(Some(entry.path().display().to_string()));
                }
                if kind.is_dir() {
                    folders.push(entry.path());
                }
            }
        }
        Ok(None)
    }

    /// The digests of the layers' contents.
    #[must_use]
    pub fn diff_ids(&self) -> Vec<String> {
        let list = self.config["rootfs"]["diff_ids"].as_array();
        list.into_iter().flatten().filter_map(|id| id.as_str().map(str::to_owned)).collect()
    }

    /// Runs the image's entrypoint under runc, on the host's network as RUN has it.
    pub fn run(&self) -> Result<Finished> {
        self.run_with(|_| {})
    }

    /// Runs the image after a change of the runtime's `config.json`.
    pub fn run_with(&self, change: impl FnOnce(&mut Value)) -> Result<Finished> {
        let runc = host::find("runc").context("runc is not installed")?;
        let bundle = self.bundle()?;
        let file = bundle.join("config.json");
        let mut spec: Value = document(&file)?;
        spec["process"]["terminal"] = json!(false);
        spec["root"]["readonly"] = json!(false);
        if let Some(process) = spec["process"].as_object_mut() {
            // A machine without CAP_SYS_RESOURCE may not raise limits.
            process.remove("rlimits");
        }
        if let Some(linux) = spec["linux"].as_object_mut() {
            linux.remove("resources");
            if let Some(namespaces) = linux.get_mut("namespaces").and_then(Value::as_array_mut) {
                namespaces.retain(|namespace| !matches!(namespace["type"].as_str(), Some("network")));
            }
        }
        change(&mut spec);
        std::fs::write(&file, serde_json::to_vec(&spec)?)?;

        let state = self.folder.path().join("state");
        let name = format!("bako-test-{}", std::process::id());
        let mut command = Command::new(runc);
        command.arg("--root").arg(state).args(["run", "--no-new-keyring", "--bundle"]).arg(bundle).arg(name);
        finish(&mut command)
    }
}

/// Runs skopeo without any trust policy: the tests' registries sign nothing.
pub fn skopeo(arguments: &[&str]) -> Result<String> {
    output(Command::new("skopeo").arg("--insecure-policy").args(arguments))
}

fn document(file: &Path) -> Result<Value> {
    let bytes = std::fs::read(file).with_context(|| format!("read {}", file.display()))?;
    Ok(serde_json::from_slice(&bytes)?)
}

fn blob(layout: &Path, digest: &Value) -> Result<Value> {
    let hex = digest.as_str().and_then(|digest| digest.strip_prefix("sha256:")).context("no digest")?;
    document(&layout.join("blobs/sha256").join(hex))
}
