//! The local store of lists that are being made, which is that of `docker manifest`: a folder for each list, a file for
//! each member. Either program can go on with what the other has begun.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci::{Descriptor, Digest, MediaType, Platform, Reference};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::during;
use crate::{Error, Result};

/// The folder of all lists, `$DOCKER_CONFIG/manifests`.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
}

/// A member of a list, with its manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Where it is.
    pub reference: Reference,
    /// What it is, and for which platform.
    pub descriptor: Descriptor,
    /// The exact bytes of its manifest.
    pub raw: Vec<u8>,
}

/// A member as it is on disk. Older files have digest and platform at the top, and no bytes.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OnDisk {
    #[serde(rename = "Ref")]
    reference: String,
    descriptor: Option<Descriptor>,
    #[serde(default)]
    raw: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schema_v2_manifest: Option<Value>,
    #[serde(default, rename = "OCIManifest", skip_serializing_if = "Option::is_none")]
    oci_manifest: Option<Value>,
}

/// A reference as Docker names it in full: a tag is always there unless there is a digest.
pub(crate) fn full(reference: &Reference) -> Reference {
    match (reference.tag(), reference.digest()) {
        (None, None) => reference.with_tag("latest"),
        _ => reference.clone(),
    }
}

fn file_name(reference: &Reference) -> String {
    full(reference).to_string().replace(':', "-").replace('/', "_")
}

impl Store {
    /// The store in a directory, which need not be there.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Store { dir: dir.into() }
    }

    fn list_dir(&self, list: &Reference) -> PathBuf {
        self.dir.join(file_name(list))
    }

    /// True if there is such a list.
    #[must_use]
    pub fn has(&self, list: &Reference) -> bool {
        self.list_dir(list).is_dir()
    }

    /// The members of a list, in the order of their files; `None` if there is no such list.
    pub fn members(&self, list: &Reference) -> Result<Option<Vec<Stored>>> {
        let dir = self.list_dir(list);
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(during(format!("read {}", dir.display()))(error)),
        };
        let mut files = Vec::new();
        for entry in entries {
            files.push(entry.map_err(during(format!("read {}", dir.display())))?.path());
        }
        files.sort();
        files.iter().map(|file| read(file)).collect::<Result<_>>().map(Some)
    }

    /// One member of a list.
    pub fn member(&self, list: &Reference, image: &Reference) -> Result<Option<Stored>> {
        let file = self.list_dir(list).join(file_name(image));
        if file.is_file() { read(&file).map(Some) } else { Ok(None) }
    }

    /// Puts a member into a list, in place of what is there under its name.
    pub fn put(&self, list: &Reference, stored: &Stored) -> Result<()> {
        let dir = self.list_dir(list);
        std::fs::create_dir_all(&dir).map_err(during(format!("make {}", dir.display())))?;
        let manifest: Value = serde_json::from_slice(&stored.raw)
            .map_err(|source| Error::Json { what: format!("manifest of {}", stored.reference), source })?;
        let is_oci = stored.descriptor.media_type == MediaType::OciManifest;
        let on_disk = OnDisk {
            reference: full(&stored.reference).to_string(),
            descriptor: Some(stored.descriptor.clone()),
            raw: Some(STANDARD.encode(&stored.raw)),
            schema_v2_manifest: (!is_oci).then(|| manifest.clone()),
            oci_manifest: is_oci.then_some(manifest),
        };
        let path = dir.join(file_name(&stored.reference));
        let bytes = serde_json::to_vec(&on_disk)
            .map_err(|source| Error::Json { what: path.display().to_string(), source })?;
        let write = || {
            let file = tempfile::NamedTempFile::new_in(&self.dir)?;
            std::fs::write(file.path(), bytes)?;
            file.persist(&path).map_err(|error| error.error)
        };
        write().map(drop).map_err(during(format!("write {}", path.display())))
    }

    /// Removes a list; false if there was none.
    pub fn remove(&self, list: &Reference) -> Result<bool> {
        let dir = self.list_dir(list);
        match std::fs::remove_dir_all(&dir) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(during(format!("remove {}", dir.display()))(error)),
        }
    }
}

fn read(path: &Path) -> Result<Stored> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Older {
        digest: Option<Digest>,
        platform: Option<Platform>,
    }
    let bytes = std::fs::read(path).map_err(during(format!("read {}", path.display())))?;
    let json = |source| Error::Json { what: path.display().to_string(), source };
    let on_disk: OnDisk = serde_json::from_slice(&bytes).map_err(json)?;
    let wrong = |reason: &str| Error::new(format!("{}: {reason}", path.display()));
    let reference: Reference = on_disk.reference.parse().map_err(|error| wrong(&format!("{error}")))?;
    let raw = match (&on_disk.raw, &on_disk.schema_v2_manifest, &on_disk.oci_manifest) {
        (Some(raw), ..) if !raw.is_empty() => {
            STANDARD.decode(raw).map_err(|_| wrong("its field Raw is not base64"))?
        }
        _ => {
            return Err(wrong(
                "it is of an older docker and has no manifest; remove the list and create it anew",
            ));
        }
    };
    let descriptor = match on_disk.descriptor {
        Some(descriptor) => descriptor,
        None => {
            let older: Older = serde_json::from_slice(&bytes).map_err(json)?;
            let media_type = if on_disk.oci_manifest.is_some() {
                MediaType::OciManifest
            } else {
                MediaType::DockerManifest
            };
            let digest = older.digest.ok_or_else(|| wrong("it has no digest"))?;
            let mut descriptor = Descriptor::new(media_type, digest, raw.len() as u64);
            descriptor.platform = older.platform;
            descriptor
        }
    };
    if Digest::of(&raw) != descriptor.digest {
        return Err(wrong("its manifest is not the one of its digest"));
    }
    Ok(Stored { reference, descriptor, raw })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_as_docker_names_them() {
        for (reference, expected) in [
            ("127.0.0.1:5055/g/pause:1", "127.0.0.1-5055_g_pause-1"),
            ("busybox", "docker.io_library_busybox-latest"),
        ] {
            assert_eq!(file_name(&reference.parse().unwrap()), expected);
        }
        let digest = Digest::of(b"x");
        let named: Reference = format!("r.example/a@{digest}").parse().unwrap();
        assert_eq!(file_name(&named), format!("r.example_a@sha256-{}", digest.hex()));
    }
}
