//! Sources: where an image that is looked at comes from. Nothing is unpacked: blobs are read where they are, also
//! those within an archive.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use layout::Layout;
use oci::{Compression, Descriptor, Digest, ImageConfig, Index, ManifestOrIndex, Platform, Raw};
use registry::Client;
use tokio::runtime::Handle;

use crate::archive::{Archive, Saved, blob_name};
use crate::copy::NESTING;
use crate::place::{DOCUMENT_LIMIT, named, parse};
use crate::{Error, Location, Result};

/// An image to be looked at, as a user names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// In the words of a copy.
    Location(Location),
    /// A path: a layout if it is a directory, else an archive of either kind.
    Path(PathBuf),
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        // A reference begins with neither.
        if ["/", "./", "../"].iter().any(|start| text.starts_with(start)) || text == "." {
            return Ok(Subject::Path(text.into()));
        }
        text.parse().map(Subject::Location)
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Subject::Location(location) => location.fmt(f),
            Subject::Path(path) => path.display().fmt(f),
        }
    }
}

/// An image that was found: its documents, and where its layers are.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The index it was found in, if any.
    pub(crate) index: Option<Raw<Index>>,
    /// Its manifest; an archive of `docker save` has none.
    pub(crate) manifest: Option<Raw<oci::Manifest>>,
    /// Its config; none if it is no image.
    pub(crate) config: Option<ImageConfig>,
    /// Its layers, bottom first.
    pub(crate) layers: Vec<Blob>,
}

/// A layer's blob.
#[derive(Debug)]
pub(crate) struct Blob {
    /// Its descriptor; an archive of `docker save` has none.
    pub(crate) descriptor: Option<Descriptor>,
    /// Its length in bytes.
    pub(crate) size: u64,
    /// How its media type says that it is packed; none if it is no layer.
    pub(crate) compression: Option<Compression>,
    at: Place,
}

#[derive(Debug, Clone)]
enum Place {
    Registry(Client, oci::Reference, Handle),
    File(PathBuf),
    Part(PathBuf, u64),
}

impl Blob {
    /// The bytes. A registry's are verified as they come; the others are for the caller to verify.
    pub(crate) fn open(&self) -> io::Result<Box<dyn Read + Send>> {
        Ok(match (&self.at, &self.descriptor) {
            (Place::Registry(client, reference, runtime), Some(descriptor)) => {
                Box::new(client.blob_to_reader(runtime, reference, descriptor))
            }
            (Place::Registry(..), None) => return Err(io::ErrorKind::NotFound.into()),
            (Place::File(path), _) => Box::new(File::open(path)?),
            (Place::Part(path, offset), _) => {
                let mut file = File::open(path)?;
                file.seek(SeekFrom::Start(*offset))?;
                Box::new(file.take(self.size))
            }
        })
    }
}

/// Where documents and blobs are.
enum Store {
    Registry(Client, oci::Reference, Handle),
    Layout(Layout),
    Archive(Archive),
}

/// Finds an image; in an index the one for a platform, or for this machine's if none is given and it is among them, or
/// the only one.
pub(crate) fn open(
    client: &Client,
    runtime: &Handle,
    subject: &Subject,
    platform: Option<&Platform>,
) -> Result<Opened> {
    let (store, root) = match subject {
        Subject::Location(Location::Registry(reference)) => {
            let root = runtime.block_on(client.manifest(reference))?;
            (Store::Registry(client.clone(), reference.clone(), runtime.clone()), root)
        }
        Subject::Location(Location::Layout(dir, name)) => of_layout(dir, name.as_deref())?,
        Subject::Location(Location::Archive(file, name)) => {
            let archive = Archive::open(file)?;
            let root = archive.root(name.as_deref())?;
            (Store::Archive(archive), root)
        }
        Subject::Location(Location::DockerArchive(file, name)) => {
            return docker_image(&Archive::open(file)?, name.as_deref());
        }
        Subject::Path(path) if path.is_dir() => of_layout(path, None)?,
        Subject::Path(path) => {
            let archive = Archive::open(path)?;
            if !archive.has("index.json") {
                return docker_image(&archive, None);
            }
            let root = archive.root(None)?;
            (Store::Archive(archive), root)
        }
    };
    let (index, manifest) = store.descend(subject, root, platform)?;
    let value = manifest.value();
    let config = match value.config.media_type.as_str() {
        media_type if media_type.contains("image.config") || media_type.contains("container.image") => {
            let bytes = store.document(&value.config)?;
            Some(
                serde_json::from_slice(&bytes)
                    .map_err(|source| Error::Json { what: format!("config of {subject}"), source })?,
            )
        }
        _ => None,
    };
    let layers = value.layers.iter().map(|layer| store.blob(layer)).collect::<Result<_>>()?;
    Ok(Opened { index, manifest: Some(manifest), config, layers })
}

