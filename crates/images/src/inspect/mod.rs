//! Inspection: what an image is, and what each of its layers adds to those beneath it, or hides of them.
//!
//! Layers stream by, one after the other; of each its index is kept until it is laid on the tree, and nothing of what
//! files hold.

mod changes;
mod source;

use std::collections::BTreeMap;
use std::io;

use layer::{Tree, discard, read_layer};
use oci::{Descriptor, DiffId, Digest, ImageConfig, MediaType, Platform};
use registry::Client;
use serde::Serialize;
use tokio::runtime::Handle;

pub use changes::{Changes, FileSize, Tally};
pub use source::Subject;

use crate::error::chain;
use crate::hashed::Hashed;
use crate::{Error, Result};
use changes::{biggest, compare};
use source::{Blob, Opened};

/// What there is to say of an image.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inspection {
    /// As it was asked for.
    pub name: String,
    /// Its manifest's digest; an archive of `docker save` has no manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Its manifest's type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// What kind of artifact it is, if it is none that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The index that it was found in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<InspectedIndex>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Notes in the manifest.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Bytes of its layers as they are transferred.
    pub size: u64,
    /// Bytes of its layers as tars.
    pub unpacked: u64,
    /// What is there when all layers are in place.
    pub contents: Tally,
    /// What is in some layer and hidden by a later one.
    pub hidden: Tally,
    /// Its layers, bottom first.
    pub layers: Vec<InspectedLayer>,
    /// The biggest files of all, biggest first.
    pub files: Vec<FileSize>,
    /// The config as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<ImageConfig>,
}

/// An index.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InspectedIndex {
    /// Its digest.
    pub digest: Digest,
    /// Notes in it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// What it lists.
    pub manifests: Vec<Descriptor>,
}

/// A layer.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InspectedLayer {
    /// The blob's digest.
    pub digest: Digest,
    /// The blob's type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// The blob's bytes.
    pub size: u64,
    /// Notes in its descriptor.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The instruction that made it, as the config has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// The digest of its tar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff_id: Option<DiffId>,
    /// The bytes of its tar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unpacked: Option<u64>,
    /// What it does; none if it is no layer of a filesystem.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
}

/// Looks at an image. Of files and of paths at most `listed` are named, for each layer and in all. It blocks, and is not
/// for tasks of the runtime.
pub fn inspect(
    client: &Client,
    runtime: &Handle,
    subject: &Subject,
    platform: Option<&Platform>,
    listed: usize,
) -> Result<Inspection> {
    let Opened { index, manifest, config, layers: blobs } = source::open(client, runtime, subject, platform)?;
    let diff_ids = config.as_ref().map(|config| config.rootfs.diff_ids.clone()).unwrap_or_default();
    let are_layers = blobs.iter().any(|blob| blob.compression.is_some());
    if are_layers && diff_ids.len() != blobs.len() {
        let (listed, known) = (blobs.len(), diff_ids.len());
        let text =
            format!("{subject}: malformed image: its manifest lists {listed} layers, its config {known}");
        return Err(Error::new(text));
    }
    let mut makers = config.iter().flat_map(|config| &config.history).filter(|entry| !entry.empty_layer);
    let mut tree = Tree::new();
    let (mut layers, mut hidden, mut unpacked) = (Vec::new(), Tally::default(), 0);
    for (number, blob) in blobs.iter().enumerate() {
        let created_by = makers.next().and_then(|entry| entry.created_by.clone());
        let seen = see(blob, diff_ids.get(number).copied(), &mut tree, number, listed)
            .map_err(|error| Error::new(format!("{subject}: layer {}: {error}", number + 1)))?;
        if let Some(changes) = &seen.changes {
            hidden += changes.hidden;
        }
        unpacked += seen.unpacked.unwrap_or_default();
        layers.push(InspectedLayer { created_by, ..seen });
    }
    let value = manifest.as_ref().map(|manifest| manifest.value());
    Ok(Inspection {
        name: subject.to_string(),
        digest: manifest.as_ref().map(|manifest| manifest.digest()),
        media_type: value.map(|manifest| manifest.media_type.clone().unwrap_or(MediaType::OciManifest)),
        artifact_type: value.and_then(|manifest| manifest.artifact_type.clone()),
        index: index.map(|index| InspectedIndex {
            digest: index.digest(),
            annotations: index.value().annotations.clone(),
            manifests: index.into_value().manifests,
        }),
        platform: config.as_ref().map(ImageConfig::platform).filter(|platform| !platform.os.is_empty()),
        annotations: value.map(|manifest| manifest.annotations.clone()).unwrap_or_default(),
        size: blobs.iter().map(|blob| blob.size).sum(),
        unpacked,
        contents: Tally::of(&tree),
        hidden,
        layers,
        files: biggest(&tree, |_| true, listed),
        config,
    })
}

/// Lets a layer stream by, and lays it on the tree.
fn see(
    blob: &Blob,
    expected: Option<DiffId>,
    tree: &mut Tree,
    number: usize,
    listed: usize,
) -> Result<InspectedLayer> {
    let descriptor = blob.descriptor.as_ref();
    let mut seen = InspectedLayer {
        digest: descriptor.map_or(Digest::of(b""), |descriptor| descriptor.digest),
        media_type: descriptor.map(|descriptor| descriptor.media_type.clone()),
        size: blob.size,
        annotations: descriptor.map(|descriptor| descriptor.annotations.clone()).unwrap_or_default(),
        created_by: None,
        diff_id: None,
        unpacked: None,
        changes: None,
    };
    let Some(compression) = blob.compression else { return Ok(seen) };
    if descriptor.is_some_and(|descriptor| !descriptor.urls.is_empty()) {
        // What only its maker may distribute is not there.
        return Ok(seen);
    }
    let failed = |error: io::Error| match registry::Error::of_io(&error) {
        Some(error) => Error::new(error.to_string()),
        None => Error::new(error.to_string()),
    };
    let mut reader = Hashed::new(blob.open().map_err(failed)?);
    let index = read_layer(&mut reader, compression, &mut discard()).map_err(|error| match error {
        layer::ReadError::Source(source) => failed(source),
        error => Error::new(chain(&error)),
    })?;
    // The tar may end before its blob does.
    let digest = reader.finish().map_err(failed)?;
    if descriptor.is_some_and(|descriptor| descriptor.digest != digest) {
        return Err(Error::new(format!("{} is damaged: it is {digest}", seen.digest)));
    }
    if let Some(expected) = expected.filter(|expected| *expected != index.diff_id) {
        return Err(Error::new(format!("its tar is {}, the config says {expected}", index.diff_id)));
    }
    seen.digest = digest;
    (seen.diff_id, seen.unpacked) = (Some(index.diff_id), Some(index.size));
    let layer = u32::try_from(number).unwrap_or(u32::MAX);
    let before = tree.clone();
    tree.apply(layer, &index);
    seen.changes = Some(compare(&before, tree, layer, listed));
    Ok(seen)
}
