//! Packaging: images from registries into a bundle.

use std::collections::BTreeMap;
use std::io::{Seek as _, Write as _};
use std::path::Path;
use std::time::Instant;

use futures_util::{StreamExt, TryStreamExt, stream};
use oci::{Descriptor, Digest, Manifest, ManifestOrIndex, Reference};
use registry::Client;
use serde::Deserialize;

use super::list::{ConfigEntry, Entry, ImageEntry, IndexEntry, LIST_NAME, LayerEntry, ManifestEntry};
use super::{BundleEvent, Bundled, is_foreign, layer_file};
use crate::copy::NESTING;
use crate::error::during;
use crate::tarball::Tarball;
use crate::{Error, Result};

/// What a manifest or config has at most.
const DOCUMENT: u64 = 8 << 20;

/// Layers with one of the repositories that have them.
type Layers = BTreeMap<Digest, (Descriptor, Reference)>;

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
    let mut tarball = Tarball::create(to).map_err(during(what()))?;
    let folder = tarball.folder().to_owned();
    tarball.append(LIST_NAME, list.len() as u64, &list[..]).map_err(during(what()))?;
    report(BundleEvent::Layers);
    let (folder, what) = (&folder, &what);
    let fetched = layers.into_values().map(|(descriptor, reference)| async move {
        let start = Instant::now();
        let mut out = tempfile::tempfile_in(folder).map_err(during(what()))?;
        let mut reader = client.blob(&reference, &descriptor).await?;
        while let Some(chunk) = reader.chunk().await? {
            out.write_all(&chunk).map_err(during(what()))?;
        }
        out.rewind().map_err(during(what()))?;
        Ok::<_, Error>((descriptor, out, start.elapsed()))
    });
    let mut fetched = stream::iter(fetched).buffered(at_once.max(1));
    while let Some(layer) = fetched.next().await {
        let (descriptor, file, took) = layer?;
        let name = layer_file(descriptor.digest);
        tarball.append(&name, descriptor.size, file).map_err(during(what()))?;
        report(BundleEvent::Layer(&name, took));
    }
    drop(fetched);
    tarball.finish().map_err(during(what()))
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