fn of_layout(dir: &Path, name: Option<&str>) -> Result<(Store, ManifestOrIndex)> {
    let layout = Layout::open(dir)?;
    let chosen = named(&layout.index()?, name, &format!("oci:{}", dir.display()))?;
    let root = parse(layout.read_blob(chosen.digest, DOCUMENT_LIMIT)?, &chosen)?;
    Ok((Store::Layout(layout), root))
}

/// An image that `docker save`, or `--tar-path`, has written.
fn docker_image(archive: &Archive, name: Option<&str>) -> Result<Opened> {
    let image = Saved::of(archive, name)?;
    let layers = image.layers.iter().map(|name| {
        let (offset, size) = archive.find(name)?;
        let at = Place::Part(archive.path().to_owned(), offset);
        // What the first bytes say counts, and nothing else says anything.
        Ok(Blob { descriptor: None, size, compression: Some(Compression::None), at })
    });
    let layers = layers.collect::<Result<_>>()?;
    Ok(Opened { index: None, manifest: None, config: Some(archive.json(&image.config)?), layers })
}

impl Store {
    /// From an index to an image.
    fn descend(
        &self,
        subject: &Subject,
        mut root: ManifestOrIndex,
        platform: Option<&Platform>,
    ) -> Result<(Option<Raw<Index>>, Raw<oci::Manifest>)> {
        let mut outermost = None;
        for _ in 0..=NESTING {
            let index = match root {
                ManifestOrIndex::Manifest(manifest) => return Ok((outermost, manifest)),
                ManifestOrIndex::Index(index) => index,
            };
            let chosen = chosen(index.value(), platform)
                .map_err(|error| Error::new(format!("{subject}: {error}")))?
                .clone();
            root = parse(self.document(&chosen)?, &chosen)?;
            outermost.get_or_insert(index);
        }
        Err(Error::new(format!("{subject}: more than {NESTING} indexes in one another")))
    }

    /// A small blob as a whole, verified.
    fn document(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        match self {
            Store::Registry(client, reference, runtime) => {
                if descriptor.media_type.is_index() || descriptor.media_type.is_manifest() {
                    let at_digest = reference.at(descriptor.digest);
                    return Ok(runtime.block_on(client.manifest(&at_digest))?.bytes().to_vec());
                }
                let bytes = client.blob_bytes(reference, descriptor, DOCUMENT_LIMIT);
                Ok(runtime.block_on(bytes)?)
            }
            Store::Layout(layout) => Ok(layout.read_blob(descriptor.digest, DOCUMENT_LIMIT)?),
            Store::Archive(archive) => {
                let bytes = archive.read(&blob_name(descriptor.digest))?;
                match Digest::of(&bytes) {
                    digest if digest == descriptor.digest => Ok(bytes),
                    digest => Err(Error::new(format!(
                        "{}: {} is damaged: it is {digest}",
                        archive.path().display(),
                        descriptor.digest
                    ))),
                }
            }
        }
    }

    fn blob(&self, descriptor: &Descriptor) -> Result<Blob> {
        let at = match self {
            Store::Registry(client, reference, runtime) => {
                Place::Registry(client.clone(), reference.clone(), runtime.clone())
            }
            Store::Layout(layout) => Place::File(layout.blob_path(descriptor.digest)),
            Store::Archive(archive) => {
                let (offset, size) = archive.find(&blob_name(descriptor.digest))?;
                if size != descriptor.size {
                    let text = format!(
                        "{}: {} has {size} bytes, and not {}",
                        archive.path().display(),
                        descriptor.digest,
                        descriptor.size
                    );
                    return Err(Error::new(text));
                }
                Place::Part(archive.path().to_owned(), offset)
            }
        };
        let compression = descriptor.media_type.layer_compression();
        Ok(Blob { descriptor: Some(descriptor.clone()), size: descriptor.size, compression, at })
    }
}

/// The image of an index that is meant.
fn chosen<'a>(
    index: &'a Index,
    platform: Option<&Platform>,
) -> std::result::Result<&'a Descriptor, oci::ManifestError> {
    if let Some(platform) = platform {
        return index.for_platform(platform);
    }
    index.for_platform(&Platform::host()).or_else(|error| {
        let is_image = |image: &&Descriptor| image.platform.as_ref().is_none_or(|has| has.os != "unknown");
        let mut images = index.manifests.iter().filter(is_image);
        match (images.next(), images.next()) {
            (Some(only), None) => Ok(only),
            _ => Err(error),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_an_image() {
        for (text, expected) in [
            ("r.example/a:1", Ok("r.example/a:1")),
            ("oci:dir:1", Ok("oci:dir:1")),
            ("docker-archive:a.tar:r.example/a:1", Ok("docker-archive:a.tar:r.example/a:1")),
            ("docker-archive:a.tar", Ok("docker-archive:a.tar")),
            ("./a.tar", Ok("./a.tar")),
        ] {
            let found = text.parse::<Subject>().map(|subject| subject.to_string());
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
        }
        assert_eq!("../x".parse(), Ok(Subject::Path("../x".into())));
    }
}
