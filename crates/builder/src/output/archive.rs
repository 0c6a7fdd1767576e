//! The docker archive: what `docker save` writes and `docker load` reads.
//!
//! The names inside are those of Google's go-containerregistry, which Kaniko uses: the config as
//! `sha256:HEX`, each layer, compressed as it is, as `HEX.tar.gz`.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use oci::{Digest, Reference};
use sandbox::Cancel;
use serde::Serialize;

use super::Finished;
use super::replace::replace;
use crate::error::{Context, Error, Result};
use crate::interruptible::Interruptible;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    repo_tags: Vec<String>,
    layers: Vec<String>,
}

/// What an image without a name is called, since `docker load` takes none without: Kaniko's word for it.
const UNNAMED: &str = "unset-repo/unset-image-name:latest";

/// Writes the archive. `blob` tells where the bytes of a layer are.
pub(crate) fn write_archive(
    path: &Path,
    image: &Finished,
    tags: &[Reference],
    blob: impl Fn(Digest) -> Result<PathBuf>,
    cancel: &Cancel,
) -> Result<()> {
    replace(path, |file| write(file, image, tags, &blob, cancel))
        .map_err(|error| error.during(path.display()))
}

fn write(
    file: impl Write,
    image: &Finished,
    tags: &[Reference],
    blob: impl Fn(Digest) -> Result<PathBuf>,
    cancel: &Cancel,
) -> Result<()> {
    let mut archive = tar::Builder::new(BufWriter::with_capacity(1 << 20, file));
    let config = image.config.digest().to_string();
    append(&mut archive, &config, image.config.size(), image.config.bytes())?;
    let mut seen = BTreeSet::new();
    let mut layers = Vec::new();
    for layer in &image.layers {
        let name = format!("{}.tar.gz", layer.descriptor.digest.hex());
        if seen.insert(layer.descriptor.digest) {
            let file = File::open(blob(layer.descriptor.digest)?)?;
            append(&mut archive, &name, layer.descriptor.size, Interruptible { inner: file, cancel })?;
        }
        layers.push(name);
    }
    let mut repo_tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
    if repo_tags.is_empty() {
        repo_tags.push(UNNAMED.to_owned());
    }
    let manifest = serde_json::to_vec(&[Entry { config, repo_tags, layers }])
        .map_err(|error| Error::new(error.to_string()))?;
    append(&mut archive, "manifest.json", manifest.len() as u64, &manifest[..])?;
    archive.into_inner()?.flush().during("write")?;
    Ok(())
}

fn append<W: Write>(archive: &mut tar::Builder<W>, name: &str, size: u64, data: impl Read) -> Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(size);
    header.set_mode(0o644);
    archive.append_data(&mut header, name, data)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::image::Image;

    #[test]
    fn names() {
        for (tags, expected) in [
            (&[][..], r#"["unset-repo/unset-image-name:latest"]"#),
            (&["r.example/a:1", "r.example/b:2"], r#"["r.example/a:1","r.example/b:2"]"#),
        ] {
            let image = Image::scratch(&oci::Platform::host());
            let image = Finished::new(image, "1970-01-01T00:00:00Z", oci::ImageFormat::Oci, BTreeMap::new());
            let tags: Vec<Reference> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
            let mut bytes = Vec::new();
            let no_layers = |digest| panic!("there is no layer {digest}");
            write(&mut bytes, &image, &tags, no_layers, &Cancel::new()).unwrap();
            let mut archive = tar::Archive::new(&bytes[..]);
            let mut texts = archive.entries().unwrap().map(|entry| {
                let mut entry = entry.unwrap();
                let name = entry.path().unwrap().display().to_string();
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                (name, text)
            });
            let (config, _) = texts.next().unwrap();
            assert_eq!(config, image.config.digest().to_string());
            let manifest = format!(r#"[{{"Config":"{config}","RepoTags":{expected},"Layers":[]}}]"#);
            assert_eq!(texts.next().unwrap(), ("manifest.json".to_owned(), manifest));
            assert!(texts.next().is_none());
        }
    }

    /// A signal in the middle of a layer.
    #[test]
    fn leaves_nothing_when_it_is_to_end() {
        let directory = tempfile::tempdir().unwrap();
        let blob = directory.path().join("blob");
        std::fs::write(&blob, vec![7; 1 << 20]).unwrap();
        let digest = Digest::of(&vec![7; 1 << 20]);
        let mut image = Image::scratch(&oci::Platform::host());
        image.layers.push(crate::image::Layer {
            descriptor: oci::Descriptor::new(
                oci::MediaType::oci_layer(oci::Compression::None),
                digest,
                1 << 20,
            ),
            diff_id: oci::DiffId(digest),
            origin: crate::image::LayerOrigin::Built,
            made: None,
        });
        let image = Finished::new(image, "1970-01-01T00:00:00Z", oci::ImageFormat::Oci, BTreeMap::new());
        let (archive, layout) = (directory.path().join("app.tar"), directory.path().join("layout"));
        let cancel = Cancel::new();
        let found = |_| {
            cancel.cancel(15);
            Ok(blob.clone())
        };
        let error = write_archive(&archive, &image, &[], found, &cancel).unwrap_err();
        assert!(error.message.contains("ended by signal 15"), "{error}");
        let mut foreign = image.clone();
        foreign.layers[0].origin = crate::image::LayerOrigin::Registry("r.example/a".parse().unwrap());
        let error = super::super::write_layout(&layout, &foreign, &[], &foreign.listed(&[]), found, &cancel)
            .unwrap_err();
        assert!(error.message.contains("ended by signal 15"), "{error}");
        let names = |directory: &Path| {
            let names = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
            let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
            names.sort();
            names.join(" ")
        };
        assert_eq!(names(directory.path()), "blob layout");
        assert_eq!(names(&layout), "blobs index.json oci-layout");
        assert_eq!(names(&layout.join("blobs/sha256")), "");
    }
}
