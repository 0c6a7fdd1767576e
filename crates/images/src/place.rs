//! Places: where manifests and blobs are read from and written to, whatever it is.

use std::io::{Read, Write};
use std::path::Path;

use bytes::Bytes;
use layout::{Import, Layout, REFERENCE_NAME};
use oci::{Descriptor, Digest, ManifestOrIndex, MediaType, Reference};
use registry::{BlobSource, Client};

use crate::error::during;
use crate::{Error, Result};

/// A repository of a registry, or a layout.
#[derive(Debug, Clone)]
pub enum Place {
    /// A repository; the reference says which image.
    Registry(Client, Reference),
    /// A layout, and the name of the image in it.
    Layout(Layout, Option<String>),
}

/// What manifests have at most.
const LIMIT: u64 = 4 << 20;

impl Place {
    /// What the place's name means: its manifest or index.
    pub async fn root(&self) -> Result<ManifestOrIndex> {
        match self {
            Place::Registry(client, reference) => Ok(client.manifest(reference).await?),
            Place::Layout(layout, name) => {
                let index = layout.index()?;
                let is_it = |descriptor: &&Descriptor| match name {
                    Some(name) => descriptor.annotations.get(REFERENCE_NAME) == Some(name),
                    None => true,
                };
                let mut found = index.manifests.iter().filter(is_it);
                let dir = layout.dir().display();
                match (found.next(), found.next(), name) {
                    (Some(one), None, _) => self.manifest(one).await,
                    (None, _, Some(name)) => {
                        Err(Error::new(format!("{dir} has no image of the name {name}")))
                    }
                    (None, _, None) => Err(Error::new(format!("{dir} has no image"))),
                    _ => {
                        Err(Error::new(format!("{dir} has several images; say which, as in oci:{dir}:NAME")))
                    }
                }
            }
        }
    }

    /// A manifest or index of the place.
    pub async fn manifest(&self, descriptor: &Descriptor) -> Result<ManifestOrIndex> {
        match self {
            Place::Registry(client, reference) => {
                Ok(client.manifest(&reference.at(descriptor.digest)).await?)
            }
            Place::Layout(layout, _) => {
                let bytes = layout.read_blob(descriptor.digest, LIMIT)?;
                let parsed = ManifestOrIndex::parse(bytes, Some(descriptor.media_type.as_str()));
                parsed.map_err(|error| Error::new(format!("{}: {error}", descriptor.digest)))
            }
        }
    }

    /// A small blob as a whole, such as a config.
    pub async fn small_blob(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        match self {
            Place::Registry(client, reference) => {
                let config = client.config(reference, descriptor).await?;
                Ok(config.bytes().to_vec())
            }
            Place::Layout(layout, _) => Ok(layout.read_blob(descriptor.digest, 2 * LIMIT)?),
        }
    }

    /// Brings a blob from another place to this one.
    pub async fn take_blob(&self, from: &Place, descriptor: &Descriptor) -> Result<()> {
        match (self, from) {
            (Place::Registry(client, to), from) => {
                let source = match from {
                    Place::Registry(_, reference) => BlobSource::Repository(reference.clone()),
                    Place::Layout(layout, _) => BlobSource::File(layout.blob_path(descriptor.digest)),
                };
                client.push_blob(to, descriptor, &source, &[]).await?;
            }
            (Place::Layout(to, _), Place::Layout(from, _)) => {
                if to.has(descriptor.digest)?.is_none() {
                    to.import_file(&from.blob_path(descriptor.digest), descriptor.digest, Import::Copy)?;
                }
            }
            (Place::Layout(to, _), Place::Registry(client, reference)) => {
                if to.has(descriptor.digest)?.is_some() {
                    return Ok(());
                }
                let mut reader = client.blob(reference, descriptor).await?;
                let mut writer = to.blob_writer()?;
                while let Some(chunk) = reader.chunk().await? {
                    writer.append(&chunk)?;
                }
                writer.commit(Some(descriptor.digest))?;
            }
        }
        Ok(())
    }

