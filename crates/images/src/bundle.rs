//! Bundles: images in one tar with no layer twice, in the form of `kbld package` and imgpkg's `--tar`.
//!
//! `manifest.json` comes first and has manifests, indexes and configs as texts; the layers follow in the order of their
//! digests, each a file `sha256-HEX.tar.gz` whatever it is packed with. Equal images make equal bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use oci::{Descriptor, Digest, Hasher, Manifest, ManifestOrIndex, MediaType, Reference};
use registry::{BlobSource, Client};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::copy::NESTING;
use crate::error::during;
use crate::{Error, Result};

/// What a manifest or config has at most.
const DOCUMENT: u64 = 8 << 20;

/// What `manifest.json` has at most: it is held in memory.
const LIST: u64 = 256 << 20;

/// The file that is first.
const LIST_NAME: &str = "manifest.json";

/// An image, or an index with all its images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundled {
    /// Its name in the bundle, by digest.
    pub name: String,
    /// Where it is.
    pub reference: Reference,
}

/// What is done with a bundle, as it is done.
#[derive(Debug, Clone, Copy)]
pub enum BundleEvent<'e> {
    /// An image is looked at.
    Exporting(&'e str),
    /// All images were looked at, and their layers come now.
    Layers,
    /// A layer is in the bundle.
    Layer(&'e str, Duration),
    /// An image goes to its new place.
    Importing(&'e str),
}

/// An entry of `manifest.json`: one of the two is there.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    image_index: Option<IndexEntry>,
    image: Option<ImageEntry>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct IndexEntry {
    refs: Option<Vec<String>>,
    images: Option<Vec<ImageEntry>>,
    indexes: Option<Vec<IndexEntry>>,
    media_type: String,
    digest: Digest,
    raw: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ImageEntry {
    refs: Option<Vec<String>>,
    layers: Option<Vec<LayerEntry>>,
    config: ConfigEntry,
    manifest: ManifestEntry,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LayerEntry {
    media_type: String,
    digest: Digest,
    #[serde(rename = "DiffID", default)]
    diff_id: String,
    size: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ConfigEntry {
    digest: Digest,
    raw: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ManifestEntry {
    media_type: String,
    digest: Digest,
    raw: String,
}

/// Layers with one of the repositories that have them.
type Layers = BTreeMap<Digest, (Descriptor, Reference)>;

/// True for layers that only their maker may hand out; they are not in bundles.
fn is_foreign(layer: &Descriptor) -> bool {
    let media_type = layer.media_type.as_str();
    !layer.urls.is_empty() || media_type.contains("nondistributable") || media_type.contains(".foreign.")
}

fn layer_file(digest: Digest) -> String {
    format!("sha256-{}.tar.gz", digest.hex())
}

/// Writes images into a bundle, which has its name only once it is whole. `at_once` images are looked at, and as many
/// layers fetched, at the same time; layers wait their turn in files beside the bundle.
pub async fn package(
    client: &Client,
    images: &[Bundled],
    to: &Path,
    at_once: usize,
    report: &(dyn Fn(BundleEvent<'_>) + Sync),
) -> Result<()> {
    let described = images.iter().map(|image| async move {
        report(BundleEvent::Exporting(&image.name));
        let mut layers = Layers::new();
        let entry = describe(client, &image.reference, &image.name, &mut layers).await?;
        Ok::<_, Error>((entry, layers))
    });
    let described: Vec<(Entry, Layers)> =
        stream::iter(described).buffered(at_once.max(1)).try_collect().await?;
    let (mut entries, mut layers) = (Vec::new(), Layers::new());
    for (entry, more) in described {
        entries.push(entry);
        layers.extend(more);
    }
    entries.sort_by_key(|entry| (entry.digest(), entry.refs().first().cloned()));
    let list =
        serde_json::to_vec(&entries).map_err(|source| Error::Json { what: LIST_NAME.to_owned(), source })?;

    let what = || format!("write {}", to.display());
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = tempfile::NamedTempFile::new_in(folder).map_err(during(what()))?;
    let mut tar = tar::Builder::new(std::io::BufWriter::new(file));
    append(&mut tar, LIST_NAME, list.len() as u64, &list[..]).map_err(during(what()))?;
    report(BundleEvent::Layers);
    let fetched = layers.into_values().map(|(descriptor, reference)| async move {
        let start = Instant::now();
        let mut out = tempfile::tempfile_in(folder).map_err(during(what()))?;
        let mut reader = client.blob(&reference, &descriptor).await?;
        while let Some(chunk) = reader.chunk().await? {
            out.write_all(&chunk).map_err(during(what()))?;
        }
        std::io::Seek::rewind(&mut out).map_err(during(what()))?;
        Ok::<_, Error>((descriptor, out, start.elapsed()))
    });
    let mut fetched = stream::iter(fetched).buffered(at_once.max(1));
    while let Some(layer) = fetched.next().await {
        let (descriptor, file, took) = layer?;
        let name = layer_file(descriptor.digest);
        append(&mut tar, &name, descriptor.size, file).map_err(during(what()))?;
        report(BundleEvent::Layer(&name, took));
    }
    drop(fetched);
    let mut file = tar.into_inner().map_err(during(what()))?;
    file.flush().map_err(during(what()))?;
    let file = file.into_inner().map_err(|error| during(what())(error.into_error()))?;
    file.as_file().sync_all().map_err(during(what()))?;
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(file.path(), permissions).map_err(during(what()))?;
    file.persist(to).map_err(|error| during(what())(error.error))?;
    Ok(())
}

fn append(tar: &mut tar::Builder<impl Write>, name: &str, size: u64, data: impl Read) -> std::io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(0);
    tar.append_data(&mut header, name, data)
}

/// What `manifest.json` says of an image; the layers that it needs are added to `layers`.
async fn describe(client: &Client, reference: &Reference, name: &str, layers: &mut Layers) -> Result<Entry> {
    Ok(match client.manifest(reference).await? {
        ManifestOrIndex::Manifest(manifest) => {
            let root = ManifestOrIndex::Manifest(manifest.clone());
            let image = image_entry(client, reference, name, &root, manifest.value(), layers).await?;
            Entry { image_index: None, image: Some(image) }
        }
        root @ ManifestOrIndex::Index(_) => Entry {
            image_index: Some(index_entry(client, reference, name, &root, layers, 0).await?),
            image: None,
        },
    })
}

async fn index_entry(
    client: &Client,
    reference: &Reference,
    name: &str,
    root: &ManifestOrIndex,
    layers: &mut Layers,
    depth: usize,
) -> Result<IndexEntry> {
    let ManifestOrIndex::Index(index) = root else {
        return Err(Error::new(format!("{name} is no index")));
    };
    if depth == NESTING {
        return Err(Error::new(format!("{name}: more than {NESTING} indexes in one another")));
    }
    let repository = name.split('@').next().unwrap_or(name);
    let (mut images, mut indexes) = (Vec::new(), Vec::new());
    for child in &index.value().manifests {
        let (reference, name) = (reference.at(child.digest), format!("{repository}@{}", child.digest));
        match client.manifest(&reference).await? {
            ManifestOrIndex::Manifest(manifest) => {
                let root = ManifestOrIndex::Manifest(manifest.clone());
                images.push(image_entry(client, &reference, &name, &root, manifest.value(), layers).await?);
            }
            root @ ManifestOrIndex::Index(_) => {
                let entry = index_entry(client, &reference, &name, &root, layers, depth + 1);
                indexes.push(Box::pin(entry).await?);
            }
        }
    }
    Ok(IndexEntry {
        refs: Some(vec![name.to_owned()]),
        images: Some(images).filter(|list| !list.is_empty()),
        indexes: Some(indexes).filter(|list| !list.is_empty()),
        media_type: root.media_type().as_str().to_owned(),
        digest: root.digest(),
        raw: text(root.bytes(), name)?,
    })
}

async fn image_entry(
    client: &Client,
    reference: &Reference,
    name: &str,
    root: &ManifestOrIndex,
    manifest: &Manifest,
    layers: &mut Layers,
) -> Result<ImageEntry> {
    #[derive(Default, Deserialize)]
    struct Config {
        #[serde(default)]
        rootfs: Rootfs,
    }
    #[derive(Default, Deserialize)]
    struct Rootfs {
        #[serde(default)]
        diff_ids: Vec<String>,
    }
    let config = client.blob_bytes(reference, &manifest.config, DOCUMENT).await?;
    // A config of something else than an image has none.
    let known: Config = serde_json::from_slice(&config).unwrap_or_default();
    let mut own = Vec::new();
    for (at, layer) in manifest.layers.iter().enumerate() {
        if !is_foreign(layer) {
            layers.entry(layer.digest).or_insert_with(|| (layer.clone(), reference.clone()));
        }
        own.push(LayerEntry {
            media_type: layer.media_type.as_str().to_owned(),
            digest: layer.digest,
            diff_id: known.rootfs.diff_ids.get(at).cloned().unwrap_or_default(),
            size: layer.size,
        });
    }
    Ok(ImageEntry {
        refs: Some(vec![name.to_owned()]),
        layers: Some(own),
        config: ConfigEntry { digest: manifest.config.digest, raw: text(&config, name)? },
        manifest: ManifestEntry {
            media_type: root.media_type().as_str().to_owned(),
            digest: root.digest(),
            raw: text(root.bytes(), name)?,
        },
    })
}

fn text(bytes: &[u8], name: &str) -> Result<String> {
    let text = String::from_utf8(bytes.to_vec());
    text.map_err(|_| {
        Error::new(format!("{name}: its manifest or config is no text, and cannot be in a bundle"))
    })
}

impl Entry {
    fn digest(&self) -> Option<Digest> {
        let index = self.image_index.as_ref().map(|index| index.digest);
        index.or_else(|| self.image.as_ref().map(|image| image.manifest.digest))
    }

    fn refs(&self) -> &[String] {
        let index = self.image_index.as_ref().and_then(|index| index.refs.as_deref());
        index.or_else(|| self.image.as_ref().and_then(|image| image.refs.as_deref())).unwrap_or_default()
    }
}

/// Pushes everything in a bundle to one repository, each image under the tag [`kept_tag`]; the names in the bundle with
/// their digests. Layers are unpacked in `work`, `at_once` at a time.
pub async fn unpackage(
    client: &Client,
    bundle: &Path,
    to: &Reference,
    at_once: usize,
    work: &Path,
    report: &(dyn Fn(BundleEvent<'_>) + Sync),
) -> Result<Vec<(String, Digest)>> {
    let entries = read_list(bundle)?;
    let mut wanted = BTreeMap::new();
    for entry in &entries {
        let name = entry.refs().first().map_or("an image", String::as_str);
        match (&entry.image_index, &entry.image) {
            (Some(index), None) => check_index(index, name, &mut wanted, 0)?,
            (None, Some(image)) => check_image(image, name, &mut wanted)?,
            _ => return Err(damaged(bundle, "an entry of manifest.json is neither an image nor an index")),
        }
    }
    push_layers(client, bundle, to, at_once, work, wanted).await?;
    let pushed = entries.iter().map(|entry| async move {
        let name = entry.refs().first().map_or("", String::as_str);
        report(BundleEvent::Importing(name));
        let (media_type, digest, raw) = match (&entry.image_index, &entry.image) {
            (Some(index), _) => {
                push_children(client, to, index).await?;
                (&index.media_type, index.digest, &index.raw)
            }
            (None, Some(image)) => {
                push_config(client, to, image).await?;
                (&image.manifest.media_type, image.manifest.digest, &image.manifest.raw)
            }
            (None, None) => return Ok(Vec::new()),
        };
        let tagged = to.with_tag(&kept_tag(digest));
        let media_type = MediaType::from(media_type.as_str());
        client.push_manifest(&tagged, &media_type, Bytes::copy_from_slice(raw.as_bytes())).await?;
        check_tag(client, &tagged, digest).await?;
        Ok::<_, Error>(entry.refs().iter().map(|name| (name.clone(), digest)).collect::<Vec<_>>())
    });
    let pushed: Vec<Vec<(String, Digest)>> =
        stream::iter(pushed).buffered(at_once.max(1)).try_collect().await?;
    Ok(pushed.into_iter().flatten().collect())
}

/// The tag that keeps an image from being collected where only its digest is used.
#[must_use]
pub fn kept_tag(digest: Digest) -> String {
    format!("kbld-sha256-{}", digest.hex())
}

/// Makes sure that a tag means what was pushed: another may have pushed too.
pub(crate) async fn check_tag(client: &Client, tagged: &Reference, digest: Digest) -> Result<()> {
    let found = client.head_manifest(tagged).await?.digest;
    match found == digest {
        true => Ok(()),
        false => Err(Error::new(format!("expected {tagged} to be {digest}, but it is {found}"))),
    }
}

fn damaged(bundle: &Path, reason: &str) -> Error {
    Error::new(format!("{} is damaged: {reason}", bundle.display()))
}

fn read_list(bundle: &Path) -> Result<Vec<Entry>> {
    let what = || format!("read {}", bundle.display());
    let file = std::fs::File::open(bundle).map_err(during(what()))?;
    let mut tar = tar::Archive::new(file);
    for entry in tar.entries_with_seek().map_err(during(what()))? {
        let entry = entry.map_err(during(what()))?;
        if entry.path_bytes().as_ref() != LIST_NAME.as_bytes() {
            continue;
        }
        let mut bytes = Vec::new();
        entry.take(LIST + 1).read_to_end(&mut bytes).map_err(during(what()))?;
        if bytes.len() as u64 > LIST {
            return Err(damaged(bundle, "its manifest.json is too large"));
        }
        return serde_json::from_slice(&bytes).map_err(|source| Error::Json {
            what: format!("manifest.json of {}", bundle.display()),
            source,
        });
    }
    Err(Error::new(format!("{} has no manifest.json: expected what `package` has written", bundle.display())))
}

/// The layers that are needed, with their sizes.
type Wanted = BTreeMap<Digest, u64>;

fn is(what: &str, name: &str, digest: Digest, raw: &str) -> Result<()> {
    match Digest::of(raw.as_bytes()) == digest {
        true => Ok(()),
        false => Err(Error::new(format!("{name}: its {what} is not {digest}"))),
    }
}

fn check_image(image: &ImageEntry, name: &str, wanted: &mut Wanted) -> Result<()> {
    is("manifest", name, image.manifest.digest, &image.manifest.raw)?;
    is("config", name, image.config.digest, &image.config.raw)?;
    let parsed = ManifestOrIndex::parse(
        image.manifest.raw.clone().into_bytes(),
        Some(image.manifest.media_type.as_str()),
    );
    let ManifestOrIndex::Manifest(manifest) =
        parsed.map_err(|error| Error::new(format!("{name}: {error}")))?
    else {
        return Err(Error::new(format!("{name}: it is said to be an image, and is an index")));
    };
    for layer in manifest.value().layers.iter().filter(|layer| !is_foreign(layer)) {
        wanted.insert(layer.digest, layer.size);
    }
    Ok(())
}

fn check_index(index: &IndexEntry, name: &str, wanted: &mut Wanted, depth: usize) -> Result<()> {
    if depth == NESTING {
        return Err(Error::new(format!("{name}: more than {NESTING} indexes in one another")));
    }
    is("index", name, index.digest, &index.raw)?;
    for image in index.images.iter().flatten() {
        check_image(image, name, wanted)?;
    }
    for inner in index.indexes.iter().flatten() {
        check_index(inner, name, wanted, depth + 1)?;
    }
    Ok(())
}

/// Goes through the bundle once, and pushes each layer that is wanted.
async fn push_layers(
    client: &Client,
    bundle: &Path,
    to: &Reference,
    at_once: usize,
    work: &Path,
    wanted: Wanted,
) -> Result<()> {
    let what = || format!("read {}", bundle.display());
    let file = std::fs::File::open(bundle).map_err(during(what()))?;
    let mut tar = tar::Archive::new(file);
    let (mut tasks, mut done) = (JoinSet::new(), BTreeSet::new());
    for entry in tar.entries_with_seek().map_err(during(what()))? {
        let mut entry = entry.map_err(during(what()))?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let hex = path.strip_prefix("sha256-").and_then(|rest| rest.strip_suffix(".tar.gz"));
        let digest = hex.and_then(|hex| format!("sha256:{hex}").parse::<Digest>().ok());
        let Some(digest) = digest.filter(|digest| wanted.contains_key(digest)) else { continue };
        if !done.insert(digest) {
            continue;
        }
        let unpacked = work.join(digest.hex());
        let size = write_verified(&mut entry, &unpacked, digest)
            .map_err(during(what()))?
            .ok_or_else(|| damaged(bundle, &format!("{path} is something else")))?;
        if tasks.len() >= at_once.max(1) {
            pushed(tasks.join_next().await)?;
        }
        let (client, to) = (client.clone(), to.clone());
        tasks.spawn(async move {
            let descriptor = Descriptor::new(MediaType::OciLayerGzip, digest, size);
            let sent = client.push_blob(&to, &descriptor, &BlobSource::File(unpacked.clone()), &[]).await;
            sent?;
            std::fs::remove_file(&unpacked).map_err(during(format!("remove {}", unpacked.display())))
        });
    }
    while let Some(task) = tasks.join_next().await {
        pushed(Some(task))?;
    }
    match wanted.keys().find(|digest| !done.contains(digest)) {
        Some(digest) => Err(damaged(bundle, &format!("the layer {digest} is missing"))),
        None => Ok(()),
    }
}

fn pushed(task: Option<std::result::Result<Result<()>, tokio::task::JoinError>>) -> Result<()> {
    match task {
        Some(Ok(outcome)) => outcome,
        Some(Err(_)) => Err(Error::new("a push ended without a result")),
        None => Ok(()),
    }
}

/// Writes a file of the bundle; its size, or nothing if it is not what its name says.
fn write_verified(data: &mut dyn Read, to: &PathBuf, digest: Digest) -> std::io::Result<Option<u64>> {
    let mut out = std::fs::File::create(to)?;
    let (mut hasher, mut size, mut buffer) = (Hasher::new(), 0, vec![0; 1 << 17]);
    loop {
        let length = match data.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&buffer[..length]);
        out.write_all(&buffer[..length])?;
        size += length as u64;
    }
    Ok((hasher.finish() == digest).then_some(size))
}

async fn push_config(client: &Client, to: &Reference, image: &ImageEntry) -> Result<()> {
    let bytes = Bytes::copy_from_slice(image.config.raw.as_bytes());
    let descriptor = Descriptor::new(MediaType::OciConfig, image.config.digest, bytes.len() as u64);
    client.push_blob(to, &descriptor, &BlobSource::Bytes(bytes), &[]).await?;
    Ok(())
}

/// Pushes what an index needs, by digest.
async fn push_children(client: &Client, to: &Reference, index: &IndexEntry) -> Result<()> {
    for image in index.images.iter().flatten() {
        push_config(client, to, image).await?;
        let ManifestEntry { media_type, digest, raw } = &image.manifest;
        let media_type = MediaType::from(media_type.as_str());
        client.push_manifest(&to.at(*digest), &media_type, Bytes::copy_from_slice(raw.as_bytes())).await?;
    }
    for inner in index.indexes.iter().flatten() {
        Box::pin(push_children(client, to, inner)).await?;
        let (media_type, raw) = (MediaType::from(inner.media_type.as_str()), inner.raw.as_bytes());
        client.push_manifest(&to.at(inner.digest), &media_type, Bytes::copy_from_slice(raw)).await?;
    }
    Ok(())
}

/// Copies images to one repository, as [`unpackage`] does it without a bundle in between.
pub async fn relocate(
    client: &Client,
    images: &[Bundled],
    to: &Reference,
    at_once: usize,
    report: &(dyn Fn(BundleEvent<'_>) + Sync),
) -> Result<Vec<(String, Digest)>> {
    let copied = images.iter().map(|image| async move {
        report(BundleEvent::Importing(&image.name));
        let digest = image
            .reference
            .digest()
            .ok_or_else(|| Error::new(format!("expected image '{}' to be in digest form", image.name)))?;
        let tagged = to.with_tag(&kept_tag(digest));
        let (from, destination) =
            (crate::Location::Registry(image.reference.clone()), crate::Location::Registry(tagged.clone()));
        // Nothing is unpacked between registries.
        crate::copy(client, &from, &destination, &crate::Selection::All, Path::new("")).await?;
        check_tag(client, &tagged, digest).await?;
        Ok::<_, Error>((image.name.clone(), digest))
    });
    stream::iter(copied).buffered(at_once.max(1)).try_collect().await
}
