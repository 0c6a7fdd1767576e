//! `certs.d`: certificates by registry, as Docker and Podman have them on disk ([containers-certs.d(5)]).
//!
//! In `DIRECTORY/HOST[:PORT]/` each `.crt` is an authority for that registry, and a `.cert` with the `.key` of the same
//! name is what is shown to it.
//!
//! [containers-certs.d(5)]: https://github.com/containers/image/blob/main/docs/containers-certs.d.5.md

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use registry::{ClientCertificate, Secret};

/// Where they are; what an earlier one says of a registry is added to by a later one.
pub(crate) const DIRECTORIES: [&str; 2] = ["/etc/containers/certs.d", "/etc/docker/certs.d"];

/// What the directories say.
#[derive(Debug, Default)]
pub(crate) struct CertsD {
    /// PEM texts, by host and port.
    pub(crate) authorities: BTreeMap<String, String>,
    /// What to show to whom.
    pub(crate) client_certificates: BTreeMap<String, ClientCertificate>,
}

impl CertsD {
    /// Reads directories. One that is not there, or not for us, says nothing.
    pub(crate) fn read(directories: &[&str]) -> Result<Self> {
        let mut found = CertsD::default();
        for directory in directories {
            for registry in entries(Path::new(directory))? {
                let Some(name) = registry.file_name().and_then(|name| name.to_str()) else { continue };
                // The names of Docker Hub are one to us.
                let name = match name {
                    "index.docker.io" | "registry-1.docker.io" => "docker.io",
                    other => other,
                };
                found.add(name, &registry)?;
            }
        }
        Ok(found)
    }

    fn add(&mut self, registry: &str, directory: &Path) -> Result<()> {
        for file in entries(directory)? {
            let text =
                |file: &Path| std::fs::read_to_string(file).with_context(|| file.display().to_string());
            match file.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => {
                    let authorities = self.authorities.entry(registry.to_owned()).or_default();
                    authorities.push_str(&text(&file)?);
                    authorities.push('\n');
                }
                Some("cert") if !self.client_certificates.contains_key(registry) => {
                    let key = file.with_extension("key");
                    if !key.exists() {
                        bail!("{}: there is no {} for it", file.display(), key.display());
                    }
                    let certificate =
                        ClientCertificate { chain: text(&file)?, key: Secret::new(text(&key)?) };
                    self.client_certificates.insert(registry.to_owned(), certificate);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// What a directory has, sorted; nothing if it is none that we can read.
fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let read = match std::fs::read_dir(directory) {
        Ok(read) => read,
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied
            ) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error).with_context(|| directory.display().to_string()),
    };
    let mut entries = Vec::new();
    for entry in read {
        entries.push(entry.with_context(|| directory.display().to_string())?.path());
    }
    entries.sort();
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_directories_say() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("a/r.example:5000/ca.crt", "ONE");
        write("a/r.example:5000/client.cert", "CERT");
        write("a/r.example:5000/client.key", "KEY");
        write("a/r.example:5000/notes.txt", "x");
        write("a/index.docker.io/ca.crt", "HUB");
        write("b/r.example:5000/other.crt", "TWO");
        write("a/readme", "x");
        let directories = ["a", "b", "missing"].map(|name| root.path().join(name).display().to_string());
        let directories: Vec<&str> = directories.iter().map(String::as_str).collect();
        let found = CertsD::read(&directories).unwrap();
        let authorities: Vec<(&str, &str)> =
            found.authorities.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        assert_eq!(authorities, [("docker.io", "HUB\n"), ("r.example:5000", "ONE\nTWO\n")]);
        let client = &found.client_certificates["r.example:5000"];
        assert_eq!((client.chain.as_str(), client.key.expose()), ("CERT", "KEY"));
        write("b/half.example/client.cert", "CERT");
        let error = CertsD::read(&directories).unwrap_err().to_string();
        assert!(error.ends_with("client.key for it"), "{error}");
    }
}
