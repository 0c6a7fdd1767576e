//! A cache repository: where records, layers and indexes are kept for other machines.
//!
//! It is one repository of a registry, in which keys are tags, or an OCI layout on a disk. Both hold the same
//! manifests and blobs, so `skopeo copy` turns one into the other.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use layout::{Import, Layout, LayoutError, REFERENCE_NAME};
use oci::{Descriptor, Digest, Manifest, ManifestOrIndex, MediaType, Raw, Reference};
use registry::{BlobSource, Client};
use tokio::runtime::Handle;

use crate::Domain;

/// What a manifest may be large, as registries have it.
const MANIFEST_LIMIT: u64 = 4 << 20;

/// Where a cache is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A repository of a registry; the tag, if there is one, does not matter.
    Registry(Reference),
    /// A directory of this machine, perhaps on a volume.
    Directory(PathBuf),
}

/// A cache repository, opened. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Repository {
    location: Location,
    client: Client,
    /// That of the directory.
    layout: Option<Layout>,
}

/// Why something could not be had from a cache, or brought into it.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// The directory failed.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A manifest in the directory is none.
    #[error("{tag}: {reason}")]
    Malformed {
        /// Its name.
        tag: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Registry(reference) => f.write_str(&reference.name()),
            Location::Directory(directory) => write!(f, "oci:{}", directory.display()),
        }
    }
}

impl RepositoryError {
    /// True if a registry does not let a tag be moved.
    #[must_use]
    pub fn is_immutable_tag(&self) -> bool {
        matches!(self, RepositoryError::Registry(error) if error.is_immutable_tag())
    }

    /// True if a registry does not do such a thing, or not for us.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        use registry::ErrorKind::{Denied, Refused, Unauthorized};
        let RepositoryError::Registry(error) = self else { return false };
        matches!(error.kind, Denied { .. } | Refused { .. } | Unauthorized { .. })
    }

    /// True if what was asked for is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        match self {
            RepositoryError::Registry(error) => error.is_not_found(),
            RepositoryError::Layout(error) => matches!(error, LayoutError::Unknown { .. }),
            RepositoryError::Malformed { .. } => false,
        }
    }
}

impl Repository {
    /// Opens a cache. A directory is made if it is to be written to and is not there; one that is not there and
    /// is only read is empty.
    pub fn open(location: Location, client: Client, write: bool) -> Result<Self, RepositoryError> {
        let layout = match &location {
            Location::Directory(directory) if write => Some(Layout::create(directory)?),
            Location::Directory(directory) if directory.exists() => Some(Layout::open(directory)?),
            _ => None,
        };
        Ok(Repository { location, client, layout })
    }

    /// Where it is.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// The client by which it is asked, if it is a registry's.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// The layout, if it is a directory.
    #[must_use]
    pub fn layout(&self) -> Option<&Layout> {
        self.layout.as_ref()
    }

    /// The manifest of a tag; `None` if there is none.
    pub async fn manifest(&self, tag: &str) -> Result<Option<Raw<Manifest>>, RepositoryError> {
        let malformed =
            |reason: String| RepositoryError::Malformed { tag: format!("{}:{tag}", self.location), reason };
        let found = match (&self.location, &self.layout) {
            (Location::Registry(reference), _) => {
                match self.client.manifest(&reference.with_tag(tag)).await {
                    Ok(found) => found,
                    Err(error) if error.is_not_found() => return Ok(None),
                    Err(error) => return Err(error.into()),
                }
            }
            (Location::Directory(_), Some(layout)) => {
                let Some(descriptor) = layout.reference(tag)? else { return Ok(None) };
                let bytes = layout.read_blob(descriptor.digest, MANIFEST_LIMIT)?;
                ManifestOrIndex::parse(bytes, None).map_err(|error| malformed(error.to_string()))?
            }
            (Location::Directory(_), None) => return Ok(None),
        };
        match found {
            ManifestOrIndex::Manifest(manifest) => Ok(Some(manifest)),
            ManifestOrIndex::Index(_) => Err(malformed("it is an index, and not a record".to_owned())),
        }
    }