    /// Stores a manifest or index by its digest.
    pub async fn put_manifest(&self, media_type: &MediaType, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        match self {
            Place::Registry(client, reference) => {
                let bytes = Bytes::copy_from_slice(bytes);
                Ok(client.push_manifest(&reference.at(digest), media_type, bytes).await?)
            }
            Place::Layout(layout, _) => Ok(layout.write_blob(bytes)?),
        }
    }

    /// Stores a manifest or index under the place's name.
    pub async fn put_root(&self, media_type: &MediaType, bytes: &[u8]) -> Result<Digest> {
        match self {
            Place::Registry(client, reference) => {
                let bytes = Bytes::copy_from_slice(bytes);
                Ok(client.push_manifest(reference, media_type, bytes).await?)
            }
            Place::Layout(layout, name) => {
                let digest = layout.write_blob(bytes)?;
                let mut descriptor = Descriptor::new(media_type.clone(), digest, bytes.len() as u64);
                descriptor
                    .annotations
                    .extend(name.iter().map(|name| (REFERENCE_NAME.to_owned(), name.clone())));
                layout.put_reference(descriptor)?;
                Ok(digest)
            }
        }
    }
}

/// Unpacks a layout from a tar into a directory. Only what a layout has is taken.
pub(crate) fn unpack(archive: &Path, dir: &Path) -> Result<Layout> {
    let what = || format!("read {}", archive.display());
    let file = std::fs::File::open(archive).map_err(during(what()))?;
    let layout = Layout::create(dir)?;
    let mut tar = tar::Archive::new(file);
    let mut index = None;
    for entry in tar.entries().map_err(during(what()))? {
        let mut entry = entry.map_err(during(what()))?;
        let path = entry.path().map_err(during(what()))?.to_string_lossy().into_owned();
        let path = path.trim_start_matches("./");
        if path == "index.json" {
            let mut bytes = Vec::new();
            entry.by_ref().take(LIMIT).read_to_end(&mut bytes).map_err(during(what()))?;
            let parsed: oci::Index = serde_json::from_slice(&bytes).map_err(|source| Error::Json {
                what: format!("index.json of {}", archive.display()),
                source,
            })?;
            index = Some(parsed);
        } else if let Some(hex) = path.strip_prefix("blobs/sha256/").filter(|hex| hex.len() == 64) {
            let digest: Digest = format!("sha256:{hex}")
                .parse()
                .map_err(|error| Error::new(format!("{}: {error}", archive.display())))?;
            let mut writer = layout.blob_writer()?;
            std::io::copy(&mut entry, &mut writer).map_err(during(what()))?;
            writer.commit(Some(digest))?;
        }
    }
    let index = index.ok_or_else(|| {
        Error::new(format!("{} is no archive of an OCI layout: it has no index.json", archive.display()))
    })?;
    layout.edit_index(|own| *own = index)?;
    Ok(layout)
}

/// Packs a layout into a tar, in a fixed order and with fixed times, under its name only once it is whole.
pub(crate) fn pack(layout: &Layout, archive: &Path) -> Result<()> {
    let what = || format!("write {}", archive.display());
    let folder = archive.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = tempfile::NamedTempFile::new_in(folder).map_err(during(what()))?;
    let mut tar = tar::Builder::new(std::io::BufWriter::new(file));
    let mut names: Vec<String> = Vec::new();
    for digest in layout.blobs()? {
        names.push(format!("blobs/sha256/{}", digest?.hex()));
    }
    names.sort();
    names.extend(["index.json".to_owned(), "oci-layout".to_owned()]);
    for name in names {
        let mut blob = std::fs::File::open(layout.dir().join(&name)).map_err(during(what()))?;
        let mut header = tar::Header::new_gnu();
        header.set_size(blob.metadata().map_err(during(what()))?.len());
        header.set_mode(0o644);
        header.set_mtime(0);
        tar.append_data(&mut header, &name, &mut blob).map_err(during(what()))?;
    }
    let mut file = tar.into_inner().map_err(during(what()))?;
    file.flush().map_err(during(what()))?;
    let file = file.into_inner().map_err(|error| during(what())(error.into_error()))?;
    file.as_file().sync_all().map_err(during(what()))?;
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(file.path(), permissions).map_err(during(what()))?;
    file.persist(archive).map_err(|error| during(what())(error.error))?;
    Ok(())
}
