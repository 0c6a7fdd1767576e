//! Sources: where an image that is looked at comes from. Nothing is unpacked: blobs are read where they are, also
//! those within an archive.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use layout::{Layout, REFERENCE_NAME};
use oci::{Compression, Descriptor, Digest, ImageConfig, Index, ManifestOrIndex, Platform, Raw};
use registry::Client;
use serde::Deserialize;
use tokio::runtime::Handle;

use crate::error::during;
use crate::{Error, Location, Result};

/// What manifests and configs have at most.
const DOCUMENT_LIMIT: u64 = 8 << 20;
/// Indexes in one another.
const NESTING: usize = 4;
/// Entries of an archive of an image: some per layer, so that this is far more than any has.
const ENTRIES: usize = 100_000;

/// An image to be looked at, as a user names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// In the words of a copy.
    Location(Location),
    /// `docker-archive:FILE[:REFERENCE]`, what `docker save` writes.
    DockerArchive(PathBuf, Option<String>),
    /// A path: a layout if it is a directory, else an archive of either kind.
    Path(PathBuf),
}

impl FromStr for Subject {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if let Some(rest) = text.strip_prefix("docker-archive:") {
            let (path, name) = match rest.split_once(':') {
                Some((path, name)) => (path, Some(name.to_owned()).filter(|name| !name.is_empty())),
                None => (rest, None),
            };
            if path.is_empty() {
                return Err(format!("{text}: a path is missing"));
            }
            return Ok(Subject::DockerArchive(path.into(), name));
        }
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
            Subject::DockerArchive(path, name) => {
                write!(f, "docker-archive:{}", path.display())?;
                name.as_ref().map_or(Ok(()), |name| write!(f, ":{name}"))
            }
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
        Subject::DockerArchive(file, name) => {
            return Archive::open(file)?.docker_image(name.as_deref());
        }
        Subject::Path(path) if path.is_dir() => of_layout(path, None)?,
        Subject::Path(path) => {
            let archive = Archive::open(path)?;
            if !archive.files.contains_key("index.json") {
                return archive.docker_image(None);
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
    let chosen = named(&layout.index()?, name, &dir.display().to_string())?;
    let root = parse(layout.read_blob(chosen.digest, DOCUMENT_LIMIT)?, &chosen)?;
    Ok((Store::Layout(layout), root))
}

/// What an index of a layout has under a name. Without a name, the only image, which may have several names.
fn named(index: &Index, name: Option<&str>, what: &str) -> Result<Descriptor> {
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
        return Err(Error::new(format!("{what} has several images; say which, of {}", names.join(", "))));
    }
    Ok(first.clone())
}

fn parse(bytes: Vec<u8>, descriptor: &Descriptor) -> Result<ManifestOrIndex> {
    ManifestOrIndex::parse(bytes, Some(descriptor.media_type.as_str()))
        .map_err(|error| Error::new(format!("{}: {error}", descriptor.digest)))
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
                        archive.path.display(),
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
                        archive.path.display(),
                        descriptor.digest,
                        descriptor.size
                    );
                    return Err(Error::new(text));
                }
                Place::Part(archive.path.clone(), offset)
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

