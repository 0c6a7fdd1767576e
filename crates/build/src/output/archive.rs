//! The docker archive: what `docker save` writes and `docker load` reads.
//!
//! The names inside are those of Google's go-containerregistry, which Kaniko uses: the config as
//! `sha256:HEX`, each layer, compressed as it is, as `HEX.tar.gz`.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use oci::{Digest, Reference};
use serde::Serialize;

use super::Finished;
use crate::error::{Context, Error, Result};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

/// Writes the archive beside its place and then renames it, so that half of one is never seen.
/// `blob` tells where the bytes of a layer are.
pub(crate) fn write_archive(
    path: &Path,
    image: &Finished,
    tags: &[Reference],
    blob: impl Fn(Digest) -> Result<PathBuf>,
) -> Result<()> {
    let beside = path.with_extension(format!("{}.part", std::process::id()));
    let written = write(&beside, image, tags, blob).and_then(|()| Ok(std::fs::rename(&beside, path)?));
    if written.is_err() {
        // Best effort: the error that matters is the first one.
        let _ = std::fs::remove_file(&beside);
    }
    written.map_err(|error| error.during(path.display()))
}

fn write(
    path: &Path,
    image: &Finished,
    tags: &[Reference],
    blob: impl Fn(Digest) -> Result<PathBuf>,
) -> Result<()> {
    let mut archive = tar::Builder::new(BufWriter::with_capacity(1 << 20, File::create(path)?));
    let config = image.config.digest().to_string();
    append(&mut archive, &config, image.config.size(), image.config.bytes())?;
    let mut seen = BTreeSet::new();
    let mut layers = Vec::new();
    for layer in &image.layers {
        let name = format!("{}.tar.gz", layer.descriptor.digest.hex());
        if seen.insert(layer.descriptor.digest) {
            let file = File::open(blob(layer.descriptor.digest)?)?;
            append(&mut archive, &name, layer.descriptor.size, file)?;
        }
        layers.push(name);
    }
    let repo_tags = tags.iter().map(ToString::to_string).collect();
    let manifest = serde_json::to_vec(&[Entry { config, repo_tags, layers }])
        .map_err(|error| Error::new(error.to_string()))?;
    append(&mut archive, "manifest.json", manifest.len() as u64, &manifest[..])?;
    let mut file = archive.into_inner()?;
    file.flush().during("write")?;
    Ok(())
}

fn append<W: Write>(archive: &mut tar::Builder<W>, name: &str, size: u64, data: impl Read) -> Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(size);
    header.set_mode(0o644);
    archive.append_data(&mut header, name, data)?;
    Ok(())
}