    /// A whole small blob, verified.
    pub async fn blob(&self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>, RepositoryError> {
        match (&self.location, &self.layout) {
            (Location::Registry(reference), _) => {
                Ok(self.client.blob_bytes(reference, descriptor, limit).await?)
            }
            (Location::Directory(_), Some(layout)) => Ok(layout.read_blob(descriptor.digest, limit)?),
            (Location::Directory(path), None) => {
                Err(LayoutError::Unknown { digest: descriptor.digest, path: path.clone() }.into())
            }
        }
    }

    /// A blob to be read on a thread that may block. What it holds is to be compared with its diff id.
    pub fn blob_reader(
        &self,
        runtime: &Handle,
        descriptor: &Descriptor,
    ) -> Result<Box<dyn Read + Send>, RepositoryError> {
        match (&self.location, &self.layout) {
            (Location::Registry(reference), _) => {
                Ok(Box::new(self.client.blob_to_reader(runtime, reference, descriptor)))
            }
            (Location::Directory(_), Some(layout)) => {
                let (file, _): (File, u64) = layout.open_blob(descriptor.digest)?;
                Ok(Box::new(file))
            }
            (Location::Directory(path), None) => {
                Err(LayoutError::Unknown { digest: descriptor.digest, path: path.clone() }.into())
            }
        }
    }

    /// Brings a blob here, unless it is here. `near` are repositories that may have it too.
    pub async fn push_blob(
        &self,
        descriptor: &Descriptor,
        source: &BlobSource,
        near: &[Reference],
    ) -> Result<(), RepositoryError> {
        let layout = match (&self.location, &self.layout) {
            (Location::Registry(reference), _) => {
                self.client.push_blob(reference, descriptor, source, near).await?;
                return Ok(());
            }
            (Location::Directory(_), Some(layout)) => layout,
            (Location::Directory(path), None) => {
                return Err(LayoutError::Unknown { digest: descriptor.digest, path: path.clone() }.into());
            }
        };
        if layout.has(descriptor.digest)? == Some(descriptor.size) {
            return Ok(());
        }
        match source {
            BlobSource::Bytes(bytes) => {
                let mut writer = layout.blob_writer()?;
                writer.append(bytes)?;
                writer.commit(Some(descriptor.digest))?;
            }
            // Not linked: what is in the directory is to outlive whatever happens to the work directory.
            BlobSource::File(path) => layout.import_file(path, descriptor.digest, Import::Copy)?,
            BlobSource::Repository(reference) => {
                let mut reader = self.client.blob(reference, descriptor).await?;
                let mut writer = layout.blob_writer()?;
                while let Some(chunk) = reader.chunk().await? {
                    writer.append(&chunk)?;
                }
                writer.commit(Some(descriptor.digest))?;
            }
        }
        Ok(())
    }

    /// Makes room for a blob that has turned out to be damaged: what is there already is not stored again. A registry has
    /// looked at what it holds.
    pub fn discard_damaged(&self, digest: Digest) -> Result<(), RepositoryError> {
        if let Some(layout) = &self.layout {
            layout.remove_damaged(digest)?;
        }
        Ok(())
    }

    /// Gives a mount its tag, and removes what had it before, where nobody else does that and no other mount has
    /// the same.
    pub async fn put_mount(&self, tag: &str, manifest: &Raw<Manifest>) -> Result<(), RepositoryError> {
        let Some(layout) = &self.layout else { return self.put(&[tag.to_owned()], manifest).await };
        // What is damaged is replaced all the same.
        let before = self.manifest(tag).await.ok().flatten();
        self.put(&[tag.to_owned()], manifest).await?;
        let Some(before) = before.filter(|before| before.digest() != manifest.digest()) else {
            return Ok(());
        };
        let mut named: BTreeSet<Digest> = BTreeSet::new();
        for entry in layout.index()?.manifests {
            named.insert(entry.digest);
            let tag = entry.annotations.get(REFERENCE_NAME).map(String::as_str).unwrap_or_default();
            if Domain::of_tag(tag) == Some(Domain::Mount)
                && let Ok(Some(other)) = self.manifest(tag).await
            {
                named.extend(other.value().layers.iter().map(|layer| layer.digest));
            }
        }
        let gone = before.value().layers.iter().map(|layer| layer.digest).chain([before.digest()]);
        for digest in gone.filter(|digest| !named.contains(digest)) {
            layout.remove_blob(digest)?;
        }
        Ok(())
    }

    /// Gives a manifest, whose blobs are here, its tags.
    pub async fn put(&self, tags: &[String], manifest: &Raw<Manifest>) -> Result<(), RepositoryError> {
        match (&self.location, &self.layout) {
            (Location::Registry(reference), _) => {
                let mut refused = None;
                for tag in tags {
                    let bytes = bytes::Bytes::copy_from_slice(manifest.bytes());
                    let reference = reference.with_tag(tag);
                    match self.client.push_manifest(&reference, &MediaType::OciManifest, bytes).await {
                        // The other tags may be new.
                        Err(error) if error.is_immutable_tag() => refused = Some(error),
                        outcome => {
                            outcome?;
                        }
                    }
                }
                return refused.map_or(Ok(()), |error| Err(error.into()));
            }
            (Location::Directory(_), Some(layout)) => {
                layout.write_blob(manifest.bytes())?;
                for tag in tags {
                    let mut descriptor = Descriptor::of(MediaType::OciManifest, manifest);
                    descriptor.annotations.insert(REFERENCE_NAME.to_owned(), tag.clone());
                    layout.put_reference(descriptor)?;
                }
            }
            (Location::Directory(path), None) => {
                return Err(LayoutError::Unknown { digest: manifest.digest(), path: path.clone() }.into());
            }
        }
        Ok(())
    }
}