fn blob_name(digest: Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// A tar, and where in it each file is.
struct Archive {
    path: PathBuf,
    /// Offset and length.
    files: BTreeMap<String, (u64, u64)>,
    /// Symbolic links, as older archives of `docker save` have them between layers that are alike.
    links: BTreeMap<String, String>,
}

impl Archive {
    fn open(path: &Path) -> Result<Self> {
        let what = || format!("read {}", path.display());
        let file = File::open(path).map_err(during(what()))?;
        let mut tar = tar::Archive::new(file);
        let mut found = Archive { path: path.to_owned(), files: BTreeMap::new(), links: BTreeMap::new() };
        for entry in tar.entries_with_seek().map_err(during(what()))? {
            let entry = entry.map_err(during(what()))?;
            let name = clean(&entry.path().map_err(during(what()))?.to_string_lossy());
            if found.files.len() + found.links.len() == ENTRIES {
                let text = format!("{} is no archive of an image: it has too many entries", path.display());
                return Err(Error::new(text));
            }
            match entry.header().entry_type() {
                tar::EntryType::Symlink => {
                    let target = entry.link_name().map_err(during(what()))?.unwrap_or_default();
                    found.links.insert(name, target.to_string_lossy().into_owned());
                }
                kind if kind.is_file() => {
                    found.files.insert(name, (entry.raw_file_position(), entry.size()));
                }
                _ => {}
            }
        }
        Ok(found)
    }

    /// Where a file is. A link is followed once.
    fn find(&self, name: &str) -> Result<(u64, u64)> {
        let name = clean(name);
        let target = self.links.get(&name).map(|target| {
            let mut parts: Vec<&str> = name.split('/').collect();
            parts.pop();
            for part in target.split('/') {
                match part {
                    ".." => drop(parts.pop()),
                    "." | "" => {}
                    part => parts.push(part),
                }
            }
            parts.join("/")
        });
        let found = self.files.get(target.as_deref().unwrap_or(&name)).copied();
        found.ok_or_else(|| Error::new(format!("{} does not hold {name}", self.path.display())))
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        let what = || format!("read {} of {}", name, self.path.display());
        let (offset, size) = self.find(name)?;
        if size > DOCUMENT_LIMIT {
            return Err(Error::new(format!("{}: {name} is too large", self.path.display())));
        }
        let mut file = File::open(&self.path).map_err(during(what()))?;
        file.seek(SeekFrom::Start(offset)).map_err(during(what()))?;
        let mut bytes = Vec::new();
        file.take(size).read_to_end(&mut bytes).map_err(during(what()))?;
        Ok(bytes)
    }

    /// The manifest or index that a layout in the archive has under a name.
    fn root(&self, name: Option<&str>) -> Result<ManifestOrIndex> {
        let shown = self.path.display().to_string();
        if !self.files.contains_key("index.json") {
            let text = format!("{shown} is no archive of an OCI layout: it has no index.json");
            return Err(Error::new(text));
        }
        let index: Index = self.json("index.json")?;
        let chosen = named(&index, name, &shown)?;
        let bytes = self.read(&blob_name(chosen.digest))?;
        if Digest::of(&bytes) != chosen.digest {
            return Err(Error::new(format!("{shown}: {} is damaged", chosen.digest)));
        }
        parse(bytes, &chosen)
    }

    fn json<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<T> {
        let what = || format!("{name} of {}", self.path.display());
        serde_json::from_slice(&self.read(name)?).map_err(|source| Error::Json { what: what(), source })
    }

    /// An image that `docker save`, or `--tar-path`, has written.
    fn docker_image(&self, name: Option<&str>) -> Result<Opened> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Saved {
            config: String,
            repo_tags: Option<Vec<String>>,
            layers: Vec<String>,
        }
        let shown = self.path.display();
        if !self.files.contains_key("manifest.json") {
            let text =
                format!("{shown} is no archive of an image: it has neither index.json nor manifest.json");
            return Err(Error::new(text));
        }
        let saved: Vec<Saved> = self.json("manifest.json")?;
        let is_it =
            |image: &&Saved| name.is_none_or(|name| image.repo_tags.iter().flatten().any(|tag| tag == name));
        let mut found = saved.iter().filter(is_it);
        let image = match (found.next(), found.next(), name) {
            (Some(image), None, _) => image,
            (None, _, Some(name)) => {
                return Err(Error::new(format!("{shown} has no image of the name {name}")));
            }
            (None, ..) => return Err(Error::new(format!("{shown} has no image"))),
            _ => {
                let text = format!("{shown} has several images; say which, as docker-archive:{shown}:NAME");
                return Err(Error::new(text));
            }
        };
        let layers = image.layers.iter().map(|name| {
            let (offset, size) = self.find(name)?;
            let at = Place::Part(self.path.clone(), offset);
            // What the first bytes say counts, and nothing else says anything.
            Ok(Blob { descriptor: None, size, compression: Some(Compression::None), at })
        });
        let layers = layers.collect::<Result<_>>()?;
        Ok(Opened { index: None, manifest: None, config: Some(self.json(&image.config)?), layers })
    }
}

/// Names as tars have them, in one form.
fn clean(name: &str) -> String {
    let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    parts.join("/")
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
            ("docker-archive:", Err("docker-archive:: a path is missing")),
        ] {
            let found = text.parse::<Subject>().map(|subject| subject.to_string());
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
        }
        assert_eq!("../x".parse(), Ok(Subject::Path("../x".into())));
    }
}
