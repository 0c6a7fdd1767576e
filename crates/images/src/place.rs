//! Places: where manifests and blobs are read from and written to, whatever it is.

use std::path::Path;

use bytes::Bytes;
use layout::{Import, Layout, REFERENCE_NAME};
use oci::{Descriptor, Digest, Index, ManifestOrIndex, MediaType, Reference};
use registry::{BlobSource, Client};

use crate::archive::blob_name;
use crate::error::during;
use crate::tarball::Tarball;
use crate::{Error, Result};

/// A repository of a registry, or a layout.
#[derive(Debug, Clone)]
pub enum Place {
    /// A repository; the reference says which image.
    Registry(Client, Reference),
    /// A layout, and the name of the image in it.
    Layout(Layout, Option<String>),
}

/// What manifests and configs have at most.
pub(crate) const DOCUMENT_LIMIT: u64 = 8 << 20;

impl Place {
    /// What the place's name means: its manifest or index.
    pub async fn root(&self) -> Result<ManifestOrIndex> {
        match self {
            Place::Registry(client, reference) => Ok(client.manifest(reference).await?),
            Place::Layout(layout, name) => {
                let what = format!("oci:{}", layout.dir().display());
                self.manifest(&named(&layout.index()?, name.as_deref(), &what)?).await
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
                parse(layout.read_blob(descriptor.digest, DOCUMENT_LIMIT)?, descriptor)
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
            Place::Layout(layout, _) => Ok(layout.read_blob(descriptor.digest, DOCUMENT_LIMIT)?),
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

/// What an index of a layout has under a name. Without a name, the only image, which may have several names. `what` is
/// what the layout is called, as a location.
pub(crate) fn named(index: &Index, name: Option<&str>, what: &str) -> Result<Descriptor> {
    let is_it = |descriptor: &&Descriptor| match name {
        Some(name) => descriptor.annotations.get(REFERENCE_NAME).is_some_and(|has| has == name),
        None => true,
    };
    let mut found = index.manifests.iter().filter(is_it);
    let first = found.next().ok_or_else(|| match name {
        Some(name) => Error::new(format!("{what} has no image of the name {name}")),
        None => Error::new(format!("{what} has no image")),
    })?;
    if found.any(|other| other.digest != first.digest) {
        let names: Vec<&str> = index
            .manifests
            .iter()
            .filter_map(|image| image.annotations.get(REFERENCE_NAME))
            .map(String::as_str)
            .collect();
        return Err(Error::new(format!(
            "{what} has several images; say which, as in {what}:NAME: {}",
            names.join(", ")
        )));
    }
    Ok(first.clone())
}

/// A manifest or index of a layout.
pub(crate) fn parse(bytes: Vec<u8>, descriptor: &Descriptor) -> Result<ManifestOrIndex> {
    ManifestOrIndex::parse(bytes, Some(descriptor.media_type.as_str()))
        .map_err(|error| Error::new(format!("{}: {error}", descriptor.digest)))
}

/// Packs a layout into a tar, in a fixed order.
pub(crate) fn pack(layout: &Layout, archive: &Path) -> Result<()> {
    let what = || format!("write {}", archive.display());
    let mut names: Vec<String> = Vec::new();
    for digest in layout.blobs()? {
        names.push(blob_name(digest?));
    }
    names.sort();
    names.extend(["index.json".to_owned(), "oci-layout".to_owned()]);
    let mut tarball = Tarball::create(archive).map_err(during(what()))?;
    for name in names {
        let mut blob = std::fs::File::open(layout.dir().join(&name)).map_err(during(what()))?;
        let size = blob.metadata().map_err(during(what()))?.len();
        tarball.append(&name, size, &mut blob).map_err(during(what()))?;
    }
    tarball.finish().map_err(during(what()))
}
